//! A Windows to build for and to run on: Debian's Rust with the sources of its standard library, mingw's linker, and a
//! wine prefix of our own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context as _, Result};
use xshell::{cmd, Cmd};

use crate::context::{write, Context};
use crate::root;

pub(super) const TARGET: &str = "x86_64-pc-windows-gnu";

const PACKAGES: [&str; 6] = ["rustc-web", "cargo-web", "rust-web-src", "gcc-mingw-w64-x86-64", "wine64", "wine"];

/// Not on PATH: Debian's `wine` is a script that asks for a 32-bit one as well.
const WINE: &str = "/usr/lib/wine/wine64";
const WINESERVER: &str = "/usr/lib/wine/wineserver64";

/// The one function of `bcryptprimitives.dll` that Rust's standard library imports. wine has it from 9 on.
const PRIMITIVES: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);
__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *buffer, SIZE_T length)
{
    return SystemFunction036(buffer, (ULONG)length);
}
";

pub(super) struct Machine<'a> {
    pub(super) context: &'a Context,
    prefix: PathBuf,
    target_dir: PathBuf,
}

impl<'a> Machine<'a> {
    pub(super) fn set_up(context: &'a Context) -> Result<Machine<'a>> {
        let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !root::is_installed(context, package)).collect();
        if !missing.is_empty() {
            root::install(context, &missing, "building for Windows and running it under wine")?;
        }
        let scratch = context.scratch("windows")?;
        let machine = Machine { context, prefix: scratch.join("prefix"), target_dir: scratch.join("target") };
        let system = machine.prefix.join("drive_c/windows/system32");
        if !machine.prefix.join("system.reg").exists() {
            machine.wine(5, "wineboot").arg("-i").ignore_stdout().ignore_stderr().run()?;
            // It writes its registry when it ends.
            machine.stop()?;
        }
        ensure!(system.is_dir(), "{} is no wine prefix: remove it, and it is made again", machine.prefix.display());
        if !system.join("bcryptprimitives.dll").exists() {
            let source = scratch.join("primitives.c");
            write(&source, PRIMITIVES)?;
            let dll = system.join("bcryptprimitives.dll");
            cmd!(context.sh, "x86_64-w64-mingw32-gcc -shared -o {dll} {source} -ladvapi32").run()?;
        }
        Ok(machine)
    }

    /// Says what is tested with what.
    pub(super) fn greet(&self, make: &Path) -> Result<()> {
        let wine = cmd!(self.context.sh, "{WINE} --version").quiet().read()?;
        let rustc = cmd!(self.context.sh, "/usr/bin/rustc --version").quiet().read()?;
        let said = self.wine(2, &text(make)?).arg("--version").quiet().ignore_stderr().read()?;
        ensure!(said.contains("Built for Windows"), "{} is no make for Windows: {said}", make.display());
        println!("{wine}, {rustc}, {}", said.lines().next().unwrap_or_default());
        Ok(())
    }

    /// A Windows program, stopped after `minutes`.
    pub(super) fn wine(&self, minutes: u32, program: &str) -> Cmd<'_> {
        self.surroundings(self.context.bounded(minutes, WINE).arg(program))
    }

    /// `cargo COMMAND ARGS...` for Windows, in `dir`; what it runs, it runs under wine.
    pub(super) fn cargo(&self, minutes: u32, dir: &Path, args: &[&str]) -> Cmd<'_> {
        let (command, rest) = args.split_first().expect("cargo has a subcommand");
        let manifest = dir.join("Cargo.toml");
        let cargo = self.context.bounded(minutes, "/usr/bin/cargo").arg(command).arg("--manifest-path").arg(manifest);
        let cargo = cargo
            .args(["-Zbuild-std=std,panic_abort", "--target", TARGET])
            .args(rest)
            .env("PATH", "/usr/bin:/bin")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &self.target_dir)
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", WINE)
            // Names of symbols alone would make each test program several times as large.
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        self.surroundings(cargo)
    }

    /// A program that was built.
    pub(super) fn built(&self, name: &str) -> PathBuf {
        self.target_dir.join(TARGET).join("debug").join(name)
    }

    /// A Windows program as a line of `sh`.
    pub(super) fn wine_line(&self, program: &str) -> String {
        format!("{WINE} '{program}'")
    }

    /// For a command that xshell can't run.
    pub(super) fn dress(&self, mut command: Command) -> Command {
        command.envs(self.variables()).env_remove("DISPLAY");
        command
    }

    fn surroundings<'c>(&self, command: Cmd<'c>) -> Cmd<'c> {
        command.envs(self.variables()).env_remove("DISPLAY")
    }

    fn variables(&self) -> [(&'static str, OsString); 3] {
        // Neither Mono nor Gecko, for which it would ask in a window.
        let overrides = ("WINEDLLOVERRIDES", "mscoree,mshtml=".into());
        [("WINEPREFIX", self.prefix.clone().into()), ("WINEDEBUG", "-all".into()), overrides]
    }

    /// Ends what still runs in the prefix.
    fn stop(&self) -> Result<()> {
        Ok(self.surroundings(cmd!(self.context.sh, "{WINESERVER} -w")).quiet().run()?)
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        // Its services would run on for a while, and nobody is to be told.
        let _ = self.surroundings(cmd!(self.context.sh, "{WINESERVER} -k")).quiet().ignore_status().run();
    }
}

pub(super) fn text(path: &Path) -> Result<String> {
    Ok(path.to_str().with_context(|| format!("{} is no text", path.display()))?.to_string())
}

/// The path as Windows programs have it: wine shows the root of the file system as drive Z.
pub(super) fn windows_path(path: &Path) -> Result<String> {
    let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
    Ok(format!("Z:{}", text(&path)?.replace('/', "\\")))
}
