//! Carries out what the scheduler decides.

use super::{Engine, A_TURN};
use crate::scheduler::Action;

impl Engine {
    /// All that is to be done now. Answers whether there was anything.
    pub(super) fn act(&mut self) -> bool {
        self.more = false;
        for number in 0..=A_TURN {
            let Some(action) = self.scheduler.next(self.now()) else { return number > 0 };
            self.perform(action);
        }
        self.more = true;
        true
    }

    fn perform(&mut self, action: Action) {
        log::trace!("{action:?}");
        match action {
            Action::Offer { endpoint, count } => {
                self.touched.push(endpoint);
                self.write_sum(endpoint);
                let laid = self.number(endpoint).map(|number| self.endpoints.offer(number, count as usize));
                if !matches!(laid, Some(Ok(()))) {
                    self.scheduler.refused(self.now(), endpoint, count);
                }
            }
            Action::Withdraw { endpoint, count } => {
                // What can't be read back lies there still, and is found again by counting.
                let number = self.number(endpoint);
                let got = number.map_or(Ok(0), |number| self.endpoints.withdraw(number, count as usize)).unwrap_or(0);
                if got < count as usize {
                    self.quicker.push(endpoint);
                    // More than one read brings: the rest comes with the next turn.
                    self.more |= got > 0;
                }
                self.touched.push(endpoint);
                self.scheduler.withdrawn(self.now(), endpoint, got as u32);
            }
            Action::Grant { lease } => self.granted(lease),
            Action::Start { endpoint } => self.start_paused(endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Read as _, Write as _};
    use std::thread;

    use crate::engine::world::{lease, pool};

    #[test]
    fn what_is_given_out_was_written_down_before() {
        let (parent, mut engine) = pool(2);
        let (_, path) = lease(&mut engine, "build");
        let journal = parent.path().join("pool/journal");
        let client = thread::spawn(move || {
            for _ in 0..300 {
                // Each time it is another client.
                let mut fifo = OpenOptions::new().read(true).write(true).open(&path).unwrap();
                let mut token = [0];
                fifo.read_exact(&mut token).unwrap();
                let written = std::fs::read(&journal).unwrap();
                fifo.write_all(&token).unwrap();
                // The head, the lease, and this one.
                let record =
                    written.get(8 + 28 + 24..8 + 2 * 28).map(|sum| u32::from_ne_bytes(sum.try_into().unwrap()));
                assert!(record.is_some_and(|sum| sum > 0), "{written:?}");
            }
        });
        while !client.is_finished() {
            engine.turn().unwrap();
        }
        client.join().unwrap();
        while engine.ledger().held() > 1 {
            engine.turn().unwrap();
        }
        assert_eq!(engine.ledger().strays(), 0);
    }
}
