//! Starting the command as a shell would.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::io::Errno;

use crate::pool::Pool;

/// The command as the user wrote it; its first word is there, as the arguments are parsed so.
pub(crate) fn command(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Starts `command`, which was made of `words` and has joined `pool`.
///
/// # Errors
///
/// What the system says: the command isn't there, can't be executed, or no process can be had.
pub(crate) fn start(mut command: Command, words: &[OsString], pool: &Pool) -> io::Result<Child> {
    let error = match command.spawn() {
        Ok(child) => return Ok(child),
        Err(error) => error,
    };
    // A script without `#!`: execvp gives it to the shell, as POSIX says, and posix_spawn, which the standard library
    // prefers, does not.
    if Errno::from_io_error(&error) != Some(Errno::NOEXEC) {
        return Err(error);
    }
    let Some(script) = find(&words[0]) else {
        return Err(error);
    };
    let mut shell = Command::new("/bin/sh");
    shell.arg(script).args(&words[1..]);
    pool.join(&mut shell)?;
    shell.spawn()
}

/// Whether a start failed for want of something that we may have used up ourselves.
pub(crate) fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// The file that running `program` would execute.
fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        // A leading dash would be an option of the shell's.
        return Some(Path::new(".").join(program));
    }
    let path = std::env::var_os("PATH")?;
    let executable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&path).map(|folder| Path::new(".").join(folder).join(program)).find(executable)
}
