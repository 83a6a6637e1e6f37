//! Signals and `atexit`: the handler, and the system calls that it and the moves make.
//!
//! Everything that [`on_signal`] reaches is async-signal-safe: atomics, `getpid`, `poll`, `nanosleep`, `read`, `write`,
//! `sigaction`, `sigemptyset`, `sigaddset`, `pthread_sigmask`, `raise`, `clock_gettime` (POSIX.1-2008, "Signal Concepts").

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

use libc::{c_int, c_void, siginfo_t};

use super::door;

const SIGNALS: [c_int; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// The process that asked. A forked child has a copy of the handlers and of the accounts, but the tokens are its
/// parent's.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// The address of [`on_signal`] that was installed: a function that is left to the dependents may have several.
static US: AtomicUsize = AtomicUsize::new(0);

/// Who had each of [`SIGNALS`] before.
static PREVIOUS: [OnceLock<Previous>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];

struct Previous {
    handler: libc::sighandler_t,
    flags: c_int,
    /// It was to be called once (`SA_RESETHAND`), and was.
    spent: AtomicBool,
}

/// Keeps the three signals out of this thread while it lives.
pub(super) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    #[inline]
    pub(super) fn new() -> Blocked {
        Blocked { before: change_mask(libc::SIG_BLOCK, &set_of(&SIGNALS)) }
    }
}

impl Drop for Blocked {
    #[inline]
    fn drop(&mut self) {
        change_mask(libc::SIG_SETMASK, &self.before);
    }
}

/// Has the tokens written back when the process calls `exit` or returns from `main`.
#[inline]
pub(super) fn on_exit() -> io::Result<()> {
    #[inline]
    extern "C" fn exiting() {
        if is_owner() {
            let _blocked = Blocked::new();
            // For good: whoever wants a token now waits for the end.
            door::close();
        }
    }
    // SAFETY: takes nothing.
    OWNER.store(unsafe { libc::getpid() }, Ordering::SeqCst);
    // SAFETY: a function that lives as long as the program, and does not unwind.
    match unsafe { libc::atexit(exiting) } {
        0 => Ok(()),
        _ => Err(io::ErrorKind::OutOfMemory.into()),
    }
}

/// Puts the handler before whatever handles the signals now.
#[inline]
pub(super) fn on_signals() -> io::Result<()> {
    for (signal, known) in SIGNALS.into_iter().zip(&PREVIOUS) {
        let before = action_of(signal)?;
        if before.sa_sigaction == libc::SIG_IGN {
            continue;
        }
        let flags = match before.sa_sigaction {
            // On the thread's own stack: the other one, for overflows, is too small for three signals at once.
            libc::SIG_DFL => libc::SA_RESTART,
            // The mask and these flags are such that the earlier handler finds what it would have found without us.
            _ => before.sa_flags & (libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER),
        };
        // Known before it is needed. Called once a process, so it is always new.
        known.get_or_init(|| Previous {
            handler: before.sa_sigaction,
            flags: before.sa_flags,
            spent: AtomicBool::new(false),
        });
        let mut ours = before;
        ours.sa_sigaction = on_signal as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as libc::sighandler_t;
        US.store(ours.sa_sigaction, Ordering::SeqCst);
        ours.sa_flags = flags | libc::SA_SIGINFO;
        set_action(signal, &ours)?;
    }
    Ok(())
}

#[inline]
extern "C" fn on_signal(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let error = errno();
    let closed = is_owner();
    if closed {
        let _blocked = Blocked::new();
        door::close();
    }
    let known = SIGNALS.iter().position(|&one| one == signal).and_then(|index| PREVIOUS[index].get());
    match known {
        Some(previous) if previous.is_handler() => previous.call(signal, info, context),
        _ => take_default_action(signal),
    }
    // The process goes on.
    if closed {
        door::reopen();
    }
    set_errno(error);
}

impl Previous {
    #[inline]
    fn is_handler(&self) -> bool {
        let once = self.flags & libc::SA_RESETHAND != 0;
        self.handler != libc::SIG_DFL && !(once && self.spent.swap(true, Ordering::SeqCst))
    }

    #[inline]
    fn call(&self, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        if self.flags & libc::SA_SIGINFO != 0 {
            // SAFETY: with SA_SIGINFO whoever installed it gave a function of this type.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(self.handler) };
            handler(signal, info, context);
        } else {
            // SAFETY: without SA_SIGINFO whoever installed it gave a function of this type.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute(self.handler) };
            handler(signal);
        }
    }
}

