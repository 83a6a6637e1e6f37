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
