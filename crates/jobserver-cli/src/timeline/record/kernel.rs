//! Each start and end of a process, told by the kernel: perf's records of tasks, without any counter.
//!
//! It wakes nobody, and misses none; a process that lives for half a millisecond is in it like any other. Who may not have
//! it (`perf_event_paranoid` above 2, or a container that forbids the call) gets looks into `/proc` instead.
//!
//! Who may hear of all processes of the machine (root) does: a microsecond each. For others the rings are inherited from
//! the thread that opens them, so that must be the one that starts the command, before it does; then the kernel makes a
//! structure for each process and each processor, which costs a build of short jobs 5 % of its processor time.

use std::io;

use super::sys::{Ring, Whose};
use crate::timeline::event::{Event, What};

/// Kinds of records, of the kernel's interface.
const LOST: u32 = 2;
const COMM: u32 = 3;
const EXIT: u32 = 4;
const FORK: u32 = 7;
/// Said of a COMM that comes of an exec.
const BY_EXEC: u16 = 1 << 13;

/// Happenings of all that this thread starts from now on, and maybe of others.
#[derive(Debug)]
pub(crate) struct Kernel {
    rings: Vec<Ring>,
    pub(crate) lost: u64,
}

impl Kernel {
    /// # Errors
    ///
    /// The system doesn't let this user.
    pub(crate) fn open() -> io::Result<Kernel> {
        // One for each processor: the kernel shares no ring among several.
        let processors = super::sys::processors()?;
        let open = |whose| processors.iter().map(|&number| Ring::open(number, whose)).collect::<io::Result<Vec<_>>>();
        let rings = open(Whose::All).or_else(|_| open(Whose::Ours))?;
        Ok(Kernel { rings, lost: 0 })
    }

    /// What has come since the last time.
    pub(crate) fn drain(&mut self, events: &mut Vec<Event>) {
        for ring in &mut self.rings {
            let bytes = ring.take();
            let mut rest = &bytes[..];
            while let Some((record, more)) = split(rest) {
                match read(record) {
                    Some(Told::Event(event)) => events.push(event),
                    Some(Told::Lost(count)) => self.lost += count,
                    None => {}
                }
                rest = more;
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Event(Event),
    Lost(u64),
}

/// The first record, its head included, and what comes after it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let size = u16::from_ne_bytes(bytes.get(6..8)?.try_into().ok()?);
    (size >= 8).then(|| bytes.split_at_checked(size.into())).flatten()
}

/// `None`: it is of a thread's start, or of nothing that was asked for.
fn read(record: &[u8]) -> Option<Told> {
    let word = |at: usize| Some(u32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_ne_bytes(record.get(at..at + 8)?.try_into().ok()?));
    let kind = word(0)?;
    let flags = u16::from_ne_bytes(record.get(4..6)?.try_into().ok()?);
    // All that was asked to come at the end is the time.
    let at = long(record.len().checked_sub(8)?)?;
    let event = |pid, what| Some(Told::Event(Event { at, pid, what }));
    match kind {
        FORK | EXIT => {
            let (pid, parent, thread) = (word(8)?, word(12)?, word(16)?);
            match kind {
                // A thread has its process's number and one of its own.
                EXIT if pid != thread => event(pid, What::ThreadEnd),
                FORK if pid != thread => None,
                FORK => event(pid, What::Start { parent }),
                _ => event(pid, What::End),
            }
        }
        COMM if flags & BY_EXEC != 0 => {
            let name = record.get(16..record.len() - 8)?;
            let length = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
            event(word(8)?, What::Program(String::from_utf8_lossy(&name[..length]).into_owned()))
        }
        LOST => Some(Told::Lost(long(16)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_told_from_its_start_to_its_end() {
        let Ok(mut kernel) = Kernel::open() else {
            // The other way to record is tested by itself; here the kernel's interface is.
            assert_ne!(rustix::process::geteuid().as_raw(), 0, "root may always open them");
            return;
        };
        let mut child = Command::new("/bin/sh").args(["-c", "/bin/true; exit 0"]).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let mut events = Vec::new();
        kernel.drain(&mut events);
        events.sort_by_key(|event| event.at);
        let of_child: Vec<_> = events.iter().filter(|event| event.pid == pid).map(|event| &event.what).collect();
        let parent = std::process::id();
        let expected = [&What::Start { parent }, &What::Program("sh".to_string()), &What::End];
        assert_eq!(of_child, expected, "{events:?}");
        let grandchild = events.iter().find(|event| event.what == What::Start { parent: pid }).expect("of sh").pid;
        let of_it: Vec<_> = events.iter().filter(|event| event.pid == grandchild).map(|event| &event.what).collect();
        assert_eq!(of_it[1..], [&What::Program("true".to_string()), &What::End], "{events:?}");
        assert_eq!(kernel.lost, 0);
    }

    #[test]
    fn a_record_that_is_cut_off_is_none() {
        assert_eq!(split(&[7, 0, 0, 0, 0, 0]), None);
        assert_eq!(split(&[7, 0, 0, 0, 0, 0, 40, 0, 1, 2]), None);
        assert_eq!(split(&[7, 0, 0, 0, 0, 0, 0, 0, 1, 2]), None);
        assert_eq!(read(&[7, 0, 0, 0, 0, 0, 12, 0, 1, 1, 1, 1]), None);
    }
}