/// Ends the process by `signal`, as if nobody had handled it. It returns in the first process of a container, to which
/// such a signal does nothing.
#[inline]
fn take_default_action(signal: c_int) {
    let Ok(ours) = action_of(signal) else { return };
    if ours.sa_sigaction != US.load(Ordering::SeqCst) {
        // A handler that was installed later has called this one, and would not have called the default action.
        return;
    }
    let mut default = ours;
    default.sa_sigaction = libc::SIG_DFL;
    default.sa_flags = 0;
    if set_action(signal, &default).is_err() {
        return;
    }
    let before = change_mask(libc::SIG_UNBLOCK, &set_of(&[signal]));
    // SAFETY: takes a number.
    unsafe { libc::raise(signal) };
    change_mask(libc::SIG_SETMASK, &before);
    let _ = set_action(signal, &ours);
}

/// Writes some of `count` tokens within `patience`; returns how many.
///
/// `pool` is the write end of a pool that is open: its account is closed before it is.
#[inline]
pub(super) fn write_tokens(pool: RawFd, count: usize, patience: Duration) -> usize {
    // What has room once poll says so, whether the file blocks or not: _POSIX_PIPE_BUF.
    const TOKENS: [u8; 512] = [b'+'; 512];
    let milliseconds = c_int::try_from(patience.as_millis()).unwrap_or(c_int::MAX);
    let mut entry = libc::pollfd { fd: pool, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one entry, alive for the call.
    if unsafe { libc::poll(&mut entry, 1, milliseconds) } <= 0 {
        return 0;
    }
    // SAFETY: that many bytes are readable there; the pipe has a reader, since the pool holds both ends.
    let written = unsafe { libc::write(pool, TOKENS.as_ptr().cast(), count.min(TOKENS.len())) };
    usize::try_from(written).unwrap_or(0)
}

/// Takes a token that is there from `spare`, which does not block, and writes it to `pool`, which wakes one who waits
/// for it. False: there was none.
#[inline]
pub(super) fn move_in_place(spare: RawFd, pool: RawFd) -> bool {
    let mut byte = 0u8;
    // SAFETY: room for one byte.
    if unsafe { libc::read(spare, ptr::addr_of_mut!(byte).cast(), 1) } != 1 {
        return false;
    }
    // SAFETY: one byte; the pipe has room for what was just read from it.
    unsafe { libc::write(pool, ptr::addr_of!(byte).cast(), 1) == 1 }
}

/// Long enough for a thread that was woken to come out of its system call, where a processor is free for it.
#[inline]
pub(super) fn wait_for_wake_ups() {
    let time = libc::timespec { tv_sec: 0, tv_nsec: 200_000 };
    // SAFETY: one struct is read, none is written.
    unsafe { libc::nanosleep(&time, ptr::null_mut()) };
}

/// A millisecond: for threads that wait for a handler and for handlers that wait for threads, neither of which may use
/// more than atomics.
#[inline]
pub(super) fn wait_a_moment() {
    // SAFETY: no entries.
    unsafe { libc::poll(ptr::null_mut(), 0, 1) };
}

#[inline]
fn is_owner() -> bool {
    // SAFETY: takes nothing.
    let this = unsafe { libc::getpid() };
    this == OWNER.load(Ordering::SeqCst)
}

#[inline]
fn action_of(signal: c_int) -> io::Result<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: only asks; the kernel's answer is written into memory of that size.
    check(unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: sigaction succeeded, so all of it is written.
    Ok(unsafe { action.assume_init() })
}

#[inline]
fn set_action(signal: c_int, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: `action` came from `action_of`, with SIG_DFL or `on_signal`, which is async-signal-safe, in it.
    check(unsafe { libc::sigaction(signal, action, ptr::null_mut()) })
}

#[inline]
fn set_of(signals: &[c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: writes a set into memory of that size.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: sigemptyset has written it.
    let mut set = unsafe { set.assume_init() };
    for &signal in signals {
        // SAFETY: a set that is initialised.
        unsafe { libc::sigaddset(&mut set, signal) };
    }
    set
}

/// Changes which signals this thread takes; returns what it was before.
#[inline]
fn change_mask(how: c_int, set: &libc::sigset_t) -> libc::sigset_t {
    let mut before = set_of(&[]);
    // SAFETY: two sets that live for the call. It can't fail: `how` is one of the three.
    unsafe { libc::pthread_sigmask(how, set, &mut before) };
    before
}

#[inline]
fn check(result: c_int) -> io::Result<()> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[inline]
fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

#[inline]
fn set_errno(value: c_int) {
    #[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
    use libc::__errno as location;
    #[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "dragonfly"))]
    use libc::__errno_location as location;
    #[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
    use libc::__error as location;
    #[cfg(any(
        target_vendor = "apple",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "emscripten",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_os = "openbsd"
    ))]
    {
        // SAFETY: takes nothing; the answer is valid for as long as the thread.
        let place = unsafe { location() };
        // SAFETY: this thread's own number, which nobody else refers to.
        unsafe { *place = value };
    }
    // Elsewhere the interrupted code may see another error number.
    #[cfg(not(any(
        target_vendor = "apple",
        target_os = "android",
        target_os = "dragonfly",
        target_os = "emscripten",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_os = "openbsd"
    )))]
    let _ = value;
}
