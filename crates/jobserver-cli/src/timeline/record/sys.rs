//! The kernel's rings of records: `perf_event_open` and the memory that it shares. Nothing else here touches memory that
//! somebody else writes.

use std::fs;
use std::io;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use rustix::param::page_size;

/// Pages of data: what 1,900 processes leave behind between two looks, on each processor. With the head page it fits into
/// what every user may have locked.
const PAGES: usize = 64;

/// The head page's fields, of the kernel's interface.
const HEAD: usize = 1024;
const TAIL: usize = 1032;

/// `struct perf_event_attr`, as of Linux 4.1.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    config_1: u64,
    config_2: u64,
    branches: u64,
    registers: u64,
    stack: u32,
    clock: i32,
    registers_at_interrupt: u64,
}

const SOFTWARE: u32 = 1;
/// It counts nothing.
const DUMMY: u64 = 9;
const TIME: u64 = 1 << 2;
/// Children too.
const INHERIT: u64 = 1 << 1;
/// Not what the kernel does; programs; tasks; wakes by amount; the time on each record; which program came of
/// an exec; the clock that is named.
const FLAGS: u64 = 1 << 5 | 1 << 9 | 1 << 13 | 1 << 14 | 1 << 18 | 1 << 24 | 1 << 25;
const CLOSE_ON_EXEC: libc::c_ulong = 8;

/// Of whom a ring tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of all processes.
    All,
    /// Of this thread and of all that it starts from now on.
    Ours,
}

/// What happens on one processor.
#[derive(Debug)]
pub(super) struct Ring {
    /// Its end is the end of the recording.
    _event: OwnedFd,
    /// One head page and `PAGES` of data, mapped until this is dropped.
    map: NonNull<u8>,
    page: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread; whoever has the ring is the only reader of it.
unsafe impl Send for Ring {}

impl Ring {
    /// # Errors
    ///
    /// The system doesn't let this user, or doesn't know it.
    pub(super) fn open(processor: u32, whose: Whose) -> io::Result<Ring> {
        if cfg!(target_endian = "big") {
            // The flags are the bits of a C structure, which lie the other way round there.
            return Err(io::ErrorKind::Unsupported.into());
        }
        let attributes = Attributes {
            kind: SOFTWARE,
            size: mem::size_of::<Attributes>() as u32,
            config: DUMMY,
            sample_type: TIME,
            flags: if whose == Whose::All { FLAGS } else { FLAGS | INHERIT },
            // Nobody waits for it: more than it holds.
            wakeup: u32::MAX >> 1,
            clock: libc::CLOCK_MONOTONIC,
            ..Attributes::default()
        };
        let (all, this_thread) = (-1, 0);
        // SAFETY: the structure is as long as it says, and outlives the call, which only reads it.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                ptr::from_ref(&attributes),
                if whose == Whose::All { all } else { this_thread },
                processor as libc::c_int,
                -1,
                CLOSE_ON_EXEC,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just made this descriptor, and nobody else knows of it.
        let event = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
        let page = page_size();
        let length = (1 + PAGES) * page;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let map =
            unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &event, 0) }?;
        let map = NonNull::new(map.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Ring { _event: event, map, page })
    }

    /// What was written since the last time; the room is the kernel's again.
    pub(super) fn take(&mut self) -> Vec<u8> {
        // The kernel writes the data first and then the head.
        let head = self.field(HEAD).load(Ordering::Acquire);
        let tail = self.field(TAIL).load(Ordering::Relaxed);
        let size = PAGES * self.page;
        let length = (head.wrapping_sub(tail) as usize).min(size);
        let mut bytes = vec![0; length];
        let begin = tail as usize % size;
        let first = length.min(size - begin);
        self.copy(begin, &mut bytes[..first]);
        self.copy(0, &mut bytes[first..]);
        self.field(TAIL).store(head, Ordering::Release);
        bytes
    }

    fn field(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: within the head page, which is mapped as long as `self` lives.
        let field = unsafe { self.map.add(offset) };
        // SAFETY: both sides only ever read and write these fields whole, and they are aligned to 8 bytes.
        unsafe { AtomicU64::from_ptr(field.cast().as_ptr()) }
    }

    fn copy(&self, at: usize, bytes: &mut [u8]) {
        debug_assert!(at + bytes.len() <= PAGES * self.page);
        // SAFETY: within the pages of data, which begin after the head page.
        let from = unsafe { self.map.add(self.page + at) };
        // SAFETY: so many bytes lie there (the caller's sum is below the size); the kernel doesn't write to them until the
        // tail is moved past them.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), bytes.as_mut_ptr(), bytes.len()) };
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `open` with this length, and no reference into it is left.
        let _ = unsafe { munmap(self.map.as_ptr().cast(), (1 + PAGES) * self.page) };
    }
}

/// The numbers of the processors that run.
pub(super) fn processors() -> io::Result<Vec<u32>> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online")?;
    numbers(list.trim()).ok_or_else(|| io::Error::other(format!("no list of processors: {list:?}")))
}

/// As in `0-3,8`.
fn numbers(list: &str) -> Option<Vec<u32>> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    let ranges: Option<Vec<_>> = list.split(',').map(range).collect();
    Some(ranges?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_processors_is_read_as_the_kernel_writes_it() {
        assert_eq!(numbers("0"), Some(vec![0]));
        assert_eq!(numbers("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(numbers(""), None);
        assert_eq!(numbers("0-x"), None);
    }

    #[test]
    fn the_structure_is_as_long_as_the_kernels() {
        assert_eq!(mem::size_of::<Attributes>(), 104);
    }
}
