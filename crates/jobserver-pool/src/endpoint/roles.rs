//! Which FIFO the next open of a process leads to, decided from what its opens so far looked like.
//!
//! A symlink's target is asked for before the server can know how the file will be opened, and not every question is
//! followed by an open (`stat`, `realpath`). So opens are counted by the event that each of them makes, never by
//! questions; and after the event the flags are read from `/proc`.
//!
//! Two FIFOs are worth it only for a client that waits: what it returns then comes to the pool, which decides who is
//! next. Whenever something is not clear, one FIFO for both ways is the safe choice: tokens can't be missed there.

use super::Kind;
use crate::process::Opened;

/// How far a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Roles {
    /// Nothing is open: not yet, or no more (make closes both when it executes itself anew).
    Fresh,
    /// One FIFO for both ways, whatever is opened from now on.
    Single,
    /// The FIFO for offers is open, by a client that waits: the next open is for returns.
    Reader,
    /// Only the FIFO for returns is open: the next open is for offers.
    Writer,
    /// Both are open.
    Split {
        /// The one for returns was opened for reading as well, as the `jobserver` crate does with both.
        out_reads: bool,
    },
}

/// One of the two FIFOs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    In,
    Out,
}

/// What an open has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub roles: Roles,
    /// What the client turned out to be, if that is new.
    pub kind: Option<Kind>,
    /// The FIFO for returns is read from, so it must become an endpoint of its own.
    pub part: bool,
}

impl Roles {
    /// Where the next open leads.
    pub fn next(self) -> End {
        match self {
            Roles::Reader => End::Out,
            Roles::Fresh | Roles::Single | Roles::Writer | Roles::Split { .. } => End::In,
        }
    }

    /// Whether [`Roles::opened`] wants to know how that end is open.
    pub fn wants_look(self, end: End) -> bool {
        end == End::Out || matches!(self, Roles::Fresh | Roles::Writer)
    }

    /// One end was opened; `found` are all descriptors that the process now has on that end, none if they can't be
    /// seen. `crowded`: there may have been more opens than were told.
    pub fn opened(self, end: End, found: &[Opened], crowded: bool) -> Step {
        let stays = |roles| Step { roles, kind: None, part: false };
        let reads = found.iter().filter(|opened| opened.reads).count();
        let only_reads = found.iter().any(|opened| !opened.writes);
        // Or it can't be seen yet.
        let may_read = reads > 0 || found.is_empty();
        match (self, end) {
            (Roles::Fresh, End::In) => first(found),
            // A second one that nobody led there: a thread at the same time, or through `/proc/self/fd`.
            (Roles::Reader, End::In) => stays(Roles::Single),
            (Roles::Writer, End::In) if reads == 0 => stays(Roles::Writer),
            (Roles::Writer, End::In) => {
                Step { roles: Roles::Split { out_reads: false }, kind: Some(waits(found)), part: false }
            }
            // A third one: not a client with one end for each way, so the second end may well be read from.
            (Roles::Split { out_reads: true }, End::In) => Step { roles: Roles::Single, kind: None, part: true },
            // Led there before a thread closed the rest.
            (Roles::Fresh, End::Out) if reads > 0 => Step { roles: Roles::Fresh, kind: None, part: true },
            // Threads that asked at once: some of them were led there, each with what may be its only descriptor.
            (Roles::Reader | Roles::Single | Roles::Split { .. }, End::Out) if crowded && may_read => parted(),
            (Roles::Reader, End::Out) if only_reads => parted(),
            (Roles::Reader, End::Out) => stays(Roles::Split { out_reads: may_read }),
            (Roles::Split { .. } | Roles::Single, End::Out) if only_reads || reads > 1 => parted(),
            _ => stays(self),
        }
    }
}

/// The first open of all.
fn first(found: &[Opened]) -> Step {
    let kind = waits(found);
    let roles = match (kind, found.len()) {
        (Kind::Writing, _) => Roles::Writer,
        // A client that never waits looks again right after it returned one: its own must still be there.
        (Kind::Waiting, 1) => Roles::Reader,
        _ => Roles::Single,
    };
    Step { roles, kind: Some(kind), part: false }
}

