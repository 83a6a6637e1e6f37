//! The folders of shims: links to this program, one for each tool.
//!
//! They lie in the user's data and stay there. A configure script that asks where make is gets the path of the shim, and
//! keeps it: a folder that went with its `run` would leave a build behind that can't be built again. Outside of a pool a
//! shim starts the real tool and does nothing else. Each `run` mends what has changed, such as the place of this program.
//! `offer` may call this.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{symlink, DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::Which;

/// The folder, made if it is missing.
///
/// # Errors
///
/// There is no place for it, it is somebody else's, or what the system says.
pub(super) fn make(which: Which) -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let data = data()?;
    let folder = data.join("jobserver/shims").join(which.name());
    is_ours(&data)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    is_ours(&folder)?;
    for tool in which.tools() {
        link(&program, &folder.join(tool))?;
    }
    Ok(folder)
}

/// By the rules for such places; PATH could not name a folder with a colon in it.
fn data() -> io::Result<PathBuf> {
    let named = |name: &str| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute() && !path.to_string_lossy().contains(':'))
    };
    if let Some(data) = named("XDG_DATA_HOME") {
        fs::create_dir_all(&data)?;
        return Ok(data);
    }
    let home = named("HOME").ok_or_else(|| io::Error::other("neither XDG_DATA_HOME nor HOME names a folder"))?;
    is_ours(&home)?;
    let data = home.join(".local/share");
    fs::create_dir_all(&data)?;
    Ok(data)
}

/// What lies first in PATH decides what a build runs.
fn is_ours(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder).map_err(|error| named(folder, error))?;
    let (owner, me) = (found.uid(), geteuid().as_raw());
    if owner != me {
        let text = format!("{} belongs to user {owner}, and this is user {me}", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    if found.mode() & 0o022 != 0 {
        let text = format!("{} may be written to by others", folder.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

fn link(program: &Path, shim: &Path) -> io::Result<()> {
    if fs::read_link(shim).is_ok_and(|target| target == program) {
        return Ok(());
    }
    // Builds that run now find the old one or the new one, never none.
    let new = shim.with_extension(std::process::id().to_string());
    let linked = symlink(program, &new).and_then(|()| fs::rename(&new, shim));
    linked.map_err(|error| {
        let _ = fs::remove_file(&new);
        named(shim, error)
    })
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
