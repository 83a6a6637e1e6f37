//! Letting a child reach the pool: by the path of a named pipe, or by descriptors that it inherits.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use super::pipe::{self, End};
use super::{is_passing, sys, Route, Transport};
use crate::auth::Auth;

impl Transport {
    pub(crate) fn hand_to(&self, command: &mut Command) -> io::Result<Auth> {
        match self.path() {
            // The child opens the path by itself: nothing to inherit, and the standard library need not fork.
            Some(auth) => Ok(auth),
            None => self.hand_ends_to(command),
        }
    }

    /// The name that any process can join by, if the pool has one.
    pub(crate) fn path(&self) -> Option<Auth> {
        match &self.route {
            Route::Path(path) => Some(Auth::Fifo(path.clone())),
            Route::Ends(_) => None,
        }
    }

    /// Lets the child inherit two descriptors, whatever kind of pool this is.
    pub(crate) fn hand_ends_to(&self, command: &mut Command) -> io::Result<Auth> {
        let ends = match &self.route {
            // Few children need these, so they live no longer than the command.
            Route::Path(_) => Arc::new(self.ends_for_children()?),
            Route::Ends(route) => match route.get() {
                Some(ends) => ends.clone(),
                None => {
                    let made = Arc::new(self.ends_for_children()?);
                    route.get_or_init(|| made).clone()
                }
            },
        };
        let auth = Auth::Pipe { read: ends.0.as_raw_fd(), write: ends.1.as_raw_fd() };
        // The command owns the ends as well: their numbers stay theirs however long it waits and whoever drops the
        // client.
        sys::before_exec(command, move || {
            sys::set_cloexec(ends.0.as_fd(), false)?;
            sys::set_cloexec(ends.1.as_fd(), false)
        });
        Ok(auth)
    }

    fn ends_for_children(&self) -> io::Result<(File, File)> {
        let fresh = |file: &File, end| {
            let file = pipe::reopen(file.as_raw_fd(), end).or_else(|error| self.open_end(end).ok_or(error))?;
            // make before 4.3 breaks on a write end that doesn't block.
            sys::set_nonblocking(file.as_fd(), false)?;
            Ok::<_, io::Error>(file)
        };
        // Where nothing can be opened anew the child shares what we have, which must not surprise it either.
        let read = fresh(&self.read, End::Read).or_else(|error| {
            if is_passing(&error) {
                Err(error)
            } else {
                self.read.try_clone()
            }
        })?;
        let write = fresh(&self.write, End::Write).or_else(|error| {
            if is_passing(&error) {
                return Err(error);
            }
            if !self.write_blocks.swap(true, Ordering::Relaxed) {
                sys::set_nonblocking(self.write.as_fd(), false)?;
            }
            self.write.try_clone()
        })?;
        Ok((read, write))
    }

    /// An end of a named pipe by its path, for systems where the file itself can't be opened anew. Neither waits: this
    /// process has both ends open.
    fn open_end(&self, end: End) -> Option<File> {
        let Route::Path(path) = &self.route else { return None };
        let mut options = File::options();
        let file = options.read(end == End::Read).write(end == End::Write).custom_flags(libc::O_NOCTTY).open(path);
        let file = file.and_then(sys::above_stdio).ok()?;
        pipe::same_file(&file, &self.read).then_some(file)
    }
}

/// Keeps those of `fds` that are pipes from the child, and from it alone.
#[inline]
pub(crate) fn keep_back(command: &mut Command, fds: Vec<RawFd>) {
    sys::before_exec(command, move || {
        fds.iter().for_each(|&fd| sys::keep_pipe_back(fd));
        Ok(())
    });
}

/// Makes the spawn of `command` fail with error number `code`.
pub(crate) fn fail_spawn(command: &mut Command, code: i32) {
    sys::before_exec(command, move || Err(io::Error::from_raw_os_error(code)));
}
