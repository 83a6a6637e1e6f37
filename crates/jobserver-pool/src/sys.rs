//! What of the system no safe crate asks or does.

use std::mem::size_of;

use nix::libc;

/// The kernel's `struct sched_attr`, in its first version (sched_setattr(2)).
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// `SCHED_FLAG_KEEP_POLICY`.
const KEEP_POLICY: u64 = 8;

/// Asks for slices of `nanoseconds` for this thread, and leaves all else as it is. From Linux 6.12 on, who asks for short ones
/// gets the processor sooner when woken, and not more of it; older kernels change nothing.
pub(crate) fn prefer_short_slices(nanoseconds: u64) {
    // SAFETY: getpriority touches no memory. (-1 is an answer as well as an error: then it is asked for and refused.)
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let size = size_of::<SchedAttr>() as u32;
    let (runtime, flags) = (nanoseconds, KEEP_POLICY);
    let attr = SchedAttr { size, policy: 0, flags, nice, priority: 0, runtime, deadline: 0, period: 0 };
    // SAFETY: the kernel reads `size` bytes of a structure that lives as long as the call.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}
