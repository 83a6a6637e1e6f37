//! What the scheduler knows about one endpoint: whether it may be hungry, and for how long an offer may lie there.
//!
//! A blocked read makes no event, so hunger is a guess that gets better: who took its last offer is keen; who left it
//! lying is doubtful, and rests before it is asked again. A client that never waits looks only when one of its jobs
//! ends, so the time that its jobs take is the time that an offer has to lie for it.

use super::policy::*;
use super::Nanos;
use crate::ledger::EndpointId;

/// What an offer to an endpoint would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A service: it takes it.
    Keen,
    /// A question: it may be idle, which shows within milliseconds.
    Doubtful,
    /// A question to a client that never waits, which shows when its next job ends.
    Remote,
    /// A service ahead of time: an offer lies there already.
    More,
}

impl Class {
    pub const ALL: [Class; 4] = [Class::Keen, Class::Doubtful, Class::Remote, Class::More];

    /// It may be idle.
    pub fn asks(self) -> bool {
        matches!(self, Class::Doubtful | Class::Remote)
    }
}

/// How a client reaches its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// It blocks in a read; what it returns comes to the pool.
    Waiting,
    /// It blocks in a read, and what it returns lies where it reads.
    Unsplit,
    /// It looks now and then, and never waits; what it returns lies where it reads.
    NonWaiting,
    /// All clients of a lease, unknown; what they return lies where they read (a plain FIFO), or not (two pipes).
    Shared {
        /// Returned bytes lie where they may be read again.
        in_place: bool,
    },
    /// A process that waits to start: an offer is the slot in which it does.
    Paused,
}

impl Kind {
    /// Whether a returned byte stays lying as an offer.
    pub fn in_place(self) -> bool {
        matches!(self, Kind::NonWaiting | Kind::Unsplit | Kind::Shared { in_place: true })
    }
}

/// An average that forgets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Average(Option<Nanos>);

impl Average {
    pub fn add(&mut self, value: Nanos) {
        self.0 = Some(self.0.map_or(value, |old| old - old / AVERAGED + value / AVERAGED));
    }

    pub fn get(self) -> Option<Nanos> {
        self.0
    }
}

#[derive(Debug)]
pub(super) struct Station {
    pub kind: Kind,
    /// The client in one of whose slots it was started.
    pub parent: Option<EndpointId>,
    /// So many of its slots are used by clients that it has started.
    pub lent: u32,
    /// It took an offer once.
    pub proven: bool,
    /// How often it left an offer lying since it last took one, and for how long, in doublings.
    pub misses: u32,
    /// Nobody would see an offer.
    pub shut: bool,
    /// Left alone until then.
    pub resting: Option<Nanos>,
    /// Since when its oldest offer lies there.
    pub offered_at: Nanos,
    /// From then on its offers may go elsewhere.
    pub ripe_at: Nanos,
    /// What lies there we have laid; it did not leave it lying.
    pub laid: bool,
    /// When it last took one.
    pub served: Nanos,
    /// Since when it has waited, if it waits: its last take, or when it last had nothing to take.
    pub empty_since: Nanos,
    /// A withdrawal found less than was offered: the event that says so is under way.
    pub quicker: bool,
    /// For how long offers lay there that were taken away too early to count as left lying.
    lain: Nanos,
    lag: Average,
    job: Average,
    busy: u128,
    busy_since: Nanos,
}

impl Station {
    pub fn new(kind: Kind, now: Nanos) -> Self {
        Self {
            kind,
            parent: None,
            lent: 0,
            proven: false,
            misses: 0,
            shut: false,
            resting: None,
            offered_at: now,
            ripe_at: now,
            laid: false,
            served: now,
            empty_since: now,
            quicker: false,
            lain: 0,
            lag: Average::default(),
            job: Average::default(),
            busy: 0,
            busy_since: now,
        }
    }

    /// What an offer would be to it.
    pub fn class(&self) -> Class {
        match (self.kind, self.misses, self.proven) {
            (Kind::NonWaiting, 1.., _) | (Kind::NonWaiting, _, false) => Class::Remote,
            (_, 1.., _) => Class::Doubtful,
            _ => Class::Keen,
        }
    }

    /// How long an offer is left to it while others are hungry.
    fn patience(&self, typical_job: Option<Nanos>) -> Nanos {
        if self.kind == Kind::NonWaiting {
            let job = self.job.get().or(typical_job).unwrap_or(JOB_FIRST);
            return (job * PATIENCE_OF_JOB.0 / PATIENCE_OF_JOB.1).clamp(PATIENCE_UNSPLIT.0, PATIENCE_UNSPLIT.1);
        }
        self.lag.get().map_or(PATIENCE_FIRST, |lag| (lag * PATIENCE_OF_LAG).clamp(PATIENCE.0, PATIENCE.1))
    }

    /// An offer was laid where none lay.
    pub fn offered(&mut self, now: Nanos, typical_job: Option<Nanos>) {
        // One that never waits takes what it wants when it looks.
        self.laid = self.kind != Kind::NonWaiting;
        self.offered_at = now;
        self.ripe_at = now + self.patience(typical_job).saturating_sub(self.lain).max(PATIENCE.0);
    }

