//! What every chore needs to know: where things lie, and how commands are run.
//!
//! No command sees a jobserver of the caller's, so that `make test` may run a chore. Each has a limit of time, since a
//! jobserver that is wrong mostly hangs.

use std::env;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};
use serde_json::Value;
use xshell::{cmd, Cmd, Shell};

/// The variables through which a jobserver is handed down.
const JOBSERVER_VARIABLES: [&str; 7] =
    ["MAKEFLAGS", "MFLAGS", "CARGO_MAKEFLAGS", "MAKELEVEL", "GNUMAKEFLAGS", "JOBSERVER_FIFO", "JOBSERVER_SHIM"];

/// Paths, and a shell whose current directory is the root of the workspace.
pub(crate) struct Context {
    pub(crate) sh: Shell,
    /// The root of the workspace.
    pub(crate) root: PathBuf,
    /// The library that is checked.
    pub(crate) library: PathBuf,
    scratch: PathBuf,
}

impl Context {
    pub(crate) fn new(library: Option<PathBuf>) -> Result<Context> {
        for variable in JOBSERVER_VARIABLES {
            env::remove_var(variable);
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in a workspace").to_path_buf();
        let library = library.unwrap_or_else(|| root.join("crates/jobserver"));
        let library = fs::canonicalize(&library).with_context(|| format!("--library {}", library.display()))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let sh = Shell::new()?;
        sh.change_dir(&root);
        let scratch = root.join(target).join("xtask");
        fs::create_dir_all(&scratch)?;
        Ok(Context { sh, root, library, scratch })
    }

    /// A folder for generated packages, kept from run to run. Its builds go to `target` within it.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let dir = self.scratch.join(name);
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        Ok(dir)
    }

    /// Where the workspace's own builds go.
    pub(crate) fn target(&self) -> &Path {
        self.scratch.parent().expect("scratch is a folder in it")
    }

    /// `cargo ARGS...`, stopped after `minutes`.
    pub(crate) fn cargo(&self, minutes: u32, args: &[&str]) -> Cmd<'_> {
        self.bounded(minutes, "cargo").args(args)
    }

    /// `cargo ARGS...` for the package in `dir`, which has a target directory of its own.
    pub(crate) fn cargo_in(&self, dir: &Path, minutes: u32, args: &[&str]) -> Cmd<'_> {
        let (command, rest) = args.split_first().expect("cargo has a subcommand");
        let cargo = self.cargo(minutes, &[command]).arg("--manifest-path").arg(dir.join("Cargo.toml")).args(rest);
        cargo.env("CARGO_TARGET_DIR", dir.join("target"))
    }

    /// `PROGRAM`, stopped with all its descendants after `minutes`.
    pub(crate) fn bounded(&self, minutes: u32, program: &str) -> Cmd<'_> {
        // A process group of its own lets everything be stopped, but would be out of reach of a person's Ctrl-C.
        let group = if io::stdin().is_terminal() { Some("--foreground") } else { None };
        let limit = format!("{minutes}m");
        cmd!(self.sh, "timeout --kill-after=10s {group...} {limit} {program}")
    }

    /// What `cargo metadata` says of the package in `dir`.
    pub(crate) fn metadata(&self, dir: &Path) -> Result<Value> {
        let text = self.cargo_in(dir, 5, &["metadata", "--format-version=1"]).quiet().read()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Fails unless the package in `dir` has one `jobserver` among its dependencies, and that is the library.
    pub(crate) fn uses_the_library(&self, dir: &Path) -> Result<()> {
        let metadata = self.metadata(dir)?;
        let found: Vec<(String, String)> = packages(&metadata, "jobserver")
            .map(|package| (text(&package["version"]), text(&package["manifest_path"])))
            .collect();
        let manifest = self.library.join("Cargo.toml").display().to_string();
        ensure!(
            matches!(&found[..], [(_, path)] if *path == manifest),
            "{} should use {manifest} as its only `jobserver`, but has {found:?}",
            dir.display()
        );
        println!("{} uses one `jobserver`: {} at {}", dir.display(), found[0].0, found[0].1);
        Ok(())
    }
}

/// The packages called `name` in what `cargo metadata` said.
pub(crate) fn packages<'a>(metadata: &'a Value, name: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter(move |package| package["name"] == name)
}

/// Writes a file unless it has this content already, so that cargo rebuilds nothing in vain.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let content = content.as_ref();
    if fs::read(path).is_ok_and(|now| now == content) {
        return Ok(());
    }
    let folder = path.parent().expect("a file has a folder");
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(path, content).with_context(|| path.display().to_string())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}
