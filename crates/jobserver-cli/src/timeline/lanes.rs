//! Lanes and jobs, from the processes: pure.
//!
//! A lane is a process that runs jobs: the command itself, each make, ninja and cargo below it, and each other client of
//! the pool that starts more than one process. Its jobs are the processes that it started. What they start in turn
//! belongs to them, so a compiler's driver, its compiler and its assembler are one job.

use std::collections::BTreeSet;

use super::event::{Nanos, Recording};
use super::tasks::Task;
use super::usage::Span;

/// Tools that run jobs, by the names of their programs.
const TOOLS: [&str; 9] = ["make", "gmake", "ninja", "samu", "cargo", "jobserver", "scons", "bazel", "redo"];
/// They stand for what they start.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "ksh", "busybox"];

/// A process that runs jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) pid: u32,
    pub(crate) name: String,
    pub(crate) command: String,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    /// How many rows its jobs fill, none of which has two at once.
    pub(crate) rows: usize,
    /// In the order of their starts.
    pub(crate) jobs: Vec<Job>,
}

/// What a lane has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) pid: u32,
    /// The program: of a shell the one that it ran longest.
    pub(crate) name: String,
    pub(crate) command: String,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) row: usize,
    /// It runs a lane: its own work is that lane's.
    pub(crate) is_frame: bool,
}

pub(crate) fn of(recording: &Recording, tasks: &[Task]) -> Vec<Lane> {
    let children = children(tasks);
    let is_lane = |task: usize| {
        let Task { pid, parent, ref name, .. } = tasks[task];
        let has_jobs = |least: usize| children[task].len() >= least;
        parent.is_none()
            || (TOOLS.contains(&name.as_str()) && has_jobs(1))
            || (recording.clients.contains(&pid) && !is_shell(&tasks[task]) && has_jobs(2))
    };
    let lanes: BTreeSet<usize> = (0..tasks.len()).filter(|&task| is_lane(task)).collect();
    // All that have a lane below them.
    let mut frames = BTreeSet::new();
    for &lane in &lanes {
        let mut above = tasks[lane].parent;
        while let Some(task) = above.filter(|&task| frames.insert(task)) {
            above = tasks[task].parent;
        }
    }
    let lane = |&task: &usize| {
        let jobs = children[task].iter().filter(|&child| !lanes.contains(child));
        let mut jobs: Vec<Job> = jobs.map(|&child| job(tasks, &children, child, frames.contains(&child))).collect();
        jobs.sort_by_key(|job| (job.start, job.pid));
        let Task { pid, ref name, ref command, start, end, .. } = tasks[task];
        Lane { pid, name: name.clone(), command: command.clone(), start, end, rows: pack(&mut jobs), jobs }
    };
    lanes.iter().map(lane).collect()
}

fn children(tasks: &[Task]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); tasks.len()];
    for (number, task) in tasks.iter().enumerate() {
        if let Some(parent) = task.parent {
            children[parent].push(number);
        }
    }
    children
}

fn job(tasks: &[Task], children: &[Vec<usize>], task: usize, is_frame: bool) -> Job {
    let mut named = task;
    while is_shell(&tasks[named]) {
        let longest = children[named].iter().max_by_key(|&&child| tasks[child].end - tasks[child].start);
        let Some(&longest) = longest else { break };
        named = longest;
    }
    let Task { pid, ref command, start, end, .. } = tasks[task];
    Job { pid, name: tasks[named].name.clone(), command: command.clone(), start, end, row: 0, is_frame }
}

/// A shell, or a script that one runs.
fn is_shell(task: &Task) -> bool {
    let first = task.command.split(' ').next().unwrap_or_default();
    let interpreter = first.rsplit('/').next().unwrap_or_default();
    SHELLS.iter().any(|&shell| task.name == shell || interpreter == shell)
}

/// Gives each job the first row that is free; how many there are.
fn pack(jobs: &mut [Job]) -> usize {
    let mut rows: Vec<Nanos> = Vec::new();
    for job in jobs {
        job.row = match rows.iter().position(|&end| end <= job.start) {
            Some(row) => row,
            None => {
                rows.push(0);
                rows.len() - 1
            }
        };
        // One without length fills its row for a moment all the same.
        rows[job.row] = job.end.max(job.start + 1);
    }
    rows.len()
}

/// The program that did most of the work in a part of the build: one that waits for its children does none.
pub(crate) fn busiest(tasks: &[Task], span: Span) -> Option<&Task> {
    let mut own: Vec<Nanos> =
        tasks.iter().map(|task| Span { start: task.start, end: task.end }.overlap(span)).collect();
    let children = children(tasks);
    for (number, task) in tasks.iter().enumerate() {
        let within = Span { start: task.start.max(span.start), end: task.end.min(span.end) };
        if within.end <= within.start {
            continue;
        }
        // While at least one child ran; they are in the order of their starts.
        let mut seen = within.start;
        for &child in &children[number] {
            let (start, end) = (tasks[child].start.max(seen), tasks[child].end.min(within.end));
            own[number] -= end.saturating_sub(start);
            seen = seen.max(end);
        }
    }
    let busiest = (0..tasks.len()).filter(|&task| own[task] > 0).max_by_key(|&task| own[task]);
    busiest.map(|task| &tasks[task])
}
