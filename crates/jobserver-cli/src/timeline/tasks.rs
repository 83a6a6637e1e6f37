//! From what happened to processes, to the processes: pure.
//!
//! Happenings may come in any order and some may be missing: whatever has no end lasts to the end of the recording, and
//! whatever executes a program, starts another process or ends once more, has lived until then.

use std::collections::HashMap;

use super::event::{Event, Nanos, Recording, What};

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) pid: u32,
    /// Its parent among the tasks.
    pub(crate) parent: Option<usize>,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    /// The name of the last program that it executed; until then its parent's.
    pub(crate) name: String,
    /// The command line of that, if it lived for long enough to be asked.
    pub(crate) command: String,
}

/// In the order of their starts.
pub(crate) fn of(recording: &Recording) -> Vec<Task> {
    let mut events: Vec<&Event> = recording.events.iter().collect();
    events.sort_by_key(|event| event.at);
    let mut tasks: Vec<Task> = Vec::new();
    // The last one with each number.
    let mut known: HashMap<u32, usize> = HashMap::new();
    let bound = |at: Nanos| at.clamp(recording.begin, recording.end);
    for event in events {
        match &event.what {
            What::Start { parent } => {
                let parent = known.get(parent).copied();
                if parent.is_none() && event.pid != recording.root {
                    // Started by this process for its own ends.
                    continue;
                }
                let name = parent.map(|parent| tasks[parent].name.clone()).unwrap_or_default();
                if let Some(parent) = parent {
                    tasks[parent].end = tasks[parent].end.max(bound(event.at));
                }
                known.insert(event.pid, tasks.len());
                tasks.push(Task {
                    pid: event.pid,
                    parent,
                    start: bound(event.at),
                    end: recording.end,
                    name,
                    command: String::new(),
                });
            }
            What::Program(name) => {
                if let Some(&task) = known.get(&event.pid) {
                    tasks[task].end = recording.end;
                    tasks[task].name.clone_from(name);
                    tasks[task].command.clear();
                }
            }
            What::Command(command) => {
                if let Some(&task) = known.get(&event.pid).filter(|&&task| tasks[task].end == recording.end) {
                    tasks[task].command.clone_from(command);
                }
            }
            What::End | What::ThreadEnd => {
                if let Some(&task) = known.get(&event.pid) {
                    tasks[task].end = bound(event.at).max(tasks[task].start);
                }
            }
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::samples::{event, recording};

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let recording = recording(vec![
            event(0, 10, What::Start { parent: 1 }),
            event(5, 11, What::Start { parent: 10 }),
            event(6, 11, What::Program("cc1".to_string())),
            event(20, 11, What::End),
            event(30, 11, What::Start { parent: 10 }),
            event(31, 11, What::Program("ld".to_string())),
        ]);
        let tasks = of(&recording);
        let seen: Vec<_> = tasks.iter().map(|task| (task.pid, task.start, task.end, task.name.as_str())).collect();
        assert_eq!(seen, [(10, 0, 100, ""), (11, 5, 20, "cc1"), (11, 30, 100, "ld")]);
        assert_eq!(tasks[2].parent, Some(0));
    }

    #[test]
    fn the_order_in_which_it_was_heard_is_of_no_matter_and_strangers_are_left_out() {
        let recording = recording(vec![
            event(9, 11, What::End),
            event(4, 11, What::Start { parent: 10 }),
            event(3, 77, What::Start { parent: 1 }),
            event(0, 10, What::Start { parent: 1 }),
        ]);
        let seen: Vec<_> = of(&recording).iter().map(|task| (task.pid, task.start, task.end)).collect();
        assert_eq!(seen, [(10, 0, 100), (11, 4, 9)]);
    }

    #[test]
    fn a_process_lives_until_the_last_that_is_told_of_it() {
        let recording = recording(vec![
            event(0, 10, What::Start { parent: 1 }),
            event(10, 10, What::End),
            event(11, 10, What::Program("make".to_string())),
            event(20, 11, What::Start { parent: 10 }),
            event(30, 11, What::End),
            event(40, 12, What::Start { parent: 11 }),
            event(50, 11, What::End),
            event(60, 13, What::Start { parent: 12 }),
            event(70, 12, What::End),
            event(80, 14, What::Start { parent: 12 }),
        ]);
        let seen: Vec<_> = of(&recording).iter().map(|task| (task.pid, task.parent, task.start, task.end)).collect();
        let of_11 = (11, Some(0), 20, 50);
        let of_12 = (12, Some(1), 40, 80);
        assert_eq!(seen, [(10, None, 0, 100), of_11, of_12, (13, Some(2), 60, 100), (14, Some(2), 80, 100)]);
    }

    #[test]
    fn another_program_has_another_command_line() {
        let recording = recording(vec![
            event(0, 10, What::Start { parent: 1 }),
            event(1, 10, What::Program("sh".to_string())),
            event(2, 10, What::Command("sh -c x".to_string())),
            event(3, 10, What::Program("x".to_string())),
        ]);
        assert_eq!((of(&recording)[0].name.as_str(), of(&recording)[0].command.as_str()), ("x", ""));
    }
}
