//! One build as it is shown: lanes, jobs, slots, sums. Pure: made of a recording alone, and what is written, the page and
//! the trace, is made of this alone.

use super::event::{Commands, Nanos, Recording, Slots};
use super::lanes::{self, Lane};
use super::tasks;
use super::usage::{self, Span, Usage};

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) begin: Nanos,
    pub(crate) length: Nanos,
    /// The most slots that the build could have at any time.
    pub(crate) width: u32,
    /// In the order of their starts: the command's own first.
    pub(crate) lanes: Vec<Lane>,
    pub(crate) usage: Usage,
    /// The longest serial step, and what ran.
    pub(crate) serial: Option<(Span, String)>,
    pub(crate) jobs: usize,
    /// Jobs at once, at the most.
    pub(crate) most: usize,
    pub(crate) commands: Commands,
    pub(crate) slots: Slots,
    pub(crate) lost: u64,
}

pub(crate) fn of(recording: &Recording) -> Model {
    let tasks = tasks::of(recording);
    let lanes = lanes::of(recording, &tasks);
    let usage = usage::of(recording, &lanes);
    let serial = usage.serial.map(|span| {
        let name = lanes::busiest(&tasks, span).map(|task| task.name.clone()).unwrap_or_default();
        (span, if name.is_empty() { "unknown".to_string() } else { name })
    });
    let jobs = || lanes.iter().flat_map(|lane| &lane.jobs).filter(|job| !job.is_frame);
    Model {
        begin: recording.begin,
        length: recording.end - recording.begin,
        width: usage.stands.iter().map(|stand| stand.width).max().unwrap_or_default(),
        serial,
        jobs: jobs().count(),
        most: most(jobs().map(|job| (job.start, job.end))),
        commands: recording.commands,
        slots: recording.slots,
        lost: recording.lost,
        usage,
        lanes,
    }
}

/// How many of them there were at once.
fn most(spans: impl Iterator<Item = (Nanos, Nanos)>) -> usize {
    let mut turns: Vec<(Nanos, i64)> = spans.flat_map(|(start, end)| [(start, 1), (end, -1)]).collect();
    // One that ends makes room for one that starts.
    turns.sort_unstable();
    let mut now = 0;
    let at_once = turns.into_iter().map(|(_, change)| {
        now += change;
        now
    });
    at_once.max().unwrap_or_default() as usize
}
