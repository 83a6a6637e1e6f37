//! `run --timeline` and `--trace`: what ran when, and how the slots were used meanwhile.
//!
//! ```text
//! kernel or /proc ─┐
//!                  ├─► recorder ─► Recording ─► tasks ─► lanes ─┬─► Model ─► page, trace
//! pool or pipe ────┘   (a thread)                      usage ───┘   (all pure from Recording on)
//! ```
//!
//! A file that can't be written is an error before the command starts, as nobody would want to build again for it. From
//! then on nothing here fails a build: what can't be had is said, in one line or on the page.

mod event;
mod lanes;
mod model;
mod page;
mod record;
#[cfg(test)]
mod samples;
mod tasks;
#[cfg(test)]
mod tests;
mod trace;
mod usage;
mod words;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cli;
use crate::report::say;
use event::Nanos;
use record::{now, Kernel, Recorder};

pub(crate) use record::Source;

/// Characters of the command in the title.
const TITLE_MOST: usize = 500;

/// With this set to `looks`, commands are looked for even where the kernel would tell of them.
const BY: &str = "JOBSERVER_TIMELINE";

/// What of a run is to be written, and where.
#[derive(Debug)]
pub(crate) struct Timeline {
    page: Option<PathBuf>,
    trace: Option<PathBuf>,
    title: String,
    kernel: Option<Kernel>,
    begin: Nanos,
    begun: SystemTime,
    recorder: Option<Recorder>,
    /// Files that were not there before.
    made: Vec<PathBuf>,
}

impl Timeline {
    /// `None`: nothing was asked for.
    ///
    /// # Errors
    ///
    /// A file can't be written: why, for people.
    pub(crate) fn prepare(args: &cli::Run) -> Result<Option<Timeline>, String> {
        let (page, trace) = (args.timeline.clone(), args.trace.clone());
        if page.is_none() && trace.is_none() {
            return Ok(None);
        }
        if page == trace {
            return Err("--timeline and --trace need a file each".to_string());
        }
        let mut timeline = Timeline {
            page,
            trace,
            title: title(&args.command),
            kernel: None,
            begin: 0,
            begun: UNIX_EPOCH,
            recorder: None,
            made: Vec::new(),
        };
        for file in timeline.page.iter().chain(&timeline.trace) {
            let is_new = fs::symlink_metadata(file).is_err();
            // What is there stays until there is something in its place.
            let opened = File::options().write(true).create(true).truncate(false).open(file);
            opened.map_err(|error| format!("{} can't be written: {error}: name another file", file.display()))?;
            timeline.made.extend(is_new.then(|| file.clone()));
        }
        Ok(Some(timeline))
    }

    /// The command is started next, by this thread.
    pub(crate) fn begin(&mut self) {
        let by_looks = std::env::var_os(BY).is_some_and(|by| by == "looks");
        self.kernel = if by_looks { None } else { Kernel::open().ok() };
        (self.begin, self.begun) = (now(), SystemTime::now());
    }

    /// It runs.
    pub(crate) fn started(&mut self, pid: u32, source: Source) {
        match Recorder::start(self.begin, pid, self.kernel.take(), source) {
            Ok(recorder) => self.recorder = Some(recorder),
            Err(error) => say(format_args!("nothing can be recorded: {error}: the command runs without a timeline")),
        }
    }

    /// It has ended.
    pub(crate) fn finish(mut self, status: io::Result<ExitStatus>) {
        let Some(recording) = self.recorder.take().and_then(Recorder::finish) else { return };
        let model = model::of(&recording);
        let ended = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let begun = self.begun.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        if let Some(file) = self.page.take() {
            let text = page::write(&model, &self.title, &ended, begun).map_err(io::Error::other);
            self.save(&file, text);
        }
        if let Some(file) = self.trace.take() {
            let text = serde_json::to_string(&trace::write(&model, &self.title)).map_err(io::Error::from);
            self.save(&file, text);
        }
    }

    fn save(&mut self, file: &Path, text: io::Result<String>) {
        // A build may have removed its folder, or filled the disk.
        match text.and_then(|text| fs::write(file, text)) {
            Ok(()) => self.made.retain(|made| made != file),
            Err(error) => say(format_args!("{} can't be written: {error}", file.display())),
        }
    }
}

impl Drop for Timeline {
    /// There was nothing to show: no empty file stays.
    fn drop(&mut self) {
        for file in &self.made {
            if fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() == 0) {
                let _ = fs::remove_file(file);
            }
        }
    }
}

fn title(command: &[OsString]) -> String {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ").chars().take(TITLE_MOST).collect()
}