fn waits(found: &[Opened]) -> Kind {
    let mut readers = found.iter().filter(|opened| opened.reads).peekable();
    if readers.peek().is_none() && !found.is_empty() {
        return Kind::Writing;
    }
    if readers.any(|opened| opened.nonblocking) {
        Kind::NonWaiting
    } else {
        Kind::Waiting
    }
}

fn parted() -> Step {
    Step { roles: Roles::Single, kind: None, part: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: Opened = Opened { reads: true, writes: false, nonblocking: false };
    const W: Opened = Opened { reads: false, writes: true, nonblocking: false };
    const RW: Opened = Opened { reads: true, writes: true, nonblocking: false };

    fn quick(opened: Opened) -> Opened {
        Opened { nonblocking: true, ..opened }
    }

    /// The roles and the last known kind after opens that were each led as [`Roles::next`] says; and whether a FIFO
    /// was parted.
    fn after(opens: &[Opened]) -> (Roles, Kind, bool) {
        let (mut roles, mut kind, mut parted) = (Roles::Fresh, Kind::Shared, false);
        let (mut inn, mut out) = (Vec::new(), Vec::new());
        for &opened in opens {
            let end = roles.next();
            let found = if end == End::In { &mut inn } else { &mut out };
            found.push(opened);
            let step = roles.opened(end, found, false);
            if step.roles == Roles::Writer {
                out = std::mem::take(&mut inn);
            }
            roles = step.roles;
            kind = step.kind.unwrap_or(kind);
            parted |= step.part;
        }
        (roles, kind, parted)
    }

    #[test]
    fn each_way_of_opening_leads_to_its_roles() {
        let split = |out_reads| Roles::Split { out_reads };
        let table: &[(&[Opened], Roles, Kind, bool)] = &[
            // make; jobserver-rs, cargo, rustc; ninja; gcc; python with one descriptor.
            (&[R, W], split(false), Kind::Waiting, false),
            (&[RW, RW], split(true), Kind::Waiting, false),
            (&[quick(R), quick(W)], Roles::Single, Kind::NonWaiting, false),
            (&[quick(RW)], Roles::Single, Kind::NonWaiting, false),
            (&[RW], Roles::Reader, Kind::Waiting, false),
            // Writers first; writers only.
            (&[W, R], split(false), Kind::Waiting, false),
            (&[W, quick(R)], split(false), Kind::NonWaiting, false),
            (&[W], Roles::Writer, Kind::Writing, false),
            (&[W, W], Roles::Writer, Kind::Writing, false),
            // Readers twice: each needs offers.
            (&[R, R], Roles::Single, Kind::Waiting, true),
            // More than two.
            (&[R, W, R, W], split(false), Kind::Waiting, false),
            (&[RW, RW, RW], Roles::Single, Kind::Waiting, true),
        ];
        for (opens, roles, kind, part) in table {
            assert_eq!(after(opens), (*roles, *kind, *part), "{opens:?}");
        }
    }

    #[test]
    fn threads_that_were_led_to_the_second_end_get_offers_there() {
        for roles in [Roles::Reader, Roles::Single, Roles::Split { out_reads: true }] {
            // Several opens may be one event, at which one of them is seen.
            assert!(roles.opened(End::Out, &[RW], true).part);
            assert!(roles.opened(End::Out, &[], true).part);
            assert!(!roles.opened(End::Out, &[W], true).part);
            assert!(!roles.opened(End::Out, &[RW], false).part);
        }
        assert_eq!(Roles::Reader.opened(End::Out, &[], false).roles, Roles::Split { out_reads: true });
    }

    #[test]
    fn what_is_not_clear_stays_on_one_fifo() {
        assert_eq!(Roles::Fresh.opened(End::In, &[], false).roles, Roles::Single);
        assert_eq!(Roles::Fresh.opened(End::In, &[RW, RW], false).roles, Roles::Single);
        assert_eq!(Roles::Reader.opened(End::In, &[R, R], false).roles, Roles::Single);
    }
}
