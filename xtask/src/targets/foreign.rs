//! What is not only type-checked: the library's tests, linked for musl and for 32 bits and run; and a program for
//! WebAssembly that uses what there is of the library in a single process.
//!
//! The tests of the library need threads and processes, which WebAssembly has not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};
use xshell::cmd;

use crate::context::{write, Context};
use crate::{clients, root};

const PACKAGES: [&str; 4] = ["musl-tools", "gcc-multilib", "lld-22", "wasi-libc"];

const WASMTIME: &str = "wasmtime==50.0.1";

/// Runs what can be run, and prints what it was.
pub(super) fn run(context: &Context) -> Result<()> {
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !root::is_installed(context, package)).collect();
    if !missing.is_empty() {
        root::install(context, &missing, "linking for other targets")?;
    }
    let musl = format!("-Clink-self-contained=no -L{}", unwinder(context)?.display());
    tests(context, "x86_64-unknown-linux-musl", &[("LINKER", "musl-gcc"), ("RUSTFLAGS", &musl)])?;
    tests(context, "i686-unknown-linux-gnu", &[])?;
    in_wasm(context)
}

/// The library's tests for this target, which this kernel runs.
fn tests(context: &Context, target: &str, settings: &[(&str, &str)]) -> Result<()> {
    clients::run(context)?;
    let name = target.to_uppercase().replace('-', "_");
    let settings = settings.iter().map(|(key, value)| (format!("CARGO_TARGET_{name}_{key}"), value));
    let manifest = context.library.join("Cargo.toml").display().to_string();
    let test = super::cargo(context, 20, "test", target, &["--quiet", "--tests", "--manifest-path", &manifest])?;
    test.envs(settings).run().with_context(|| format!("the tests for {target}"))?;
    println!("{target}: the library's tests passed");
    Ok(())
}

/// The unwinder that std asks for under musl is one that comes with rustup's std; gcc's does as well.
fn unwinder(context: &Context) -> Result<PathBuf> {
    let dir = context.scratch("targets/musl")?;
    let real = cmd!(context.sh, "gcc -print-file-name=libgcc_eh.a").quiet().read()?;
    let link = dir.join("libunwind.a");
    if fs::symlink_metadata(&link).is_ok() {
        fs::remove_file(&link)?;
    }
    symlink(real, link)?;
    Ok(dir)
}

const RUN_WASM: &str = "\
import sys, wasmtime
engine = wasmtime.Engine()
linker, store, wasi = wasmtime.Linker(engine), wasmtime.Store(engine), wasmtime.WasiConfig()
linker.define_wasi()
wasi.inherit_stdout()
wasi.inherit_stderr()
store.set_wasi(wasi)
instance = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1]))
instance.exports(store)['_start'](store)
";

/// The program `in_wasm.rs`, by wasmtime.
fn in_wasm(context: &Context) -> Result<()> {
    let target = "wasm32-wasip1";
    let clients::Python { program: python, packages } = clients::python_package(context, "wasmtime", WASMTIME)?;
    let package = context.scratch("targets/in-wasm")?;
    write(&package.join("Cargo.toml"), super::dependent("in-wasm", context))?;
    write(&package.join("src/main.rs"), include_str!("in_wasm.rs"))?;
    let libc = Path::new("/usr/lib/wasm32-wasi");
    ensure!(libc.join("libc.a").exists(), "{} has no libc.a", libc.display());
    let flags = format!("-Clink-self-contained=no -L{} -Clink-arg={0}/crt1-command.o", libc.display());
    let manifest = package.join("Cargo.toml").display().to_string();
    let build = super::cargo(context, 10, "build", target, &["--quiet", "--manifest-path", &manifest])?;
    build
        .env("CARGO_TARGET_WASM32_WASIP1_LINKER", "wasm-ld-22")
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags)
        .run()?;
    let program = context.scratch("targets")?.join(target).join("debug/in-wasm.wasm");
    let said = cmd!(context.sh, "{python} -c {RUN_WASM} {program}").env("PYTHONPATH", &packages).read()?;
    ensure!(said.ends_with("all is well"), "{target}: {said}");
    println!("{target}: a program that uses the library ran under {WASMTIME}");
    Ok(())
}
