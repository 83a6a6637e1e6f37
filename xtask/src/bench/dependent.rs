//! What a program pays for depending on the library: packages, a clean build, size.
//!
//! Three packages with the same source are built in turns: on the library, on 0.1.35, and on 0.1.35 once more, the
//! control. A fourth without any tells what of the size is the library's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::row::{Must, Row};
use crate::context::{write, Context};
use crate::upstream::VERSION;

/// What most dependents do: join, take, give back, hand on, and the helper thread.
const USES: &str = r#"fn main() {
    // SAFETY: first thing in the process.
    let client = unsafe { jobserver::Client::from_env() }.unwrap_or_else(|| jobserver::Client::new(4).unwrap());
    let token = client.acquire().unwrap();
    let mut command = std::process::Command::new("true");
    client.configure(&mut command);
    println!("{:?}", command.status());
    drop(token);
    let helper = client.into_helper_thread(|token| println!("{token:?}")).unwrap();
    helper.request_token();
}
"#;

/// The same program as far as it can go without.
const WITHOUT: &str = r#"fn main() {
    let mut command = std::process::Command::new("true");
    println!("{:?}", command.status());
    let helper = std::thread::Builder::new().spawn(|| println!("{:?}", std::io::stdin())).unwrap();
    helper.join().unwrap();
}
"#;

/// The rows that begin with `a dependent`.
pub(crate) fn measure(context: &Context, quick: bool) -> Result<Vec<Row>> {
    let library = packaged(context)?;
    let ours = format!("jobserver = {{ path = {library:?} }}\n");
    let lean = format!("jobserver = {{ path = {library:?}, default-features = false }}\n");
    let theirs = format!("jobserver = \"={VERSION}\"\n");
    let three = [
        generate(context, "dependent-ours", &ours, USES)?,
        generate(context, "dependent-upstream", &theirs, USES)?,
        generate(context, "dependent-again", &theirs, USES)?,
    ];
    let lean = [generate(context, "dependent-lean", &lean, USES)?, three[1].clone(), three[2].clone()];
    let bare = generate(context, "dependent-none", "", WITHOUT)?;

    let rounds = if quick { 2 } else { 5 };
    let lean_debug = clean_builds(context, &lean, rounds, &[])?;
    let lean_release = clean_builds(context, &lean, rounds, &["--release"])?;
    // The last build is the one whose size counts.
    let debug = clean_builds(context, &three, rounds, &[])?;
    let release = clean_builds(context, &three, rounds, &["--release"])?;
    clean_build(context, &bare, &["--release"])?;
    let without = size(&bare)?;
    let mut sizes = [0.0; 3];
    let mut packages = [0.0; 3];
    for (which, package) in three.iter().enumerate() {
        sizes[which] = (size(package)? - without) / 1024.0;
        packages[which] = dependencies(context, package)?.len() as f64;
    }
    let equal = dependencies(context, &three[0])? == dependencies(context, &three[1])?;
    // Equal in number is not enough.
    let packages_must = Must::RatioAtMost(if equal { 1.0 } else { 0.0 });
    let build = Row::of_rounds("a dependent: clean build", "s", Must::RatioAtMost(1.3), &debug);
    Ok(vec![
        Row::of_rounds("a dependent: packages below the library", "", packages_must, &[packages]),
        Row { headline: true, ..build },
        Row::of_rounds("a dependent: clean build --release", "s", Must::RatioAtMost(1.3), &release),
        Row::of_rounds(
            "a dependent without default features, as cc: clean build",
            "s",
            Must::RatioAtMost(1.3),
            &lean_debug,
        ),
        Row::of_rounds(
            "a dependent without default features, as cc: clean build --release",
            "s",
            Must::RatioAtMost(1.3),
            &lean_release,
        ),
        Row::of_rounds("a dependent: size added, stripped", "KiB", Must::Nothing, &[sizes]),
    ])
}

/// The library as it is unpacked from a registry. Where it lies, cargo would ask git about it before each build, and a
/// manifest that inherits would be looked up.
fn packaged(context: &Context) -> Result<PathBuf> {
    if context.library != context.root.join("crates/jobserver") {
        return Ok(context.library.clone());
    }
    let to = context.scratch("dependent-library")?;
    fs::remove_dir_all(&to).with_context(|| to.display().to_string())?;
    let target = context.scratch("package")?;
    let package = ["package", "-p", "jobserver", "--no-verify", "--allow-dirty", "--quiet", "--target-dir"];
    context.cargo(5, &package).arg(&target).quiet().run()?;
    let metadata = context.metadata(&context.library)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let version = packages
        .filter(|package| package["name"] == "jobserver")
        .find_map(|package| package["version"].as_str())
        .context("the library has no version")?;
    let archive = target.join(format!("package/jobserver-{version}.crate"));
    fs::create_dir_all(&to)?;
    xshell::cmd!(context.sh, "tar -xzf {archive} -C {to} --strip-components=1").quiet().run()?;
    Ok(to)
}

fn generate(context: &Context, name: &str, dependency: &str, main: &str) -> Result<PathBuf> {
    let package = context.scratch(name)?;
    let manifest = format!(
        "[package]\nname = \"dependent\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [dependencies]\n{dependency}\n[profile.release]\nstrip = true\n"
    );
    write(&package.join("Cargo.toml"), manifest)?;
    write(&package.join("src/main.rs"), main)?;
    // Before the clock runs: the registry is asked and the lock file written.
    context.cargo_in(&package, 5, &["fetch", "--quiet"]).quiet().run()?;
    Ok(package)
}

fn clean_builds(context: &Context, three: &[PathBuf; 3], rounds: usize, flags: &[&str]) -> Result<Vec<[f64; 3]>> {
    let mut times = Vec::new();
    for round in 0..rounds {
        eprintln!("measured: clean build {}, round {}", flags.concat(), round + 1);
        let mut seconds = [0.0; 3];
        for turn in 0..3 {
            let which = (round + turn) % 3;
            seconds[which] = clean_build(context, &three[which], flags)?;
        }
        times.push(seconds);
    }
    Ok(times)
}

/// The seconds that it takes, with what cargo does to a package of a registry: nothing is kept for the next build, and
/// what the compiler warns of is not shown. The library would have neither as a path.
fn clean_build(context: &Context, package: &Path, flags: &[&str]) -> Result<f64> {
    let target = package.join("target");
    if target.exists() {
        fs::remove_dir_all(&target).with_context(|| target.display().to_string())?;
    }
    let build = context.cargo_in(package, 5, &["build", "--offline", "--quiet"]).args(flags);
    let build = build.env("CARGO_INCREMENTAL", "0").env("RUSTFLAGS", "--cap-lints=allow").quiet();
    let start = Instant::now();
    build.run()?;
    Ok(start.elapsed().as_secs_f64())
}

fn size(package: &Path) -> Result<f64> {
    let program = package.join("target/release/dependent");
    let metadata = fs::metadata(&program).with_context(|| program.display().to_string())?;
    Ok(metadata.len() as f64)
}

/// The packages that the library brings with it on this machine, by name and version.
fn dependencies(context: &Context, package: &Path) -> Result<BTreeSet<String>> {
    let tree = ["tree", "--offline", "--quiet", "--edges=normal,build", "--prefix=none", "--format={p}"];
    let text = context.cargo_in(package, 5, &tree).quiet().read()?;
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)").to_string());
    Ok(lines.filter(|line| !line.starts_with("dependent ") && !line.starts_with("jobserver ")).collect())
}
