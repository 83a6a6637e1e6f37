//! The processes of the build among all that the kernel tells of: pure.
//!
//! Each processor tells its own in order, and they are asked one after another: what happened while they were asked may be
//! told by one of them the next time only. So what is as new as that waits, until all that came before it is known.
//!
//! An end is told of a first thread, which a process may outlive: in its other threads, or by the program that one of them
//! executes under the same number. So a number stays in the family until a stranger starts under it.

use std::collections::HashSet;

use crate::timeline::event::{Event, Nanos, What};

/// A record has its time a moment before it can be read.
const SLACK: Nanos = 1_000_000;

#[derive(Debug)]
pub(super) struct Family {
    root: u32,
    /// Numbers of the family's, of those that have ended too.
    ours: HashSet<u32>,
    /// Those whose first thread has ended.
    ended: HashSet<u32>,
    new: Vec<Event>,
}

impl Family {
    /// The command's process, and all that it starts.
    pub(super) fn of(root: u32) -> Family {
        Family { root, ours: HashSet::from([root]), ended: HashSet::new(), new: Vec::new() }
    }

    /// `told` since the last time, when it was asked at `asked`. Those of the family, in the order of time.
    pub(super) fn sift(&mut self, told: &mut Vec<Event>, asked: Nanos, kept: &mut Vec<Event>) {
        self.new.append(told);
        self.new.sort_by_key(|event| event.at);
        let sure = self.new.partition_point(|event| event.at < asked.saturating_sub(SLACK));
        for mut event in self.new.drain(..sure) {
            let pid = event.pid;
            let is_ours = match event.what {
                What::Start { parent } => {
                    let is_ours = pid == self.root || self.ours.contains(&parent);
                    self.ended.remove(&pid);
                    if is_ours {
                        self.ours.insert(pid);
                    } else {
                        self.ours.remove(&pid);
                    }
                    is_ours
                }
                What::End => {
                    let is_ours = self.ours.contains(&pid);
                    if is_ours {
                        self.ended.insert(pid);
                    }
                    is_ours
                }
                What::ThreadEnd => {
                    event.what = What::End;
                    self.ended.contains(&pid)
                }
                What::Program(_) | What::Command(_) => {
                    self.ended.remove(&pid);
                    self.ours.contains(&pid)
                }
            };
            kept.extend(is_ours.then_some(event));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::samples::event;

    const S: Nanos = 1_000_000_000;

    #[test]
    fn who_is_no_child_of_the_command_is_left_out_and_a_number_may_be_used_again() {
        let mut family = Family::of(10);
        let mut kept = Vec::new();
        let program = |name: &str| What::Program(name.to_string());
        let mut told = vec![
            event(S, 10, What::Start { parent: 1 }),
            event(S + 1, 11, What::Start { parent: 10 }),
            event(S + 2, 90, What::Start { parent: 1 }),
            event(S + 3, 90, program("stranger")),
            event(S + 4, 11, program("cc")),
            event(S + 5, 11, What::End),
            event(S + 6, 11, What::Start { parent: 90 }),
            event(S + 7, 11, program("stranger")),
            event(S + 8, 11, What::End),
        ];
        family.sift(&mut told, 2 * S, &mut kept);
        let times: Vec<_> = kept.iter().map(|event| event.at - S).collect();
        assert_eq!(times, [0, 1, 4, 5]);
    }

    #[test]
    fn a_process_outlives_its_first_thread() {
        let mut family = Family::of(10);
        let mut kept = Vec::new();
        let told = vec![
            event(S, 10, What::Start { parent: 1 }),
            event(S + 1, 10, What::ThreadEnd),
            event(S + 2, 10, What::End),
            // Executed by another thread, which has its number now.
            event(S + 3, 10, What::Program("make".to_string())),
            event(S + 4, 11, What::Start { parent: 10 }),
            event(S + 5, 11, What::End),
            // By another one of its threads, and that one's end.
            event(S + 6, 12, What::Start { parent: 11 }),
            event(S + 7, 11, What::ThreadEnd),
            event(S + 8, 11, What::Start { parent: 90 }),
            event(S + 9, 13, What::Start { parent: 11 }),
            event(S + 10, 11, What::ThreadEnd),
        ];
        family.sift(&mut told.clone(), 2 * S, &mut kept);
        let seen: Vec<_> = kept.iter().map(|event| event.at - S).collect();
        assert_eq!(seen, [0, 2, 3, 4, 5, 6, 7]);
        assert_eq!(kept[6], event(S + 7, 11, What::End));
    }

    #[test]
    fn what_one_processor_told_too_early_waits_for_the_other_one() {
        let mut family = Family::of(10);
        let mut kept = Vec::new();
        let ran = event(2 * S + 5, 11, What::Program("cc".to_string()));
        family.sift(&mut vec![ran.clone()], 2 * S, &mut kept);
        assert_eq!(kept, []);
        let started = event(2 * S + 4, 11, What::Start { parent: 10 });
        family.sift(&mut vec![started.clone()], 3 * S, &mut kept);
        assert_eq!(kept, [started, ran]);
    }
}
