//! The client: takes tokens, gives them back, and lets children join.

use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::sync::Arc;

use crate::auth::Auth;
use crate::children::Join;
use crate::token::{Acquired, Pool};
use crate::transport::{Token, Transport};

/// A connection to a jobserver, or to a pool of one's own.
///
/// Every process owns one slot that is never read from the pool, the *implicit slot*: it may always run one job, and
/// takes a token for each further one. Clones share the connection.
///
/// # Deadlock
///
/// A process that holds tokens and waits for more can wait for ever, if all others do the same. Acquire a token only
/// when there is a job to run with it, and give it back when that job ends, before waiting for anything else.
///
/// ```
/// use jobserver::Client;
///
/// let client = Client::new(4)?;
/// let tokens = (0..4).map(|_| client.acquire()).collect::<Result<Vec<_>, _>>()?;
/// assert!(client.try_acquire()?.is_none());
/// drop(tokens);
/// assert_eq!(client.available()?, 4);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) pool: Arc<Pool>,
}

impl Client {
    /// Makes a new pool with `limit` tokens, which no child knows unless [`configure`](Client::configure) tells it.
    ///
    /// A process that keeps to its implicit slot and shares `limit` slots with its children first acquires one token
    /// for itself, or makes the pool one token smaller.
    ///
    /// # Errors
    ///
    /// A `limit` that the system can't hold: 1,044,480 on Linux (a pipe of 1 MiB less a page), fewer for a user whose
    /// pipes are at the kernel's quota, usually 16,384 to 65,536 on macOS and the BSDs, 2,147,483,647 on Windows. The
    /// call never blocks.
    ///
    /// # Platform behaviour
    ///
    /// A pipe on Unix, a named semaphore on Windows, a counter in this process elsewhere.
    pub fn new(limit: usize) -> io::Result<Client> {
        Transport::create(limit).map(Client::on)
    }

    pub(crate) fn on(transport: Transport) -> Client {
        Client { pool: Pool::new(transport) }
    }

    /// Takes a token, waiting until there is one.
    ///
    /// A token wakes one waiter. On Linux those who wait here are served in the order in which they came.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// let token = client.acquire()?;
    /// std::process::Command::new("true").status()?; // the job
    /// drop(token);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system answers; no token was taken then. That the server has ended is no error: a client keeps the
    /// pool open itself, and others may still return what they hold.
    pub fn acquire(&self) -> io::Result<Acquired> {
        let token = self.pool.transport.acquire()?;
        Ok(self.pool.guard(token))
    }

    /// Takes a token if there is one now.
    ///
    /// Works with every kind of jobserver and never changes how it behaves for others.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// let token = client.try_acquire()?.expect("nobody else is there");
    /// assert!(client.try_acquire()?.is_none());
    /// drop(token);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Client::acquire).
    ///
    /// # Platform behaviour
    ///
    /// On Unix systems other than Linux, in a pool that was inherited as two descriptors, another process may take the
    /// token between the look and the grab; then this waits for the next one.
    #[inline]
    pub fn try_acquire(&self) -> io::Result<Option<Acquired>> {
        let token = self.pool.transport.try_acquire()?;
        Ok(token.map(|token| self.pool.guard(token)))
    }

    /// How many tokens are free at this moment. Others take and return some at any time, so this is for reports and
    /// tests, not for decisions.
    ///
    /// ```
    /// let client = jobserver::Client::new(3)?;
    /// let token = client.acquire()?;
    /// assert_eq!(client.available()?, 2);
    /// # drop(token);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system answers.
    ///
    /// # Platform behaviour
    ///
    /// On Windows it takes a token for an instant in order to learn the count.
    #[inline]
    pub fn available(&self) -> io::Result<usize> {
        self.pool.transport.available()
    }

    /// Takes a token as [`acquire`](Client::acquire) does, without a guard: [`release_raw`](Client::release_raw) gives
    /// it back.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// client.acquire_raw()?;
    /// assert_eq!(client.available()?, 0);
    /// client.release_raw()?;
    /// assert_eq!(client.available()?, 1);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`acquire`](Client::acquire).
    #[inline]
    pub fn acquire_raw(&self) -> io::Result<()> {
        self.pool.transport.acquire().map(drop)
    }

    /// Gives back a token that has no guard: after [`acquire_raw`](Client::acquire_raw) or
    /// [`Acquired::drop_without_releasing`], or for the time that a process does without its implicit slot.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// client.acquire()?.drop_without_releasing();
    /// client.release_raw()?;
    /// assert_eq!(client.available()?, 1);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the system answers after interrupted and refused writes were retried (on Unix for a second at most). On
    /// Windows also when more tokens would be free than the pool was made with.
    #[inline]
    pub fn release_raw(&self) -> io::Result<()> {
        self.pool.transport.release(Token::PLUS)
    }

