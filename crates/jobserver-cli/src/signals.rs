//! Signals go to the command; `jobserver` itself lives on until the command has ended, so that it can clean up and
//! report.
//!
//! One loop in one thread waits for everything, the end of the command (SIGCHLD) included: a signal is only ever sent
//! to a process that has not been waited for, so never to another one that has got its number.
//!
//! Not taken are the signals of job control (a terminal stops and continues the whole group) and those that were
//! ignored when `jobserver` was started, which the command has to inherit so.

mod origin;

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::thread::{Builder, JoinHandle};

use jobserver::Canceller;
use rustix::process::{kill_process, Pid, Signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::{pipe, unregister};
use signal_hook::SigId;

use self::origin::{number, reached_command_too, Heard, Kind};
use crate::sys;

const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// Those of them that end a command that does nothing about them and that a person sends.
const END: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// From now on signals are kept for the command.
pub(crate) struct Signals {
    info: SignalsInfo<Kind>,
    /// What came before there was a command.
    early: Vec<Heard>,
}

impl Signals {
    /// # Errors
    ///
    /// The system has no descriptor left. Nothing is changed then.
    pub(crate) fn listen() -> io::Result<Signals> {
        Signals::of([SIGCHLD])
    }

    /// Likewise, for commands that are waited for elsewhere: nothing is heard of their end.
    ///
    /// # Errors
    ///
    /// As [`listen`](Signals::listen).
    pub(crate) fn listen_only() -> io::Result<Signals> {
        Signals::of([])
    }

    fn of(more: impl IntoIterator<Item = i32>) -> io::Result<Signals> {
        let heard = PASSED_ON.into_iter().filter(|&signal| !sys::is_ignored(signal));
        Ok(Signals { info: SignalsInfo::new(heard.chain(more))?, early: Vec::new() })
    }

    /// Whether something came that ends a command, before there is one.
    pub(crate) fn want_end(&mut self) -> bool {
        self.early.extend(self.info.pending());
        self.first().is_some()
    }

    /// The first of those.
    pub(crate) fn first(&self) -> Option<i32> {
        self.early.iter().map(number).find(|signal| END.contains(signal))
    }

    /// Until the alarm is dropped `canceller` is cancelled when something comes that ends a command; `want_end` says so
    /// then, too.
    ///
    /// # Errors
    ///
    /// The system has no descriptor or no thread left.
    pub(crate) fn alarm(&self, canceller: Canceller) -> io::Result<Alarm> {
        let (mut ear, mouth) = UnixStream::pair()?;
        let mut alarm = Alarm { actions: Vec::new(), thread: None };
        for signal in END.into_iter().filter(|&signal| !sys::is_ignored(signal)) {
            alarm.actions.push(pipe::register(signal, mouth.try_clone()?)?);
        }
        let hear = move || {
            // The end of the file: all actions are gone.
            if let Ok(1) = ear.read(&mut [0]) {
                canceller.cancel();
            }
        };
        alarm.thread = Some(Builder::new().name("alarm".to_string()).spawn(hear)?);
        Ok(alarm)
    }

    /// Hears in a thread: `heard` is told each signal, and whether the terminal has sent it to our children as well.
    ///
    /// # Errors
    ///
    /// The system has no thread left.
    pub(crate) fn hear(mut self, mut heard: impl FnMut(i32, bool) + Send + 'static) -> io::Result<Hearing> {
        let handle = self.info.handle();
        let body = move || {
            self.early.extend(self.info.pending());
            for origin in self.early.drain(..) {
                heard(number(&origin), false);
            }
            while !self.info.is_closed() {
                for origin in self.info.wait() {
                    heard(number(&origin), reached_command_too(&origin));
                }
            }
        };
        let thread = Builder::new().name("signals".to_string()).spawn(body)?;
        Ok(Hearing { handle, thread: Some(thread) })
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

/// Whether this signal is to end a command.
pub(crate) fn ends(signal: i32) -> bool {
    END.contains(&signal)
}

/// See [`Signals::alarm`].
pub(crate) struct Alarm {
    actions: Vec<SigId>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        for action in self.actions.drain(..) {
            unregister(action);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// See [`Signals::hear`]: it ends when this is dropped.
pub(crate) struct Hearing {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn pass_on(origin: &Heard, command: &Child) {
    let signal = number(origin);
    if signal == SIGCHLD {
        return;
    }
    let pid = i32::try_from(command.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        // It may have ended (and is not waited for yet), or have become another user's by set-uid: nothing to do then.
        let _ = kill_process(pid, signal);
    }
}
