//! The transport of Windows: a named semaphore whose count is the number of free tokens.
//!
//! Source of the rules: GNU make manual, "Windows Jobserver Interaction". The name is bare, so it is looked up in the
//! session of the process, and it is all that a child needs: nothing is inherited. Tokens carry no byte here, and the
//! kernel wakes one waiter a token.
//!
//! Refused: descriptors and FIFOs. MSYS2's and Cygwin's make write those into MAKEFLAGS, and they exist only inside
//! that emulation. Not to be had on Windows, by anyone: the tokens of a process that was killed, and more free tokens
//! than the pool was made with.

#[allow(unsafe_code)]
mod sys;

use std::fmt;
use std::io;
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Access, Token};
use crate::auth::Auth;
use crate::error::FromEnvErrorInner;

#[derive(Debug)]
pub(crate) struct Transport {
    semaphore: OwnedHandle,
    name: String,
}

impl Transport {
    pub(crate) fn create(limit: usize) -> io::Result<Transport> {
        Transport::create_as(limit, random_name)
    }

    pub(crate) fn create_on(fifo: &PrivateFifo, _limit: usize) -> io::Result<Transport> {
        match *fifo {}
    }

    fn create_as(limit: usize, mut next_name: impl FnMut() -> io::Result<String>) -> io::Result<Transport> {
        let initial = i32::try_from(limit).map_err(|_| {
            let text = format!("a jobserver holds at most {} tokens on Windows, not {limit}", i32::MAX);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        // A maximum of 0 is not allowed; a pool of no tokens is one that could hold a token and has none.
        let maximum = initial.max(1);
        for _ in 0..100 {
            let name = next_name()?;
            if let Some(semaphore) = sys::create_semaphore(&name, initial, maximum)? {
                return Ok(Transport { semaphore, name });
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "found no name for a semaphore that isn't taken already"))
    }

    /// Nothing is said by [`Access`] here: a name can be reached by everyone who is allowed to, and by nobody else.
    pub(crate) fn open(auth: &Auth, _how: Access) -> Result<Transport, FromEnvErrorInner> {
        let Auth::Semaphore(name) = auth else {
            let text = "descriptors and FIFOs are the jobserver of MSYS2's or Cygwin's make, which shares them among \
                        its own programs only; use a make that is built for Windows itself";
            let error = io::Error::new(io::ErrorKind::Unsupported, text);
            return Err(FromEnvErrorInner::CannotOpenPath(auth.to_string(), error));
        };
        if name.contains('\0') {
            return Err(FromEnvErrorInner::CannotParse("the name of a semaphore can't contain a NUL".to_string()));
        }
        match sys::open_semaphore(name) {
            Ok(semaphore) => Ok(Transport { semaphore, name: name.clone() }),
            Err(error) => Err(FromEnvErrorInner::CannotOpenPath(name.clone(), error)),
        }
    }

    pub(crate) fn acquire(&self) -> io::Result<Token> {
        sys::wait([self.semaphore.as_handle()], sys::INFINITE)?;
        Ok(Token::PLUS)
    }

    pub(crate) fn try_acquire(&self) -> io::Result<Option<Token>> {
        let taken = sys::wait([self.semaphore.as_handle()], 0)?;
        Ok(taken.map(|_| Token::PLUS))
    }

    pub(crate) fn acquire_until(&self, deadline: Option<Instant>, waker: Option<&Waker>) -> io::Result<Option<Token>> {
        let semaphore = self.semaphore.as_handle();
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let milliseconds = left.map_or(sys::INFINITE, milliseconds);
            // The event comes first: when both are signalled the first one counts, and the semaphore keeps its token.
            let got = match waker {
                Some(waker) => match sys::wait([waker.event.as_handle(), semaphore], milliseconds)? {
                    Some(0) => return Ok(None),
                    which => which.is_some(),
                },
                None => sys::wait([semaphore], milliseconds)?.is_some(),
            };
            if got {
                return Ok(Some(Token::PLUS));
            }
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
        }
    }

    pub(crate) fn acquire_many(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut tokens = vec![self.acquire()?.0];
        match self.try_acquire_many(most - 1) {
            Ok(more) => tokens.extend(more),
            Err(error) => {
                self.release_many(&tokens)?;
                return Err(error);
            }
        }
        Ok(tokens)
    }

    /// One call a token: there is none for several.
    pub(crate) fn try_acquire_many(&self, most: usize) -> io::Result<Vec<u8>> {
        let mut tokens = Vec::new();
        while tokens.len() < most {
            match self.try_acquire() {
                Ok(Some(token)) => tokens.push(token.0),
                Ok(None) => break,
                Err(error) => {
                    self.release_many(&tokens)?;
                    return Err(error);
                }
            }
        }
        Ok(tokens)
    }

    pub(crate) fn release(&self, _token: Token) -> io::Result<()> {
        self.release_count(1).map(drop)
    }

    pub(crate) fn release_many(&self, tokens: &[u8]) -> io::Result<()> {
        match i32::try_from(tokens.len()) {
            Ok(0) => Ok(()),
            Ok(count) => self.release_count(count).map(drop),
            Err(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn release_count(&self, count: i32) -> io::Result<i32> {
        sys::release_semaphore(self.semaphore.as_handle(), count).map_err(explain)
    }

    /// Takes a token and gives it back at once, since only a release tells the count and a release of none is refused;
    /// whoever tries at this very moment finds one token less. `NtQuerySemaphore` would only look, but is undocumented.
    pub(crate) fn available(&self) -> io::Result<usize> {
        if self.try_acquire()?.is_none() {
            return Ok(0);
        }
        Ok(self.release_count(1)? as usize + 1)
    }

    /// The semaphore itself: a wait for it takes a token.
    pub(crate) fn watched(&self) -> BorrowedHandle<'_> {
        self.semaphore.as_handle()
    }

    /// The name is enough: the command stays as it is.
    pub(crate) fn hand_to(&self, _command: &mut Command) -> io::Result<Auth> {
        Ok(Auth::Semaphore(self.name.clone()))
    }
}

/// Rounded up, so that no wait ends early; what is longer than the system counts is cut, and the caller comes back.
fn milliseconds(left: Duration) -> u32 {
    let rounded = left.as_nanos().saturating_add(999_999) / 1_000_000;
    u32::try_from(rounded).unwrap_or(u32::MAX).min(sys::INFINITE - 1)
}

#[derive(Debug)]
pub(crate) struct Waker {
    woken: AtomicBool,
    event: OwnedHandle,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Waker> {
        Ok(Waker { woken: AtomicBool::new(false), event: sys::create_event()? })
    }

    pub(crate) fn for_one_thread() -> io::Result<Waker> {
        Waker::new()
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    pub(crate) fn wake(&self) {
        self.woken.store(true, Ordering::SeqCst);
        // Can't fail: the event is ours, open, and was made with all rights.
        let set = sys::set_event(self.event.as_handle());
        debug_assert!(set.is_ok(), "an event of our own can't be set: {set:?}");
    }
}

/// There are none: no value of this type exists.
#[derive(Debug)]
pub(crate) enum PrivateFifo {}

impl PrivateFifo {
    pub(crate) fn create(_parent: Option<&Path>) -> io::Result<PrivateFifo> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this platform has no jobserver on a named pipe"))
    }

    pub(crate) fn path(&self) -> &Path {
        match *self {}
    }
}

/// 128 random bits: nobody can take the name before us, nor meet it by accident as make's, which are process numbers.
fn random_name() -> io::Result<String> {
    let mut bytes = [0; 16];
    sys::random(&mut bytes)?;
    Ok(format!("jobserver_{:032x}", u128::from_le_bytes(bytes)))
}

fn explain(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(sys::ERROR_TOO_MANY_POSTS as i32) {
        return io::Error::other(TooManyReleased(error));
    }
    error
}

/// Says what error 298 means here. The system's own error stays reachable as the source.
#[derive(Debug)]
struct TooManyReleased(io::Error);

impl fmt::Display for TooManyReleased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more tokens were given back to the jobserver than were taken from it")?;
        write!(f, " (os error {})", sys::ERROR_TOO_MANY_POSTS)
    }
}

impl std::error::Error for TooManyReleased {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;
    use std::sync::Arc;
    use std::thread;

