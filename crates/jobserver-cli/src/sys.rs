//! What of the system no safe crate asks or does.

use std::mem::MaybeUninit;
use std::ptr;

/// Whether `signal` is ignored by this process, as under `nohup`. A handler in its place would be lost at the
/// command's exec, and the command would be killed by what its user asked to be spared.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null new action changes nothing, and the old one goes into memory of the right type.
    let status = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    if status != 0 {
        return false;
    }
    // SAFETY: sigaction succeeded, so it has filled in the whole structure.
    let action = unsafe { action.assume_init() };
    action.sa_sigaction == libc::SIG_IGN
}

/// Closes a descriptor that was inherited and that nothing of this process owns.
pub(crate) fn close(number: i32) {
    // SAFETY: closing touches no memory, and the caller says that no value of ours owns this number.
    unsafe { libc::close(number) };
}
