//! Joining the jobserver that the environment names.
//!
//! Three variables may name one. The first that names one that can be joined counts: a CARGO_MAKEFLAGS without any, or
//! left over from a cargo that is gone, does not hide a good MAKEFLAGS, as it did in 0.1.35.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;

use crate::auth::Auth;
use crate::client::Client;
use crate::error::{FromEnvError, FromEnvErrorInner as Inner, FromEnvErrorKind};
use crate::makeflags::MakeFlags;
use crate::transport::{Access, Transport};

const VARIABLES: [&str; 3] = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"];

/// Return type of [`Client::from_env_ext`].
#[derive(Debug)]
pub struct FromEnv {
    /// The client, or why there is none.
    pub client: Result<Client, FromEnvError>,
    /// Name and value of the variable that `client` is about; `None` if none of them is set.
    pub var: Option<(&'static str, OsString)>,
}

/// Why [`Client::connect`] found no jobserver to join: what was found, and what to do about it.
///
/// ```
/// use jobserver::{Client, FromEnvErrorKind};
///
/// if let Err(error) = Client::connect() {
///     // That there is none is not worth a line.
///     if !matches!(error.kind(), FromEnvErrorKind::NoEnvVar | FromEnvErrorKind::NoJobserver) {
///         eprintln!("warning: {error}");
///     }
/// }
/// ```
#[derive(Debug)]
pub struct ConnectError {
    inner: Inner,
    /// The auth as it stands in the variable.
    auth: Option<OsString>,
    variable: Option<&'static str>,
}

impl ConnectError {
    /// The kind of this error, as [`FromEnvError::kind`] has it.
    #[inline]
    pub fn kind(&self) -> FromEnvErrorKind {
        self.inner.kind()
    }

    /// The name of the variable that this is about, if any is set.
    #[inline]
    pub fn variable(&self) -> Option<&'static str> {
        self.variable
    }
}

impl fmt::Display for ConnectError {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.variable.unwrap_or_default();
        let auth = self.auth.as_ref().map(|auth| auth.to_string_lossy()).unwrap_or_default();
        match &self.inner {
            Inner::NoEnvVar => f.write_str(
                "no jobserver: none of CARGO_MAKEFLAGS, MAKEFLAGS and MFLAGS is set; run this under `make -jN`, cargo or \
                 `jobserver run`",
            ),
            Inner::NoJobserver => write!(
                f,
                "no jobserver: {name} is set but names none; run make with -jN, and give the recipe a leading `+` if \
                 make is older than 4.4"
            ),
            Inner::NegativeFd(_) => write!(
                f,
                "{name} names descriptors {auth}: make has switched the jobserver off for this recipe, which needs a \
                 leading `+`, or make 4.4 with fifo style"
            ),
            Inner::CannotOpenFd(_, error) if is_closed(error) => write!(
                f,
                "{name} names descriptors {auth}, but they are closed: the recipe that ran this command needs a leading \
                 `+`, or make 4.4 with fifo style"
            ),
            Inner::CannotOpenFd(fd, error) if error.kind() == std::io::ErrorKind::InvalidInput => write!(
                f,
                "{name} names descriptors {auth}, but {fd} is not the jobserver's: {error}; {name} is left over from a \
                 jobserver that is gone; unset it, or give the recipe a leading `+`"
            ),
            Inner::CannotOpenFd(fd, error) => write!(
                f,
                "{name} names descriptors {auth}, but {fd} can't be opened anew: {error}; `Client::from_env`, which may \
                 duplicate it, can use it if it is the jobserver's"
            ),
            Inner::NotAPipe(fd, _) => write!(
                f,
                "{name} names descriptors {auth}, but {fd} is something else by now: {name} is left over from a \
                 jobserver that is gone; unset it, or give the recipe a leading `+`"
            ),
            Inner::CannotOpenPath(path, error) => write!(
                f,
                "{name} names the jobserver {path}, which can't be opened: {error}; if its server has ended, unset {name}"
            ),
            Inner::CannotParse(why) => write!(f, "{name} names a jobserver that isn't understood: {why}; unset {name}"),
            Inner::Unsupported => f.write_str("this platform has no jobserver that could be inherited"),
        }
    }
}

impl Error for ConnectError {
    #[inline]
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.source()
    }
}

impl Client {
    /// Joins the jobserver of the environment, if there is one: [`from_env_ext`](Client::from_env_ext) without the
    /// details.
    ///
    /// ```no_run
    /// // SAFETY: the first thing that this program does.
    /// let client = unsafe { jobserver::Client::from_env() };
    /// ```
    ///
    /// # Safety
    ///
    /// As [`from_env_ext`](Client::from_env_ext).
    #[allow(unsafe_code)]
    pub unsafe fn from_env() -> Option<Client> {
        Client::from_environment(Access::Vouched { only_pipes: false }).0.ok()
    }

