//! Drawing several tokens without a deadlock.
//!
//! Who holds some tokens and waits for more may wait for somebody who does the same. So it waits for a while only, then
//! gives all back, pauses, and begins again. Both times are random and grow: the pause is longer than the others'
//! patience can be at the same stage, so of those who began together the one that gives up last finds all the rest given
//! back and nobody else drawing. A pause ends early when all that is needed lies there.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::time::Duration;

use jobserver::{Acquired, Client};

use super::end::End;

/// The first stage, and the last: a build's jobs may take that long, and each that ends may bring one more token.
const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(15);

/// How often it is looked in a pause: from this to twice as long, so that not all who pause see it at once.
const LOOK: Duration = Duration::from_millis(100);

/// A pool that knows its clients lays down the next tokens when it has seen that the last ones were taken.
const GRACE: Duration = Duration::from_millis(20);

/// How one attempt went.
pub(super) enum Drawn {
    Enough(Vec<Acquired>),
    /// No more came for a while: so many had been drawn, and are given back.
    Stuck(usize),
    /// A signal or the time: likewise.
    Over(usize),
}

/// Draws what is there, as many tokens as `least` and `most` say. `holds`: a slot is held beside them that others may be
/// waiting for.
///
/// # Errors
///
/// What the system answers; everything is given back then.
pub(super) fn draw(
    client: &Client,
    (least, most): (usize, usize),
    holds: bool,
    patience: &mut Patience,
    end: &End,
) -> io::Result<Drawn> {
    let mut tokens: Vec<Acquired> = Vec::new();
    let mut until = None;
    while tokens.len() < least {
        tokens.extend(client.try_acquire_many(most - tokens.len())?);
        if tokens.len() >= least {
            break;
        }
        // From the first on: who gets one token now and then must not hold the rest for ever.
        if until.is_none() && (holds || !tokens.is_empty()) {
            until = end.within(Some(patience.wait()));
        }
        match client.acquire_unless(&end.canceller, until.or(end.deadline))? {
            Some(token) => tokens.push(token),
            None if end.is_over() => return Ok(Drawn::Over(tokens.len())),
            None => return Ok(Drawn::Stuck(tokens.len())),
        }
    }
    while tokens.len() < most {
        tokens.extend(client.try_acquire_many(most - tokens.len())?);
        if tokens.len() == most {
            break;
        }
        match client.acquire_unless(&end.canceller, end.within(Some(GRACE)))? {
            Some(token) => tokens.push(token),
            None => break,
        }
    }
    Ok(Drawn::Enough(tokens))
}

/// How long to wait for the rest, and to pause after giving up.
pub(super) struct Patience {
    stage: Duration,
    random: RandomState,
    asked: u64,
}

impl Patience {
    pub(super) fn new() -> Patience {
        Patience { stage: FIRST, random: RandomState::new(), asked: 0 }
    }

    /// From one to two times the stage.
    pub(super) fn wait(&mut self) -> Duration {
        self.spread(self.stage)
    }

    /// Pauses for several times that, or until `is_free`; the next stage is twice as long.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub(super) fn pause(&mut self, end: &End, is_free: impl Fn() -> bool) -> io::Result<()> {
        let mut left = self.spread((self.stage * 4).min(LAST));
        self.stage = (self.stage * 2).min(LAST);
        while !left.is_zero() && !end.is_over() {
            let step = self.spread(LOOK).min(left);
            end.pause(step)?;
            left -= step;
            if is_free() {
                break;
            }
        }
        Ok(())
    }

    fn spread(&mut self, time: Duration) -> Duration {
        self.asked += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.asked);
        let share = (hasher.finish() >> 11) as f64 / (1u64 << 53) as f64;
        time.mul_f64(1.0 + share)
    }
}

/// So many slots, in words.
pub(super) fn slots(count: usize) -> String {
    format!("{count} slot{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_and_is_different_for_all() {
        let mut first = Patience::new();
        let mut second = Patience::new();
        for stage in [100, 200, 400, 800].map(Duration::from_millis) {
            (first.stage, second.stage) = (stage, stage);
            let waits = [first.wait(), second.wait(), first.wait()];
            assert!(waits.iter().all(|&wait| wait >= stage && wait < stage * 2), "{waits:?}");
            assert!(waits[0] != waits[1] && waits[0] != waits[2], "{waits:?}");
        }
    }
}
