//! When the pool looks at what its clients do: at once where somebody may win by it, else now and then.
//!
//! A wake-up costs 10 to 60 us, more than all that follows it. Who comes, who ends, and whoever speaks for a lease is
//! heard of at once at all times.

use std::io;

use super::Engine;
use crate::endpoint::Hearing;
use crate::scheduler::{policy, Nanos};

#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Somebody asked for a FIFO lately: until then it shows what kind of client he is.
    settling: Nanos,
    /// When is looked at what nobody listens to.
    pub look: Option<Nanos>,
    /// For how long that was put off last.
    nap: Nanos,
    /// When a client last did anything.
    stirred: Nanos,
}

impl Engine {
    /// What nobody can win by is looked at now and then, not each time: a wake-up costs more than all that follows it.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        let (now, stir) = (self.now(), self.endpoints.stir());
        if stir.asked {
            self.rest.settling = now + policy::SETTLING;
        }
        let looked = self.rest.look.take_if(|look| *look <= now || stir.asked).is_some();
        let free = self.ledger().free() > 0;
        let nap = if self.more || self.rest.settling > now || self.rest.look.is_some() || free {
            None
        } else if self.scheduler.is_calm() {
            self.rest.nap = if looked { (self.rest.nap * 2).min(policy::CALM.1) } else { policy::CALM.0 };
            Some(self.rest.nap)
        } else {
            // One build alone: it is not for the pool to say which of its processes goes first, only that no slot is
            // left unused.
            (!self.splits && now - self.rest.stirred < policy::BUSY).then_some(policy::BUSY)
        };
        self.rest.stirred = if stir.moved { now } else { self.rest.stirred };
        // Where nothing has stirred, no timer is needed.
        self.rest.look = self.rest.look.or(nap.filter(|_| stir.moved).map(|nap| now + nap));
        self.endpoints.hear(if self.rest.look.is_some() {
            Hearing::Nothing
        } else if !self.splits && !free {
            Hearing::Returns
        } else {
            Hearing::All
        })
    }
}
