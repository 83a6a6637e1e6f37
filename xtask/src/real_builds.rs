//! `cargo xtask downstreams --all`: large packages that depend on `jobserver = "0.1"`, with the library in its place.
//!
//! `zstd-sys` and `libgit2-sys` compile hundreds of C files through `cc`; `cargo` uses more of the API than anyone
//! else, and is type-checked in the version that belongs to the installed compiler.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use xshell::cmd;

use crate::context::{write, Context};
use crate::root;

/// Builds both.
pub(crate) fn run(context: &Context) -> Result<()> {
    let native = "zstd-sys = \"2\"\nlibgit2-sys = { version = \"0.18\", default-features = false, \
                  features = [\"vendored\"] }\n";
    let package = generate(context, "native-libraries", native)?;
    context.cargo_in(&package, 15, &["build", "--quiet"]).run()?;
    println!("zstd-sys and libgit2-sys are built");

    let has_openssl = cmd!(context.sh, "pkg-config --exists openssl").quiet().ignore_stderr().run().is_ok();
    if !has_openssl {
        root::install(context, &["pkg-config", "libssl-dev"], "type-checking cargo")?;
    }
    let version = cargo_version(context)?;
    let cargo = format!("cargo = {{ version = \"{version}\", features = [\"vendored-libgit2\"] }}\n");
    let package = generate(context, "cargo-itself", &cargo)?;
    context.cargo_in(&package, 30, &["check", "--quiet"]).run()?;
    println!("cargo {version} is type-checked");
    Ok(())
}

fn generate(context: &Context, name: &str, dependencies: &str) -> Result<PathBuf> {
    let package = context.scratch(name)?;
    // Resolver 3 passes over versions that the installed compiler is too old for.
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\nresolver = \"3\"\n\n\
         [dependencies]\n{dependencies}\n[patch.crates-io]\njobserver = {{ path = {:?} }}\n",
        context.library
    );
    write(&package.join("Cargo.toml"), manifest)?;
    write(&package.join("src/lib.rs"), "")?;
    context.uses_the_library(&package)?;
    Ok(package)
}

/// The crate `cargo` of Rust 1.N is 0.(N+1).
fn cargo_version(context: &Context) -> Result<String> {
    let said = cmd!(context.sh, "rustc --version").read()?;
    let minor = said.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    Ok(format!("0.{}", minor.with_context(|| format!("rustc says {said:?}"))? + 1))
}
