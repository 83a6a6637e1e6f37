//! How many slots may be out: as many as a person set, and fewer while the machine is short of processors or memory.
//!
//! Pure: once a second the server brings a [`Reading`], and is told how many slots are in force. It goes down by one slot
//! for each reading that is over a limit, as soon as the last one has shown, and up by one for each that is well below all of them, so that it doesn't swing;
//! never below the floors of the leases that are open. Nothing is taken from a running job: what is in use beyond the
//! number is taken back as it is returned.

mod machine;

pub use machine::Machine;

/// What is to be kept free. Nothing of what is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// So many processes may be running or ready to run at once, on average over some seconds.
    pub load: Option<f64>,
    /// So many bytes of memory must be available for new programs. With it comes [`STALLED`].
    pub memory: Option<u64>,
}

/// What the machine says at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Reading {
    /// Processes that run or are ready to run.
    pub running: f64,
    /// Bytes that new programs may use without swapping.
    pub available: u64,
    /// Percent of the last ten seconds in which all processes stood still for want of memory.
    pub stalled: f64,
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortage {
    /// Processors.
    Load,
    /// Memory.
    Memory,
}

/// What the pool is doing when a reading comes.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// Slots that a person has set.
    pub set: u32,
    /// Slots that are out.
    pub held: u32,
    /// The floors of all leases that are open, added up.
    pub floors: u32,
}

/// Percent. All processes stand still for so much of the time only when the machine swaps or drops its programs' pages to
/// make room: a compiler more makes each of them slower.
pub const STALLED: f64 = 20.0;

/// Parts of a limit. It has to be clear again by a fifth of the load, and a quarter of the memory, before another slot is
/// given out: one job more is about one process, and some 300 MB, more.
const CLEAR: (f64, f64) = (0.8, 1.25);

/// Parts. A reading counts for so much, all earlier ones for the rest: about four seconds are looked at, since a process
/// that is counted as running may have woken for a moment.
const NEWEST: f64 = 0.25;

/// The state between readings.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    load: Option<f64>,
    /// What was in use at the last reading.
    held: u32,
    /// Slots that may be out, and why no more.
    allowed: Option<(u32, Shortage)>,
}

impl Admission {
    /// All slots are allowed until a reading says otherwise.
    pub fn new(limits: Limits) -> Admission {
        Admission { limits, load: None, held: 0, allowed: None }
    }

    /// Whether there is anything to keep free.
    pub fn is_needed(&self) -> bool {
        self.limits != Limits::default()
    }

    /// Nobody has a lease: there is nothing to hold back, and what was is over.
    pub fn forget(&mut self) {
        (self.load, self.held, self.allowed) = (None, 0, None);
    }

    /// How many slots may be out from now on, and what there is too little of for more; none: all that a person has set.
    pub fn step(&mut self, reading: Reading, usage: Use) -> Option<(u32, Shortage)> {
        // A build that begins is no load yet, whatever this moment says.
        let first = self.limits.load.map_or(reading.running, |most| reading.running.min(most));
        let load = self.load.map_or(first, |old| old + (reading.running - old) * NEWEST);
        self.load = Some(load);
        let least = usage.floors.clamp(1, usage.set.max(1));
        // Between two jobs a slot is free for a moment.
        let held = std::mem::replace(&mut self.held, usage.held).max(usage.held);
        let (shortage, is_clear) = self.judge(load, reading);
        self.allowed = match (shortage, self.allowed) {
            // The last step has not shown yet: jobs that run on are no reason for another one.
            (Some(shortage), Some((slots, _))) if usage.held > slots => {
                Some((slots.max(least).min(usage.set), shortage))
            }
            (Some(shortage), allowed) => {
                // Not from the top: slots that nobody uses are no relief.
                let now = allowed.map_or(held, |(slots, _)| slots.min(held.max(least))).min(usage.set);
                Some((now.saturating_sub(1).max(least), shortage))
            }
            (None, Some((slots, shortage))) => {
                let slots = if is_clear { slots + 1 } else { slots }.max(least);
                (slots < usage.set).then_some((slots, shortage))
            }
            (None, None) => None,
        };
        self.allowed
    }

