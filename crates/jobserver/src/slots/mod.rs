//! Slots with the implicit one among them: what a tool calls that has jobs to run, under a jobserver or not.
//!
//! The counting is in `state`, the waiting in `hall`; here is the pool behind them and what the caller sees.

mod hall;
mod pool;
mod state;
mod sync;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use self::hall::{Doors, Hall, Right};
use self::pool::Pool;
use crate::client::Client;
use crate::env::ConnectError;
use crate::error::FromEnvErrorKind;

/// The hall of a pool's slots, as long as one of them or a `Slots` lives.
#[derive(Default)]
pub(crate) struct Halls(Mutex<Weak<Hall<Pool>>>);

impl fmt::Debug for Halls {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Halls").finish_non_exhaustive()
    }
}

/// All slots that this process may run jobs in: the implicit one, and one for each token it can get.
///
/// The first slot that is handed out is the implicit one, which costs nothing; further ones take tokens. When a job
/// ends while others run, a token goes back, whichever slot it ran in, so that other processes get it as early as can
/// be; the implicit slot is free again when the last job has ended, and can't be given away. So no part of the program
/// has to know which of its jobs runs in the implicit slot, the mistake that is made most often with jobservers.
///
/// # Deadlock
///
/// Take a slot when there is a job to run in it, and drop it when that job ends. Who holds one while waiting for
/// another, or for a lock that a job needs, can wait for ever: under `make -j1` there is one slot and no more.
///
/// ```
/// use jobserver::Slots;
///
/// let slots = Slots::from_env_or(4); // make's slots; without a jobserver, 4
/// if let Some(error) = slots.jobserver_error() {
///     eprintln!("warning: {error}");
/// }
/// std::thread::scope(|scope| -> std::io::Result<()> {
///     for job in ["a.c", "b.c", "c.c"] {
///         let slot = slots.acquire()?; // waits until one more job may run
///         scope.spawn(move || {
///             println!("compiling {job}");
///             drop(slot);
///         });
///     }
///     Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
///
/// # Threads that wait
///
/// A slot released while another thread waits stays in the process and costs no system call but the one that wakes the
/// thread. The waiters are called in the order of their arrival; until the first has come, threads that ask anew may be
/// quicker, for the length of a turn at most. One waiter at a time waits in the pool.
///
/// A turn is three milliseconds, or 2,048 jobs in a row. Then a token goes back to the pool although others wait here, that
/// other processes may have it. So jobs that take longer than that go through the pool each; for shorter ones
/// the way through it, some 10 us, would cost too much, and nobody waits noticeably longer.
///
/// # One for each process
///
/// A process has one implicit slot, so it is to have one `Slots`: clones are the same. So are all that are made from
/// clones of one [`Client`]; but two that join the jobserver on their own count the implicit slot twice.
///
/// A [`Server`](crate::Server) has handed its implicit slot to the command that it started: a process that runs jobs
/// beside that command takes a token for each, from [`Server::client`](crate::Server::client), and not from here.
#[derive(Clone)]
pub struct Slots {
    doors: Arc<Doors<Pool>>,
    error: Option<Arc<ConnectError>>,
}

/// The right to run one job: [`Slots::acquire`]. Dropping it ends that.
///
/// ```
/// let slots = jobserver::Slots::within(1);
/// let slot = slots.acquire()?;
/// std::thread::spawn(move || drop(slot)).join().unwrap(); // it goes where its job goes
/// assert_eq!(slots.in_use(), 0);
/// # std::io::Result::Ok(())
/// ```
///
/// It can't be copied:
///
/// ```compile_fail
/// let slot = jobserver::Slots::within(1).acquire().unwrap();
/// let twice = slot.clone();
/// ```
#[must_use = "a slot that is dropped at once has room for no job"]
pub struct Slot {
    /// `None` once it was released.
    right: Option<Right<Pool>>,
}

