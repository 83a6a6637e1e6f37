//! The processes of the builds as `/proc` shows them: who is whose child, what is a job, what hangs where.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::fs;

use super::plan::Signal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// When it was started: with it the number is its own.
    pub(super) start: u64,
    pub(super) parent: u32,
    pub(super) session: u32,
    /// As the kernel calls it, or [`WAITS`].
    pub(super) state: char,
    /// The processor time it has used, in hundredths of a second.
    pub(super) ticks: u64,
    pub(super) name: String,
}

/// The state of a process that waits for the pool to tell it where the path leads, and of a compiler before it asks for that:
/// it has not started.
const WAITS: char = 'W';

impl Process {
    pub(super) fn is_client(&self) -> bool {
        ["make", "ninja", "cargo", "rustc", "slots"].contains(&self.name.as_str())
    }

    pub(super) fn is_runner(&self) -> bool {
        self.pid == self.session
    }

    /// Whether the number is still its own.
    pub(super) fn is_there(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok();
        stat.and_then(|stat| parse(self.pid, &stat)).is_some_and(|now| now.start == self.start)
    }

    fn starts_jobs(&self) -> bool {
        self.is_client() && self.name != "rustc"
    }

    /// Whether the signal ends it at once: nothing of its own runs any more.
    pub(super) fn dies_of(&self, signal: Signal) -> bool {
        let Some(number) = signal.number() else { return false };
        if signal == Signal::Kill {
            return true;
        }
        let Ok(text) = fs::read_to_string(format!("/proc/{}/status", self.pid)) else { return false };
        let is_in = |set: &str| {
            let mask = text.lines().find_map(|line| line.strip_prefix(set)).map(str::trim);
            mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_none_or(|mask| mask >> (number - 1) & 1 == 1)
        };
        self.state != 'T' && !["SigBlk:", "SigIgn:", "SigCgt:"].into_iter().any(is_in)
    }

    /// Whether it is a make that its own handler of signals has stopped: that allocates memory, so that two signals in a row,
    /// or one at the wrong moment, leave it waiting for a lock that it has itself, or going round for ever (4.4.1, once in
    /// some thousand signals, also without any pool). Who waits for a token has the pool's FIFO open and waits in a read or
    /// a poll. `before`: a look two seconds ago.
    pub(super) fn is_stuck_make(&self, before: &[Process]) -> bool {
        let was = before.iter().find(|was| (was.pid, was.start) == (self.pid, self.start));
        let goes_round = was.is_some_and(|was| self.ticks > was.ticks + 100);
        let waits_for_a_lock = || {
            let place = fs::read_to_string(format!("/proc/{}/wchan", self.pid));
            place.is_ok_and(|place| place.contains("futex"))
        };
        self.name == "make" && (goes_round && !has_joined(self.pid) || waits_for_a_lock())
    }

    /// So much of the address space it uses, in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let size = text.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
        size.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    }
}

/// All processes of these sessions that have not ended.
pub(super) fn of(sessions: &[u32]) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let one = |pid: u32| parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?);
    let is_ours = |process: &Process| sessions.contains(&process.session) && !['Z', 'X'].contains(&process.state);
    pids.filter_map(one).filter(is_ours).map(marked).collect()
}

fn marked(mut process: Process) -> Process {
    let waits_in = |place: String| place.trim() == "request_wait_answer";
    let waits = || fs::read_to_string(format!("/proc/{}/wchan", process.pid)).is_ok_and(waits_in);
    if process.is_client() && waits() || process.name == "rustc" && !has_joined(process.pid) {
        process.state = WAITS;
    }
    process
}

/// Whether it has a pool's FIFO open. A compiler asks for one before it does anything, and may have to wait for the answer.
fn has_joined(pid: u32) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut targets = fds.filter_map(|fd| fs::read_link(fd.path()).ok());
    targets.any(|target| target.parent().is_some_and(|folder| folder.ends_with("served/f")))
}

/// Whether a process runs no more.
pub(super) fn has_ended(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    let Some((_, after)) = stat.as_ref().and_then(|stat| stat.rsplit_once(')')) else { return true };
    // One whose first thread has ended may have others that have not.
    let fields: Vec<&str> = after.split_whitespace().collect();
    matches!(fields[..], ["Z" | "X", ..]) && matches!(fields.get(17), Some(&("0" | "1")))
}

