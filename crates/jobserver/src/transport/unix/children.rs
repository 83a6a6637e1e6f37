//! Letting a child reach the pool: by the path of a named pipe, or by descriptors that it inherits.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use super::pipe::{self, End};
use super::{is_passing, sys, Route, Transport};
use crate::auth::Auth;

impl Transport {
    pub(crate) fn hand_to(&self, command: &mut Command) -> io::Result<Auth> {
        let route = match &self.route {
            // The child opens the path by itself: nothing to inherit, and the standard library need not fork.
            Route::Path(path) => return Ok(Auth::Fifo(path.clone())),
            Route::Ends(route) => route,
        };
        let ends = match route.get() {
            Some(ends) => ends.clone(),
            None => {
                let made = Arc::new(self.ends_for_children()?);
                route.get_or_init(|| made).clone()
            }
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
            let file = pipe::reopen(file.as_raw_fd(), end)?;
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
}

/// Makes the spawn of `command` fail with error number `code`.
pub(crate) fn fail_spawn(command: &mut Command, code: i32) {
    sys::before_exec(command, move || Err(io::Error::from_raw_os_error(code)));
}
