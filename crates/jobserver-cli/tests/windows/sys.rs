//! A console's Ctrl-Break, which no safe crate sends.

use std::io;

use windows_sys::Win32::System::Console::{AllocConsole, GenerateConsoleCtrlEvent, CTRL_BREAK_EVENT};

/// Makes one for this process and those it starts, unless there is one already.
pub(crate) fn have_console() {
    // SAFETY: it takes nothing; where there is a console it fails and does nothing.
    unsafe { AllocConsole() };
}

/// To all processes of the group that began with this one, in our console.
pub(crate) fn break_group(leader: u32) -> io::Result<()> {
    // SAFETY: it takes two numbers; where there is no such group it fails and does nothing.
    match unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, leader) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
