//! Windows: standard input can't be waited for beside something else, so a thread reads it; the console itself tells all
//! commands of a Ctrl-C; a process that has ended keeps its number as long as its handle is open.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::windows::fs::FileExt;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use super::Input;
use crate::exit;

/// As if a signal had ended it, so that scripts find the same everywhere.
pub(in crate::each) const BROKEN_PIPE: exit::Code = 141;

const BLOCK: usize = 65_536;

pub(in crate::each) struct Bell(Mutex<Ear>);

struct Ear {
    events: Receiver<io::Result<Input>>,
    /// For the reading thread, which is started at the first look.
    reader: Option<Sender<io::Result<Input>>>,
}

pub(in crate::each) struct Rope(Mutex<Sender<io::Result<Input>>>);

/// # Errors
///
/// None here.
pub(in crate::each) fn pair() -> io::Result<(Bell, Rope)> {
    let (sender, events) = channel();
    let ear = Ear { events, reader: Some(sender.clone()) };
    Ok((Bell(Mutex::new(ear)), Rope(Mutex::new(sender))))
}

impl Rope {
    pub(in crate::each) fn pull(&self) {
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(Ok(Input::Nothing));
    }
}

impl Bell {
    /// # Errors
    ///
    /// Standard input can't be read, or there is no thread to read it.
    pub(in crate::each) fn input(&self) -> io::Result<Input> {
        let mut ear = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = ear.reader.take() {
            // Nobody waits for it: it may be in a read for ever.
            Builder::new().name("input".to_string()).spawn(move || read(&sender))?;
        }
        // The rope keeps the channel open.
        ear.events.recv().unwrap_or(Ok(Input::End))
    }
}

fn read(sender: &Sender<io::Result<Input>>) {
    loop {
        let mut block = vec![0; BLOCK];
        let piece = match io::stdin().read(&mut block) {
            Ok(0) => Ok(Input::End),
            Ok(count) => {
                block.truncate(count);
                Ok(Input::Bytes(block))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = !matches!(piece, Ok(Input::Bytes(_)));
        if sender.send(piece).is_err() || is_last {
            return;
        }
    }
}

/// Lines end with CR LF as often as with LF.
pub(in crate::each) fn line(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    bytes
}

/// An argument is text.
pub(in crate::each) fn item(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

pub(in crate::each) type Pid = u32;

pub(in crate::each) fn pid(child: &Child) -> Option<Pid> {
    Some(child.id())
}

/// The console has told it already.
pub(in crate::each) fn send(_: Pid, _: i32) {}

/// It may be waited for any number of times, and its handle keeps the number its own until it is dropped.
pub(in crate::each) fn wait_unreaped(child: &mut Child) {
    let _ = child.wait();
}

pub(in crate::each) fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek_read(buffer, at)
}

pub(in crate::each) fn write_all(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

/// A full disk is said by whoever writes to it.
///
/// # Errors
///
/// None here.
pub(in crate::each) fn has_room(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// There are always handles left.
pub(in crate::each) fn is_short(_: &io::Error) -> bool {
    false
}

/// Whether it is about this item alone: too long a one (ERROR_FILENAME_EXCED_RANGE of winerror.h), or one with a NUL or
/// with what a batch file can't be given.
pub(in crate::each) fn is_the_items(error: &io::Error) -> bool {
    error.raw_os_error() == Some(206) || error.kind() == io::ErrorKind::InvalidInput
}

pub(in crate::each) fn end(status: ExitStatus) -> String {
    // A reason of the system's reads better in hexadecimal: 0xc0000005.
    match status.code().unwrap_or_default() {
        code @ 0.. => format!("exit status {code}"),
        code => format!("exit status {code:#x}"),
    }
}
