//! The system calls of the Unix transport, one a function, with nothing decided here.
//!
//! All `unsafe` of the platform is in this file. Descriptors are `BorrowedFd`, so that they are open for the call;
//! the few functions that take a bare number only ask about it and never keep or close it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::c_int;

/// A new pipe, read end first, both ends close-on-exec.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
))]
pub(super) fn pipe() -> io::Result<(File, File)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: the kernel writes two numbers into an array of two.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    let (read, write) = (own(fds[0]), own(fds[1]));
    Ok((read?, write?))
}

/// As above, on macOS and others without pipe2: a fork in another thread between the calls leaks the ends to its child.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly"
)))]
pub(super) fn pipe() -> io::Result<(File, File)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: the kernel writes two numbers into an array of two.
    check(unsafe { libc::pipe(fds.as_mut_ptr()) })?;
    let (read, write) = (own(fds[0]), own(fds[1]));
    let (read, write) = (read?, write?);
    set_cloexec(read.as_fd(), true)?;
    set_cloexec(write.as_fd(), true)?;
    Ok((read, write))
}

/// The flags of a descriptor's open file (`O_NONBLOCK`, access mode), by number: only asked, so a number will do.
pub(super) fn status_flags(fd: RawFd) -> io::Result<c_int> {
    // SAFETY: F_GETFL reads no memory of ours; a number that is not open gives EBADF.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) })
}

/// Sets or clears `O_NONBLOCK` on an open file that is ours alone; all other flags stay.
pub(super) fn set_nonblocking(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let old = status_flags(fd.as_raw_fd())?;
    let new = if on { old | libc::O_NONBLOCK } else { old & !libc::O_NONBLOCK };
    if new != old {
        // SAFETY: F_SETFL takes an int.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, new) })?;
    }
    Ok(())
}

/// Sets or clears close-on-exec on this descriptor. Async-signal-safe: called between fork and exec.
pub(super) fn set_cloexec(fd: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // SAFETY: F_GETFD reads no memory of ours.
    let old = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) })?;
    let new = if on { old | libc::FD_CLOEXEC } else { old & !libc::FD_CLOEXEC };
    if new != old {
        // SAFETY: F_SETFD takes an int.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, new) })?;
    }
    Ok(())
}

/// Keeps descriptor `fd` from the program that is about to be executed, if it is a pipe. Async-signal-safe; for the
/// child between fork and exec, where all numbers are copies.
#[inline]
pub(super) fn keep_pipe_back(fd: RawFd) {
    // 32-bit Android has st_mode and these constants in different sizes.
    #[allow(clippy::unnecessary_cast)]
    let is_pipe = stat(fd).is_ok_and(|stat| stat.st_mode as u32 & libc::S_IFMT as u32 == libc::S_IFIFO as u32);
    if is_pipe {
        // SAFETY: a number above 2 that is open; this process has no other use for it than to hand it on.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// What file a descriptor number is open on, whoever owns it.
pub(super) fn stat(fd: RawFd) -> io::Result<libc::stat> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel writes one `struct stat` into memory of that size.
    check(unsafe { libc::fstat(fd, stat.as_mut_ptr()) })?;
    // SAFETY: fstat succeeded, so all of it is written.
    Ok(unsafe { stat.assume_init() })
}

/// Duplicates a descriptor that somebody else owns; the new one is above 2 and close-on-exec.
///
/// The caller (`from_env`, which is `unsafe` for this) vouches that `fd` is the jobserver's.
pub(super) fn duplicate(fd: RawFd) -> io::Result<File> {
    stat(fd)?;
    // SAFETY: the descriptor was open a line above and its owner leaves it open, as the caller of `from_env` promised.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map(File::from)
}

/// How many bytes lie in the pipe.
pub(super) fn readable_bytes(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: c_int = 0;
    // SAFETY: FIONREAD writes one int.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONREAD, &mut count) })?;
    Ok(count as usize)
}

/// How many bytes the pipe can hold (`F_GETPIPE_SZ`).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn pipe_capacity(fd: BorrowedFd<'_>) -> io::Result<usize> {
    // SAFETY: F_GETPIPE_SZ reads no memory of ours.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETPIPE_SZ) }).map(|size| size as usize)
}

/// Makes the pipe hold at least `bytes` (`F_SETPIPE_SZ`); EPERM past the user's quota.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn set_pipe_capacity(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    // SAFETY: F_SETPIPE_SZ takes an int.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETPIPE_SZ, bytes as c_int) }).map(drop)
}

