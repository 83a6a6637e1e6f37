//! What a pool needs of the machine, and what becomes of it where that is missing.

use crate::doctor::finding::{export, note, problem, Finding};
use crate::doctor::machine::{Fuse, RoomState};
use crate::doctor::situation::Situation;

/// A pool, a build tool and its compilers get by with so many.
const FEW: u64 = 64;

pub(crate) fn rules(situation: &Situation) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(descriptors(situation));
    if situation.joined_by_run().is_none() {
        found.extend(room(situation));
        if situation.serving().is_none() {
            found.extend(fuse(situation));
        }
    }
    found
}

fn descriptors(situation: &Situation) -> Option<Finding> {
    let limit = situation.descriptors;
    let soft = limit.soft.filter(|soft| *soft < FEW)?;
    let remedy = match limit.hard {
        Some(hard) if hard < FEW => "sudo prlimit --nofile=1024:1024 --pid $$".to_string(),
        Some(hard) => format!("ulimit -n {}", hard.min(1024)),
        None => "ulimit -n 1024".to_string(),
    };
    Some(problem(
        "few-descriptors",
        format!("a process may open {soft} files here"),
        "make, a compiler and a jobserver beside them need more at times, and fail where they get none",
        remedy,
    ))
}

fn room(situation: &Situation) -> Option<Finding> {
    let room = &situation.room;
    let folder = room.folder.display();
    let remedy = export("TMPDIR", &room.other);
    match &room.state {
        RoomState::Enough => None,
        RoomState::Misread => Some(problem(
            "tmpdir-misread",
            format!("TMPDIR is {folder}, a path that clients of a jobserver read differently"),
            "make puts its named pipe there, and no other tool can join it; `jobserver run` goes elsewhere",
            remedy,
        )),
        RoomState::None { why, is_full } => Some(problem(
            if *is_full { "tmpdir-full" } else { "tmpdir-unusable" },
            format!("no named pipe can be made in {folder}: {why}"),
            "make and `jobserver run` put theirs there; without it ninja, which takes nothing else, stays outside",
            remedy,
        )),
    }
}

fn fuse(situation: &Situation) -> Option<Finding> {
    if situation.make_on_descriptors().is_some() {
        // Then `run` uses descriptors anyway.
        return None;
    }
    let (why, remedy) = match &situation.fuse {
        Fuse::Usable | Fuse::Elsewhere => return None,
        Fuse::Missing => {
            ("there is no /dev/fuse, or no driver behind it".to_string(), "sudo modprobe fuse".to_string())
        }
        Fuse::Forbidden(error) => {
            (format!("/dev/fuse can't be opened: {error}"), "sudo chmod 666 /dev/fuse".to_string())
        }
        Fuse::NoHelper => (
            "only root may mount without fusermount3, and it is not on PATH".to_string(),
            "sudo apt-get install fuse3".to_string(),
        ),
        Fuse::HelperWithoutRight(why) => {
            (format!("fusermount3 may not mount: {why}"), "sudo chmod u+s \"$(command -v fusermount3)\"".to_string())
        }
        Fuse::Refused(error) => (
            format!("it was tried, and failed: {error}"),
            format!("unshare --user --map-root-user --mount {}", situation.run_line()),
        ),
        Fuse::NoCapability => (
            "root may not mount here (no CAP_SYS_ADMIN)".to_string(),
            format!("unshare --user --map-root-user --mount {}", situation.run_line()),
        ),
    };
    Some(note(
        "no-fuse",
        "`jobserver run` can't tell processes apart here".to_string(),
        format!("{why}: a token that is lost comes back when its build ends, not at once"),
        remedy,
    ))
}
