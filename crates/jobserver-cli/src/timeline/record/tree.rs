//! Starts and ends of processes where the kernel does not tell them: by looking at the tree of the command's processes
//! again and again.
//!
//! What lives for less than the distance of two looks is mostly missed; an end is known to that distance, a start to the
//! 10 ms in which the kernel counts it. A look costs some 20 us a process, so the distance grows with the tree: to look
//! takes a two-hundredth of one processor at the most.

use std::collections::HashMap;

use super::procfs;
use crate::timeline::event::{Event, Nanos, What};

/// The tree of one command, as it was seen last.
#[derive(Debug)]
pub(crate) struct Tree {
    root: u32,
    own: u32,
    known: HashMap<u32, Known>,
}

#[derive(Debug)]
struct Known {
    ticks: u64,
    name: String,
    /// While it begins to execute a program, it has that one's name already and no command line.
    has_command: bool,
    round: u64,
}

impl Tree {
    pub(crate) fn new(root: u32, own: u32) -> Tree {
        Tree { root, own, known: HashMap::new() }
    }

    /// What is different now.
    pub(crate) fn look(&mut self, at: Nanos, events: &mut Vec<Event>) {
        let round = self.known.values().map(|known| known.round).max().unwrap_or_default() + 1;
        let mut line = vec![(self.root, self.own)];
        while let Some((pid, parent)) = line.pop() {
            let Some(seen) = procfs::look(pid).filter(|seen| !seen.is_over) else { continue };
            let event = |at, what| Event { at, pid, what };
            let old = self.known.get(&pid);
            let is_same = old.is_some_and(|old| old.ticks == seen.ticks);
            let has_name = is_same && old.is_some_and(|old| old.name == seen.name);
            if old.is_some() && !is_same {
                events.push(event(at, What::End));
            }
            if !is_same {
                events.push(event(procfs::start(seen.ticks).min(at), What::Start { parent }));
            }
            if !has_name {
                events.push(event(at, What::Program(seen.name.clone())));
            }
            let mut has_command = has_name && old.is_some_and(|old| old.has_command);
            if !has_command {
                let command = procfs::command(pid);
                has_command = command.is_some();
                events.extend(command.map(|command| event(at, What::Command(command))));
            }
            self.known.insert(pid, Known { ticks: seen.ticks, name: seen.name, has_command, round });
            line.extend(procfs::children(pid).into_iter().map(|child| (child, pid)));
        }
        self.known.retain(|&pid, known| {
            let is_there = known.round == round;
            if !is_there {
                events.push(Event { at, pid, what: What::End });
            }
            is_there
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_seen_from_its_start_to_its_end_with_its_children() {
        // The shell's child lives until the pipe is closed.
        let mut shell = Command::new("/bin/sh");
        let mut child = shell.args(["-c", "cat; exit 0"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (root, own) = (child.id(), std::process::id());
        let mut tree = Tree::new(root, own);
        let mut events = Vec::new();
        while !events.iter().any(|event: &Event| event.what == What::Command("cat".to_string())) {
            tree.look(procfs::now(), &mut events);
        }
        let of = |pid: u32, what: &What| events.iter().any(|event| event.pid == pid && event.what == *what);
        assert!(of(root, &What::Start { parent: own }) && of(root, &What::Program("sh".to_string())), "{events:?}");
        let cat = events.iter().find(|event| event.what == What::Start { parent: root }).unwrap().pid;
        assert!(!events.iter().any(|event| event.what == What::End), "{events:?}");
        child.stdin.take().unwrap().write_all(b"x").unwrap();
        child.wait().unwrap();
        tree.look(procfs::now(), &mut events);
        let ends: Vec<u32> = events.iter().filter(|event| event.what == What::End).map(|event| event.pid).collect();
        assert!(ends.len() == 2 && ends.contains(&root) && ends.contains(&cat), "{events:?}");
    }
}