    fn pool(limit: usize) -> Arc<Transport> {
        Arc::new(Transport::create(limit).unwrap())
    }

    fn opened(pool: &Arc<Transport>) -> Transport {
        let auth = pool.hand_to(&mut Command::new("unused")).unwrap();
        Transport::open(&auth, Access::Checked).unwrap()
    }

    #[test]
    fn two_handles_share_one_pool() {
        let ours = pool(2);
        let theirs = opened(&ours);
        let first = ours.acquire().unwrap();
        let second = theirs.try_acquire().unwrap().unwrap();
        assert_eq!(ours.try_acquire().unwrap(), None);
        assert_eq!((ours.available().unwrap(), theirs.available().unwrap()), (0, 0));
        // Across the handles: a token has no home.
        theirs.release(first).unwrap();
        ours.release(second).unwrap();
        assert_eq!((ours.available().unwrap(), theirs.available().unwrap()), (2, 2));
    }

    #[test]
    fn a_pool_of_none_has_no_token_and_takes_one() {
        let pool = pool(0);
        assert_eq!(pool.try_acquire().unwrap(), None);
        pool.release(Token::PLUS).unwrap();
        assert_eq!(pool.available().unwrap(), 1);
    }

    #[test]
    fn a_limit_beyond_the_system_s_is_named() {
        assert_eq!(pool(i32::MAX as usize).available().unwrap(), i32::MAX as usize);
        let error = Transport::create(i32::MAX as usize + 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("2147483647"), "{error}");
    }

