//! `cargo xtask downstreams`: `cc` compiles 40 C files in parallel, under `make -j4`, with the library in 0.1's place.
//!
//! make starts cargo, cargo runs a build script, and that calls `cc`, which draws from make's pool through the library.
//! How many compilers ran at once is seen from outside. Then make's next recipe, which runs alone, counts the tokens in
//! the pool: make, cargo and cc each own an implicit slot but hand it down the chain, so 4 slots are never more than 4
//! compilers and leave 3 tokens.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Result};
use testkit::clients::{Program, MAKE_4_3, MAKE_4_4};
use testkit::spans::Recorder;

use crate::context::{write, Context};

const C_FILES: usize = 40;

const BUILD_SCRIPT: &str = r#"fn main() {
    println!("cargo:rerun-if-env-changed=ROUND");
    let files = (0..FILES).map(|n| format!("c/slow_{n}.c"));
    cc::Build::new().files(files).compile("slow");
}
"#;

/// Only what compiles one of our files is a job: cc also calls the compiler to learn what it is. The pause makes jobs
/// overlap, however fast the machine.
const COMPILER: &str = r#"#!/bin/sh
case "$*" in
*-c*slow_*.c*) exec "$JOB" sh -c 'gcc "$@" && sleep 0.05' gcc "$@" ;;
*) exec gcc "$@" ;;
esac
"#;

/// Prints how many bytes lie in the pool that MAKEFLAGS names, without taking any.
const FREE_TOKENS: &str = r#"import fcntl, os, re, struct, termios
auth = re.findall(r"--jobserver-auth=(\S+)", os.environ["MAKEFLAGS"])[-1]
if auth.startswith("fifo:"):
    pool = os.open(auth[5:], os.O_RDONLY | os.O_NONBLOCK)
else:
    pool = int(auth.split(",")[0])
print(struct.unpack("i", fcntl.ioctl(pool, termios.FIONREAD, bytes(4)))[0])
"#;

/// The leading `+` hands the descriptors of a pipe down to cargo and to the count; a fifo does not need it.
const MAKEFILE: &str = "count: build\n\t+python3 free_tokens.py >free_tokens\n\
    build:\n\t+timeout --kill-after=10s 5m cargo build --quiet\n.PHONY: count build\n";

/// Builds it with both makes in each of their styles.
pub(crate) fn run(context: &Context) -> Result<()> {
    crate::clients::run(context)?;
    let package = generate(context)?;
    context.uses_the_library(&package)?;
    build(context, &package, &MAKE_4_4, Some("fifo"))?;
    build(context, &package, &MAKE_4_4, Some("pipe"))?;
    build(context, &package, &MAKE_4_3, None)
}

fn generate(context: &Context) -> Result<PathBuf> {
    let package = context.scratch("cc-under-make")?;
    let manifest = format!(
        "[package]\nname = \"cc-under-make\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [build-dependencies]\ncc = {{ version = \"1.2\", features = [\"parallel\"] }}\n\n\
         [patch.crates-io]\njobserver = {{ path = {:?} }}\n",
        context.library
    );
    write(&package.join("Cargo.toml"), manifest)?;
    write(&package.join("build.rs"), BUILD_SCRIPT.replace("FILES", &C_FILES.to_string()))?;
    write(&package.join("src/lib.rs"), "")?;
    write(&package.join("Makefile"), MAKEFILE)?;
    write(&package.join("free_tokens.py"), FREE_TOKENS)?;
    write(&package.join("compiler"), COMPILER)?;
    fs::set_permissions(package.join("compiler"), fs::Permissions::from_mode(0o755))?;
    for number in 0..C_FILES {
        let source = format!("#include <stdio.h>\nvoid slow_{number}(void) {{ puts(\"{number}\"); }}\n");
        write(&package.join(format!("c/slow_{number}.c")), source)?;
    }
    Ok(package)
}

fn build(context: &Context, package: &Path, make: &Program, style: Option<&str>) -> Result<()> {
    let recorder = Recorder::new();
    let make_path = make.path();
    let style_flag = style.map(|style| format!("--jobserver-style={style}"));
    context
        .bounded(8, &make_path.display().to_string())
        .args(style_flag)
        .args(["--no-print-directory", "-j4", "-C"])
        .arg(package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env("CC", package.join("compiler"))
        .env("JOB", recorder.wrapper())
        // A new value makes cargo run the build script again.
        .env("ROUND", recorder.path())
        .run()?;

    let spans = recorder.spans();
    let (jobs, most) = (spans.jobs(), spans.most_at_once());
    let free = fs::read_to_string(package.join("free_tokens"))?;
    let free = free.trim();
    let name = format!("{} {}", make.folder, style.unwrap_or("pipe"));
    println!("{name}: {jobs} files compiled, {most} at once at most; {free} of 3 tokens in the pool at the end");
    ensure!(jobs == C_FILES, "{name}: {jobs} jobs were recorded, not {C_FILES}");
    ensure!((2..=4).contains(&most), "{name}: {most} compilers ran at once in a pool of 4 slots");
    ensure!(free == "3", "{name}: {free} of 3 tokens are in the pool at the end");
    Ok(())
}