    /// The first failure to give a token back in the `Drop` of an [`Acquired`] since this was last asked.
    ///
    /// Each such failure costs the pool a token. `None`: none was lost.
    ///
    /// ```
    /// let client = jobserver::Client::new(1)?;
    /// drop(client.acquire()?);
    /// assert!(client.take_release_error().is_none());
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn take_release_error(&self) -> Option<io::Error> {
        self.pool.take_failure()
    }

    /// Lets the child that `command` will start join this pool, by `CARGO_MAKEFLAGS` alone.
    ///
    /// That variable is overwritten; cargo, rustc, cc and all others on this crate read it. make and ninja read
    /// MAKEFLAGS: see [`configure_make`](Client::configure_make) and [`join_make`](Client::join_make). The command
    /// keeps what it needs: it does not matter when the `Client` is dropped.
    ///
    /// ```
    /// use std::process::Command;
    ///
    /// let client = jobserver::Client::new(4)?;
    /// let mut cargo = Command::new("cargo");
    /// client.configure(&mut cargo);
    /// drop(client); // the command can still be started
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Platform behaviour
    ///
    /// A pool on a pipe is inherited as two descriptors that are opened for the children; a pool on a named pipe is
    /// opened by its path, and the child can be started without a fork. On systems other than Unix and Windows this
    /// panics, since no child can reach the pool.
    pub fn configure(&self, command: &mut Command) {
        let value = self.hand_over(command);
        command.env("CARGO_MAKEFLAGS", value);
    }

    /// As [`configure`](Client::configure), with `MAKEFLAGS` and `MFLAGS` overwritten as well: what the user had in
    /// them is lost. [`join_make`](Client::join_make) keeps it.
    ///
    /// ```
    /// use std::process::Command;
    ///
    /// let client = jobserver::Client::new(4)?;
    /// let mut make = Command::new("make");
    /// client.configure_make(&mut make);
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Platform behaviour
    ///
    /// As [`configure`](Client::configure).
    #[inline]
    pub fn configure_make(&self, command: &mut Command) {
        let value = self.hand_over(command);
        for name in ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"] {
            command.env(name, &value);
        }
    }

    /// Lets the child join this pool, and keeps the rest of the MAKEFLAGS that it would have had: the user's flags, and
    /// the variables behind ` -- `. It is [`join`](Client::join) with [`Join::Native`].
    ///
    /// An auth that stood there is replaced. `jobs` is the width to name (`-jN`); no client counts on it, but it is
    /// what make would write. CARGO_MAKEFLAGS is set as well, MFLAGS is removed (make writes it and never reads it).
    ///
    /// "Would have had" is what was set with [`Command::env`], else this process's own: whether
    /// [`Command::env_clear`] was called can't be seen. Call `env_remove("MAKEFLAGS")` with it.
    ///
    /// ```
    /// use std::process::Command;
    ///
    /// let client = jobserver::Client::new(3)?;
    /// let mut make = Command::new("make");
    /// make.env("MAKEFLAGS", "k -- CFLAGS=-O2");
    /// client.join_make(&mut make, Some(4))?;
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// A named pipe whose path no client could read from MAKEFLAGS (blanks, `$`, a relative path), a system that can't
    /// open the pipe for the child, `Unsupported` on systems other than Unix and Windows. The command is unchanged then.
    #[inline]
    pub fn join_make(&self, command: &mut Command, jobs: Option<usize>) -> io::Result<()> {
        self.join(command, Join::Native, jobs)
    }

    /// Makes the pool reachable for the child and returns the flags that say so.
    fn hand_over(&self, command: &mut Command) -> OsString {
        match self.pool.transport.hand_to(command) {
            Ok(auth) => flags(&auth),
            Err(error) => refuse(command, error),
        }
    }
}

/// What a child without flags of its own is told. make 4.2 and later read `auth`, older ones `fds`, which takes numbers
/// only: with a path in it ninja and LLVM leave the jobserver.
pub(crate) fn flags(auth: &Auth) -> OsString {
    let name = auth.to_os_string();
    let mut flags = OsString::from("-j");
    if let Auth::Pipe { .. } = auth {
        flags.push(" --jobserver-fds=");
        flags.push(&name);
    }
    flags.push(" --jobserver-auth=");
    flags.push(&name);
    flags
}

/// `configure` can't fail, so the spawn does: a child that silently ran without the pool would use the whole machine.
#[cfg(unix)]
fn refuse(command: &mut Command, error: io::Error) -> OsString {
    crate::transport::fail_spawn(command, error.raw_os_error().unwrap_or(libc::EMFILE));
    OsString::new()
}

#[cfg(not(unix))]
fn refuse(_: &mut Command, error: io::Error) -> OsString {
    panic!("this platform has no jobserver that a child could join: {error}");
}
