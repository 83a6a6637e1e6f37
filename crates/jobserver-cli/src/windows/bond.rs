//! A job object that ends with us: whatever the command has started can't outlive `jobserver`, however that ends.
//!
//! We are in the job ourselves, so that each child is in it from its first moment; it is never closed by hand, since that
//! would end us too. What is left of the command when its status is known may still return tokens, or be on its way out
//! after a Ctrl-C: it is waited for before the tokens are counted, for a while, and only if some are missing.

use std::time::{Duration, Instant};

use super::sys::Job;
use crate::report::say;

/// A daemon that a build has started does not end by itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tokens come back without a sign.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Bond(Option<Job>);

impl Bond {
    pub(crate) fn tie() -> Bond {
        match Job::around_us() {
            Ok(job) => Bond(Some(job)),
            Err(error) => {
                say(format_args!(
                    "the command can't be tied to jobserver: {error}: should jobserver be ended by force, end the rest \
                     by hand"
                ));
                Bond(None)
            }
        }
    }

    /// Waits until nothing of the command runs any more, or all tokens are there.
    pub(crate) fn wait_for_the_rest(&self, is_whole: impl Fn() -> bool) {
        let Some(job) = &self.0 else { return };
        let end = Instant::now() + PATIENCE;
        // Ourselves included. What can't be counted is not waited for.
        while !is_whole() && job.processes().is_ok_and(|count| count > 1) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || job.wait(left.min(LOOK)).is_err() {
                return;
            }
        }
    }
}
