//! A pool that a program offers to the commands it starts.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::Client;
use crate::transport::{PrivateFifo, Transport};

/// A pool of job slots that this process keeps for others; dropping it removes what it put into the file system.
///
/// `slots` jobs may run at once. The first of them belongs to the command that is started with it (the implicit slot),
/// so the pool holds `slots - 1` tokens. The server takes none for itself.
///
/// ```
/// # #[cfg(unix)] {
/// use std::process::Command;
/// use jobserver::Server;
///
/// let server = Server::builder().slots(4).fifo().build()?;
/// let mut command = Command::new("sh");
/// command.args(["-c", "echo $MAKEFLAGS"]);
/// server.join_make(&mut command)?;
/// assert!(command.status()?.success());
/// assert_eq!(server.balance()?.missing(), 0);
/// # }
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a server ends its pool"]
pub struct Server {
    client: Client,
    slots: usize,
    fifo: Option<PrivateFifo>,
}

/// Settings of a [`Server`]: [`Server::builder`].
///
/// ```
/// # #[cfg(unix)] {
/// let server = jobserver::Server::builder().slots(8).fifo().directory("/tmp").build()?;
/// assert!(server.path().unwrap().starts_with("/tmp"));
/// # }
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `build`"]
pub struct ServerBuilder {
    slots: usize,
    style: Style,
    directory: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug)]
enum Style {
    Native,
    Fifo,
    Pipe,
}

/// How many tokens a pool was made with, and how many are free at a moment: [`Server::balance`].
///
/// ```
/// let server = jobserver::Server::builder().slots(4).build()?;
/// let token = server.client().acquire()?;
/// let balance = server.balance()?;
/// assert_eq!((balance.tokens, balance.free, balance.missing(), balance.strays()), (3, 2, 1, 0));
/// # drop(token);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balance {
    /// The tokens that the pool was made with: one fewer than its slots.
    pub tokens: usize,
    /// The tokens that lie in the pool, free to take.
    pub free: usize,
}

impl Balance {
    /// Tokens that somebody holds now, or has lost if all clients have ended.
    #[inline]
    pub fn missing(&self) -> usize {
        self.tokens.saturating_sub(self.free)
    }

    /// Tokens that came back without having been taken: a client that breaks the protocol.
    #[inline]
    pub fn strays(&self) -> usize {
        self.free.saturating_sub(self.tokens)
    }
}

impl Server {
    /// Settings with one slot, in the style of the platform: [`ServerBuilder`].
    #[inline]
    pub fn builder() -> ServerBuilder {
        ServerBuilder { slots: 1, style: Style::Native, directory: None }
    }

    /// A client of this pool, for jobs of this process.
    ///
    /// A process that runs jobs beside the command has no implicit slot in this pool: it takes a token for each.
    ///
    /// ```
    /// let server = jobserver::Server::builder().slots(2).build()?;
    /// let token = server.client().acquire()?;
    /// assert!(server.client().try_acquire()?.is_none(), "the other slot is the command's own");
    /// # drop(token);
    /// # std::io::Result::Ok(())
    /// ```
    #[inline]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// How many jobs may run at once.
    #[inline]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The path of the named pipe, if the pool has one.
    #[inline]
    pub fn path(&self) -> Option<&Path> {
        self.fifo.as_ref().map(PrivateFifo::path)
    }

    /// Lets the child that `command` will start join the pool: [`Client::join_make`] with this server's width.
    ///
    /// # Errors
    ///
    /// As [`Client::join_make`].
    #[inline]
    pub fn join_make(&self, command: &mut Command) -> io::Result<()> {
        self.client.join_make(command, Some(self.slots))
    }

    /// What the pool has and what is free. Tokens are lost, or too many, for certain only once all clients have ended.
    ///
    /// # Errors
    ///
    /// What the system answers.
    #[inline]
    pub fn balance(&self) -> io::Result<Balance> {
        Ok(Balance { tokens: self.slots - 1, free: self.client.available()? })
    }
}

impl ServerBuilder {
    /// How many jobs may run at once, the command's own included: 1 at least.
    #[inline]
    pub fn slots(mut self, slots: usize) -> ServerBuilder {
        self.slots = slots;
        self
    }

    /// A named pipe (mode 0600, in a folder of its own that nobody else can enter): for make 4.4 and later, ninja 1.13
    /// and later, cargo, rustc, gcc 14 and later.
    #[inline]
    pub fn fifo(mut self) -> ServerBuilder {
        self.style = Style::Fifo;
        self
    }

    /// A pipe whose descriptors are inherited: for make before 4.4 and gcc before 13.
    #[inline]
    pub fn pipe(mut self) -> ServerBuilder {
        self.style = Style::Pipe;
        self
    }

    /// Where a named pipe gets its folder: an absolute path of the characters `A-Z a-z 0-9 _ . / -` only, as no client
    /// but make reads others from MAKEFLAGS. By default the system's folder for temporary files. Other styles have no
    /// use for it.
    #[inline]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> ServerBuilder {
        self.directory = Some(directory.into());
        self
    }

    /// Makes the pool.
    ///
    /// # Errors
    ///
    /// No slots; more than [`Client::new`] allows; a directory that can't be used or named in MAKEFLAGS; a style that
    /// the platform doesn't have (`Unsupported`: Windows has semaphores only).
    #[inline]
    pub fn build(self) -> io::Result<Server> {
        let tokens = self.slots.checked_sub(1).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a jobserver needs one slot at least: its command's own")
        })?;
        match self.style {
            Style::Pipe if !cfg!(unix) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "this platform has no jobserver on a pipe"))
            }
            Style::Fifo => {
                let fifo = PrivateFifo::create(self.directory.as_deref())?;
                let client = Client::on(Transport::create_on(&fifo, tokens)?);
                Ok(Server { client, slots: self.slots, fifo: Some(fifo) })
            }
            _ => Ok(Server { client: Client::new(tokens)?, slots: self.slots, fifo: None }),
        }
    }
}
