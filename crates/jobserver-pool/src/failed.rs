//! Errors that name what could not be done, and to which file.

use std::io;
use std::path::Path;

/// The same error, told as `what PATH: cause`.
pub(crate) fn failed(error: io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}
