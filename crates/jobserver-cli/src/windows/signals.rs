//! Ctrl-C, Ctrl-Break and a console that is closed: Windows tells every process of the console by itself, so nothing is
//! passed on. `jobserver` lives on until the command has ended, so that it can report.
//!
//! The same functions as on Unix. Windows ends a process a few seconds after its console was closed, whatever it does;
//! the command goes with it (`bond`).

use std::io;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jobserver::Canceller;

/// What a Ctrl-C is called, here and in what `exit` makes of it.
pub(crate) const INTERRUPT: i32 = 2;

#[derive(Default)]
struct Heard {
    count: usize,
    canceller: Option<Canceller>,
    listener: Option<Box<dyn FnMut(i32, bool) + Send>>,
}

/// From now on a Ctrl-C ends the command and not us.
pub(crate) struct Signals(Arc<Mutex<Heard>>);

impl Signals {
    /// # Errors
    ///
    /// The system has no semaphore or no thread left.
    pub(crate) fn listen() -> io::Result<Signals> {
        let heard = Arc::new(Mutex::new(Heard::default()));
        let theirs = Arc::clone(&heard);
        let handler = move || {
            let mut heard = lock(&theirs);
            heard.count += 1;
            if let Some(canceller) = &heard.canceller {
                canceller.cancel();
            }
            if let Some(listener) = &mut heard.listener {
                listener(INTERRUPT, true);
            }
        };
        ctrlc::try_set_handler(handler).map_err(|error| match error {
            ctrlc::Error::System(error) => error,
            error => io::Error::other(error),
        })?;
        Ok(Signals(heard))
    }

    /// # Errors
    ///
    /// As [`listen`](Signals::listen).
    pub(crate) fn listen_only() -> io::Result<Signals> {
        Signals::listen()
    }

    /// Whether something came that ends a command.
    pub(crate) fn want_end(&mut self) -> bool {
        self.first().is_some()
    }

    pub(crate) fn first(&self) -> Option<i32> {
        (lock(&self.0).count > 0).then_some(INTERRUPT)
    }

    /// Until the alarm is dropped `canceller` is cancelled by a Ctrl-C.
    ///
    /// # Errors
    ///
    /// None here.
    pub(crate) fn alarm(&self, canceller: Canceller) -> io::Result<Alarm> {
        let mut heard = lock(&self.0);
        if heard.count > 0 {
            canceller.cancel();
        }
        heard.canceller = Some(canceller);
        Ok(Alarm(Arc::clone(&self.0)))
    }

    /// `heard` is told each one, and that the console has told our children as well.
    ///
    /// # Errors
    ///
    /// None here.
    pub(crate) fn hear(self, mut listener: impl FnMut(i32, bool) + Send + 'static) -> io::Result<Hearing> {
        let mut heard = lock(&self.0);
        // Those that came before there was a child to hear them.
        (0..heard.count).for_each(|_| listener(INTERRUPT, true));
        heard.listener = Some(Box::new(listener));
        drop(heard);
        Ok(Hearing(self.0))
    }

    /// Waits for the command to end.
    ///
    /// # Errors
    ///
    /// The command can't be waited for.
    pub(crate) fn supervise(&mut self, command: &mut Child) -> io::Result<ExitStatus> {
        command.wait()
    }
}

/// Whether this signal is to end a command.
pub(crate) fn ends(_: i32) -> bool {
    true
}

/// See [`Signals::alarm`].
pub(crate) struct Alarm(Arc<Mutex<Heard>>);

impl Drop for Alarm {
    fn drop(&mut self) {
        lock(&self.0).canceller = None;
    }
}

/// See [`Signals::hear`].
pub(crate) struct Hearing(Arc<Mutex<Heard>>);

impl Drop for Hearing {
    fn drop(&mut self) {
        lock(&self.0).listener = None;
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
