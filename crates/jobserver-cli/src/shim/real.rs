//! The real tool behind the shims: the next one on PATH that is not this program.
//!
//! It is known by its file, not by its folder's name: a folder of shims may be there twice, by a link, or a `run` inside
//! another one. It is looked for behind the last of them, so that two programs with shims of their own never hand a call
//! to and fro. The shims, `style` and `doctor` may call this; who finds nothing says so.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What `name` starts where the shims are not looked at.
pub(crate) fn find(name: &OsStr) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let file = |folder: PathBuf| {
        let file = Path::new(".").join(folder).join(name);
        let found = fs::metadata(&file).ok()?;
        (found.is_file() && found.permissions().mode() & 0o111 != 0).then_some((file, identity(&found)))
    };
    let files: Vec<_> = env::split_paths(&path).filter_map(file).collect();
    let this = this_program();
    let is_shim = |file: &(PathBuf, (u64, u64))| Some(file.1) == this;
    let behind = files.iter().rposition(is_shim).map_or(0, |last| last + 1);
    files.get(behind).or_else(|| files.iter().find(|file| !is_shim(file))).map(|file| file.0.clone())
}

/// Whether a ninja is samurai, which some systems have under that name and which knows no jobserver (1.3 and before).
pub(super) fn is_samurai(file: &Path) -> bool {
    fs::canonicalize(file).is_ok_and(|file| file.file_name() == Some(OsStr::new("samu")))
}

/// Whether the folder holds shims of this program.
pub(super) fn is_of_shims(folder: &Path) -> bool {
    is_shim(&folder.join("make"))
}

/// Whether this program is at that path.
pub(crate) fn is_shim(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| Some(identity(&found)) == this_program())
}

fn this_program() -> Option<(u64, u64)> {
    let place = if cfg!(target_os = "linux") { PathBuf::from("/proc/self/exe") } else { env::current_exe().ok()? };
    fs::metadata(place).ok().map(|found| identity(&found))
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}
