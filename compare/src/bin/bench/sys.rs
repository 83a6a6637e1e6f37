//! The system calls of the floor, and what else the standard library has not, one a function.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Reads into `bytes` as the kernel does, with nothing around it.
#[inline]
pub(crate) fn read(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    // SAFETY: a pointer to as many bytes as is said beside it.
    let count = unsafe { libc::read(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes `bytes`, all of them.
#[inline]
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) {
    // SAFETY: a pointer to as many bytes as is said beside it.
    let count = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    assert_eq!(count, bytes.len() as isize, "{}", io::Error::last_os_error());
}

/// The clock that all processes share, in nanoseconds.
pub(crate) fn now() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// The processor time that this process has used so far, in nanoseconds.
pub(crate) fn cpu() -> u64 {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// The processor time of this thread alone: what others take from it on a busy machine does not count.
pub(crate) fn own_cpu() -> u64 {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one struct.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Computes for so many nanoseconds.
pub(crate) fn work(time: u64) {
    let end = now() + time;
    while time > 0 && now() < end {
        std::hint::spin_loop();
    }
}

/// Ends this process when the one that started it ends.
pub(crate) fn end_with_parent() {
    // SAFETY: takes numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Memory in pages of 4 KiB, as a heap of many small pieces has it: in huge pages a fork would cost a fraction.
pub(crate) fn no_huge_pages(memory: &mut [u8]) {
    let start = memory.as_mut_ptr().map_addr(|address| address.next_multiple_of(4096));
    // SAFETY: advice only, on pages of our own; the last one is left out.
    unsafe { libc::madvise(start.cast(), memory.len().saturating_sub(4096), libc::MADV_NOHUGEPAGE) };
}
