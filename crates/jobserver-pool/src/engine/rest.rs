//! When the pool looks at what its clients do: at once where somebody may win by it, else now and then.
//!
//! A wake-up costs 10 to 60 us, more than all that follows it. Who comes, who ends, and whoever speaks for a lease is
//! heard of at once at all times.

use std::collections::HashMap;
use std::io;

use super::Engine;
use crate::endpoint::{Hearing, Split};
use crate::ledger::LeaseId;
use crate::scheduler::{policy, Nanos};

/// How soon it is tried again where the kernel could not be asked to wake us.
const DEAF: Nanos = 100_000_000;

/// Which leases have clients that would take a slot now, as far as is known, or may soon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanting {
    #[default]
    Nobody,
    One(LeaseId),
    Many,
}

#[derive(Debug, Default)]
pub(super) struct Rest {
    wanting: Wanting,
    /// Leases of which no client has come yet, and until when one is expected.
    pub fresh: HashMap<LeaseId, Nanos>,
    /// Somebody asked for a FIFO lately: until then it shows what kind of client he is.
    settling: Nanos,
    /// When is looked at what nobody listens to.
    pub look: Option<Nanos>,
    /// When is looked at what is watched, and not heard of otherwise.
    pub watch: Option<Nanos>,
    /// For how long that was put off last.
    nap: Nanos,
    /// When a client last did anything.
    stirred: Nanos,
}

impl Engine {
    /// Two FIFOs let the pool decide who gets what a client returns. Where a build is alone, or beside builds that want
    /// nothing, there is nothing to decide, and each token's way through the server would cost it: who comes there has one
    /// FIFO for both ways, from which tokens are caught once others want them.
    pub(super) fn choose_split(&mut self) {
        let now = self.now();
        self.rest.fresh.retain(|_, until| *until > now);
        self.rest.wanting = self.wanting();
        let place = |lease| self.leases.get(&lease).map(|lease| lease.place);
        self.endpoints.split(match self.rest.wanting {
            Wanting::Many if self.splits => Split::All,
            Wanting::One(lease) if self.splits => place(lease).map_or(Split::All, Split::AllBut),
            _ => Split::Nobody,
        });
    }

    fn wanting(&self) -> Wanting {
        let mut leases = self.scheduler.wanting().chain(self.rest.fresh.keys().copied());
        let Some(first) = leases.next() else { return Wanting::Nobody };
        if leases.any(|lease| lease != first) {
            Wanting::Many
        } else {
            Wanting::One(first)
        }
    }

    /// One build that wants something, of which every client takes again itself what it returns.
    fn is_one_build(&self) -> bool {
        self.split.is_empty() && self.rest.wanting != Wanting::Many
    }

