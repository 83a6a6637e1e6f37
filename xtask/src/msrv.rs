//! `cargo xtask msrv`: each package compiled by the very version of Rust that it claims to be content with.
//!
//! Clippy knows when a function of the standard library came, not when a rule of the language did, nor what the
//! dependencies need. Old toolchains are not everywhere at hand; Debian's are, each in a system of its own. What is
//! checked is what others get: the packages as they would be published, with the versions of Cargo.lock, whose sources
//! lie beside them, so that the old cargo needs no network. Tests and what they depend on are left out.
//!
//! A claim for which there is no toolchain here is an error.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};
use xshell::cmd;

use crate::context::{packages, write, Context};
use crate::debian;

/// A version of Rust, and the release of Debian that has it.
struct Toolchain {
    version: &'static str,
    release: &'static str,
    packages: [&'static str; 2],
}

const TOOLCHAINS: [Toolchain; 2] = [
    Toolchain { version: "1.78", release: "bullseye", packages: ["rustc-web", "cargo-web"] },
    Toolchain { version: "1.85", release: "trixie", packages: ["rustc", "cargo"] },
];

const PUBLISHED: [&str; 3] = ["jobserver", "jobserver-pool", "jobserver-cli"];

/// Checks each package with the toolchain of its claim.
pub(crate) fn run(context: &Context) -> Result<()> {
    let metadata = context.metadata(&context.root)?;
    let dir = context.scratch("msrv")?;
    let made = dir.join("packages");
    // Together: each finds the others, which are published nowhere yet.
    let package = ["package", "--quiet", "--no-verify", "--allow-dirty"];
    let names = PUBLISHED.iter().flat_map(|name| ["-p", name]);
    context.cargo(5, &package).args(names).arg("--target-dir").arg(&made).ignore_stderr().run()?;
    for name in PUBLISHED {
        let package = packages(&metadata, name).next().with_context(|| format!("{name} is not in the workspace"))?;
        let version = package["version"].as_str().unwrap_or_default();
        let claim = package["rust_version"].as_str().with_context(|| format!("{name} claims no rust-version"))?;
        let toolchain = TOOLCHAINS.iter().find(|toolchain| toolchain.version == claim);
        let toolchain = toolchain.with_context(|| {
            format!("{name} claims Rust {claim}, which nothing here can check: {:?}", TOOLCHAINS.map(|it| it.version))
        })?;
        check(context, &dir, &made, (name, version), toolchain).with_context(|| format!("{name} with Rust {claim}"))?;
    }
    Ok(())
}

fn check(context: &Context, dir: &Path, made: &Path, name: (&str, &str), toolchain: &Toolchain) -> Result<()> {
    let system = system(context, toolchain)?;
    let place = dir.join(name.0);
    let sources = place.join("sources");
    if sources.exists() {
        fs::remove_dir_all(&sources)?;
    }
    let mut patches = String::new();
    for other in PUBLISHED {
        let folder = unpack(context, made, other, &sources)?;
        if other != name.0 && name.0 != "jobserver" {
            patches += &format!("{other} = {{ path = \"sources/{folder}\" }}\n");
        }
    }
    let manifest = format!(
        "[workspace]\nresolver = \"2\"\nmembers = [\"sources/{}-{}\"]\nexclude = [\"sources\", \"vendor\"]\n\n\
         [patch.crates-io]\n{patches}",
        name.0, name.1
    );
    write(&place.join("Cargo.toml"), manifest)?;
    fs::copy(context.root.join("Cargo.lock"), place.join("Cargo.lock"))?;
    let vendor = place.join("vendor");
    if vendor.exists() {
        fs::remove_dir_all(&vendor)?;
    }
    // Of Cargo.lock it takes out what is not needed, and changes nothing else.
    context
        .cargo(5, &["vendor", "--quiet", "--manifest-path"])
        .arg(place.join("Cargo.toml"))
        .arg(&vendor)
        .ignore_stdout()
        .run()?;
    let config = "[source.crates-io]\nreplace-with = \"here\"\n\n[source.here]\ndirectory = \"/shared/vendor\"\n";
    write(&place.join(".cargo/config.toml"), config)?;
    let script = format!("cd /shared; cargo check --quiet --offline --locked -p {}; rustc --version", name.0);
    let said = debian::within(context, &system, &place, 10, &script).env("CARGO_HOME", "/shared/.home").read()?;
    println!("{} {}: checked with {said}", name.0, name.1);
    Ok(())
}

/// The system with this toolchain, and no other.
fn system(context: &Context, toolchain: &Toolchain) -> Result<PathBuf> {
    let is_right = |system: &Path| {
        let said = cmd!(context.sh, "chroot {system} rustc --version").quiet().ignore_stderr().read()?;
        let expected = format!("rustc {}.", toolchain.version);
        ensure!(said.starts_with(&expected), "{} has {said}", system.display());
        Ok(())
    };
    let name = format!("rust-{}", toolchain.version);
    let packages = [&toolchain.packages[..], &["gcc", "libc6-dev"]].concat();
    debian::system(context, &name, toolchain.release, &packages, is_right)
}

/// Puts the package, without what its tests need, into `sources`; returns its folder's name.
fn unpack(context: &Context, made: &Path, name: &str, sources: &Path) -> Result<String> {
    let (made, name) = (made.join("package"), format!("{name}-"));
    let entries = fs::read_dir(&made).with_context(|| made.display().to_string())?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names = names.collect::<Result<Vec<String>>>()?;
    let is_it = |file: &&String| {
        let version = file.strip_prefix(&name).and_then(|rest| rest.strip_suffix(".crate"));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    let file = names.iter().find(is_it).with_context(|| format!("{name}*.crate is not in {}", made.display()))?;
    fs::create_dir_all(sources)?;
    let archive = made.join(file);
    cmd!(context.sh, "tar --extract --gzip --file {archive} --directory {sources}").quiet().run()?;
    let folder = file.trim_end_matches(".crate").to_string();
    let manifest = sources.join(&folder).join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    write(&manifest, without_tests(&text))?;
    Ok(folder)
}

/// A manifest without what only tests, examples and benchmarks need.
fn without_tests(manifest: &str) -> String {
    let mut kept = String::new();
    let mut keep = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = !line.contains("dev-dependencies") && !["[[test]]", "[[example]]", "[[bench]]"].contains(&line);
        }
        if keep {
            kept += line;
            kept += "\n";
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_need_is_left_out_of_a_manifest() {
        let manifest = "[package]\nname = \"a\"\n[dependencies.b]\nversion = \"1\"\n[dev-dependencies.c]\nversion = \"2\"\n\
                        [target.'cfg(unix)'.dev-dependencies.d]\nversion = \"3\"\n[[test]]\nname = \"t\"\n[lints]\nx = 1\n";
        assert_eq!(
            without_tests(manifest),
            "[package]\nname = \"a\"\n[dependencies.b]\nversion = \"1\"\n[lints]\nx = 1\n"
        );
    }
}
