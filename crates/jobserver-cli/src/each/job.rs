//! One item's command: made, started, waited for.
//!
//! What it prints goes to two files that have no name, so that nothing is left behind however `each` ends.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use jobserver::Slot;

use super::crew::{Crew, Stop};
use super::output::{Block, Content, Output};
use super::place::Place;
use super::system::{end, has_room, is_short, is_the_items, BROKEN_PIPE};
use crate::{exit, spawn};

/// A waiting thread needs next to none, and there may be hundreds.
const STACK: usize = 256 * 1024;

/// Of an item that fails no more is shown than that.
const NAME_MOST: usize = 200;

/// Its output may be cut.
const FULL: &str = ": there is no room left for what it prints: set TMPDIR to a folder with more";

/// Bytes. Where it has printed as much as there is room for, up to this, the disk may have been full when it failed.
const NEXT: u64 = 1 << 20;

pub(super) struct Template {
    words: Vec<OsString>,
    has_place: bool,
}

impl Template {
    pub(super) fn new(words: Vec<OsString>) -> Template {
        let has_place = words.iter().any(|word| spawn::has_place(word));
        Template { words, has_place }
    }

    fn fill(&self, item: &OsStr) -> Vec<OsString> {
        let filled = self.words.iter().map(|word| spawn::fill(word, item));
        filled.chain((!self.has_place).then(|| item.to_os_string())).collect()
    }

    /// Whether it is another program for each item.
    fn varies(&self) -> bool {
        spawn::has_place(&self.words[0])
    }
}

pub(super) struct Starter {
    template: Template,
    fail_fast: bool,
    crew: Arc<Crew>,
    output: Arc<Output>,
    /// Commands started so far.
    count: u64,
    /// No files can be had: what the commands print is not kept apart.
    is_direct: bool,
}

/// A command that runs.
struct Job {
    number: u64,
    name: String,
    child: Child,
    slot: Option<Slot>,
    files: Option<[File; 2]>,
    fail_fast: bool,
    crew: Arc<Crew>,
    output: Arc<Output>,
}

impl Starter {
    pub(super) fn new(template: Template, fail_fast: bool, crew: Arc<Crew>, output: Arc<Output>) -> Starter {
        Starter { template, fail_fast, crew, output, count: 0, is_direct: false }
    }

    pub(super) fn start(&mut self, item: &OsStr, slot: Option<Slot>, place: &Place) {
        let words = self.template.fill(item);
        let started = loop {
            match self.spawn(&words, place) {
                // One that ends gives back what this one needs.
                Err(error) if is_short(&error) && self.crew.wait_for_one() => {}
                started => break started,
            }
        };
        let number = self.count;
        match started {
            Ok((child, files)) => {
                self.count += 1;
                self.crew.started(number, &child);
                let (crew, output) = (Arc::clone(&self.crew), Arc::clone(&self.output));
                let fail_fast = self.fail_fast;
                Job { number, name: name(&words), child, slot, files, fail_fast, crew, output }.attend_in_thread();
            }
            Err(error) if self.concerns_all(&error) => {
                self.output.finish();
                self.crew.stop(Stop::Failed(spawn::failed(&words[0], &error)));
            }
            Err(error) => {
                self.crew.failed();
                self.output.say(&format!("{}: {error}", name(&words)));
                if self.fail_fast {
                    self.crew.stop(Stop::Enough);
                }
            }
        }
    }

    /// Whether the next item would fare no better.
    fn concerns_all(&self, error: &io::Error) -> bool {
        let is_shared = || is_short(error) || !self.template.varies() || exit::of_failed_start(error) == exit::OURS;
        !is_the_items(error) && is_shared()
    }

    fn spawn(&mut self, words: &[OsString], place: &Place) -> io::Result<(Child, Option<[File; 2]>)> {
        let files = self.files()?;
        let prepare = |command: &mut Command| {
            command.stdin(Stdio::null());
            if let Some([out, err]) = &files {
                command.stdout(out.try_clone()?).stderr(err.try_clone()?);
            }
            place.join(command)
        };
        let mut command = spawn::command(words);
        prepare(&mut command)?;
        let child = spawn::start(command, words, prepare)?;
        Ok((child, files))
    }

    /// Two empty files; none, which is said once, where there is no room for any.
    fn files(&mut self) -> io::Result<Option<[File; 2]>> {
        if self.is_direct {
            return Ok(None);
        }
        let made = tempfile::tempfile().and_then(|out| {
            has_room(&out, 1)?;
            Ok([out, tempfile::tempfile()?])
        });
        match made {
            Ok(files) => Ok(Some(files)),
            Err(error) if is_short(&error) => Err(error),
            Err(error) => {
                self.output.say(&format!(
                    "there is no file to keep the output apart: {error}: it comes as it is printed; set TMPDIR to a \
                     folder with room"
                ));
                self.is_direct = true;
                Ok(None)
            }
        }
    }
}

impl Job {
    fn attend_in_thread(self) {
        // If there is no thread it is to come back.
        let job = Arc::new(Mutex::new(Some(self)));
        let theirs = Arc::clone(&job);
        let body = move || attend(&theirs);
        if Builder::new().stack_size(STACK).spawn(body).is_err() {
            attend(&job);
        }
    }

    /// Waits for the end, and gives the slot back before anything is written.
    fn attend(mut self) {
        let status = self.crew.wait_for(self.number, &mut self.child);
        let note = match status {
            Ok(status) if status.success() => None,
            Ok(status) => {
                let remark = if self.has_no_room() { FULL } else { "" };
                Some(format!("{}: {}{remark}", self.name, end(status)))
            }
            Err(error) => Some(format!("{}: it can't be waited for: {error}", self.name)),
        };
        if note.is_some() {
            self.crew.failed();
            if self.fail_fast {
                self.crew.stop(Stop::Enough);
            }
        }
        // After that, or the next item is started in it.
        drop(self.slot.take());
        // Hundreds of lines, one for each that was told to end, say nothing.
        let was_told = matches!(self.crew.stopped(), Some(Stop::Signal(_)));
        let [out, err] = self.files.map_or([None, None], |files| files.map(|file| Some(Content::File(file))));
        let block = Block { out, err, note: note.filter(|_| !was_told) };
        let counts = (self.crew.running(), self.crew.failures());
        let (settled, written) = self.output.take(self.number, block, counts);
        if let Err(error) = written {
            let status = if error.kind() == io::ErrorKind::BrokenPipe {
                BROKEN_PIPE
            } else {
                self.output.say(&format!("the output can't be written: {error}: no further items are started"));
                exit::OURS
            };
            self.crew.stop(Stop::Failed(status));
        }
        self.crew.written(settled);
    }
}

impl Job {
    /// What it printed may have been its failure.
    fn has_no_room(&self) -> bool {
        let is_full = |file: &File| {
            let written = file.metadata().map_or(0, |found| found.len());
            // Others have ended since, and their files are gone.
            written > 0 && has_room(file, written.min(NEXT)).is_err()
        };
        self.files.as_ref().is_some_and(|files| files.iter().any(is_full))
    }
}

fn attend(job: &Mutex<Option<Job>>) {
    let job = job.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(job) = job {
        job.attend();
    }
}

/// The command in one line that can't steer a terminal.
fn name(words: &[OsString]) -> String {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let text = words.join(" ");
    let mut name = String::new();
    for letter in text.chars().take(NAME_MOST) {
        if letter.is_control() {
            name.extend(letter.escape_default());
        } else {
            name.push(letter);
        }
    }
    if text.chars().nth(NAME_MOST).is_some() {
        name.push_str("...");
    }
    name
}
