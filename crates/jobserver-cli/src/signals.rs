//! Signals go to the command; `jobserver` itself lives on until the command has ended, so that it can clean up and
//! report.
//!
//! One loop in one thread waits for everything, the end of the command (SIGCHLD) included: a signal is only ever sent
//! to a process that has not been waited for, so never to another one that has got its number.
//!
//! Not taken are the signals of job control (a terminal stops and continues the whole group) and those that were
//! ignored when `jobserver` was started, which the command has to inherit so.

use std::io;
use std::process::{Child, ExitStatus};

use rustix::process::{getpid, getsid, kill_process, Pid, Signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::origin::{Origin, WithOrigin};
use signal_hook::iterator::SignalsInfo;

use crate::sys;

const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// From now on signals are kept for the command.
pub(crate) struct Signals {
    info: SignalsInfo<WithOrigin>,
    /// What came before there was a command.
    early: Vec<Origin>,
}

impl Signals {
    /// # Errors
    ///
    /// The system has no descriptor left. Nothing is changed then.
    pub(crate) fn listen() -> io::Result<Signals> {
        let heard = PASSED_ON.into_iter().filter(|&signal| !sys::is_ignored(signal));
        Ok(Signals { info: SignalsInfo::new(heard.chain([SIGCHLD]))?, early: Vec::new() })
    }

    /// Whether something came that ends a command, before there is one.
    pub(crate) fn want_end(&mut self) -> bool {
        self.early.extend(self.info.pending());
        self.first().is_some()
    }

    /// The first of those.
    pub(crate) fn first(&self) -> Option<i32> {
        let ends = |signal: &i32| [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(signal);
        self.early.iter().map(|origin| origin.signal).find(ends)
    }

    /// Waits for the command to end, passing on what comes.
    ///
    /// # Errors
    ///
    /// The command can't be waited for.
    pub(crate) fn supervise(&mut self, command: &mut Child) -> io::Result<ExitStatus> {
        // What came before there was a command has reached nobody else, the terminal's signals included.
        self.early.extend(self.info.pending());
        for origin in self.early.drain(..) {
            pass_on(&origin, command);
        }
        loop {
            if let Some(status) = command.try_wait()? {
                return Ok(status);
            }
            for origin in self.info.wait() {
                if !reached_command_too(&origin) {
                    pass_on(&origin, command);
                }
            }
        }
    }
}

/// Ctrl-C and Ctrl-\ go from the terminal to all of its foreground group at once. A hang-up does so too, unless we lead
/// the session: then the kernel tells us alone.
fn reached_command_too(origin: &Origin) -> bool {
    let from_kernel = origin.process.is_none();
    from_kernel && !(origin.signal == SIGHUP && getsid(None) == Ok(getpid()))
}

fn pass_on(origin: &Origin, command: &Child) {
    if origin.signal == SIGCHLD {
        return;
    }
    let pid = i32::try_from(command.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(origin.signal)) {
        // It may have ended (and is not waited for yet), or have become another user's by set-uid: nothing to do then.
        let _ = kill_process(pid, signal);
    }
}
