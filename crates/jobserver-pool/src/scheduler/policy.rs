//! Every number of the policy, with its unit and its reason. `cargo xtask simulate` shows what another value does.

use super::Nanos;

const MS: Nanos = 1_000_000;
const S: Nanos = 1_000 * MS;

/// Tokens. So many lie at most at one endpoint, where nobody else wants them. A client that starts short jobs reads
/// several tokens within the time of one refill (50 us); each one laid too deep costs a read to get back.
pub const DEPTH: u32 = 8;

/// Nanoseconds. A client that waits takes an offer 50 us after it was laid on an idle machine, and after one or two
/// slices of the system's scheduler on a busy one: this long, an offer is left to a client that never took any.
pub const PATIENCE_FIRST: Nanos = 2 * MS;

/// Nanoseconds. Bounds of the patience with a waiting client, learned from how fast it took its offers: below the
/// first a withdrawal would race with a client that is about to read; above the second a slot is idle too long.
pub const PATIENCE: (Nanos, Nanos) = (MS, 20 * MS);

/// Times. Patience with a waiting client is so many times the delay with which it usually takes an offer: three of
/// four takes are faster than double the mean, and being asked too early costs the client its turn.
pub const PATIENCE_OF_LAG: Nanos = 4;

/// Nanoseconds. A client that never waits looks 70-150 us after one of its jobs ended. What still lies there after
/// this time, it did not want.
pub const LOOK: Nanos = 3 * MS;

/// Nanoseconds. A client that never waits looks when a job of its ends. Where nothing is known about its jobs or
/// anybody else's, these are the jobs of a C compiler.
pub const JOB_FIRST: Nanos = 30 * MS;

/// Numerator and denominator. An offer lies for a client that never waits until its next job should have ended: one
/// and a half of its job's time, since the jobs of one build differ.
pub const PATIENCE_OF_JOB: (Nanos, Nanos) = (3, 2);

/// Nanoseconds. Bounds of that: jobs of 1 ms have noise of more than that; and nobody gets a slot kept aside longer
/// than the second, though a job may last for minutes.
pub const PATIENCE_UNSPLIT: (Nanos, Nanos) = (5 * MS, 2 * S);

/// Nanoseconds. A client that left its offer lying rests this long at first...
pub const REST_FIRST: Nanos = 4 * MS;

/// Doublings. ...four times as long each next time: with twice as long, each of ten clients that have just become idle is asked
/// seven times before it rests for long, all of which a build beside them pays for in its first second; now four times.
pub const REST_DOUBLINGS: u32 = 2;

/// Nanoseconds. ...up to this: what it may lose when it gets work again while all others are busy. Ten idle clients,
/// asked for 1-2 ms each every 256 ms, cost 6 % of one slot.
pub const REST_MOST: Nanos = 256 * MS;

/// Times. A client that never waits is asked by leaving a slot unused for a whole job: it rests so many times longer
/// than it was asked, doubled each next time...
pub const REST_UNSPLIT: Nanos = 2;

/// Nanoseconds. ...up to this. A job of its that ends ends the rest at once.
pub const REST_UNSPLIT_MOST: Nanos = 20 * S;

/// Doublings. More than this change nothing in the rests above, and would overflow.
pub const MISSES_MOST: u32 = 16;

/// One part of so many. At most this part of the slots (but one) lies at clients that may be idle while others want
/// them: what asking costs at the worst, with thousands of idle clients.
pub const ASKED_PART: u32 = 8;

/// One part of so many. To ask clients that never waited and never took a slot costs at most this part of all slots'
/// time while others want them: a quarter of what ten idle ones may cost a build (5 %), as the first is asked at once.
pub const ASKED_UNSPLIT_PART: Nanos = 40;

/// Nanoseconds. Where all slots lie at clients that may be idle, and others may be idle without one, an offer moves on
/// after the first of these: a thousand idle clients are first asked within 5 s. It costs 100 to 200 us, so where all were
/// asked in vain it moves half as often from then on, up to the second: 0.5 % of a processor while nothing happens.
pub const TURN: (Nanos, Nanos) = (5 * MS, 40 * MS);

/// Nanoseconds. A client that took an offer so lately is not idle, whatever lies there: it may start jobs of 1 ms on a machine
/// whose processors are all busy. Only somebody who is known to want it gets it, but for `TURN_AT_LAST`.
pub const BREAK: Nanos = 30 * MS;

/// Nanoseconds. Where no offer has moved on for so long, one does that lies at a client which is not idle: one that has now
/// and then a job for it must not keep it for ever from one that was never asked.
pub const TURN_AT_LAST: Nanos = 250 * MS;

/// Nanoseconds. When slots stay free this long, also resting clients get one: it costs nothing. Not at once, since
/// between two jobs of a busy client each slot is free for a moment.
pub const SLACK: Nanos = 10 * MS;

/// Nanoseconds. How far back it counts who had how much, where two have the same now: long against a job, short
/// against a build.
pub const MEMORY: Nanos = 4 * S;

/// Values. An average is over so many of the last ones. Jobs that end together look like one long and some short ones:
/// too few values, and the patience that comes of them is now and then shorter than a job.
pub const AVERAGED: Nanos = 16;

/// Nanoseconds. While nobody could win by what the clients do, it is looked at after the first of these, then after
/// twice as long, up to the second. A timer's wake-up costs 10 to 40 us, so this is 0.2 % of a processor at most. A
/// client that comes, or ends, is heard of at once all the same.
pub const CALM: (Nanos, Nanos) = (4 * MS, 16 * MS);

/// Nanoseconds. When the clients of a single build do something more often than this, they are looked at only that often:
/// a slot that one of them leaves is idle for so long at most (for `OPENING` while others come).
pub const BUSY: Nanos = MS;

/// Nanoseconds. While a lease is watched, what its clients take is looked at this often, where nobody else needs to know of
/// it: a timer's wake-up costs 10 to 40 us, so this is 0.25 % of a processor at most.
pub const WATCHED: Nanos = 16 * MS;

/// Nanoseconds. So long after a client followed a link everything is looked at at once, or after `OPENING`: until it has
/// opened both ends it is not known what it is.
pub const SETTLING: Nanos = 20 * MS;

/// Nanoseconds. So long after a lease was opened its first client is expected: longer than a shell needs to start a build.
pub const FRESH: Nanos = S;

/// Nanoseconds. A client opens both ends within some 0.2 ms. Where no slot is free, and nobody else wants one, so long after
/// it followed the link it is looked at, once for both.
pub const OPENING: Nanos = 2 * MS;

/// Nanoseconds. Waits are counted in these classes, for people: about two for each power of ten, from a wake-up on a busy
/// machine to the length of a build.
pub const WAITS: [Nanos; 13] =
    [MS, 3 * MS, 10 * MS, 30 * MS, 100 * MS, 300 * MS, S, 3 * S, 10 * S, 30 * S, 100 * S, 300 * S, 1000 * S];

/// Clients. So many at most are watched for what they return, so as to be quicker than they are: each costs two calls when
/// it begins to have more than its share, and when it ends.
pub const CAUGHT: usize = 64;