    /// Joins the jobserver of the environment and says which variable named it, or why it can't be joined.
    ///
    /// `CARGO_MAKEFLAGS`, `MAKEFLAGS` and `MFLAGS` are tried in this order; the first that names a jobserver that can
    /// be joined counts. With `check_pipe`, descriptors that are not pipes are an error
    /// ([`NotAPipe`](FromEnvErrorKind::NotAPipe)); without it, sockets and character devices will do. A plain file
    /// never does.
    ///
    /// ```no_run
    /// use jobserver::{Client, FromEnv, FromEnvErrorKind};
    ///
    /// // SAFETY: the first thing that this program does.
    /// let FromEnv { client, var } = unsafe { Client::from_env_ext(true) };
    /// match client.map_err(|error| (error.kind(), error)) {
    ///     Ok(client) => println!("joined {:?}", client),
    ///     Err((FromEnvErrorKind::NoEnvVar | FromEnvErrorKind::NoJobserver, _)) => println!("none"),
    ///     Err((_, error)) => eprintln!("warning: {var:?}: {error}"),
    /// }
    /// ```
    ///
    /// Nothing is taken from the pool, no descriptor of the environment is changed or closed, and it may be called any
    /// number of times.
    ///
    /// # Safety
    ///
    /// Two numbers in a variable are taken for descriptors of a jobserver, and duplicated where they can't be opened
    /// anew. The caller vouches that they are: call it early, before the program opens files of its own that could
    /// have got these numbers. [`connect`](Client::connect) needs no such promise.
    #[allow(unsafe_code)]
    pub unsafe fn from_env_ext(check_pipe: bool) -> FromEnv {
        let (client, found) = Client::from_environment(Access::Vouched { only_pipes: check_pipe });
        let client = client.map_err(|(inner, _)| FromEnvError { inner });
        FromEnv { client, var: found }
    }

    /// Joins the jobserver of the environment, at any time in a program's life.
    ///
    /// Differs from [`from_env_ext`](Client::from_env_ext) in what it trusts: descriptors that the environment names
    /// are opened anew (`/dev/fd/N`), which takes nothing away from whoever owns the number by now, and only a named
    /// or anonymous pipe, or a character device that is not a memory device, is accepted. No byte of anything else is
    /// read or written.
    ///
    /// ```no_run
    /// use jobserver::Client;
    ///
    /// let client = match Client::connect() {
    ///     Ok(client) => client,
    ///     Err(error) => {
    ///         eprintln!("warning: {error}");
    ///         Client::new(3)? // this process and three jobs more
    ///     }
    /// };
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// The text of a [`ConnectError`] says what was found and how to mend it; its
    /// [`kind`](ConnectError::kind) is for programs.
    ///
    /// # Platform behaviour
    ///
    /// A socket, and on Linux the pipe of another user, can't be opened anew: `from_env` can use them. On macOS and the
    /// BSDs `/dev/fd/N` is a duplicate, which works as well but shares its flags (and FreeBSD has it only with fdescfs
    /// mounted).
    #[inline]
    pub fn connect() -> Result<Client, ConnectError> {
        let (client, found) = Client::from_environment(Access::Checked);
        client.map_err(|(inner, auth)| ConnectError { inner, auth, variable: found.map(|(name, _)| name) })
    }

    /// Joins the jobserver that `auth` names, as [`connect`](Client::connect) joins that of the environment: for programs
    /// that are told of one in another way.
    ///
    /// ```
    /// use jobserver::{Auth, Client, Server};
    ///
    /// # #[cfg(unix)] {
    /// let server = Server::builder().slots(2).fifo().build()?;
    /// let auth = Auth::Fifo(server.path().unwrap().to_path_buf());
    /// assert!(Client::connect_to(&auth).unwrap().try_acquire()?.is_some());
    /// # }
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing is there, it is no jobserver, or it can't be opened.
    ///
    /// # Platform behaviour
    ///
    /// As [`connect`](Client::connect).
    #[inline]
    pub fn connect_to(auth: &Auth) -> Result<Client, FromEnvError> {
        let opened = Transport::open(auth, Access::Checked);
        opened.map(Client::on).map_err(|inner| FromEnvError { inner })
    }

    /// The first client that can be had, with its variable; else the first reason why not, with its variable.
    #[allow(clippy::type_complexity)]
    fn from_environment(
        access: Access,
    ) -> (Result<Client, (Inner, Option<OsString>)>, Option<(&'static str, OsString)>) {
        let mut named = None;
        let mut unnamed = None;
        for name in VARIABLES {
            let value = match env::var_os(name) {
                Some(value) => value,
                None => continue,
            };
            let auth = match MakeFlags::parse(&value).jobserver() {
                Some(auth) => auth.to_os_string(),
                None => {
                    unnamed = unnamed.or(Some((name, value)));
                    continue;
                }
            };
            let opened = Auth::parse(&auth)
                .map_err(|error| Inner::CannotParse(error.0))
                .and_then(|auth| Transport::open(&auth, access));
            match opened {
                Ok(transport) => return (Ok(Client::on(transport)), Some((name, value))),
                Err(inner) => named = named.or(Some(((inner, Some(auth)), (name, value)))),
            }
        }
        match (named, unnamed) {
            (Some((error, found)), _) => (Err(error), Some(found)),
            (None, Some(found)) => (Err((Inner::NoJobserver, None)), Some(found)),
            (None, None) => (Err((Inner::NoEnvVar, None)), None),
        }
    }
}

#[cfg(unix)]
#[inline]
fn is_closed(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBADF)
}

#[cfg(not(unix))]
#[inline]
fn is_closed(_: &std::io::Error) -> bool {
    false
}
