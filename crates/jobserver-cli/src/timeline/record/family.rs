//! The processes of the build among all that the kernel tells of: pure, but for `mend`.
//!
//! Each processor tells its own in order, and they are asked one after another: what happened while they were asked may be
//! told by one of them the next time only. So what is as new as that waits, until all that came before it is known.
//!
//! An end is told of a first thread, which a process may outlive: in its other threads, or by the program that one of them
//! executes under the same number. So a number stays in the family until a stranger starts under it.

use std::collections::HashSet;

use super::procfs;
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

    /// Happenings were lost. Those that live whose starts were among them are looked for, and those of whom nothing is left
    /// have ended; `asked` as for `sift`, which has been called with it.
    pub(super) fn mend(&mut self, asked: Nanos, kept: &mut Vec<Event>) {
        let old = asked.saturating_sub(SLACK);
        let mut seen = HashSet::from([self.root]);
        let mut line: Vec<u32> = vec![self.root];
        while let Some(parent) = line.pop() {
            for pid in procfs::children(parent).into_iter().filter(|&pid| seen.insert(pid)).collect::<Vec<_>>() {
                line.push(pid);
                if self.ours.contains(&pid) && !self.ended.contains(&pid) {
                    continue;
                }
                let Some(found) = procfs::look(pid).filter(|found| !found.is_over) else { continue };
                // Its parent's start, which may be known exactly, comes before it. What is new will be told.
                let at = procfs::start(found.ticks + 1);
                if at < old && self.ours.contains(&parent) {
                    self.ours.insert(pid);
                    self.ended.remove(&pid);
                    kept.push(Event { at, pid, what: What::Start { parent } });
                    kept.push(Event { at, pid, what: What::Program(found.name) });
                }
            }
        }
        // A stranger's start with one of these may have been lost.
        self.ours.retain(|pid| seen.contains(pid) || !self.ended.contains(pid));
        let unseen = self.ours.difference(&self.ended).filter(|pid| !seen.contains(pid)).copied();
        for pid in unseen.collect::<Vec<_>>() {
            if procfs::look(pid).is_none() {
                self.ended.insert(pid);
                kept.push(Event { at: asked, pid, what: What::End });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

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
    fn who_was_lost_is_found_again_and_who_is_gone_has_ended() {
        let mut shell = Command::new("/bin/sh");
        let mut child = shell.args(["-c", "cat; exit 0"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let root = child.id();
        while procfs::children(root).is_empty() {
            std::thread::yield_now();
        }
        let cat = procfs::children(root)[0];
        let mut family = Family::of(root);
        let mut kept = Vec::new();
        // As if it had started after what was told.
        family.mend(0, &mut kept);
        assert_eq!(kept, []);
        family.mend(Nanos::MAX, &mut kept);
        assert_eq!((kept.len(), kept[0].pid, &kept[0].what), (2, cat, &What::Start { parent: root }), "{kept:?}");
        kept.clear();
        drop(child.stdin.take());
        child.wait().unwrap();
        family.mend(Nanos::MAX, &mut kept);
        assert_eq!((kept.len(), kept[0].pid, &kept[0].what), (1, cat, &What::End), "{kept:?}");
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
