//! What the tests of `children` ask of the system.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};

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
        ) -> i32;
    }
    // SAFETY: the handler only adds to an atomic.
    assert_eq!(unsafe { pthread_atfork(Some(count_fork), None, None) }, 0);
}

/// How often this process was forked.
pub fn forks() -> usize {
    FORKS.load(Ordering::SeqCst)
}

/// Lets every child inherit `fd`, as a descriptor of make's is.
pub fn share(fd: &OwnedFd) {
    // SAFETY: F_SETFD takes an int.
    assert_eq!(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) }, 0);
}

/// Whether descriptor number `fd` of this process is open and goes to every child.
pub fn is_shared(fd: i32) -> bool {
    // SAFETY: F_GETFD reads no memory of ours.
    unsafe { libc::fcntl(fd, libc::F_GETFD) == 0 }
}

/// A copy of `file`, whoever may own it.
pub fn copy(file: BorrowedFd<'_>) -> OwnedFd {
    file.try_clone_to_owned().unwrap()
}
