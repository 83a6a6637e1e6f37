//! The calls of Windows that the transport makes, each behind a safe function.
//!
//! Handles come out owned and go in borrowed, names are text, failures are [`io::Error`]s: nothing above has a raw
//! handle or a return code to get wrong. No policy is here; which object means what is the business of `mod.rs`.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, HANDLE, WAIT_FAILED, WAIT_TIMEOUT};
use windows_sys::Win32::System::Threading::{
    CreateEventW, CreateSemaphoreExW, OpenSemaphoreW, ReleaseSemaphore, SetEvent, WaitForMultipleObjects,
    SEMAPHORE_MODIFY_STATE, SYNCHRONIZATION_SYNCHRONIZE,
};

pub(super) use windows_sys::Win32::Foundation::ERROR_TOO_MANY_POSTS;
pub(super) use windows_sys::Win32::System::Threading::INFINITE;

/// All that is ever done with a semaphore: to wait for it and to release it.
const RIGHTS: u32 = SYNCHRONIZATION_SYNCHRONIZE | SEMAPHORE_MODIFY_STATE;

/// Makes a semaphore that children do not inherit, or `None` where a semaphore of this name was there before.
///
/// The default attributes let in the user whose process this is, and the system itself: no other user.
pub(super) fn create_semaphore(name: &str, initial: i32, maximum: i32) -> io::Result<Option<OwnedHandle>> {
    let name = wide(name);
    // SAFETY: null attributes mean the default ones; `name` ends with a NUL and outlives the call; no flags are defined.
    let handle = unsafe { CreateSemaphoreExW(ptr::null(), initial, maximum, name.as_ptr(), 0, RIGHTS) };
    // Success is the same handle in both cases: only the thread's last error tells, so nothing may come in between.
    let error = io::Error::last_os_error();
    if handle.is_null() {
        return Err(error);
    }
    let handle = own(handle);
    let existed = error.raw_os_error() == Some(ERROR_ALREADY_EXISTS as i32);
    Ok(if existed { None } else { Some(handle) })
}

/// Opens somebody's semaphore to wait for it and to release it, and asks for no other right.
pub(super) fn open_semaphore(name: &str) -> io::Result<OwnedHandle> {
    let name = wide(name);
    // SAFETY: `name` ends with a NUL and outlives the call.
    let handle = unsafe { OpenSemaphoreW(RIGHTS, 0, name.as_ptr()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    Ok(own(handle))
}

/// Adds `count` and returns what the semaphore held before.
pub(super) fn release_semaphore(semaphore: BorrowedHandle<'_>, count: i32) -> io::Result<i32> {
    let mut previous = 0;
    // SAFETY: the borrow keeps the handle open, and `previous` is a valid place for one i32 during the call.
    let done = unsafe { ReleaseSemaphore(semaphore.as_raw_handle(), count, &mut previous) };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(previous)
}

/// Makes a nameless event that stays set once it was set (manual reset).
pub(super) fn create_event() -> io::Result<OwnedHandle> {
    // SAFETY: null attributes and a null name are allowed and mean the default ones and none.
    let handle = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    Ok(own(handle))
}

pub(super) fn set_event(event: BorrowedHandle<'_>) -> io::Result<()> {
    // SAFETY: the borrow keeps the handle open; on another kind of object the call fails and does nothing.
    if unsafe { SetEvent(event.as_raw_handle()) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Waits until one of the objects is signalled and says which; of several the first, and only that one is changed.
/// `None` when the time is over.
pub(super) fn wait<const N: usize>(objects: [BorrowedHandle<'_>; N], milliseconds: u32) -> io::Result<Option<usize>> {
    let raw: [HANDLE; N] = objects.map(|object| object.as_raw_handle());
    // SAFETY: `raw` has N elements, and the borrows keep all of these handles open until the call is over.
    let outcome = unsafe { WaitForMultipleObjects(N as u32, raw.as_ptr(), 0, milliseconds) };
    match outcome {
        WAIT_FAILED => Err(io::Error::last_os_error()),
        WAIT_TIMEOUT => Ok(None),
        // WAIT_OBJECT_0 is 0.
        index if (index as usize) < N => Ok(Some(index as usize)),
        // WAIT_ABANDONED_0 and above: only mutexes are ever abandoned, and there are none here.
        other => Err(io::Error::other(format!("waiting for a jobserver token ended in the unknown state {other:#x}"))),
    }
}

/// Fills `bytes` from the system's random source.
///
/// `ProcessPrng` is what std itself imports since 1.78; `BCryptGenRandom` reads the registry and fails or hangs on some
/// machines (rust-lang/rust issue 99341). Before Windows 10 there is only the latter, and a program that imports the
/// former doesn't even start.
#[cfg(not(target_vendor = "win7"))]
pub(super) fn random(bytes: &mut [u8]) -> io::Result<()> {
    use windows_sys::Win32::Security::Cryptography::ProcessPrng;
    // SAFETY: the pointer and the length are those of one slice that may be written.
    if unsafe { ProcessPrng(bytes.as_mut_ptr(), bytes.len()) } == 0 {
        return Err(io::Error::other("the system has no random numbers"));
    }
    Ok(())
}

#[cfg(target_vendor = "win7")]
pub(super) fn random(bytes: &mut [u8]) -> io::Result<()> {
    use windows_sys::Win32::Security::Cryptography::{BCryptGenRandom, BCRYPT_USE_SYSTEM_PREFERRED_RNG};
    let (start, length) = (bytes.as_mut_ptr(), bytes.len() as u32);
    // SAFETY: no algorithm is named, as this flag wants it; pointer and length are those of one slice.
    let status = unsafe { BCryptGenRandom(ptr::null_mut(), start, length, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
    if status < 0 {
        return Err(io::Error::other(format!("the system has no random numbers (status {status:#x})")));
    }
    Ok(())
}

/// Takes over a handle that a call of this file has just made.
fn own(handle: HANDLE) -> OwnedHandle {
    // SAFETY: only called with a handle that is not null, was made right before, and is known to nobody else.
    unsafe { OwnedHandle::from_raw_handle(handle) }
}

fn wide(name: &str) -> Vec<u16> {
    name.encode_utf16().chain([0]).collect()
}