    /// What there is too little of; else whether there is so much again that one job more does no harm.
    fn judge(&self, load: f64, reading: Reading) -> (Option<Shortage>, bool) {
        let Limits { load: most, memory: least } = self.limits;
        if least.is_some_and(|least| reading.available < least || reading.stalled >= STALLED) {
            return (Some(Shortage::Memory), false);
        }
        if most.is_some_and(|most| load > most) {
            return (Some(Shortage::Load), false);
        }
        let (load_part, memory_part) = CLEAR;
        let memory_is_clear = least.is_none_or(|least| {
            reading.available as f64 >= least as f64 * memory_part && reading.stalled < STALLED / 2.0
        });
        (None, memory_is_clear && most.is_none_or(|most| load <= most * load_part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn limits(load: Option<f64>, memory: Option<u64>) -> Limits {
        Limits { load, memory }
    }

    fn reading(running: f64, available: u64) -> Reading {
        Reading { running, available, stalled: 0.0 }
    }

    #[test]
    fn slots_go_down_one_by_one_while_memory_is_short_and_up_again_when_there_is_plenty() {
        let mut admission = Admission::new(limits(None, Some(GIB)));
        let usage = |held| Use { set: 8, held, floors: 2 };
        assert_eq!(admission.step(reading(0.0, 4 * GIB), usage(6)), None);
        let down: Vec<_> =
            [6, 5, 4, 3, 2, 2].map(|held| admission.step(reading(0.0, GIB / 2), usage(held)).unwrap().0).to_vec();
        assert_eq!(down, [5, 4, 3, 2, 2, 2], "from what is in use to the floors");
        let mut other = Admission::new(limits(None, Some(GIB)));
        let long: Vec<_> = (0..4).map(|_| other.step(reading(0.0, GIB / 2), usage(6)).unwrap().0).collect();
        assert_eq!(long, [5; 4], "not lower before a job has ended");
        let between = admission.step(reading(0.0, GIB + GIB / 8), usage(2));
        assert_eq!(between, Some((2, Shortage::Memory)), "it has to be clear first");
        let up: Vec<_> = (0..6).map(|_| admission.step(reading(0.0, 2 * GIB), usage(2))).collect();
        assert_eq!(up[0], Some((3, Shortage::Memory)));
        assert_eq!(up[5], None, "all that was set");
    }

    #[test]
    fn a_moment_of_many_running_processes_is_not_yet_a_load() {
        let mut admission = Admission::new(limits(Some(4.0), None));
        let usage = Use { set: 4, held: 4, floors: 1 };
        assert_eq!(admission.step(reading(2.0, 0), usage), None);
        assert_eq!(admission.step(reading(9.0, 0), usage), None);
        assert!((0..5).any(|_| admission.step(reading(9.0, 0), usage) == Some((3, Shortage::Load))));
    }

    #[test]
    fn standing_still_for_want_of_memory_counts_like_having_none() {
        let mut admission = Admission::new(limits(None, Some(GIB)));
        let stalled = Reading { stalled: STALLED, ..reading(0.0, 9 * GIB) };
        let usage = Use { set: 4, held: 4, floors: 1 };
        assert_eq!(admission.step(stalled, usage), Some((3, Shortage::Memory)));
    }

    proptest! {
        #[test]
        fn it_is_never_below_the_floors_nor_above_what_was_set_and_comes_back(
            readings in prop::collection::vec((0f64..40.0, 0..8 * GIB, 0f64..100.0), 1..60),
            (set, held, floors) in (1u32..64, 0u32..80, 0u32..80),
        ) {
            let mut admission = Admission::new(limits(Some(8.0), Some(GIB)));
            let usage = Use { set, held, floors };
            for (running, available, stalled) in readings {
                if let Some((slots, _)) = admission.step(Reading { running, available, stalled }, usage) {
                    prop_assert!((floors.clamp(1, set)..=set).contains(&slots));
                }
            }
            let quiet = (0..200).map(|_| admission.step(reading(0.0, 8 * GIB), usage)).last();
            prop_assert_eq!(quiet, Some(None));
        }
    }
}