    /// How long a client that takes now has waited for it, as far as can be told: one that takes an offer at once has waited
    /// since it had none; one that had let it lie has not waited. None: nobody can tell.
    pub fn waited(&self, now: Nanos, typical_job: Option<Nanos>) -> Option<Nanos> {
        let waits = matches!(self.kind, Kind::Waiting | Kind::Unsplit) && self.misses == 0;
        let at_once = now.saturating_sub(self.offered_at) <= self.patience(typical_job);
        waits.then(|| if at_once { now.saturating_sub(self.empty_since) } else { 0 })
    }

    /// It took what was offered.
    pub fn took(&mut self, now: Nanos, held_before: u32) {
        self.lag.add((now - self.offered_at).min(PATIENCE.1));
        self.work(now, held_before);
        self.proven = true;
        self.lain = 0;
        self.misses = 0;
        self.resting = None;
        self.served = now;
    }

    /// It took some of what we have laid there: what is left is for its next jobs. Not where it has returned any since: that
    /// is more than it can use.
    pub fn goes_on(&mut self, now: Nanos, typical_job: Option<Nanos>) {
        if self.laid {
            self.ripe_at = self.ripe_at.max(now + self.patience(typical_job));
        }
    }

    /// It ended `count` jobs. Answers what one of them took: what was held since the last return, shared among them,
    /// since bytes don't say which job they were for.
    pub fn ended(&mut self, now: Nanos, held_before: u32, count: u32) -> Nanos {
        self.work(now, held_before);
        let job = (std::mem::take(&mut self.busy) / u128::from(count.max(1))) as Nanos;
        self.job.add(job);
        self.lain = 0;
        self.resting = None;
        job
    }

    /// One of its jobs ended: if it never waits, it looks about now.
    pub fn looks(&mut self, now: Nanos, first: bool) {
        if first {
            self.offered_at = now;
            self.ripe_at = now + LOOK;
        } else {
            self.ripe_at = self.ripe_at.min(now + LOOK);
        }
    }

    /// Its last offer was taken away. That others wanted it more, again and again, doesn't make it busy: what lay there
    /// in pieces counts like what lay there at once, or its turn would never be over. Answers what was in vain.
    pub fn withdrawn(&mut self, now: Nanos, typical_job: Option<Nanos>) -> Option<Nanos> {
        self.lain += now - self.offered_at;
        (self.ripe_at <= now || self.lain >= self.patience(typical_job)).then(|| self.missed(now, typical_job))
    }

    /// Its offer was taken away after it lay for too long. Answers for how long that was known to be in vain.
    pub fn missed(&mut self, now: Nanos, typical_job: Option<Nanos>) -> Nanos {
        let patience = self.patience(typical_job).min(self.ripe_at.saturating_sub(self.offered_at)).max(1);
        let lain = now.saturating_sub(self.offered_at) / patience;
        self.lain = 0;
        self.misses = (self.misses + 1 + lain.max(1).ilog2()).min(MISSES_MOST);
        let (first, most, doublings) = match self.kind {
            Kind::NonWaiting => (self.patience(typical_job) * REST_UNSPLIT, REST_UNSPLIT_MOST, 1),
            Kind::Waiting | Kind::Unsplit | Kind::Paused | Kind::Shared { .. } => {
                (REST_FIRST, REST_MOST, REST_DOUBLINGS)
            }
        };
        self.resting = Some(now + (first << (doublings * (self.misses - 1))).min(most));
        patience
    }

    fn work(&mut self, now: Nanos, held: u32) {
        self.busy += u128::from(now - self.busy_since) * u128::from(held);
        self.busy_since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = 1_000_000;

    #[test]
    fn an_offer_lies_for_a_client_that_never_waits_until_its_next_job_ends() {
        let mut station = Station::new(Kind::NonWaiting, 0);
        station.took(0, 0);
        assert_eq!(station.ended(200 * MS, 1, 1), 200 * MS, "one job held one token for this long");
        station.offered(300 * MS, None);
        assert_eq!(station.ripe_at, 600 * MS);
    }

    #[test]
    fn what_was_laid_is_left_to_whoever_takes_of_it_until_it_returns_some() {
        let mut station = Station::new(Kind::Unsplit, 0);
        station.offered(0, None);
        station.took(MS, 0);
        station.goes_on(MS, None);
        let renewed = station.ripe_at;
        assert!(renewed > PATIENCE_FIRST, "{renewed}");
        // As the scheduler does where what came back lies in place.
        (station.laid, station.ripe_at) = (false, 2 * MS);
        station.goes_on(MS, None);
        assert_eq!(station.ripe_at, 2 * MS);
    }

    #[test]
    fn offers_taken_away_early_again_and_again_count_like_one_left_lying() {
        let mut station = Station::new(Kind::Waiting, 0);
        station.offered(0, None);
        assert_eq!(station.withdrawn(MS, None), None, "it had less than its time");
        station.offered(10 * MS, None);
        assert!(station.withdrawn(11 * MS, None).is_some(), "twice the half is the whole");
        assert!(station.resting.is_some_and(|until| until > 11 * MS));
    }

    #[test]
    fn who_left_more_lying_rests_longer_up_to_a_bound() {
        let mut station = Station::new(Kind::Waiting, 0);
        let mut last = 0;
        for _ in 0..40 {
            station.offered(0, None);
            station.missed(PATIENCE_FIRST, None);
            let rest = station.resting.expect("it rests") - PATIENCE_FIRST;
            assert!(rest >= last && rest <= REST_MOST);
            last = rest;
        }
        assert_eq!(last, REST_MOST);
    }
}