    #[test]
    fn a_name_that_exists_is_never_shared() {
        let first = Transport::create_as(1, random_name).unwrap();
        let mut names = vec![random_name().unwrap(), first.name.clone(), first.name.clone()];
        let second = Transport::create_as(5, || Ok(names.pop().unwrap())).unwrap();
        assert_ne!(second.name, first.name);
        assert_eq!((first.available().unwrap(), second.available().unwrap()), (1, 5));

        let mut tries = 0;
        let error = Transport::create_as(1, || {
            tries += 1;
            Ok(first.name.clone())
        });
        assert_eq!((error.unwrap_err().kind(), tries), (io::ErrorKind::AlreadyExists, 100));
    }

    #[test]
    fn one_token_too_many_is_refused_and_explained() {
        let pool = pool(1);
        let error = pool.release(Token::PLUS).unwrap_err();
        assert!(error.to_string().contains("more tokens were given back"), "{error}");
        let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.raw_os_error(), Some(298));
        assert_eq!(pool.available().unwrap(), 1);
    }

    #[test]
    fn what_is_no_semaphore_is_refused_with_its_reason() {
        let open = |auth| Transport::open(&auth, Access::Checked).unwrap_err();
        for auth in [Auth::Pipe { read: 3, write: 4 }, Auth::Fifo("/tmp/GMfifo1".into())] {
            let FromEnvErrorInner::CannotOpenPath(name, error) = open(auth.clone()) else { panic!("{auth}") };
            assert_eq!(name, auth.to_string());
            assert!(error.to_string().contains("MSYS2"), "{error}");
        }
        assert!(matches!(open(Auth::Semaphore("a\0b".into())), FromEnvErrorInner::CannotParse(_)));
        let gone = random_name().unwrap();
        let FromEnvErrorInner::CannotOpenPath(name, error) = open(Auth::Semaphore(gone.clone())) else {
            panic!("{gone}")
        };
        assert_eq!((name, error.kind()), (gone, io::ErrorKind::NotFound));
    }

    #[test]
    fn a_named_pipe_is_refused() {
        assert_eq!(PrivateFifo::create(None).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_woken_waiter_takes_no_token() {
        let pool = pool(1);
        let waker = Waker::new().unwrap();
        let token = pool.acquire_until(None, Some(&waker)).unwrap().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.acquire_until(None, Some(&waker)).unwrap());
            waker.wake();
            assert_eq!(waiter.join().unwrap(), None);
        });
        pool.release(token).unwrap();
        assert_eq!(pool.acquire_until(None, Some(&waker)).unwrap(), None);
        assert_eq!(pool.available().unwrap(), 1);
    }

    #[test]
    fn eight_threads_conserve_the_count() {
        let pool = pool(3);
        thread::scope(|scope| {
            for _ in 0..8 {
                let theirs = opened(&pool);
                scope.spawn(move || {
                    for _ in 0..1_000 {
                        let token = theirs.acquire().unwrap();
                        theirs.release(token).unwrap();
                    }
                });
            }
        });
        assert_eq!(pool.available().unwrap(), 3);
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_a_batch_takes_what_there_is() {
        let pool = pool(3);
        let waker = Waker::new().unwrap();
        let tokens = pool.acquire_many(2).unwrap();
        assert_eq!((tokens.len(), pool.try_acquire_many(5).unwrap().len()), (2, 1));
        for waker in [None, Some(&waker)] {
            let deadline = Instant::now() + Duration::from_millis(20);
            assert_eq!(pool.acquire_until(Some(deadline), waker).unwrap(), None);
            assert!(Instant::now() >= deadline);
        }
        pool.release_many(&[b'+'; 3]).unwrap();
        assert!(pool.acquire_until(Some(Instant::now()), Some(&waker)).unwrap().is_some());
        assert_eq!(pool.available().unwrap(), 2);
    }
}
