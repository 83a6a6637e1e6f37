//! How the slots were used, from how they stood: pure.
//!
//! Where no pool says how they stood, the jobs that ran are counted in their place; then nothing is known of free slots.

use super::event::{Nanos, Recording, Slots, Stand};
use super::lanes::Lane;

/// A part of the build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
}

impl Span {
    pub(crate) fn length(self) -> Nanos {
        self.end - self.start
    }

    pub(crate) fn overlap(self, other: Span) -> Nanos {
        self.end.min(other.end).saturating_sub(self.start.max(other.start))
    }
}

/// The whole build in sums; all times are those of the clock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Usage {
    /// In the order of time and within the recording, the first at its beginning; each lasts until the next.
    pub(crate) stands: Vec<Stand>,
    /// Slots in use, on average.
    pub(crate) average: f64,
    /// The longest stretch in which the build used one slot and could have used more.
    pub(crate) serial: Option<Span>,
    /// No slot was free: whatever wanted one had to wait.
    pub(crate) full: Nanos,
    /// A client seemed to wait, and no slot was free.
    pub(crate) waiting: Nanos,
    /// A slot was free: the build had no work for it.
    pub(crate) idle: Nanos,
    /// The same, times the number of slots that were free.
    pub(crate) idle_slots: Nanos,
}

pub(crate) fn of(recording: &Recording, lanes: &[Lane]) -> Usage {
    let stands = match recording.slots {
        Slots::Unknown => counted(recording, lanes),
        Slots::Told | Slots::Counted => within(recording),
    };
    let mut usage =
        Usage { stands: Vec::new(), average: 0.0, serial: None, full: 0, waiting: 0, idle: 0, idle_slots: 0 };
    let (mut used, mut serial): (u128, Option<Span>) = (0, None);
    let length = recording.end - recording.begin;
    for (number, stand) in stands.iter().enumerate() {
        let end = stands.get(number + 1).map_or(recording.end, |next| next.at);
        let span = Span { start: stand.at, end };
        used += u128::from(stand.in_use) * u128::from(span.length());
        let is_known = recording.slots != Slots::Unknown;
        if is_known && stand.free == 0 {
            usage.full += span.length();
            usage.waiting += if stand.waiting > 0 { span.length() } else { 0 };
        }
        if stand.free > 0 {
            usage.idle += span.length();
            usage.idle_slots += Nanos::from(stand.free) * span.length();
        }
        serial = if stand.in_use <= 1 && (stand.free > 0 || !is_known) {
            Some(Span { start: serial.map_or(span.start, |serial| serial.start), end })
        } else {
            None
        };
        usage.serial = usage.serial.into_iter().chain(serial).max_by_key(|span| span.length());
    }
    // A build that never had a second job has no step that is serial.
    usage.serial = usage.serial.filter(|span| span.length() > 0 && stands.iter().any(|stand| stand.width > 1));
    usage.average = if length == 0 { 0.0 } else { used as f64 / length as f64 };
    usage.stands = stands;
    usage
}

/// One at a time and none outside of the recording. What is true when the first is heard was so from the beginning.
fn within(recording: &Recording) -> Vec<Stand> {
    let mut sorted = recording.stands.clone();
    sorted.sort_by_key(|stand| stand.at);
    let mut stands: Vec<Stand> = Vec::with_capacity(sorted.len());
    for mut stand in sorted.into_iter().filter(|stand| stand.at < recording.end) {
        stand.at = if stands.is_empty() { recording.begin } else { stand.at.max(recording.begin) };
        match stands.last_mut() {
            Some(last) if last.at == stand.at => *last = stand,
            Some(last) if Stand { at: stand.at, ..*last } == stand => {}
            _ => stands.push(stand),
        }
    }
    stands
}

/// The jobs that ran.
fn counted(recording: &Recording, lanes: &[Lane]) -> Vec<Stand> {
    let jobs = || lanes.iter().flat_map(|lane| &lane.jobs).filter(|job| !job.is_frame);
    let mut turns: Vec<(Nanos, i64)> = jobs().flat_map(|job| [(job.start, 1), (job.end, -1)]).collect();
    turns.push((recording.begin, 0));
    turns.sort_unstable();
    let mut stands: Vec<Stand> = Vec::new();
    let (mut running, mut most) = (0_i64, 0);
    for (at, change) in turns {
        running += change;
        most = running.max(most);
        let stand = Stand { at, in_use: running as u32, free: 0, width: 0, waiting: 0 };
        match stands.last_mut() {
            Some(last) if last.at == at => *last = stand,
            _ => stands.push(stand),
        }
    }
    stands.retain(|stand| stand.at < recording.end);
    stands.iter_mut().for_each(|stand| stand.width = most as u32);
    stands
}
