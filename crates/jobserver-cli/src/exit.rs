//! What `jobserver` exits with: the rules of `env` and `timeout`, so that scripts need learn nothing new.

use std::io;
use std::process::{ExitCode, ExitStatus};

/// What a status is made of: a byte, or on Windows 32 bits.
#[cfg(not(windows))]
pub(crate) type Code = u8;
#[cfg(windows)]
pub(crate) type Code = u32;

/// We failed, or were called wrongly.
pub(crate) const OURS: Code = 125;
/// The command was found and can't be executed.
pub(crate) const CANNOT_EXECUTE: Code = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: Code = 127;

/// What `main` returns.
#[cfg(not(windows))]
pub(crate) fn with(status: Code) -> ExitCode {
    ExitCode::from(status)
}

/// What `main` returns; more than a byte can be passed on by ending here alone, after all that was made is removed.
#[cfg(windows)]
pub(crate) fn with(status: Code) -> ExitCode {
    match u8::try_from(status) {
        Ok(status) => ExitCode::from(status),
        Err(_) => std::process::exit(status as i32),
    }
}

/// The command's own status, or 128+n if signal n ended it, as a shell has it.
#[cfg(unix)]
pub(crate) fn of_command(status: ExitStatus) -> Code {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128 + signal as u8,
        // Neither is possible for a process that has ended.
        (None, None) => OURS,
    }
}

/// A signal came before there was a command that it could have ended.
#[cfg(unix)]
pub(crate) fn of_signal(signal: Option<i32>) -> Code {
    signal.map_or(OURS, |signal| 128 + signal as u8)
}

/// Why the command did not start.
#[cfg(unix)]
pub(crate) fn of_failed_start(error: &io::Error) -> Code {
    use rustix::io::Errno;
    let ours = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => NOT_FOUND,
        Some(errno) if ours.contains(&errno) => OURS,
        Some(_) => CANNOT_EXECUTE,
        None => OURS,
    }
}

/// The command's own status: `1`, or a reason of the system's such as 0xC0000005.
#[cfg(windows)]
pub(crate) fn of_command(status: ExitStatus) -> Code {
    status.code().map_or(OURS, |code| code as Code)
}

/// A Ctrl-C came before there was a command that it could have ended: as if it had ended us (STATUS_CONTROL_C_EXIT).
#[cfg(windows)]
pub(crate) fn of_signal(signal: Option<i32>) -> Code {
    signal.map_or(OURS, |_| 0xC000_013A)
}

/// Why the command did not start.
#[cfg(windows)]
pub(crate) fn of_failed_start(error: &io::Error) -> Code {
    // ERROR_BAD_EXE_FORMAT of winerror.h.
    const BAD_FORMAT: i32 = 193;
    match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => CANNOT_EXECUTE,
        _ if error.raw_os_error() == Some(BAD_FORMAT) => CANNOT_EXECUTE,
        _ => OURS,
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_status_becomes_what_a_shell_would_say() {
        // Wait statuses: the exit code in the second byte, the signal in the first, 0x80 for a core dump.
        for (raw, said) in [(0, 0), (7 << 8, 7), (255 << 8, 255), (15, 143), (9, 137), (6 | 0x80, 134), (64, 192)] {
            assert_eq!(of_command(ExitStatus::from_raw(raw)), said, "{raw:#x}");
        }
    }

    #[test]
    fn a_command_that_did_not_start_is_the_commands_fault_or_ours() {
        for (errno, said) in [
            (libc::ENOENT, NOT_FOUND),
            (libc::EACCES, CANNOT_EXECUTE),
            (libc::ENOTDIR, CANNOT_EXECUTE),
            (libc::E2BIG, CANNOT_EXECUTE),
            (libc::EAGAIN, OURS),
            (libc::EMFILE, OURS),
        ] {
            assert_eq!(of_failed_start(&io::Error::from_raw_os_error(errno)), said, "{errno}");
        }
    }
}
