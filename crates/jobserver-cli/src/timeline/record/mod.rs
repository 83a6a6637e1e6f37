//! The recorder: a thread that listens while the command runs, and keeps all in memory until it has ended.
//!
//! It may cost the build nothing that could be felt: it wakes 50 times a second at the most, and more rarely where a look
//! costs more, so that it computes for a four-hundredth of the time; what the kernel and the pool have to say waits for it
//! in their rings and sockets.

mod family;
mod kernel;
mod procfs;
mod slots;
#[allow(unsafe_code)]
mod sys;
mod tree;

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::thread::{Builder, JoinHandle};

use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::event::{Commands, Event, Nanos, Recording, Slots, What};
use family::Family;
pub(crate) use kernel::Kernel;
pub(crate) use procfs::now;
pub(crate) use slots::Source;
use tree::Tree;

/// Between two looks, at the least: what lives longer has its command line on the page.
const LEAST: Nanos = 20_000_000;
/// And at the most.
const MOST: Nanos = 1_000_000_000;
/// And where the kernel tells: what runs for longer than this has its command line on the page in any build.
const MOST_TOLD: Nanos = 100_000_000;
/// One part of so many of the time is spent on what is told, and on looks where nothing is. A build of compilers gets its 50
/// looks a second by that; one of 1,000 processes a second half of them.
const PART: (Nanos, Nanos) = (400, 200);
/// Processes whose command lines are read at one look, at the most: each costs 10 us.
const ASKED_MOST: usize = 64;
/// And those are not read that run for less than this: most of them would be gone before anybody missed it.
const YOUNG: Nanos = 5_000_000;

/// A recording under way.
#[derive(Debug)]
pub(crate) struct Recorder {
    stop: UnixStream,
    thread: JoinHandle<Recording>,
}

enum Ear {
    Kernel(Kernel, Family, Names),
    Tree(Tree),
}

impl Recorder {
    /// Records the command that runs as `root` since `begin`. Without `kernel` its processes are looked at.
    ///
    /// # Errors
    ///
    /// No thread, or no descriptors, can be had.
    pub(crate) fn start(begin: Nanos, root: u32, kernel: Option<Kernel>, mut source: Source) -> io::Result<Recorder> {
        let (stop, stopped) = UnixStream::pair()?;
        let mut ear = match kernel {
            Some(kernel) => Ear::Kernel(kernel, Family::of(root), Names::default()),
            None => Ear::Tree(Tree::new(root, std::process::id())),
        };
        let body = move || {
            let mut recording = Recording {
                begin,
                end: begin,
                root,
                events: Vec::new(),
                stands: Vec::new(),
                clients: Default::default(),
                commands: Commands::Kernel,
                slots: Slots::Unknown,
                lost: 0,
            };
            let (part, most) = if matches!(ear, Ear::Kernel(..)) { (PART.0, MOST_TOLD) } else { (PART.1, MOST) };
            let mut longest = 0;
            let mut looked = now();
            loop {
                let spent = procfs::spent();
                ear.listen(&mut recording.events, now());
                source.look(&mut recording);
                let cost = procfs::spent().saturating_sub(spent);
                if !wait(&stopped, (cost * part).clamp(LEAST, most)) {
                    break;
                }
                longest = (now() - looked).max(longest);
                looked = now();
            }
            recording.end = now();
            ear.listen(&mut recording.events, Nanos::MAX);
            source.look(&mut recording);
            recording.slots = source.kind();
            match ear {
                Ear::Kernel(kernel, ..) => recording.lost = kernel.lost,
                Ear::Tree(_) => recording.commands = Commands::Looks(longest.max(LEAST)),
            }
            recording
        };
        let thread = Builder::new().name("timeline".to_string()).spawn(body)?;
        Ok(Recorder { stop, thread })
    }

    /// The command has ended. `None`: the recorder has failed.
    pub(crate) fn finish(self) -> Option<Recording> {
        drop(self.stop);
        self.thread.join().ok()
    }
}

/// Waits; false: it is over.
fn wait(stop: &UnixStream, time: Nanos) -> bool {
    let time = Timespec { tv_sec: (time / 1_000_000_000) as i64, tv_nsec: (time % 1_000_000_000) as _ };
    let mut fds = [PollFd::new(stop, PollFlags::IN)];
    // Interrupted: a look too early.
    let _ = poll(&mut fds, Some(&time));
    fds[0].revents().is_empty()
}

impl Ear {
    /// All that happened before `until`.
    fn listen(&mut self, events: &mut Vec<Event>, until: Nanos) {
        match self {
            Ear::Kernel(kernel, family, names) => {
                let (old, lost, mut told) = (events.len(), kernel.lost, Vec::new());
                kernel.drain(&mut told);
                family.sift(&mut told, until, events);
                if kernel.lost > lost {
                    family.mend(until.min(now()), events);
                }
                names.ask(old, events);
            }
            Ear::Tree(tree) => tree.look(now(), events),
        }
    }
}

/// Which processes run whose command lines are not known yet, and since when: the kernel tells the name of a program only.
#[derive(Debug, Default)]
struct Names {
    unknown: HashMap<u32, Nanos>,
}

impl Names {
    /// Those from `old` on are new.
    fn ask(&mut self, old: usize, events: &mut Vec<Event>) {
        for event in &events[old..] {
            match event.what {
                What::Program(_) => drop(self.unknown.insert(event.pid, event.at)),
                What::End => drop(self.unknown.remove(&event.pid)),
                What::Start { .. } | What::Command(_) | What::ThreadEnd => {}
            }
        }
        let grown = now().saturating_sub(YOUNG);
        let asked = self.unknown.iter().filter(|&(_, &since)| since <= grown).map(|(&pid, _)| pid);
        for pid in asked.take(ASKED_MOST).collect::<Vec<_>>() {
            self.unknown.remove(&pid);
            events.extend(procfs::command(pid).map(|text| Event { at: now(), pid, what: What::Command(text) }));
        }
    }
}
