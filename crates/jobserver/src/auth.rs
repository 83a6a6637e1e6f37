//! How a pool is named in MAKEFLAGS: `R,W`, `fifo:PATH`, or the name of a semaphore.
//!
//! Every form is parsed and printed on every system and nothing is opened here: a program can say "this is a Windows
//! semaphore" on Linux, and after this module no code looks at the text again.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// The value of `--jobserver-auth=`: where the tokens of a pool are to be had.
///
/// ```
/// use jobserver::Auth;
///
/// let auth = Auth::parse("fifo:/tmp/pool".as_ref())?;
/// assert_eq!(auth, Auth::Fifo("/tmp/pool".into()));
/// assert_eq!(Auth::Pipe { read: 3, write: 4 }.to_string(), "3,4");
/// # Ok::<(), jobserver::ParseAuthError>(())
/// ```
///
/// Source: GNU make manual, "POSIX Jobserver Interaction" and "Windows Jobserver Interaction".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Auth {
    /// `R,W`: the numbers of two inherited descriptors. Any negative number means that make has switched the
    /// jobserver off for this recipe.
    Pipe {
        /// Tokens are read here.
        read: i32,
        /// Tokens are written back here.
        write: i32,
    },
    /// `fifo:PATH`: a named pipe (make 4.4 and later).
    Fifo(PathBuf),
    /// The name of a Windows semaphore.
    Semaphore(String),
}

impl Auth {
    /// Reads the text behind `--jobserver-auth=`.
    ///
    /// # Errors
    ///
    /// Text that looks like descriptors but isn't two numbers, `fifo:` without a path, and nothing at all.
    pub fn parse(text: &OsStr) -> Result<Auth, ParseAuthError> {
        let error = |why: &str| Err(ParseAuthError(why.to_string()));
        let no_path = "expected a path after `fifo:`";
        match strip_fifo(text) {
            Some(path) if path.is_empty() => return error(no_path),
            Some(path) => return Ok(Auth::Fifo(path.into())),
            None => {}
        }
        let Some(text) = text.to_str() else { return error("not valid UTF-8") };
        match text.split_once(',') {
            Some((read, write)) => {
                Ok(Auth::Pipe { read: descriptor(read, "read")?, write: descriptor(write, "write")? })
            }
            None if text.is_empty() => error("expected `fifo:PATH` or `R,W`, found nothing"),
            None if text == "fifo" => error(no_path),
            None => Ok(Auth::Semaphore(text.to_string())),
        }
    }

    /// The text that goes behind `--jobserver-auth=`, as bytes of the platform (a path need not be UTF-8).
    pub fn to_os_string(&self) -> OsString {
        match self {
            Auth::Fifo(path) => {
                let mut text = OsString::from("fifo:");
                text.push(path);
                text
            }
            Auth::Pipe { read, write } => format!("{read},{write}").into(),
            Auth::Semaphore(name) => name.into(),
        }
    }
}

impl fmt::Display for Auth {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::Pipe { read, write } => write!(f, "{read},{write}"),
            Auth::Fifo(path) => write!(f, "fifo:{}", path.display()),
            Auth::Semaphore(name) => f.write_str(name),
        }
    }
}

/// Why a text is not an [`Auth`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseAuthError(pub(crate) String);

impl fmt::Display for ParseAuthError {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseAuthError {}

/// Whether every client can read this path from MAKEFLAGS: make expands `$`, and only make undoes a quoted blank.
#[inline]
pub(crate) fn check_path(path: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let why = if !text.starts_with('/') {
        "it is not absolute"
    } else if !text.chars().all(plain) {
        "it has characters other than A-Z a-z 0-9 _ . / -"
    } else {
        return Ok(());
    };
    Err(format!("{} can't be named in MAKEFLAGS: {why}; choose another folder", path.display()))
}

fn descriptor(text: &str, end: &str) -> Result<i32, ParseAuthError> {
    // Longer than any number is either nonsense or hostile; it is not repeated in the message.
    text.parse().map_err(|error| ParseAuthError(format!("cannot parse `{end}` fd: {error}")))
}

#[cfg(unix)]
fn strip_fifo(text: &OsStr) -> Option<&OsStr> {
    use std::os::unix::ffi::OsStrExt;
    text.as_bytes().strip_prefix(b"fifo:").map(OsStr::from_bytes)
}

// Elsewhere a path in MAKEFLAGS that is not Unicode can't be anything that was written by make.
#[cfg(not(unix))]
fn strip_fifo(text: &OsStr) -> Option<&OsStr> {
    text.to_str()?.strip_prefix("fifo:").map(OsStr::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for (text, auth) in [
            ("3,4", Auth::Pipe { read: 3, write: 4 }),
            ("-2,-2", Auth::Pipe { read: -2, write: -2 }),
            ("fifo:/tmp/p", Auth::Fifo("/tmp/p".into())),
            ("fifo:relative", Auth::Fifo("relative".into())),
            ("fifo:/a:b", Auth::Fifo("/a:b".into())),
            ("fifo:/a,b", Auth::Fifo("/a,b".into())),
            ("gmake_semaphore_32", Auth::Semaphore("gmake_semaphore_32".into())),
        ] {
            assert_eq!(Auth::parse(text.as_ref()).as_ref(), Ok(&auth));
            assert_eq!(auth.to_string(), text);
            assert_eq!(auth.to_os_string(), text);
        }
    }

    #[test]
    fn what_is_no_auth_says_why() {
        for (text, why) in [
            ("", "found nothing"),
            ("fifo:", "expected a path"),
            ("fifo", "expected a path"),
            ("3,", "cannot parse `write` fd"),
            (",4", "cannot parse `read` fd"),
            ("3,x", "cannot parse `write` fd"),
            ("3,4,5", "cannot parse `write` fd"),
            ("99999999999,4", "cannot parse `read` fd"),
        ] {
            let error = Auth::parse(text.as_ref()).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_is_bytes() {
        use std::os::unix::ffi::OsStrExt;
        let text = OsStr::from_bytes(b"fifo:/tmp/\xff");
        assert_eq!(Auth::parse(text).unwrap().to_os_string(), text);
    }
}
