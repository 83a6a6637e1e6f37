//! Taking tokens and giving them back: every read and write of the pool.
//!
//! What never waits reads from the spare file; `acquire` blocks in the read itself, which the kernel hands on in order;
//! a wait that can end otherwise sleeps in `wake` and then reads without waiting.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::wake::{self, retry, Waker};
use super::{sys, Transport};
use crate::terminate;
use crate::transport::Token;

/// How long a full pipe may refuse a token before the release fails.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

/// The tokens of a batch: as many as an ordinary pipe holds.
const MOST_AT_ONCE: usize = 1 << 16;

impl Transport {
    pub(crate) fn acquire(&self) -> io::Result<Token> {
        let mut byte = [0];
        // The usual case at the price of its system call; whatever else comes out of it is looked at below.
        if terminate::is_on() || !matches!((&self.read).read(&mut byte), Ok(1)) {
            self.read_waiting(&mut byte)?;
        }
        Ok(Token(byte[0]))
    }

    pub(crate) fn try_acquire(&self) -> io::Result<Option<Token>> {
        let mut byte = [0];
        Ok(self.read_now(&mut byte)?.map(|_| Token(byte[0])))
    }

    #[inline]
    pub(crate) fn acquire_many(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most.min(MOST_AT_ONCE)];
        let count = self.read_waiting(&mut bytes)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    #[inline]
    pub(crate) fn try_acquire_many(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most.min(MOST_AT_ONCE)];
        let count = self.read_now(&mut bytes)?.unwrap_or(0);
        bytes.truncate(count);
        Ok(bytes)
    }

    pub(crate) fn acquire_until(&self, deadline: Option<Instant>, waker: Option<&Waker>) -> io::Result<Option<Token>> {
        let mut byte = [0];
        Ok(self.read_until(&mut byte, deadline, waker)?.map(|_| Token(byte[0])))
    }

    fn read_until(
        &self,
        bytes: &mut [u8],
        deadline: Option<Instant>,
        waker: Option<&Waker>,
    ) -> io::Result<Option<usize>> {
        let tokens = self.spare()?.unwrap_or(&self.read);
        let mut waited = false;
        loop {
            if waker.is_some_and(Waker::is_woken) {
                self.wake_next()?;
                return Ok(None);
            }
            let count = if waited { self.read_woken(bytes)? } else { self.read_now(bytes)? };
            if count.is_some() {
                return Ok(count);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                if waited {
                    self.wake_next()?;
                }
                return Ok(None);
            }
            let _asleep = terminate::asleep();
            wake::wait(tokens.as_fd(), waker, left)?;
            waited = true;
        }
    }

    /// As `read_now`, by one who was woken for it: if more tokens are there, the next is woken for them.
    ///
    /// The kernel may have woken this thread alone for several tokens. A blocked `read` hands the wake-up on by itself
    /// when it leaves something in the pipe (Linux: `wake_next_reader` in fs/pipe.c); a wait in epoll does not. So one
    /// token more is read, and written back: that wakes the next in line.
    fn read_woken(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        let mut more = vec![0; bytes.len() + 1];
        let Some(count) = self.read_now(&mut more)? else { return Ok(None) };
        let (tokens, rest) = more[..count].split_at(count.min(bytes.len()));
        if let Err(error) = self.release_many(rest) {
            let _ = self.release_many(tokens);
            return Err(error);
        }
        bytes[..tokens.len()].copy_from_slice(tokens);
        Ok(Some(tokens.len()))
    }

    /// The same for one who goes without a token.
    fn wake_next(&self) -> io::Result<()> {
        if self.available()? > 0 {
            if let Some(token) = self.try_acquire()? {
                self.release(token)?;
            }
        }
        Ok(())
    }

    pub(crate) fn release(&self, token: Token) -> io::Result<()> {
        let is_usual = !terminate::is_on() && !self.write_blocks.load(Ordering::Relaxed);
        if is_usual && matches!((&self.write).write(&[token.0]), Ok(1)) {
            return Ok(());
        }
        self.release_many(&[token.0])
    }

    pub(crate) fn release_many(&self, tokens: &[u8]) -> io::Result<()> {
        let mut left = tokens;
        let mut refused_since = None;
        while !left.is_empty() {
            match terminate::give(&self.write, left, |tokens| self.write_now(tokens)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => left = &left[count..],
                Err(error) if would_block(&error) => {
                    let since = refused_since.unwrap_or_else(Instant::now);
                    self.wait_for_room(since)?;
                    refused_since = Some(since);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(crate) fn available(&self) -> io::Result<usize> {
        sys::readable_bytes(self.read.as_fd())
    }

    /// Reads at least one token, as many as there are and fit.
    fn read_waiting(&self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            // A move that is counted must not wait.
            if terminate::is_on() {
                if let Some(count) = self.read_until(bytes, None, None)? {
                    return Ok(count);
                }
                continue;
            }
            match read(&self.read, bytes) {
                // Somebody who shares the file has set O_NONBLOCK.
                Err(error) if would_block(&error) => {
                    poll(&self.read, libc::POLLIN, -1)?;
                }
                result => return result,
            }
        }
    }

    /// Reads the tokens that are there; `None`: none is.
    fn read_now(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        let spare = self.spare()?;
        let result = terminate::take(&self.write, spare, || match spare {
            Some(spare) => read(spare, bytes),
            None => self.read_shared_now(bytes),
        });
        match result {
            Ok(count) => Ok(Some(count)),
            Err(error) if would_block(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As above, from a file whose flags belong to others.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn read_shared_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let (from, to) = sys::pipe()?;
        // splice takes its own flag for not blocking; a read right after poll could wait for ever, if another
        // process was quicker. One page is what the smallest pipe is sure to take.
        match retry(&mut || sys::splice(self.read.as_fd(), to.as_fd(), bytes.len().min(4096)))? {
            0 => Err(end_of_file()),
            count => read(&from, &mut bytes[..count]),
        }
    }

    /// As above. Between poll and read another process may take the token, and then this waits for the next one:
    /// there is no call that would not, short of setting a flag that others share.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn read_shared_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match poll(&self.read, libc::POLLIN, 0)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => read(&self.read, bytes),
        }
    }

    /// Writes what there is room for, without waiting.
    fn write_now(&self, tokens: &[u8]) -> io::Result<usize> {
        if !self.write_blocks.load(Ordering::Relaxed) {
            return write(&self.write, tokens);
        }
        // One by one: more than one could find room for a part only, and wait for the rest.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        match retry(&mut || sys::write_byte_now(self.write.as_fd(), tokens[0])) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)) => {}
            result => return result,
        }
        // For poll a pipe has room once a whole page is free, so a write after it can't block.
        match poll(&self.write, libc::POLLOUT, 0)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            _ => write(&self.write, &tokens[..1]),
        }
    }

    fn wait_for_room(&self, refused_since: Instant) -> io::Result<()> {
        let left = RELEASE_PATIENCE.saturating_sub(refused_since.elapsed());
        let left = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        let room = left > 0 && poll(&self.write, libc::POLLOUT, left)? > 0;
        if room {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "the jobserver's pipe is full: more tokens were given back than it has room for",
        ))
    }
}

fn poll(file: &File, events: libc::c_short, timeout: libc::c_int) -> io::Result<usize> {
    retry(&mut || sys::poll(&mut [sys::pollfd(file, events)], timeout))
}

fn write(mut file: &File, tokens: &[u8]) -> io::Result<usize> {
    retry(&mut || file.write(tokens))
}

fn read(mut file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    match retry(&mut || file.read(bytes))? {
        0 if !bytes.is_empty() => Err(end_of_file()),
        count => Ok(count),
    }
}

fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn end_of_file() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the jobserver is gone: its pipe has no writer any more")
}
