//! Whether the terminal has sent a signal to the command as well as to us.
//!
//! Ctrl-C and Ctrl-\ go from a terminal to all of its foreground group at once, and the command must get them once. Linux
//! tells who sent a signal: the kernel itself, or a process. Elsewhere that can't be relied on (XNU names the process
//! that happened to run when the key came), so where the terminal's foreground group is ours, an interrupt is taken as
//! the terminal's.

#[cfg(target_os = "linux")]
pub(super) use self::told::{number, reached_command_too, Heard, Kind};

#[cfg(not(target_os = "linux"))]
pub(super) use self::guessed::{number, reached_command_too, Heard, Kind};

#[cfg(target_os = "linux")]
mod told {
    use rustix::process::{getpid, getsid};
    use signal_hook::consts::SIGHUP;
    use signal_hook::iterator::exfiltrator::origin::Origin;

    pub(in crate::signals) use signal_hook::iterator::exfiltrator::origin::{Origin as Heard, WithOrigin as Kind};

    pub(in crate::signals) fn number(origin: &Origin) -> i32 {
        origin.signal
    }

    /// A hang-up reaches the whole group too, unless we lead the session: then the kernel tells us alone.
    pub(in crate::signals) fn reached_command_too(origin: &Origin) -> bool {
        let from_kernel = origin.process.is_none();
        from_kernel && !(origin.signal == SIGHUP && getsid(None) == Ok(getpid()))
    }
}

#[cfg(not(target_os = "linux"))]
mod guessed {
    use std::fs::File;

    use rustix::process::getpgrp;
    use rustix::termios::tcgetpgrp;
    use signal_hook::consts::{SIGINT, SIGQUIT};

    pub(in crate::signals) use signal_hook::iterator::exfiltrator::SignalOnly as Kind;

    pub(in crate::signals) type Heard = i32;

    pub(in crate::signals) fn number(signal: &i32) -> i32 {
        *signal
    }

    /// A hang-up that reaches a command twice ends it no differently, so it is always passed on.
    pub(in crate::signals) fn reached_command_too(signal: &i32) -> bool {
        [SIGINT, SIGQUIT].contains(signal)
            && File::open("/dev/tty").is_ok_and(|terminal| tcgetpgrp(terminal) == Ok(getpgrp()))
    }
}
