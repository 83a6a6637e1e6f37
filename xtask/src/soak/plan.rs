//! What a round does, decided before it begins: nothing that happens in it changes what chance says next.

use std::time::Duration;

use testkit::chance::Chance;

use super::builds::Kind;

/// Builds that run at once.
pub(super) const WIDTH: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signal {
    Kill,
    Int,
    Term,
    Hup,
    Pipe,
    /// SIGSTOP, and SIGCONT later.
    Stop,
    /// From now on it gets no memory more: the limit of RLIMIT_AS is what it has.
    Memory,
}

impl Signal {
    pub(super) const ALL: [Signal; 7] =
        [Signal::Kill, Signal::Int, Signal::Term, Signal::Hup, Signal::Pipe, Signal::Stop, Signal::Memory];

    /// As `kill -s` knows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Signal::Kill => "KILL",
            Signal::Int => "INT",
            Signal::Term => "TERM",
            Signal::Hup => "HUP",
            Signal::Pipe => "PIPE",
            Signal::Stop => "STOP",
            Signal::Memory => "memory",
        }
    }

    /// Its number where it has the same on every architecture of Linux that Rust runs on.
    pub(super) fn number(self) -> Option<u32> {
        match self {
            Signal::Kill => Some(9),
            Signal::Int => Some(2),
            Signal::Term => Some(15),
            Signal::Hup => Some(1),
            Signal::Pipe => Some(13),
            Signal::Stop | Signal::Memory => None,
        }
    }
}

/// What is aimed at; where there is none of it, any client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// A process that has joined the pool.
    Client,
    /// One that holds tokens.
    Holder,
    /// A process that a client has started.
    Job,
    /// `jobserver run`.
    Runner,
    /// The process group of a build.
    Build,
}

#[derive(Debug)]
pub(super) struct Shot {
    /// After the one before.
    pub(super) pause: Duration,
    pub(super) aim: Aim,
    /// Which of those that are aimed at.
    pub(super) pick: u64,
    pub(super) signal: Signal,
    /// For how long what is stopped stays so.
    pub(super) stopped: Duration,
}

#[derive(Debug)]
pub(super) struct Plan {
    /// Whether the status is asked for while builds run.
    pub(super) watched: bool,
    /// What runs, in the order in which places become free; the last of it for all that follow.
    pub(super) builds: Vec<Start>,
    pub(super) shots: Vec<Shot>,
    /// Whether what still runs after the last shot is killed as well.
    pub(super) cut: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) kind: Kind,
    /// Whether it starts at once and owes its slot.
    pub(super) now: bool,
}

impl Plan {
    pub(super) fn new(seed: u64, round: u64) -> Plan {
        // Rounds are told apart by a number that shares no bits with its neighbour's.
        let mut chance = Chance(
            (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (round + 1).wrapping_mul(0xd1b5_4a32_d192_ed03) | 1,
        );
        // The first numbers of seeds that are alike are alike.
        for _ in 0..8 {
            chance.below(2);
        }
        let shots = (0..8 + chance.below(10)).map(|_| shot(&mut chance)).collect();
        let owes = chance.below(4) == 0;
        let start = |chance: &mut Chance| Start { kind: among(chance, &Kind::ALL), now: chance.below(3) == 0 && owes };
        let builds = (0..32).map(|_| start(&mut chance)).collect();
        Plan { watched: round % 3 != 2, builds, shots, cut: chance.below(3) == 0 }
    }
}

fn shot(chance: &mut Chance) -> Shot {
    let aim = match chance.below(20) {
        0..4 => Aim::Client,
        4..11 => Aim::Holder,
        11..16 => Aim::Job,
        16..18 => Aim::Runner,
        _ => Aim::Build,
    };
    // SIGKILL as often as all others: nobody can be prepared for it.
    let signal = match chance.below(12) {
        0..6 => Signal::Kill,
        other => Signal::ALL[other as usize - 5],
    };
    Shot {
        pause: Duration::from_micros(5_000 + chance.below(250_000)),
        aim,
        pick: chance.below(1 << 32),
        signal,
        stopped: Duration::from_millis(10 + chance.below(900)),
    }
}

fn among<T: Copy>(chance: &mut Chance, all: &[T]) -> T {
    all[chance.below(all.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_plans_and_another_one_does_not() {
        let say = |seed, round| format!("{:?}", Plan::new(seed, round));
        assert_eq!(say(7, 3), say(7, 3));
        assert_ne!(say(7, 3), say(7, 4));
        assert_ne!(say(7, 3), say(8, 3));
        assert_ne!(say(0, 0), say(0, 1));
    }

    #[test]
    fn an_hour_has_every_signal_at_every_aim() {
        let shots: Vec<Shot> = (0..500).flat_map(|round| Plan::new(1, round).shots).collect();
        for aim in [Aim::Client, Aim::Holder, Aim::Job, Aim::Runner, Aim::Build] {
            for signal in Signal::ALL {
                assert!(shots.iter().any(|shot| shot.aim == aim && shot.signal == signal), "{aim:?} {signal:?}");
            }
        }
    }
}
