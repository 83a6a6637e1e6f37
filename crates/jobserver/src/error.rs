//! Why a jobserver from the environment can't be joined.

use std::fmt;
use std::io;

#[cfg(unix)]
type RawFd = std::os::unix::io::RawFd;
#[cfg(not(unix))]
type RawFd = i32;

/// Error type of [`Client::from_env_ext`](crate::Client::from_env_ext): what was found can't be joined, and why.
#[derive(Debug)]
pub struct FromEnvError {
    pub(crate) inner: FromEnvErrorInner,
}

/// Kind of an error of [`Client::from_env_ext`](crate::Client::from_env_ext) and
/// [`Client::connect`](crate::Client::connect).
#[derive(Debug)]
#[non_exhaustive]
pub enum FromEnvErrorKind {
    /// None of the variables that may name a jobserver is set.
    NoEnvVar,
    /// The variables are set, but none of them names a jobserver: make runs without `-j`, for example.
    NoJobserver,
    /// A variable names a jobserver in a form that isn't understood.
    CannotParse,
    /// The path or the name of the jobserver can't be opened.
    CannotOpenPath,
    /// A descriptor of the jobserver isn't open in this process.
    CannotOpenFd,
    /// A descriptor is negative: make has switched the jobserver off for this recipe
    /// ([GNU make manual, "POSIX Jobserver Interaction"](https://www.gnu.org/software/make/manual/html_node/POSIX-Jobserver.html)).
    NegativeFd,
    /// A descriptor of the jobserver is open, but is something else by now.
    NotAPipe,
    /// This platform has no jobserver that could be inherited.
    Unsupported,
}

#[derive(Debug)]
// Which of these can occur depends on the system.
#[allow(dead_code)]
pub(crate) enum FromEnvErrorInner {
    NoEnvVar,
    NoJobserver,
    CannotParse(String),
    CannotOpenPath(String, io::Error),
    CannotOpenFd(RawFd, io::Error),
    NegativeFd(RawFd),
    NotAPipe(RawFd, Option<io::Error>),
    Unsupported,
}

impl FromEnvError {
    /// The kind of this error.
    #[inline]
    pub fn kind(&self) -> FromEnvErrorKind {
        self.inner.kind()
    }
}

impl FromEnvErrorInner {
    #[inline]
    pub(crate) fn kind(&self) -> FromEnvErrorKind {
        match self {
            FromEnvErrorInner::NoEnvVar => FromEnvErrorKind::NoEnvVar,
            FromEnvErrorInner::NoJobserver => FromEnvErrorKind::NoJobserver,
            FromEnvErrorInner::CannotParse(..) => FromEnvErrorKind::CannotParse,
            FromEnvErrorInner::CannotOpenPath(..) => FromEnvErrorKind::CannotOpenPath,
            FromEnvErrorInner::CannotOpenFd(..) => FromEnvErrorKind::CannotOpenFd,
            FromEnvErrorInner::NegativeFd(..) => FromEnvErrorKind::NegativeFd,
            FromEnvErrorInner::NotAPipe(..) => FromEnvErrorKind::NotAPipe,
            FromEnvErrorInner::Unsupported => FromEnvErrorKind::Unsupported,
        }
    }

    #[inline]
    pub(crate) fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FromEnvErrorInner::CannotOpenPath(_, error)
            | FromEnvErrorInner::CannotOpenFd(_, error)
            | FromEnvErrorInner::NotAPipe(_, Some(error)) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for FromEnvErrorInner {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FromEnvErrorInner::NoEnvVar => f.write_str("no environment variable names a jobserver"),
            FromEnvErrorInner::NoJobserver => {
                f.write_str("the environment has no `--jobserver-auth=` and no `--jobserver-fds=` for this process")
            }
            FromEnvErrorInner::CannotParse(why) => write!(f, "the jobserver's name isn't understood: {why}"),
            FromEnvErrorInner::CannotOpenPath(name, error) => write!(f, "cannot open jobserver {name}: {error}"),
            FromEnvErrorInner::CannotOpenFd(fd, error) => write!(f, "cannot use jobserver descriptor {fd}: {error}"),
            FromEnvErrorInner::NegativeFd(fd) => {
                write!(f, "jobserver descriptor {fd} is negative: make has switched the jobserver off here")
            }
            FromEnvErrorInner::NotAPipe(fd, None) => write!(f, "jobserver descriptor {fd} is not a pipe"),
            FromEnvErrorInner::NotAPipe(fd, Some(error)) => {
                write!(f, "jobserver descriptor {fd} is not a pipe: {error}")
            }
            FromEnvErrorInner::Unsupported => f.write_str("this platform has no jobserver that could be inherited"),
        }
    }
}

impl fmt::Display for FromEnvError {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl std::error::Error for FromEnvError {
    #[inline]
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source()
    }
}
