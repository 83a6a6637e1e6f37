//! What `jobserver` exits with: the rules of `env` and `timeout`, so that scripts need learn nothing new.

#[cfg(unix)]
use std::{io, process::ExitStatus};

/// We failed, or were called wrongly.
pub(crate) const OURS: u8 = 125;
/// The command was found and can't be executed.
pub(crate) const CANNOT_EXECUTE: u8 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// The command's own status, or 128+n if signal n ended it, as a shell has it.
#[cfg(unix)]
pub(crate) fn of_command(status: ExitStatus) -> u8 {
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
pub(crate) fn of_signal(signal: Option<i32>) -> u8 {
    signal.map_or(OURS, |signal| 128 + signal as u8)
}

/// Why the command did not start.
#[cfg(unix)]
pub(crate) fn of_failed_start(error: &io::Error) -> u8 {
    use rustix::io::Errno;
    let ours = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => NOT_FOUND,
        Some(errno) if ours.contains(&errno) => OURS,
        Some(_) => CANNOT_EXECUTE,
        None => OURS,
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
