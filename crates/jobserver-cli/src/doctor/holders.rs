//! Who has a FIFO open: whether anybody serves it.
//!
//! The descriptors of all processes are looked through, as far as that is permitted. Only where a holder could be out of
//! sight is the kernel asked by opening the FIFO in a way that fails if nobody reads it; that would also let go a process
//! that hangs because nobody serves it, so those are looked for first.

use std::fs::{self, DirEntry, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The pid namespace of the machine, which sees all processes: PROC_PID_INIT_INO of linux/proc_ns.h.
const OUTERMOST: &str = "pid:[4026531836]";
/// Where the kernel lets a process sleep that opens one end of a FIFO and waits for the other, fs/pipe.c.
const WAITS_FOR_OTHER_END: &str = "wait_for_partner";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holders {
    /// One process has both ends, or two have one each.
    BothEnds,
    /// One end, or somebody out of sight.
    Some,
    Nobody,
}

pub(super) fn of(path: &Path) -> Holders {
    let Ok(fifo) = fs::metadata(path) else { return Holders::Nobody };
    let (mut reads, mut writes, mut is_awaited, mut some_are_closed) = (false, false, false, false);
    for process in processes() {
        is_awaited |= waits_for(&process, path);
        let descriptors = match fs::read_dir(process.path().join("fd")) {
            Ok(descriptors) => descriptors,
            Err(error) => {
                some_are_closed |= error.kind() == ErrorKind::PermissionDenied;
                continue;
            }
        };
        for descriptor in descriptors.flatten().filter(|entry| is_same(&fifo, entry)) {
            let info = process.path().join("fdinfo").join(descriptor.file_name());
            let (read, write) = fs::read_to_string(info).ok().and_then(|info| way(&info)).unwrap_or_default();
            reads |= read;
            writes |= write;
            if reads && writes {
                return Holders::BothEnds;
            }
        }
    }
    if reads || writes {
        return Holders::Some;
    }
    // Root may serve a FIFO that is this user's.
    let may_be_out_of_sight = !is_outermost() || some_are_closed;
    match may_be_out_of_sight && !is_awaited && is_read_by_somebody(path) {
        true => Holders::Some,
        false => Holders::Nobody,
    }
}

/// Whether a descriptor is for reading, and for writing, by its text in `/proc/PID/fdinfo`.
pub(super) fn way(fdinfo: &str) -> Option<(bool, bool)> {
    let flags = fdinfo.lines().find_map(|line| line.strip_prefix("flags:"))?;
    let mode = u32::from_str_radix(flags.trim(), 8).ok()? & 3;
    Some((mode != 1, mode != 0))
}

fn processes() -> impl Iterator<Item = DirEntry> {
    let is_process = |entry: &DirEntry| entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
    fs::read_dir("/proc").into_iter().flatten().flatten().filter(is_process)
}

fn is_same(fifo: &Metadata, descriptor: &DirEntry) -> bool {
    fs::metadata(descriptor.path()).is_ok_and(|found| (found.dev(), found.ino()) == (fifo.dev(), fifo.ino()))
}

/// A client that hangs in `open`. Nobody does where there is a server, which holds both ends.
fn waits_for(process: &DirEntry, path: &Path) -> bool {
    let reads = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
    let path = path.as_os_str().as_bytes();
    let names_it = || reads("environ").windows(path.len()).any(|window| window == path);
    reads("wchan") == WAITS_FOR_OTHER_END.as_bytes() && names_it()
}

fn is_outermost() -> bool {
    fs::read_link("/proc/self/ns/pid").is_ok_and(|namespace| namespace.as_os_str() == OUTERMOST)
}

/// Without a reader this open fails (ENXIO) and has no effect; with one there is a writer more for an instant.
fn is_read_by_somebody(path: &Path) -> bool {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    rustix::fs::open(path, flags, Mode::empty()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_a_descriptor_is_read_off_its_flags() {
        for (flags, expected) in [("0100000", (true, false)), ("0100001", (false, true)), ("02004002", (true, true))] {
            assert_eq!(way(&format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t1\n")), Some(expected));
        }
        assert_eq!(way("pos:\t0\n"), None);
    }
}