/// The size of a page of memory, in bytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn page_size() -> usize {
    // SAFETY: sysconf only takes a number.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// Waits until one of `fds` has one of its events, for `timeout` milliseconds at most (-1: forever).
pub(super) fn poll(fds: &mut [libc::pollfd], timeout: c_int) -> io::Result<usize> {
    // SAFETY: a pointer to as many entries as is said beside it.
    check(unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) }).map(|ready| ready as usize)
}

/// Moves `most` bytes at most from `from` into the pipe `to` without ever blocking, whatever the flags of `from` are.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    let null = std::ptr::null_mut();
    // SAFETY: null offsets mean that both are streams; no memory of ours is touched.
    let moved = unsafe { libc::splice(from, null, to, null, most, libc::SPLICE_F_NONBLOCK) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Writes one byte without ever blocking, whatever the flags of `to` are; EOPNOTSUPP, EINVAL or ENOSYS where the kernel
/// can't do that with this file (kernels before 2023 can't with any pipe).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn write_byte_now(to: BorrowedFd<'_>, byte: u8) -> io::Result<usize> {
    let part = libc::iovec { iov_base: std::ptr::addr_of!(byte) as *mut libc::c_void, iov_len: 1 };
    let nowhere: libc::c_long = -1; // no offset: a stream
    let flags: c_int = libc::RWF_NOWAIT;
    // SAFETY: one part, alive for the call, which only reads it. By number, since old C libraries lack the function.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            to.as_raw_fd(),
            std::ptr::addr_of!(part),
            1 as libc::c_long,
            nowhere,
            nowhere,
            flags,
        )
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// Makes a FIFO that only this user can open.
#[inline]
pub(super) fn make_fifo(path: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: a string that ends with NUL.
    check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).map(drop)
}

/// A counter that is readable once it was written (`eventfd`), non-blocking and close-on-exec.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn eventfd() -> io::Result<File> {
    // SAFETY: takes two ints.
    check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }).and_then(own)
}

/// A new epoll set, close-on-exec.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn epoll_create() -> io::Result<File> {
    // SAFETY: takes an int.
    check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).and_then(own)
}

/// Adds `fd` to the set, for these events.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn epoll_add(set: BorrowedFd<'_>, fd: BorrowedFd<'_>, events: c_int) -> io::Result<()> {
    let mut event = libc::epoll_event { events: events as u32, u64: fd.as_raw_fd() as u64 };
    // SAFETY: one event, alive for the call.
    check(unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) }).map(drop)
}

/// Takes `fd` out of the set.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn epoll_delete(set: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let event = std::ptr::null_mut();
    // SAFETY: this operation looks at no event.
    check(unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), event) }).map(drop)
}

/// Waits until something in the set is ready, for `timeout` milliseconds at most (-1: for ever).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn epoll_wait(set: BorrowedFd<'_>, timeout: c_int) -> io::Result<()> {
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 2];
    // SAFETY: a pointer to as many entries as is said beside it.
    check(unsafe { libc::epoll_wait(set.as_raw_fd(), events.as_mut_ptr(), events.len() as c_int, timeout) }).map(drop)
}

/// Runs `step` in the child, between fork and exec.
///
/// `step` must be async-signal-safe: no allocation, no lock. The callers only call [`set_cloexec`] or
/// [`keep_pipe_back`], or return a number.
pub(super) fn before_exec<F>(command: &mut Command, step: F)
where
    F: FnMut() -> io::Result<()> + Send + Sync + 'static,
{
    // SAFETY: see above.
    unsafe { command.pre_exec(step) };
}

fn own(fd: c_int) -> io::Result<File> {
    // SAFETY: called with a descriptor that the kernel has just made for us and that nobody else knows.
    above_stdio(unsafe { File::from_raw_fd(fd) })
}

/// Moves a file of ours above standard error. In a process without standard streams the kernel hands out their numbers,
/// and then `println!` would write tokens, and a child's streams would land on the pool.
pub(super) fn above_stdio(file: File) -> io::Result<File> {
    if file.as_raw_fd() > 2 {
        return Ok(file);
    }
    // The standard library duplicates to 3 or above.
    file.try_clone()
}

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The same as `File::as_fd`, for one file or none in `poll`'s form.
pub(super) fn pollfd(fd: &impl AsFd, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd: fd.as_fd().as_raw_fd(), events, revents: 0 }
}
