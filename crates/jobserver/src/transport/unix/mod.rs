//! Tokens in a pipe or FIFO.
//!
//! A transport has two open files of its own for reading: a blocking one for `acquire`, so that the kernel wakes one
//! reader a token, and a non-blocking one for everything else, opened when it is first needed. Its write end never
//! blocks. Children get a third pair, so that no flag of ours is theirs. Where a file can't be opened anew (not Linux,
//! a socket, the pipe of another user) the inherited one is used as it is, with `poll` before whatever could block.

mod children;
mod fifo;
mod join;
mod moves;
mod pipe;
#[allow(unsafe_code)]
mod sys;
#[cfg(test)]
mod tests;
mod wake;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use self::pipe::End;
use crate::terminate;

pub(crate) use self::children::{fail_spawn, keep_back};
pub(crate) use self::fifo::PrivateFifo;
pub(crate) use self::wake::Waker;

#[derive(Debug)]
pub(crate) struct Transport {
    /// `acquire` blocks here, unless somebody who shares it has set `O_NONBLOCK`.
    read: File,
    write: File,
    /// Whether `write` is shared and may block.
    write_blocks: AtomicBool,
    /// The file of `read` once more, non-blocking; `None`: can't be had.
    spare: OnceLock<Option<File>>,
    route: Route,
}

/// How children get there.
#[derive(Debug)]
enum Route {
    Path(PathBuf),
    /// The ends that children inherit, made when the first child is.
    Ends(OnceLock<Arc<(File, File)>>),
}

impl Transport {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn create(limit: usize) -> io::Result<Transport> {
        let (read, write) = sys::pipe()?;
        pipe::seed(&write, limit)?;
        // Nobody shares it yet, nor ever will: children get ends of their own.
        sys::set_nonblocking(write.as_fd(), true)?;
        Ok(Transport {
            read,
            write,
            write_blocks: AtomicBool::new(false),
            spare: OnceLock::new(),
            route: Route::Ends(OnceLock::new()),
        })
    }

    /// Where a pipe can't be opened anew, all open files that will be needed are opened on a FIFO that then loses its
    /// name. An ordinary pipe is the fallback: a FIFO may hold fewer tokens, or there is no folder for it.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn create(limit: usize) -> io::Result<Transport> {
        let on_fifo = Transport::on_nameless_fifo().and_then(|transport| {
            pipe::seed(&transport.write, limit)?;
            Ok(transport)
        });
        on_fifo.or_else(|_| Transport::on_shared_pipe(limit))
    }

    /// A pipe whose only two ends are ours and our children's: their flags are left alone.
    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    fn on_shared_pipe(limit: usize) -> io::Result<Transport> {
        let (read, write) = sys::pipe()?;
        // Nobody else has it yet.
        sys::set_nonblocking(write.as_fd(), true)?;
        pipe::seed(&write, limit)?;
        sys::set_nonblocking(write.as_fd(), false)?;
        let route = Route::Ends(OnceLock::new());
        Ok(Transport { read, write, write_blocks: AtomicBool::new(true), spare: OnceLock::new(), route })
    }

    /// A pool without a name and without `/proc`: five open files on one FIFO.
    #[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
    fn on_nameless_fifo() -> io::Result<Transport> {
        let fifo = PrivateFifo::create(None)?;
        // The first one has both ends, so that the others find a peer and none of them waits.
        let write = pipe::open_path(fifo.path(), true)?;
        let read = pipe::open_path(fifo.path(), false)?;
        let spare = pipe::open_path(fifo.path(), true)?;
        let ends = (
            sys::above_stdio(std::fs::OpenOptions::new().read(true).open(fifo.path())?)?,
            sys::above_stdio(std::fs::OpenOptions::new().write(true).open(fifo.path())?)?,
        );
        Ok(Transport {
            read,
            write,
            write_blocks: AtomicBool::new(false),
            spare: OnceLock::from(Some(spare)),
            route: Route::Ends(OnceLock::from(Arc::new(ends))),
        })
    }

    /// A new pool on `fifo`.
    #[inline]
    pub(crate) fn create_on(fifo: &PrivateFifo, limit: usize) -> io::Result<Transport> {
        let transport = Transport::open_path(fifo.path())?;
        pipe::seed(&transport.write, limit)?;
        Ok(transport)
    }

    /// What is readable while there is a token: the open file of our own that nobody else shares, if it can be had.
    #[inline]
    pub(crate) fn watched(&self) -> BorrowedFd<'_> {
        self.spare().ok().flatten().unwrap_or(&self.read).as_fd()
    }

    /// For a handler that gives tokens back: one came from another process, or went there, past `acquire` and `release`.
    #[inline]
    pub(crate) fn adopt(&self) {
        terminate::adopt(&self.write);
    }

    #[inline]
    pub(crate) fn disown(&self) {
        terminate::disown(&self.write);
    }

    /// For the same: the files are about to be closed.
    pub(crate) fn forget(&self) {
        terminate::forget(&self.write);
    }

    /// `None` where no open file of our own can be had; an error where it might be another time.
    fn spare(&self) -> io::Result<Option<&File>> {
        if let Some(known) = self.spare.get() {
            return Ok(known.as_ref());
        }
        let file = match (pipe::reopen(self.read.as_raw_fd(), End::ReadNow), &self.route) {
            (Ok(file), _) => Some(file),
            (Err(error), _) if is_passing(&error) => return Err(error),
            // Without /proc the path does as well, unless something else stands there by now.
            (Err(_), Route::Path(path)) => {
                pipe::open_path(path, true).ok().filter(|file| pipe::same_file(file, &self.read))
            }
            (Err(_), Route::Ends(_)) => None,
        };
        Ok(self.spare.get_or_init(|| file).as_ref())
    }
}

/// Whether an open failed for want of something that may be there the next time.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}
