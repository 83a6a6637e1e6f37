//! From what happened to processes, to the processes: pure.
//!
//! Happenings may come in any order and some may be missing: whatever has no end lasts to the end of the recording.

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
    let mut living: HashMap<u32, usize> = HashMap::new();
    let bound = |at: Nanos| at.clamp(recording.begin, recording.end);
    for event in events {
        match &event.what {
            What::Start { parent } => {
                let parent = living.get(parent).copied();
                if parent.is_none() && event.pid != recording.root {
                    // Started by this process for its own ends.
                    continue;
                }
                let name = parent.map(|parent| tasks[parent].name.clone()).unwrap_or_default();
                living.insert(event.pid, tasks.len());
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
                if let Some(&task) = living.get(&event.pid) {
                    tasks[task].name.clone_from(name);
                    tasks[task].command.clear();
                }
            }
            What::Command(command) => {
                if let Some(&task) = living.get(&event.pid) {
                    tasks[task].command.clone_from(command);
                }
            }
            What::End => {
                if let Some(task) = living.remove(&event.pid) {
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