impl Slots {
    /// The slots of a jobserver: the implicit one, and the client's tokens.
    ///
    /// ```
    /// use jobserver::{Client, Slots};
    ///
    /// let client = Client::new(1)?;
    /// let slots = Slots::new(client.clone());
    /// let first = slots.acquire()?;
    /// assert_eq!(client.available()?, 1, "the implicit slot took no token");
    /// let second = slots.acquire()?;
    /// assert_eq!(client.available()?, 0);
    /// drop(first);
    /// assert_eq!(client.available()?, 1, "whichever job ends first, a token goes back");
    /// drop(second);
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn new(client: Client) -> Slots {
        let pool = client.pool.clone();
        let mut known = pool.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A slot alone keeps its hall, and with it the count of the implicit slot.
        let doors = known.upgrade().map(Doors::of).unwrap_or_else(|| {
            let doors = Doors::new(1, Some(Pool::new(client)));
            *known = Arc::downgrade(doors.hall());
            doors
        });
        let doors = Arc::new(doors);
        Slots { doors, error: None }
    }

    /// `width` slots of this process alone.
    ///
    /// ```
    /// let slots = jobserver::Slots::within(2);
    /// let both = (slots.acquire()?, slots.acquire()?);
    /// assert!(slots.try_acquire()?.is_none());
    /// # drop(both);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Panics
    ///
    /// If `width` is 0: no job could ever run.
    #[inline]
    pub fn within(width: usize) -> Slots {
        assert!(width > 0, "with no slot at all, no job could ever run");
        Slots { doors: Arc::new(Doors::new(width, None)), error: None }
    }

    /// The slots of the jobserver that the environment names ([`Client::connect`]); if there is none, `width` of this
    /// process alone: never as many as there are cores, and never one unless one is asked for.
    ///
    /// If a jobserver is named but can't be joined, it is `width` as well, and
    /// [`jobserver_error`](Slots::jobserver_error) says why. The two reasons for it can't be told apart: the variable
    /// is left over from a make that is gone, and one slot would waste the machine; or the make that runs this has kept
    /// its pool to itself (an older make and a recipe without `+`), and every slot but one is more than the user asked
    /// for. So that is to be shown to the user, who can mend it; who would rather be slow than too many takes
    /// [`within(1)`](Slots::within) then.
    ///
    /// ```
    /// use jobserver::Slots;
    ///
    /// let mut slots = Slots::from_env_or(8);
    /// if let Some(error) = slots.jobserver_error() {
    ///     eprintln!("warning: {error}; running one job at a time");
    ///     slots = Slots::within(1);
    /// }
    /// # drop(slots);
    /// ```
    ///
    /// # Panics
    ///
    /// If there is no jobserver and `width` is 0.
    ///
    /// # Platform behaviour
    ///
    /// Where no jobserver can be inherited (wasm) it is always `width`, without an error.
    #[inline]
    pub fn from_env_or(width: usize) -> Slots {
        use FromEnvErrorKind::{NoEnvVar, NoJobserver, Unsupported};
        match Client::connect() {
            Ok(client) => Slots::new(client),
            Err(error) => {
                let is_expected = matches!(error.kind(), NoEnvVar | NoJobserver | Unsupported);
                Slots { error: (!is_expected).then(|| Arc::new(error)), ..Slots::within(width) }
            }
        }
    }

    /// Why the jobserver that the environment names was not joined by [`from_env_or`](Slots::from_env_or); `None`: it
    /// was, or the environment names none.
    ///
    /// ```
    /// if let Some(error) = jobserver::Slots::from_env_or(4).jobserver_error() {
    ///     eprintln!("warning: {error}");
    /// }
    /// ```
    #[inline]
    pub fn jobserver_error(&self) -> Option<&ConnectError> {
        self.error.as_deref()
    }

    /// The client of the jobserver whose slots these are: to hand the pool to children, say. `None`: they are this
    /// process's own.
    ///
    /// ```
    /// use std::process::Command;
    /// use jobserver::Slots;
    ///
    /// let slots = Slots::from_env_or(4);
    /// let mut cargo = Command::new("cargo");
    /// if let Some(client) = slots.client() {
    ///     client.configure(&mut cargo);
    /// }
    /// ```
    #[inline]
    pub fn client(&self) -> Option<&Client> {
        self.doors.source().map(|pool| &pool.client)
    }

