//! Tokens in a pipe or FIFO.
//!
//! A transport has two open files of its own for reading: a blocking one for `acquire`, so that the kernel wakes one
//! reader a token, and a non-blocking one for everything else, opened when it is first needed. Its write end never
//! blocks. Children get a third pair, so that no flag of ours is theirs. Where a file can't be opened anew (not Linux,
//! a socket, the pipe of another user) the inherited one is used as it is, with `poll` before whatever could block.

mod fifo;
mod join;
mod pipe;
#[allow(unsafe_code)]
mod sys;
#[cfg(test)]
mod tests;
mod wake;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use self::pipe::End;
use self::wake::retry;
use super::Token;
use crate::auth::Auth;

pub(crate) use self::fifo::PrivateFifo;
pub(crate) use self::wake::Waker;

/// How long a full pipe may refuse a token before the release fails.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

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
    pub(crate) fn create_on(fifo: &PrivateFifo, limit: usize) -> io::Result<Transport> {
        let transport = Transport::open_path(fifo.path())?;
        pipe::seed(&transport.write, limit)?;
        Ok(transport)
    }

    pub(crate) fn acquire(&self) -> io::Result<Token> {
        loop {
            match read_token(&self.read) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    retry(|| sys::poll(&mut [sys::pollfd(&self.read, libc::POLLIN)], -1))?;
                }
                result => return result,
            }
        }
    }

    pub(crate) fn try_acquire(&self) -> io::Result<Option<Token>> {
        let result = match self.spare()? {
            Some(spare) => read_token(spare),
            None => self.try_shared(),
        };
        match result {
            Ok(token) => Ok(Some(token)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn acquire_unless(&self, waker: &Waker) -> io::Result<Option<Token>> {
        let tokens = self.spare()?.unwrap_or(&self.read);
        let mut waited = false;
        loop {
            if waker.is_woken()? {
                self.wake_next()?;
                return Ok(None);
            }
            if let Some(token) = self.try_acquire()? {
                if waited {
                    if let Err(error) = self.wake_next() {
                        let _ = self.release(token);
                        return Err(error);
                    }
                }
                return Ok(Some(token));
            }
            waker.wait_for(tokens.as_fd())?;
            waited = true;
        }
    }

    /// Hands a wake-up on: the kernel may have woken this thread alone for tokens that it leaves.
    ///
    /// A blocked `read` does so by itself when it leaves something in the pipe (Linux: `wake_next_reader` in
    /// fs/pipe.c); a wait in epoll does not, so a token is written once more, and that wakes the next in line.
    fn wake_next(&self) -> io::Result<()> {
        if self.available()? > 0 {
            if let Some(token) = self.try_acquire()? {
                self.release(token)?;
            }
        }
        Ok(())
    }

    pub(crate) fn release(&self, token: Token) -> io::Result<()> {
        let mut refused_since = None;
        loop {
            match self.write_token(token) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_for_room(*refused_since.get_or_insert_with(Instant::now))?;
                }
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                result => return result.map(drop),
            }
        }
    }

    pub(crate) fn available(&self) -> io::Result<usize> {
        sys::readable_bytes(self.read.as_fd())
    }

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

    /// Takes a token from a file whose flags belong to others, without waiting.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn try_shared(&self) -> io::Result<Token> {
        let (read, write) = sys::pipe()?;
        // splice takes its own flag for not blocking; a read right after poll could wait for ever, if another
        // process was quicker.
        match retry(|| sys::splice_byte(self.read.as_fd(), write.as_fd()))? {
            0 => Err(end_of_file()),
            _ => read_token(&read),
        }
    }

    /// As above. Between poll and read another process may take the token, and then this waits for the next one:
    /// there is no call that would not, short of setting a flag that others share.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn try_shared(&self) -> io::Result<Token> {
        match retry(|| sys::poll(&mut [sys::pollfd(&self.read, libc::POLLIN)], 0))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => read_token(&self.read),
        }
    }

    /// Writes a token without waiting.
    fn write_token(&self, token: Token) -> io::Result<usize> {
        if !self.write_blocks.load(Ordering::Relaxed) {
            return retry(|| (&self.write).write(&[token.0]));
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        match retry(|| sys::write_byte_now(self.write.as_fd(), token.0)) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)) => {}
            result => return result,
        }
        // For poll a pipe has room once a whole page is free, so a write after it can't block.
        match retry(|| sys::poll(&mut [sys::pollfd(&self.write, libc::POLLOUT)], 0))? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => retry(|| (&self.write).write(&[token.0])),
        }
    }

    fn wait_for_room(&self, refused_since: Instant) -> io::Result<()> {
        let left = RELEASE_PATIENCE.saturating_sub(refused_since.elapsed());
        let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let room = left > 0 && retry(|| sys::poll(&mut [sys::pollfd(&self.write, libc::POLLOUT)], left))? > 0;
        if room {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "the jobserver's pipe is full: more tokens were given back than it has room for",
        ))
    }
}

/// Makes the spawn of `command` fail with error number `code`.
pub(crate) fn fail_spawn(command: &mut Command, code: i32) {
    sys::before_exec(command, move || Err(io::Error::from_raw_os_error(code)));
}

fn read_token(mut file: &File) -> io::Result<Token> {
    let mut byte = [0];
    match retry(|| file.read(&mut byte))? {
        0 => Err(end_of_file()),
        _ => Ok(Token(byte[0])),
    }
}

/// Whether an open failed for want of something that may be there the next time.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}

fn end_of_file() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the jobserver is gone: its pipe has no writer any more")
}
