//! The moves of a lease's slots, as they are seen by whoever watches it: `jobserver run --timeline`.

use std::io;
use std::path::Path;

use crate::control::{Lines, Moved, Reply, Request};
use crate::lease::{connect, read, unexpected};

/// A lease of this user that is watched. What is not fetched for too long (4,096 changes) ends it.
#[derive(Debug)]
pub struct Moves {
    lines: Lines,
    style: String,
}

impl Moves {
    /// Watches the lease whose clients open `path`, of the pool that is served from `directory`. The first that comes is
    /// how it stands now.
    ///
    /// # Errors
    /// Nobody serves there; the server refuses, as one of an older version does, and says why.
    pub fn of(directory: &Path, path: &Path) -> io::Result<Moves> {
        let mut lines = connect(directory)?;
        lines.send(&Request::Watch { path: path.display().to_string() }, Vec::new())?;
        match read(&mut lines)?.0 {
            Reply::Watching { style } => {
                lines.set_nonblocking()?;
                Ok(Moves { lines, style })
            }
            other => Err(unexpected(other)),
        }
    }

    /// Whether the pool can tell its clients apart.
    pub fn is_tracked(&self) -> bool {
        self.style == "tracked"
    }

    /// The next change; `None`: none has come.
    ///
    /// # Errors
    /// The server is gone, or the lease is.
    pub fn fetch(&mut self) -> io::Result<Option<Moved>> {
        while let Some(line) = self.lines.line()? {
            // What a newer server says beyond this is not for us.
            if let Ok(Reply::Moved(moved)) = serde_json::from_slice(&line.text) {
                return Ok(Some(moved));
            }
        }
        Ok(None)
    }
}
