//! The calls of Windows that no safe crate makes: a job object around this process.

use std::io;
use std::mem::{size_of, ManuallyDrop};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JobObjectAssociateCompletionPortInformation,
    JobObjectBasicAccountingInformation, JobObjectExtendedLimitInformation, QueryInformationJobObject,
    SetInformationJobObject, JOBOBJECTINFOCLASS, JOBOBJECT_ASSOCIATE_COMPLETION_PORT,
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
};
use windows_sys::Win32::System::Threading::GetCurrentProcess;
use windows_sys::Win32::System::IO::{CreateIoCompletionPort, GetQueuedCompletionStatus};

/// A job with this process in it, and all that it starts; they end when its handle is closed, which the system does when
/// this process ends.
pub(crate) struct Job {
    /// Never closed by us: it would be our own end.
    job: ManuallyDrop<OwnedHandle>,
    port: OwnedHandle,
}

impl Job {
    /// # Errors
    ///
    /// What the system answers: it is in a job already that allows none within.
    pub(crate) fn around_us() -> io::Result<Job> {
        // SAFETY: this handle value asks for a new port that belongs to no file.
        let port = own(unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) })?;
        // SAFETY: null attributes and a null name are allowed: no child inherits the handle, and nobody finds the job.
        let job = ManuallyDrop::new(own(unsafe { CreateJobObjectW(ptr::null(), ptr::null()) })?);
        let told = JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
            CompletionKey: ptr::null_mut(),
            CompletionPort: port.as_raw_handle(),
        };
        set(&job, JobObjectAssociateCompletionPortInformation, &told)?;
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
        set(&job, JobObjectExtendedLimitInformation, &limits)?;
        // SAFETY: it takes nothing, and what it returns needs no closing.
        let us = unsafe { GetCurrentProcess() };
        // SAFETY: the job's handle is open, and the other one is always valid.
        check(unsafe { AssignProcessToJobObject(job.as_raw_handle(), us) })?;
        Ok(Job { job, port })
    }

    /// How many processes are in it.
    pub(crate) fn processes(&self) -> io::Result<u32> {
        let mut found = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        let (place, size) = (ptr::from_mut(&mut found).cast(), size_of_val(&found) as u32);
        let job = self.job.as_raw_handle();
        // SAFETY: the handle is open, and `place` is `size` bytes of the type that this class fills in.
        check(unsafe {
            QueryInformationJobObject(job, JobObjectBasicAccountingInformation, place, size, ptr::null_mut())
        })?;
        Ok(found.ActiveProcesses)
    }

    /// Waits until one begins or ends, for so long at most.
    pub(crate) fn wait(&self, time: Duration) -> io::Result<()> {
        let (mut message, mut key, mut process) = (0, 0, ptr::null_mut());
        let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX - 1).max(1);
        let port = self.port.as_raw_handle();
        // SAFETY: the port is open, and the three places are valid during the call.
        match check(unsafe { GetQueuedCompletionStatus(port, &mut message, &mut key, &mut process, milliseconds) }) {
            Err(error) if error.raw_os_error() == Some(WAIT_TIMEOUT as i32) => Ok(()),
            done => done,
        }
    }
}

/// `information` must be of the type that `class` names; both are constants in this file.
fn set<T>(job: &OwnedHandle, class: JOBOBJECTINFOCLASS, information: &T) -> io::Result<()> {
    let (job, place) = (job.as_raw_handle(), ptr::from_ref(information).cast());
    // SAFETY: the handle is open, and the place is as large as is said and only read.
    check(unsafe { SetInformationJobObject(job, class, place, size_of::<T>() as u32) })
}

fn own(handle: HANDLE) -> io::Result<OwnedHandle> {
    if handle.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: only called with a handle that was made right before and is known to nobody else.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}

fn check(done: i32) -> io::Result<()> {
    match done {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
