//! The system calls that the checks need and the standard library has not, one a function.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::c_int;

/// A new pipe, read end first, both close-on-exec.
pub fn pipe() -> io::Result<(File, File)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: the kernel writes two numbers into an array of two.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: the kernel has just made it, for nobody else.
    let read = unsafe { File::from_raw_fd(fds[0]) };
    // SAFETY: as above.
    let write = unsafe { File::from_raw_fd(fds[1]) };
    Ok((read, write))
}

/// Makes a FIFO.
pub fn mkfifo(path: &Path) -> io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a string that ends with NUL.
    check(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).map(drop)
}

/// `F_SETPIPE_SZ`.
pub fn set_capacity(pipe: &File, bytes: usize) -> io::Result<()> {
    // SAFETY: takes an int.
    check(unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, bytes as c_int) }).map(drop)
}

/// Whether this kernel writes to a pipe with `RWF_NOWAIT`.
pub fn pipes_can_be_written_without_waiting() -> bool {
    let (_read, write) = pipe().unwrap();
    let part = libc::iovec { iov_base: b"+".as_ptr() as *mut libc::c_void, iov_len: 1 };
    // SAFETY: one part, which the call only reads.
    unsafe { libc::pwritev2(write.as_raw_fd(), &part, 1, -1, libc::RWF_NOWAIT) == 1 }
}

/// Sets or clears `O_NONBLOCK` on the open file.
pub fn set_nonblocking(file: &File, on: bool) -> io::Result<()> {
    // SAFETY: reads no memory of ours.
    let old = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) })?;
    let new = if on { old | libc::O_NONBLOCK } else { old & !libc::O_NONBLOCK };
    // SAFETY: takes an int.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, new) }).map(drop)
}

/// How many bytes lie in the pipe with this number.
pub fn readable(fd: RawFd) -> io::Result<usize> {
    let mut count: c_int = 0;
    // SAFETY: FIONREAD writes one int.
    check(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) })?;
    Ok(count as usize)
}

/// Closes a descriptor by number, as a program does that cares for nobody.
pub fn close(fd: RawFd) {
    // SAFETY: only in an actor, on numbers that the scenario gives up.
    unsafe { libc::close(fd) };
}

/// Duplicates the descriptor to `number`, or to the next one that is free.
pub fn duplicate_at(file: &File, number: RawFd) -> io::Result<File> {
    // SAFETY: takes numbers.
    let new = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) })?;
    // SAFETY: the kernel has just made it, for nobody else.
    Ok(unsafe { File::from_raw_fd(new) })
}

/// Lets the child have exactly standard input, output and error and the given files at the given numbers.
///
/// Whoever started the tests may have left others open.
pub fn give(command: &mut Command, given: Vec<(OwnedFd, RawFd)>) {
    let prepare = move || {
        // SAFETY: takes numbers; only marks, so that the standard library can still report a failed exec.
        check(unsafe {
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, 4 /* CLOSE_RANGE_CLOEXEC */) as c_int
        })?;
        for (file, number) in &given {
            // SAFETY: takes numbers; the copy is not close-on-exec.
            check(unsafe { libc::dup2(file.as_raw_fd(), *number) })?;
        }
        Ok(())
    };
    // SAFETY: only system calls between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

/// Whether this process is root.
pub fn is_root() -> bool {
    // SAFETY: always succeeds.
    unsafe { libc::geteuid() == 0 }
}

/// Hides `/proc` from this process and those that it starts, as in a chroot without one.
pub fn hide_proc() -> io::Result<()> {
    let namespaces = libc::CLONE_NEWNS | if is_root() { 0 } else { libc::CLONE_NEWUSER };
    // SAFETY: takes flags; called while there is one thread.
    check(unsafe { libc::unshare(namespaces) })?;
    let null = std::ptr::null();
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: a string that ends with NUL, and null where nothing is read.
    check(unsafe { libc::mount(null, c"/".as_ptr(), null, private, null.cast()) })?;
    // SAFETY: as above.
    check(unsafe { libc::mount(c"none".as_ptr(), c"/proc".as_ptr(), c"tmpfs".as_ptr(), 0, null.cast()) }).map(drop)
}

/// Whether reading or writing this descriptor can block.
pub fn blocks(fd: RawFd) -> io::Result<bool> {
    // SAFETY: reads no memory of ours.
    check(unsafe { libc::fcntl(fd, libc::F_GETFL) }).map(|flags| flags & libc::O_NONBLOCK == 0)
}

/// Ends a process group that we started.
pub fn kill_group(leader: u32) {
    // SAFETY: takes numbers.
    unsafe { libc::killpg(leader as c_int, libc::SIGKILL) };
}

/// Lets this process open `count` files.
pub fn allow_files(count: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one struct.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    limit.rlim_cur = limit.rlim_cur.max(count).min(limit.rlim_max);
    // SAFETY: reads one struct.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }).map(drop)
}

/// Whether this process has a handler of its own for the signal.
pub fn is_handled(signal: c_int) -> io::Result<bool> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks; writes one struct.
    check(unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) })?;
    // SAFETY: zeroed and then written.
    let action = unsafe { action.assume_init() };
    Ok(action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN)
}

/// Blocks the signal in this thread and in those that it starts.
pub fn block(signal: c_int) {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: writes the set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was written above.
    unsafe { libc::sigaddset(set.as_mut_ptr(), signal) };
    // SAFETY: reads the set; a null pointer for the old one is allowed.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count_signal(_: c_int) {
    SIGNALS.fetch_add(1, Ordering::SeqCst);
}

/// Handles SIGUSR2 by counting it, without SA_RESTART: system calls end with EINTR.
pub fn count_signals() -> io::Result<()> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed is a valid sigaction, with an empty mask and no flags.
    let action = unsafe { action.assume_init_mut() };
    action.sa_sigaction = count_signal as extern "C" fn(c_int) as usize;
    // SAFETY: reads one struct; the handler only adds to an atomic.
    check(unsafe { libc::sigaction(libc::SIGUSR2, action, std::ptr::null_mut()) }).map(drop)
}

/// How many signals were handled.
pub fn signals() -> usize {
    SIGNALS.load(Ordering::SeqCst)
}

/// Sends SIGUSR2 to the thread of this process whose kernel id is `tid`.
pub fn interrupt(tid: u32) {
    // SAFETY: takes numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), tid, libc::SIGUSR2) };
}

/// The kernel's id of this thread.
pub fn tid() -> u32 {
    // SAFETY: takes nothing.
    (unsafe { libc::gettid() }) as u32
}

static FORKS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count_fork() {
    FORKS.fetch_add(1, Ordering::SeqCst);
}

/// Counts the forks of this process from now on; `posix_spawn` is none, for it does not call the handlers of
/// `pthread_atfork`.
pub fn count_forks() {
    extern "C" {
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> c_int;
    }
    // SAFETY: the handler only adds to an atomic.
    let result = unsafe { pthread_atfork(Some(count_fork), None, None) };
    assert_eq!(result, 0);
}

/// How often this process was forked.
pub fn forks() -> usize {
    FORKS.load(Ordering::SeqCst)
}

fn check(result: c_int) -> io::Result<c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