    /// Takes a slot, waiting until there is one.
    ///
    /// ```
    /// let slots = jobserver::Slots::from_env_or(4);
    /// let slot = slots.acquire()?;
    /// std::process::Command::new("true").status()?; // the job
    /// drop(slot);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system answers to a wait in the pool ([`Client::acquire`]), or no descriptor is left for what calls a
    /// waiter back from there. Without a jobserver there are none.
    #[inline]
    pub fn acquire(&self) -> io::Result<Slot> {
        let right = self.doors.take(None)?;
        Ok(Slot { right: Some(right.expect("a wait without a deadline ends with a slot")) })
    }

    /// Takes a slot if there is one now.
    ///
    /// ```
    /// let slots = jobserver::Slots::within(1);
    /// let slot = slots.try_acquire()?.expect("nobody else is there");
    /// assert!(slots.try_acquire()?.is_none());
    /// # drop(slot);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Client::try_acquire`].
    ///
    /// # Platform behaviour
    ///
    /// As [`Client::try_acquire`].
    #[inline]
    pub fn try_acquire(&self) -> io::Result<Option<Slot>> {
        Ok(self.doors.take_now()?.map(|right| Slot { right: Some(right) }))
    }

    /// Takes a slot, waiting for `timeout` at most. `None`: none became free.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let slots = jobserver::Slots::within(1);
    /// let slot = slots.acquire_timeout(Duration::from_secs(1))?.expect("it was free");
    /// assert!(slots.acquire_timeout(Duration::from_millis(1))?.is_none());
    /// # drop(slot);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Slots::acquire).
    ///
    /// # Platform behaviour
    ///
    /// As exact as the system's waits, and never too short.
    #[inline]
    pub fn acquire_timeout(&self, timeout: Duration) -> io::Result<Option<Slot>> {
        // A time that no clock can show is no limit.
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.acquire_deadline(deadline),
            None => self.acquire().map(Some),
        }
    }

    /// Takes a slot, waiting until `deadline` at most. `None`: none became free.
    ///
    /// With a deadline that has passed it is [`try_acquire`](Slots::try_acquire).
    ///
    /// ```
    /// let slots = jobserver::Slots::within(1);
    /// let past = std::time::Instant::now();
    /// let slot = slots.acquire_deadline(past)?.expect("it was free");
    /// assert!(slots.acquire_deadline(past)?.is_none());
    /// # drop(slot);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Slots::acquire).
    #[inline]
    pub fn acquire_deadline(&self, deadline: Instant) -> io::Result<Option<Slot>> {
        if deadline <= Instant::now() {
            return self.try_acquire();
        }
        Ok(self.doors.take(Some(deadline))?.map(|right| Slot { right: Some(right) }))
    }

    /// How many slots are out at this moment: for reports and tests.
    ///
    /// ```
    /// let slots = jobserver::Slots::within(2);
    /// let slot = slots.acquire()?;
    /// assert_eq!(slots.in_use(), 1);
    /// # drop(slot);
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn in_use(&self) -> usize {
        self.doors.in_use()
    }

    /// The first failure to give a token back where nobody could be told, since this was last asked: as
    /// [`Client::take_release_error`], which is the same.
    ///
    /// ```
    /// let slots = jobserver::Slots::from_env_or(4);
    /// drop(slots.acquire()?);
    /// assert!(slots.take_release_error().is_none());
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn take_release_error(&self) -> Option<io::Error> {
        self.client()?.take_release_error()
    }
}

impl Slot {
    /// Ends the job, as dropping does, and says whether that went well.
    ///
    /// ```
    /// jobserver::Slots::within(1).acquire()?.release()?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// A token was to go back to the pool and could not; it is lost to the pool then
    /// ([`Acquired::release`](crate::Acquired::release)).
    #[inline]
    pub fn release(mut self) -> io::Result<()> {
        self.right.take().map_or(Ok(()), Right::end)
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        if let Some(right) = self.right.take() {
            right.end_quietly();
        }
    }
}

impl fmt::Debug for Slots {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("in_use", &self.in_use()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Slot {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
