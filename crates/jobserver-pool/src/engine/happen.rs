//! What happened at the endpoints, told to the scheduler and to those who speak for the leases.

use std::io;

use super::client::{self, Client};
use super::{Engine, Notice};
use crate::endpoint::{self, Event};
use crate::ledger::EndpointId;
use crate::process::{self, ProcessId};

impl Engine {
    /// One event. In the order in which they are told: what was left in a FIFO and is read again at once would else be a token
    /// from nowhere, then one that lies there and doesn't.
    pub(super) fn happened(&mut self, event: Event) {
        match event {
            Event::Opened { endpoint, lease, process, parent, kind } => {
                self.opened(endpoint, lease, process, parent, kind);
            }
            Event::Changed { endpoint, kind } => {
                if let Some(&client) = self.numbers.get(&endpoint) {
                    self.set_kind(client, client::kind(kind));
                    self.scheduler.set_shut(self.now(), client, false);
                    self.tell_descriptors(client, endpoint, kind);
                }
            }
            Event::Shut { endpoint } => {
                if let Some(&client) = self.numbers.get(&endpoint) {
                    self.scheduler.set_shut(self.now(), client, true);
                    self.touched.push(client);
                }
            }
            Event::Stirred { endpoint, taken, returned, left } => self.stirred(endpoint, taken, returned, left),
            Event::Gone { endpoint } => self.gone(endpoint),
            Event::Starting { start, lease, pid } => self.starting(start, lease, pid),
            Event::Interrupted { start } => self.interrupted(start),
            Event::Sharing { lease, error } => self.sharing(lease, &error),
            Event::Unmounted { error } => self.notices.push_back(Notice::Trouble(format!(
                "the pool's mount is gone: {error}: what has joined goes on, nothing new can join"
            ))),
        }
    }

    fn sharing(&mut self, place: endpoint::LeaseId, error: &io::Error) {
        let lease = self.places.get(&place).and_then(|lease| self.leases.get_mut(lease));
        if let Some(lease) = lease {
            lease.sharing = Some(error.to_string());
        }
        self.notices.push_back(Notice::Trouble(format!(
            "some clients share one endpoint: {error}: a token that one of them loses comes back when its lease ends"
        )));
    }

    fn opened(
        &mut self,
        number: endpoint::EndpointId,
        place: endpoint::LeaseId,
        process: Option<ProcessId>,
        parent: Option<u32>,
        kind: endpoint::Kind,
    ) {
        let now = self.now();
        let lease = self.places.get(&place).copied();
        let Some(client) = lease.and_then(|lease| self.scheduler.open_endpoint(now, lease, client::kind(kind))) else {
            return self.endpoints.shut(number);
        };
        if let Some(lease) = lease {
            self.rest.fresh.remove(&lease);
            if self.is_closed(lease) {
                // The heir of a client that ended.
                self.closing.sweep_soon();
            }
        }
        log::debug!("client {} is process {:?}, {kind:?}", number.0, process.map(|process| process.pid));
        self.numbers.insert(number, client);
        if let Some(place) = process.map(|process| (place, process.pid)) {
            // A part of an endpoint, which has no parent of its own, is not where its process is looked for.
            let known = self.by_pid.entry(place).or_insert(client);
            *known = if parent.is_some() { client } else { *known };
        }
        self.clients.insert(client, Client::new(number, place, process));
        if let Some(parent) = process.zip(parent).and_then(|(process, parent)| self.nearest(place, process, parent)) {
            self.scheduler.set_parent(now, client, parent);
        }
        self.set_kind(client, client::kind(kind));
        self.tell_descriptors(client, number, kind);
    }

    /// The client that is the nearest of the parents of this process, up to whoever speaks for the lease.
    fn nearest(&self, place: endpoint::LeaseId, process: ProcessId, parent: u32) -> Option<EndpointId> {
        let speaker = self.places.get(&place).and_then(|lease| self.leases.get(lease)).map(|lease| lease.owner.pid);
        if Some(process.pid) == speaker {
            return None;
        }
        for pid in std::iter::once(parent).chain(process::ancestors(parent)) {
            let client = self.by_pid.get(&(place, pid)).copied();
            if client.is_some() || Some(pid) == speaker {
                return client;
            }
        }
        None
    }

    /// Only where they help: who has one FIFO for both ways goes on without us.
    fn tell_descriptors(&mut self, client: EndpointId, number: endpoint::EndpointId, kind: endpoint::Kind) {
        if !self.splits {
            return;
        }
        let Some(known) = self.clients.get_mut(&client) else { return };
        // Its first FIFO may be another one now.
        known.written = u32::MAX;
        self.touched.push(client);
        let (Some(&lease), pid) = (self.places.get(&known.place), known.process.map(|process| process.pid)) else {
            return;
        };
        if let Ok(descriptors) = self.endpoints.descriptors(number) {
            self.notices.push_back(Notice::Opened { lease, endpoint: number.0, pid, kind, descriptors });
        }
    }