fn parse(pid: u32, stat: &str) -> Option<Process> {
    // The name may hold anything, but nothing after it has a parenthesis.
    let (before, after) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after.split_whitespace().collect();
    Some(Process {
        pid,
        name: before.split_once('(')?.1.to_string(),
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
        ticks: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
    })
}

/// Jobs that were certainly there at one moment: in both of two looks, one after the other, with the same parents up to
/// the command of a build, which has a slot of its own. A job whose client was killed is none: its slot is another's.
pub(super) fn jobs_at_once(before: &[Process], after: &[Process], commands: &[u32]) -> usize {
    let jobs = |look: &[Process]| -> HashSet<(u32, u64, u32)> {
        let by_pid: HashMap<u32, &Process> = look.iter().map(|process| (process.pid, process)).collect();
        let leads_to_a_command = |job: &Process| {
            let mut at = job;
            // No tree is as deep, but one that changes under our eyes may be a ring.
            for _ in 0..64 {
                if commands.contains(&at.pid) {
                    return true;
                }
                match by_pid.get(&at.parent) {
                    Some(parent) => at = parent,
                    None => return false,
                }
            }
            false
        };
        let is_job = |job: &&Process| {
            let compiles = job.name == "rustc"
                && job.state != WAITS
                && by_pid.get(&job.parent).is_some_and(|parent| parent.name == "cargo");
            let has_client = by_pid.get(&job.parent).is_some_and(|parent| parent.starts_jobs());
            (compiles || has_client && !job.is_client() && job.name != "sh") && leads_to_a_command(job)
        };
        look.iter().filter(is_job).map(|job| (job.pid, job.start, job.parent)).collect()
    };
    jobs(before).intersection(&jobs(after)).count()
}

/// What each process waits for, for whoever has to find out why nothing goes on.
pub(super) fn describe(processes: &[Process]) -> String {
    let mut text = String::new();
    for Process { pid, parent, session, state, name, .. } in processes {
        let read = |what: &str| fs::read_to_string(format!("/proc/{pid}/{what}")).unwrap_or_default();
        let command = read("cmdline").replace('\0', " ");
        let command: String = command.chars().take(160).collect();
        let _ = writeln!(text, "{pid} {name} {state}, child of {parent}, session {session}: {command}");
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let read = |what: &str| fs::read_to_string(task.path().join(what)).unwrap_or_default();
            let state = parse(*pid, &read("stat")).map_or('?', |thread| thread.state);
            let (place, call) = (read("wchan"), read("syscall"));
            let number = task.file_name();
            let _ = writeln!(text, "    thread {}: {state} in {place}, {}", number.to_string_lossy(), call.trim_end());
        }
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let _ = writeln!(text, "    {} -> {}", entry.file_name().to_string_lossy(), target.display());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, name: &str) -> Process {
        Process { pid, start: u64::from(pid), parent, session: 2, state: 'S', ticks: 0, name: name.to_string() }
    }

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let text = "7 (a) b (c) S 5 6 4 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 8911 9 9";
        let expected =
            Process { pid: 7, start: 8911, parent: 5, session: 4, state: 'S', ticks: 13, name: "a) b (c".to_string() };
        assert_eq!(parse(7, text), Some(expected));
        assert_eq!(parse(7, "7 (gone"), None);
    }

    #[test]
    fn a_job_counts_while_its_parents_up_to_the_command_live() {
        let tree = [
            process(3, 2, "make"),
            process(4, 3, "sleep"),
            process(5, 3, "make"),
            process(6, 5, "sleep"),
            process(7, 6, "sleep"),
            process(8, 1, "sleep"),
            process(9, 3, "sh"),
        ];
        assert_eq!(jobs_at_once(&tree, &tree, &[3]), 2);
        // Not in both looks; and its make is gone from the second.
        assert_eq!(jobs_at_once(&tree, &tree[..2], &[3]), 1);
        let mut orphan = tree.clone();
        orphan[2].parent = 1;
        assert_eq!(jobs_at_once(&tree, &orphan, &[3]), 1);
        assert_eq!(jobs_at_once(&tree, &tree, &[]), 0);
    }

    #[test]
    fn a_compiler_that_waits_to_start_is_no_job_yet() {
        let mut tree = [process(3, 2, "cargo"), process(4, 3, "rustc"), process(5, 3, "rustc")];
        assert_eq!(jobs_at_once(&tree, &tree, &[3]), 2);
        tree[2].state = WAITS;
        assert_eq!(jobs_at_once(&tree, &tree, &[3]), 1);
    }
}
