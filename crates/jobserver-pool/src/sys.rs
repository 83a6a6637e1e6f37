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

/// Asks for slices of `nanoseconds` for this thread, and for that nice value where it may have it; all else is left as it is.
/// From Linux 6.12 on, who asks for short slices gets the processor sooner when woken, and not more of it; older kernels
/// change nothing.
pub(crate) fn prefer_to_be_woken_soon(nanoseconds: u64, nice: i32) {
    // SAFETY: getpriority touches no memory. (-1 is an answer as well as an error: then it is asked for and refused.)
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let size = size_of::<SchedAttr>() as u32;
    // Whoever was asked to stand back does.
    let wanted = if now > 0 { now } else { nice.min(now) };
    for nice in [wanted, now] {
        let (runtime, flags) = (nanoseconds, KEEP_POLICY);
        let attr = SchedAttr { size, policy: 0, flags, nice, priority: 0, runtime, deadline: 0, period: 0 };
        // SAFETY: the kernel reads `size` bytes of a structure that lives as long as the call.
        let refused = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
        if refused == 0 {
            return;
        }
    }
}
