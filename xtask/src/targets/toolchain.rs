//! Debian's Rust, which comes with the sources of the standard library: cargo builds or checks both together, so no
//! target has to be fetched. What else a target needs to be linked and run is Debian's as well, but for the runtime of
//! WebAssembly, which PyPI has.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure, Context as _, Result};
use xshell::{cmd, Cmd};

use crate::clients;
use crate::context::{write, Context};
use crate::root;

const PACKAGES: [&str; 7] =
    ["rustc-web", "cargo-web", "rust-web-src", "musl-tools", "gcc-multilib", "wasi-libc", "lld-22"];

const WASMTIME: &str = "wasmtime==50.0.1";

/// A module that is a command, with the rights to write to our output and nothing else.
const RUN_WASM: &str = "\
import sys, wasmtime
engine = wasmtime.Engine()
store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
wasi = wasmtime.WasiConfig()
wasi.argv = sys.argv[1:]
wasi.inherit_stdout()
wasi.inherit_stderr()
store.set_wasi(wasi)
linker.define_wasi()
# Debian's C library is older than the functions by which newer ones refuse to start a thread.
number, ENOTSUP = wasmtime.ValType.i32(), 58
for name, arguments, result in [('attr_init', 1, 0), ('attr_setstacksize', 2, 0), ('attr_destroy', 1, 0),
                                ('create', 4, ENOTSUP), ('detach', 1, ENOTSUP), ('join', 2, ENOTSUP)]:
    kind = wasmtime.FuncType([number] * arguments, [number])
    linker.define_func('env', 'pthread_' + name, kind, lambda *_, result=result: result)
module = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1]))
try:
    module.exports(store)['_start'](store)
except wasmtime.ExitTrap as end:
    sys.exit(end.code)
";

pub(super) struct Toolchain<'a> {
    context: &'a Context,
    pub(super) version: String,
    target_dir: PathBuf,
}

impl<'a> Toolchain<'a> {
    /// # Errors
    ///
    /// Something is missing that can't be installed.
    pub(super) fn set_up(context: &'a Context) -> Result<Toolchain<'a>> {
        let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !root::is_installed(context, package)).collect();
        if !missing.is_empty() {
            root::install(context, &missing, "compiling for other platforms")?;
        }
        let version = cmd!(context.sh, "/usr/bin/rustc --version").quiet().read()?;
        Ok(Toolchain { context, version, target_dir: context.scratch("targets")? })
    }

    /// `cargo COMMAND` with the standard library's sources, for `target`.
    pub(super) fn cargo(&self, minutes: u32, command: &str, target: &str, manifest: &Path) -> Cmd<'a> {
        let cargo = self.context.bounded(minutes, "/usr/bin/cargo").args([command, "--quiet", "--manifest-path"]);
        cargo
            .arg(manifest)
            .args(["-Zbuild-std=std,panic_abort", "--target", target])
            .env("PATH", "/usr/bin:/bin")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &self.target_dir)
            .env("CC_x86_64_unknown_linux_musl", "musl-gcc")
    }

    /// What has to be set so that programs for `target` are linked and can be run here; an error for all others.
    pub(super) fn linking(&self, target: &str) -> Result<Vec<(&'static str, String)>> {
        let mut variables = match target {
            "i686-unknown-linux-gnu" => Vec::new(),
            "x86_64-unknown-linux-musl" => self.musl()?,
            "wasm32-wasip1" => self.wasi()?,
            _ => bail!("nothing here links programs for {target}"),
        };
        // Names of symbols alone would make each test program several times as large.
        variables.push(("CARGO_PROFILE_DEV_DEBUG", "0".to_string()));
        Ok(variables)
    }

    /// The unwinder that a static program needs is gcc's own, under the name that the standard library has for it, and
    /// with what it asks of glibc.
    fn musl(&self) -> Result<Vec<(&'static str, String)>> {
        let sh = &self.context.sh;
        let unwinder = cmd!(sh, "gcc -print-file-name=libgcc_eh.a").quiet().read()?;
        let folder = self.context.scratch("targets/musl")?;
        let (source, object) = (folder.join("find_object.c"), folder.join("find_object.o"));
        write(&source, include_str!("find_object.c"))?;
        cmd!(sh, "musl-gcc -O2 -Wall -Werror -c -o {object} {source}").run()?;
        let library = folder.join("libunwind.a");
        // A link of an earlier version of this would lead into the system.
        let _ = fs::remove_file(&library);
        fs::copy(&unwinder, &library).with_context(|| unwinder.clone())?;
        cmd!(sh, "ar r {library} {object}").quiet().run()?;
        // musl-gcc knows nothing of programs that are static and can be moved.
        let flags = format!("-Clink-self-contained=no -Crelocation-model=static -Lnative={}", folder.display());
        Ok(vec![
            ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "musl-gcc".to_string()),
            ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", flags),
        ])
    }

    /// A linker, Debian's C library, and wasmtime.
    fn wasi(&self) -> Result<Vec<(&'static str, String)>> {
        let library = "/usr/lib/wasm32-wasi";
        let flags = format!(
            "-Clink-self-contained=no -Lnative={library} -Clink-arg={library}/crt1-command.o \
                             -Clink-arg=--allow-undefined"
        );
        let folder = testkit::clients::dir().join("wasmtime");
        let python = clients::python_with_pip(self.context)?;
        let is_right = |folder: &Path| -> Result<()> {
            let check = "import importlib.metadata, wasmtime; print(importlib.metadata.version('wasmtime'))";
            let said = cmd!(self.context.sh, "{python} -c {check}").env("PYTHONPATH", folder);
            let said = said.quiet().ignore_stderr().read()?;
            ensure!(WASMTIME.ends_with(&format!("=={said}")), "{} has {said}", folder.display());
            Ok(())
        };
        if is_right(&folder).is_err() {
            clients::install_folder("wasmtime", |folder| {
                clients::pip_install(self.context, python, folder, &["--no-deps", WASMTIME])?;
                is_right(folder)
            })?;
        }
        let script = self.context.scratch("targets")?.join("run-wasm.py");
        write(&script, RUN_WASM)?;
        // Cargo's PATH is /usr/bin, where another Python may come first.
        let python = cmd!(self.context.sh, "{python} -c 'import sys; print(sys.executable)'").quiet().read()?;
        let words = ["/usr/bin/env", &format!("PYTHONPATH={}", folder.display()), &python];
        let script = script.to_str().context("the target folder's name is no text")?;
        Ok(vec![
            ("CARGO_TARGET_WASM32_WASIP1_LINKER", "wasm-ld-22".to_string()),
            ("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", flags),
            ("CARGO_TARGET_WASM32_WASIP1_RUNNER", format!("{} {script}", words.join(" "))),
        ])
    }
}