    pub(super) fn gone(&mut self, number: endpoint::EndpointId) {
        let Some(client) = self.numbers.remove(&number) else { return };
        let Some(known) = self.clients.remove(&client) else { return };
        self.split.remove(&client);
        self.journal.write((number.0, (0, 0)), 0);
        let held = self.scheduler.close_endpoint(self.now(), client);
        let pid = known.process.map(|process| process.pid);
        if let Some(place) = pid.map(|pid| (known.place, pid)).filter(|place| self.by_pid.get(place) == Some(&client)) {
            self.by_pid.remove(&place);
        }
        if held > 0 {
            log::info!("client {}, process {pid:?}, has ended: {held} recovered", number.0);
        } else {
            log::debug!("client {}, process {pid:?}, is gone", number.0);
        }
        if let Some(&lease) = self.places.get(&known.place) {
            if self.splits {
                self.tell_after_heirs(known.place, Notice::Closed { lease, endpoint: number.0 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};
    use std::thread;

    use super::*;
    use crate::engine::world::{lease, pool, until};

    #[test]
    fn what_a_client_returns_and_takes_again_at_once_is_no_token_from_nowhere() {
        let (_parent, mut engine) = pool(2);
        engine.never_split();
        let (_, path) = lease(&mut engine, "build");
        let client = thread::spawn(move || {
            let mut fifo = OpenOptions::new().read(true).write(true).open(path).unwrap();
            let mut token = [0];
            fifo.read_exact(&mut token).unwrap();
            for _ in 0..10_000 {
                fifo.write_all(&token).unwrap();
                fifo.read_exact(&mut token).unwrap();
            }
            fifo.write_all(&token).unwrap();
        });
        while !client.is_finished() {
            engine.turn().unwrap();
            assert_eq!(engine.ledger().owed(), 0, "there are as many tokens as slots");
        }
        client.join().unwrap();
        while engine.ledger().held() > 1 {
            engine.turn().unwrap();
        }
        assert_eq!((engine.ledger().owed(), engine.ledger().strays()), (0, 0));
    }

    #[test]
    fn an_heir_outlives_the_lease_and_returns_what_it_has() {
        let (parent, mut engine) = pool(4);
        // Beside another one that may want something: its clients have two FIFOs.
        lease(&mut engine, "other");
        let (lease, path) = lease(&mut engine, "build");
        let wrote = parent.path().join("wrote");
        let script = "exec 3<$1 4>$1 5<&0; (read go <&5; printf + >&4 && : >$2) & exec sleep 600";
        let mut command = Command::new("sh");
        let mut client =
            command.args(["-c", script, "sh"]).arg(path).arg(&wrote).stdin(Stdio::piped()).spawn().unwrap();
        let comm = format!("/proc/{}/comm", client.id());
        let is_there = |engine: &Engine| {
            !engine.clients.is_empty() && std::fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n")
        };
        until("the client comes", &mut engine, is_there);
        engine.end_command(lease);
        engine.close_lease(lease);
        client.kill().unwrap();
        // To wait would close it.
        let mut gate = client.stdin.take().unwrap();
        client.wait().unwrap();
        let is_heir = |known: &Client| known.process.is_some_and(|process| process.pid != client.id());
        until("somebody inherits from the client", &mut engine, |engine| engine.clients.values().any(is_heir));
        gate.write_all(b"go\n").unwrap();
        until("the heir writes, and lives on", &mut engine, |_| wrote.exists());
        until("the heir ends", &mut engine, |engine| engine.ledger().lease(lease).is_none());
        assert!(engine.clients.is_empty());
    }

    #[test]
    fn what_a_dead_client_held_is_free_before_its_heirs_are_found_and_these_outlive_its_lease() {
        let (_parent, mut engine) = pool(4);
        // Beside another one that may want something: its clients have two FIFOs.
        lease(&mut engine, "other");
        let (lease, path) = lease(&mut engine, "build");
        let script = "exec 3<$1 4>$1 5<&0; head -c 1 <&3 >/dev/null; (read go <&5) & exec sleep 600";
        let mut command = Command::new("sh");
        let mut client = command.args(["-c", script, "sh"]).arg(path).stdin(Stdio::piped()).spawn().unwrap();
        let comm = format!("/proc/{}/comm", client.id());
        let took = |engine: &Engine| {
            engine.ledger().held() == 3 && std::fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n")
        };
        until("the client takes one", &mut engine, took);
        client.kill().unwrap();
        let gate = client.stdin.take();
        until("it is free again", &mut engine, |engine| engine.ledger().held() == 2);
        assert!(engine.endpoints.seeks_heirs());
        engine.close_lease(lease);
        let is_heir = |known: &Client| known.process.is_some_and(|process| process.pid != client.id());
        until("the heir is found", &mut engine, |engine| engine.clients.values().any(is_heir));
        drop(gate);
        until("nothing is left", &mut engine, |engine| engine.ledger().lease(lease).is_none());
        assert!(engine.clients.is_empty());
        client.wait().unwrap();
    }

    #[test]
    fn opens_that_are_told_as_one_hide_no_heir() {
        let (parent, mut engine) = pool(4);
        engine.never_split();
        let (_, path) = lease(&mut engine, "build");
        let opened = parent.path().join("opened");
        let script =
            "exec 3<>$1 4<>/proc/self/fd/3 5<>/proc/self/fd/3 6<&0; : >$2; (exec 3>&-; read go <&6) & exec sleep 600";
        let mut command = Command::new("sh");
        let mut client =
            command.args(["-c", script, "sh"]).arg(path).arg(&opened).stdin(Stdio::piped()).spawn().unwrap();
        while !opened.exists() {
            engine.turn().unwrap();
            // It opens the rest while nobody reads what is told of the first.
            thread::sleep(std::time::Duration::from_millis(50));
        }
        let comm = format!("/proc/{}/comm", client.id());
        let is_there = |engine: &Engine| {
            !engine.clients.is_empty() && std::fs::read_to_string(&comm).is_ok_and(|name| name == "sleep\n")
        };
        until("the client comes", &mut engine, is_there);
        client.kill().unwrap();
        let gate = client.stdin.take();
        client.wait().unwrap();
        let is_heir = |known: &Client| known.process.is_some_and(|process| process.pid != client.id());
        until("its heir is found", &mut engine, |engine| engine.clients.values().any(is_heir));
        drop(gate);
        until("nobody is left", &mut engine, |engine| engine.clients.is_empty());
    }
}
