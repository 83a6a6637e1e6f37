//! What the commands print, written in whole blocks: of standard output, of standard error, and the line that says how it
//! failed. In the order of their ends, or of the items.
//!
//! Whoever waits for its turn holds files, and there may be thousands of them: small ones are kept in memory then.
//! Nothing is read by a file's own position, which a process that was left behind may still be writing at.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};

use super::progress::Progress;
use super::system::{read_at, write_all};
use crate::report::say;

const SMALL: u64 = 16 * 1024;

pub(super) struct Output {
    /// In the order of the items.
    ordered: bool,
    progress: Progress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    held: BTreeMap<u64, Block>,
    /// Nobody takes it any more.
    is_broken: bool,
}

/// What one command has printed.
#[derive(Default)]
pub(super) struct Block {
    pub(super) out: Option<Content>,
    pub(super) err: Option<Content>,
    /// What there is to say of it.
    pub(super) note: Option<String>,
}

pub(super) enum Content {
    File(File),
    Memory(Vec<u8>),
}

impl Output {
    pub(super) fn new(ordered: bool, progress: Progress) -> Output {
        Output { ordered, progress, state: Mutex::default() }
    }

    /// Takes what the command of this number has printed, and writes what is due. How many blocks are in files no longer;
    /// and the error, if standard output takes no more.
    pub(super) fn take(&self, number: u64, mut block: Block, count: (usize, u64)) -> (usize, io::Result<()>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.progress.step(count.0, count.1);
        if !self.ordered {
            return (1, self.write(&mut state, block));
        }
        let mut settled = 0;
        if number != state.next {
            settled += usize::from(block.shrink());
        }
        state.held.insert(number, block);
        let mut result = Ok(());
        while let Some(block) = {
            let next = state.next;
            state.held.remove(&next)
        } {
            state.next += 1;
            settled += usize::from(block.is_counted(number, state.next - 1));
            result = result.and(self.write(&mut state, block));
        }
        (settled, result)
    }

    /// Says something that belongs to no command.
    pub(super) fn say(&self, line: &str) {
        self.progress.aside(|| say(line));
    }

    pub(super) fn finish(&self) {
        self.progress.finish();
    }

    fn write(&self, state: &mut State, block: Block) -> io::Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        self.progress.aside(|| {
            let mut result = Ok(());
            if let Some(out) = block.out.filter(|_| !state.is_broken) {
                result = out.copy_to(|bytes| write_all(&io::stdout(), bytes));
                state.is_broken = result.is_err();
            }
            if let Some(err) = block.err {
                // Nobody can be told.
                let _ = err.copy_to(|bytes| write_all(&io::stderr(), bytes));
            }
            if let Some(note) = block.note {
                say(note);
            }
            result
        })
    }
}

impl Block {
    /// Takes small files into memory; true: no file is left.
    fn shrink(&mut self) -> bool {
        [&mut self.out, &mut self.err].into_iter().all(|content| {
            let Some(Content::File(file)) = content else { return true };
            match file.metadata().map(|found| found.len()) {
                Ok(0) => *content = None,
                Ok(length @ ..=SMALL) => {
                    let mut bytes = vec![0; length as usize];
                    if read_all(file, &mut bytes).is_err() {
                        return false;
                    }
                    *content = Some(Content::Memory(bytes));
                }
                _ => return false,
            }
            true
        })
    }

    /// Whether it counts as being in files up to now: the one that has just come, and those that did not shrink.
    fn is_counted(&self, come: u64, number: u64) -> bool {
        let is_file = |content: &Option<Content>| matches!(content, Some(Content::File(_)));
        come == number || is_file(&self.out) || is_file(&self.err)
    }

    fn is_empty(&self) -> bool {
        let is_empty = |content: &Option<Content>| content.as_ref().is_none_or(Content::is_empty);
        is_empty(&self.out) && is_empty(&self.err) && self.note.is_none()
    }
}

impl Content {
    fn is_empty(&self) -> bool {
        match self {
            Content::File(file) => file.metadata().is_ok_and(|found| found.len() == 0),
            Content::Memory(bytes) => bytes.is_empty(),
        }
    }

    fn copy_to(self, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let file = match self {
            Content::Memory(bytes) => return write(&bytes),
            Content::File(file) => file,
        };
        let mut buffer = vec![0; 65_536];
        let mut at = 0;
        loop {
            match read_at(&file, &mut buffer, at) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    write(&buffer[..count])?;
                    at += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// As much as there is room for, from its beginning.
fn read_all(file: &File, mut bytes: &mut [u8]) -> io::Result<()> {
    let mut at = 0;
    while !bytes.is_empty() {
        match read_at(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                bytes = &mut bytes[count..];
                at += count as u64;
            }
        }
    }
    Ok(())
}