    /// What nobody can win by is looked at now and then, not each time: a wake-up costs more than all that follows it.
    pub(super) fn listen(&mut self) -> io::Result<()> {
        self.choose_split();
        let (now, stir) = (self.now(), self.endpoints.stir());
        if stir.asked {
            self.rest.settling = now + policy::SETTLING;
        }
        let looked = self.rest.look.take_if(|look| *look <= now || stir.asked).is_some();
        let free = self.ledger().free() > 0;
        let settles = self.rest.settling > now;
        let nap = if self.more || self.rest.look.is_some() || free {
            None
        } else if settles {
            // Nothing is free for whoever comes: what it is can wait until it has opened both ends.
            self.rest.nap = 0;
            (self.is_one_build() && self.ledger().owed() == 0).then_some(policy::OPENING)
        } else if self.scheduler.is_calm() {
            let longer = (self.rest.nap * 2).min(policy::CALM.1);
            self.rest.nap = if looked { longer.max(policy::CALM.0) } else { policy::CALM.0 };
            Some(self.rest.nap)
        } else {
            // One build alone: it is not for the pool to say which of its processes goes first, only that no slot is
            // left unused.
            let more_follows = stir.closed || now - self.rest.stirred < policy::BUSY;
            (self.is_one_build() && more_follows).then_some(policy::BUSY)
        };
        self.rest.stirred = if stir.moved { now } else { self.rest.stirred };
        // Where nothing has stirred, no timer is needed.
        self.rest.look = self.rest.look.or(nap.filter(|_| stir.moved || stir.asked).map(|nap| now + nap));
        let hearing = if self.rest.look.is_some() {
            Hearing::Nothing
        } else if self.is_one_build() && !free && !self.scheduler.offers_lie_apart() {
            Hearing::Returns
        } else {
            Hearing::All
        };
        self.rest.watch = (hearing == Hearing::Returns && self.is_watched()).then(|| now + policy::WATCHED);
        let heard = self.endpoints.hear(hearing);
        if heard.is_err() {
            // Nothing may wake us now: it is looked at all the same.
            self.rest.look = Some(now + DEAF);
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    use rustix::process::{kill_process_group, Pid, Signal};

    use super::*;
    use crate::endpoint::Kind;
    use crate::engine::world::{lease, pool, until, BOUND};
    use crate::engine::Notice;

    const HOUR: Nanos = 3_600_000_000_000;

    #[test]
    fn a_nap_ends_when_somebody_comes() {
        let (_parent, mut engine) = pool(2);
        let (_, path) = lease(&mut engine, "build");
        engine.rest.look = Some(engine.now() + HOUR);
        engine.listen().unwrap();
        // One open, so that nothing else of it is asked for that would wake us.
        let script = "exec 3<>$1; t=$(head -c 1 <&3); [ \"$t\" = + ] && printf + >&3";
        let mut child = Command::new("sh").args(["-c", script, "sh"]).arg(path).stdin(Stdio::null()).spawn().unwrap();
        let start = Instant::now();
        // As a server does: it is woken, or by its timer, and by nothing else.
        let turn = |engine: &mut Engine| {
            let left = BOUND.saturating_sub(start.elapsed());
            let timeout = Timespec::try_from(engine.timeout().map_or(left, |timeout| timeout.min(left))).unwrap();
            let fd = PollFd::from_borrowed_fd(engine.fd(), PollFlags::IN);
            poll(&mut [fd], Some(&timeout)).unwrap();
            assert!(start.elapsed() < BOUND, "the client waits for the end of the nap");
            engine.turn().unwrap();
        };
        while engine.ledger().endpoints().count() == 0 {
            turn(&mut engine);
        }
        // It takes the token, returns it, and ends.
        while engine.ledger().endpoints().count() > 0 {
            turn(&mut engine);
        }
        assert!(child.wait().unwrap().success());
        assert_eq!((engine.ledger().free(), engine.ledger().recovered(), engine.ledger().strays()), (1, 0, 0));
    }

    /// Ends with the test, and what it has started too.
    struct Client(Child);

    impl Drop for Client {
        fn drop(&mut self) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }

    #[test]
    fn who_took_its_own_gets_what_another_client_leaves_lying() {
        let (_parent, mut engine) = pool(3);
        engine.never_split();
        let (_, path) = lease(&mut engine, "build");
        let start = Instant::now();
        let turn = |engine: &mut Engine| {
            let left = BOUND.saturating_sub(start.elapsed());
            let timeout = Timespec::try_from(engine.timeout().map_or(left, |timeout| timeout.min(left))).unwrap();
            let fd = PollFd::from_borrowed_fd(engine.fd(), PollFlags::IN);
            poll(&mut [fd], Some(&timeout)).unwrap();
            assert!(start.elapsed() < BOUND, "one client waits beside a token that another one leaves lying");
            engine.turn().unwrap();
        };
        let client = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec 3<>$1; read go; {script}"), "sh"]).arg(&path);
            Client(command.stdin(Stdio::piped()).process_group(0).spawn().unwrap())
        };
        let (mut idle, mut busy) = (client(":"), client("t=$(head -c 1 <&3; head -c 1 <&3); printf $t >&3"));
        while engine.ledger().offered() < 2 || engine.ledger().endpoints().count() < 2 {
            turn(&mut engine);
        }
        // Until there is nothing more to do or to wait for.
        while engine.timeout().is_some() {
            turn(&mut engine);
        }
        let (idle_go, busy_go) = (idle.0.stdin.take(), busy.0.stdin.take());
        drop(busy_go);
        while engine.ledger().endpoints().count() > 1 {
            turn(&mut engine);
        }
        drop(idle_go);
        while engine.ledger().endpoints().count() > 0 {
            turn(&mut engine);
        }
        assert!(busy.0.wait().unwrap().success() && idle.0.wait().unwrap().success());
        assert_eq!((engine.ledger().free(), engine.ledger().recovered(), engine.ledger().strays()), (2, 0, 0));
    }

    /// As make does: one end for each way.
    fn client(path: &Path, script: &str) -> Client {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 3<$1 4>$1; {script}"), "sh"]).arg(path);
        Client(command.stdin(Stdio::piped()).process_group(0).spawn().unwrap())
    }

    /// Its kind, and how many FIFOs it has, when it has both ends open.
    fn kind_of(engine: &mut Engine, client: &Client) -> (Kind, usize) {
        let start = Instant::now();
        let (mut last, mut opens) = (None, 0);
        while opens < 2 || last.is_none() {
            assert!(start.elapsed() < BOUND, "the client has not opened both ends: {last:?}");
            engine.turn().unwrap();
            while let Some(notice) = engine.notice() {
                if let Notice::Opened { pid, kind, descriptors, .. } = notice {
                    last = (pid == Some(client.0.id())).then_some((kind, descriptors.len())).or(last);
                }
            }
            let fds = std::fs::read_dir(format!("/proc/{}/fd", client.0.id())).unwrap();
            opens =
                fds.filter(|fd| fd.as_ref().is_ok_and(|fd| ["3", "4"].iter().any(|n| fd.file_name() == *n))).count();
        }
        last.unwrap()
    }

    #[test]
    fn only_builds_that_meet_others_are_split() {
        let (_parent, mut engine) = pool(3);
        let (_, path) = lease(&mut engine, "first");
        let first = client(&path, "read go");
        assert_eq!(kind_of(&mut engine, &first), (Kind::Unsplit, 1));
        let (other, others_path) = lease(&mut engine, "other");
        // It has the only token, and wants another one.
        let others = client(&others_path, "head -c 1 <&3 && read go");
        until("it has the token", &mut engine, |engine| engine.ledger().held() == 3);
        let met = client(&path, "read go");
        assert_eq!(kind_of(&mut engine, &met), (Kind::Waiting, 2));
        drop(others);
        engine.end_command(other);
        engine.close_lease(other);
        let start = Instant::now();
        while engine.ledger().lease(other).is_some() {
            assert!(start.elapsed() < BOUND, "the other build is still there");
            engine.turn().unwrap();
        }
        let alone = client(&path, "read go");
        assert_eq!(kind_of(&mut engine, &alone), (Kind::Unsplit, 1));
    }

    #[test]
    fn a_build_beside_one_that_wants_nothing_is_as_good_as_alone() {
        let (_parent, mut engine) = pool(4);
        let (_, idle_path) = lease(&mut engine, "idle");
        let idle = client(&idle_path, "read go");
        assert_eq!(kind_of(&mut engine, &idle), (Kind::Unsplit, 1));
        until("it leaves what it has", &mut engine, |engine| engine.ledger().offered() == 3);
        let (busy_lease, path) = lease(&mut engine, "busy");
        // More than there are.
        let busy = client(&path, "head -c 9 <&3");
        assert_eq!(kind_of(&mut engine, &busy), (Kind::Unsplit, 1));
        let start = Instant::now();
        // The command's own slot, and both tokens: what lay at the other one was taken away.
        while engine.ledger().lease(busy_lease).unwrap().held() < 3 {
            assert!(start.elapsed() < BOUND, "a token lies where nobody takes it: {:?}", engine.ledger());
            engine.turn().unwrap();
        }
        let next = client(&path, "read go");
        assert_eq!(kind_of(&mut engine, &next), (Kind::Unsplit, 1));
    }
}
