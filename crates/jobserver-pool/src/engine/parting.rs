//! Clients that are done with a lease which is closed, though they go on: an `exec` that gave its slots back and waits for its
//! turn in another lease. Nobody would want to see the old one any longer.

use super::Engine;
use crate::ledger::{EndpointId, Stage};

impl Engine {
    /// Lets go of those that were touched in this turn, that hold nothing, and that nobody has open.
    pub(super) fn part_with_idle(&mut self) {
        for client in self.touched.clone() {
            let Some(number) = self.number(client).filter(|_| self.is_over(client)) else { continue };
            let all = self.endpoints.closed_by_owner(number).unwrap_or_default();
            let clients: Vec<_> = all.iter().filter_map(|number| self.numbers.get(number).copied()).collect();
            for &client in &clients {
                self.scheduler.set_shut(self.now(), client, true);
                // What lies there is taken back, and then we are here again; where its client was quicker, that is heard of.
                let lies = self.ledger().endpoint(client).is_some_and(|account| account.offered() > 0);
                self.more |= lies && !self.quicker.contains(&client);
            }
            let is_empty = |client| {
                let account = self.ledger().endpoint(client);
                account.is_none_or(|account| account.held() + account.offered() == 0)
            };
            if clients.into_iter().all(is_empty) {
                for number in all {
                    self.endpoints.shut(number);
                    self.gone(number);
                }
            }
        }
    }

    /// Whether its lease can't be opened any more.
    fn is_over(&self, client: EndpointId) -> bool {
        let Some(lease) = self.ledger().endpoint(client).map(|account| account.lease()) else { return false };
        let ended = self.ledger().lease(lease).is_some_and(|account| account.stage() == Stage::Ended);
        ended && self.is_closed(lease)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::engine::world::{lease, pool, until};
    use crate::ledger::LeaseId;

    /// A pool of two slots, a lease, and a client that waits for a line, closes what it has open, and waits once more.
    fn world(engine: &mut Engine, before: &str) -> (LeaseId, Child) {
        let (lease, path) = lease(engine, "build");
        let script = format!("exec 3<$1 4>$1; {before}; >$2; read go; exec 3<&- 4>&- 5<&- 6<&-; read go");
        let is_open = path.with_file_name("../open");
        let mut client = Command::new("sh");
        client.args(["-c", &script, "sh"]).arg(path).arg(&is_open).stdin(Stdio::piped());
        let client = client.spawn().unwrap();
        until("both ends are open", engine, |_| is_open.exists());
        (lease, client)
    }

    #[test]
    fn a_closed_lease_is_forgotten_when_its_clients_have_closed_what_is_empty_though_they_run() {
        for closes_first in [true, false] {
            let (_parent, mut engine) = pool(2);
            let (lease, mut child) = world(&mut engine, ":");
            until("it has an offer", &mut engine, |engine| engine.ledger().offered() == 1);
            if closes_first {
                engine.close_lease(lease);
                engine.turn().unwrap();
                assert_eq!(engine.ledger().endpoints().count(), 1, "it has it open");
            }
            child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
            if !closes_first {
                let shut = |engine: &Engine| {
                    engine.clients.values().all(|client| engine.endpoints.closed_by_owner(client.number).is_some())
                };
                until("it has closed", &mut engine, shut);
                engine.close_lease(lease);
            }
            until("the lease is gone", &mut engine, |engine| engine.ledger().leases().count() == 0);
            assert_eq!(engine.status(|_| true).leases, []);
            assert!(child.try_wait().unwrap().is_none(), "it runs all the time");
            drop(child.stdin.take());
            child.wait().unwrap();
            engine.turn().unwrap();
            assert_eq!((engine.ledger().free(), engine.ledger().recovered(), engine.ledger().strays()), (2, 0, 0));
        }
    }

    /// As `exec` does. Opens that follow each other are told as one, so from the events nobody can tell.
    #[test]
    fn a_closed_lease_is_forgotten_however_often_its_client_had_opened_the_fifo() {
        let (_parent, mut engine) = pool(2);
        let (lease, mut child) = world(&mut engine, "exec 5</proc/self/fd/3 6</proc/self/fd/3");
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        engine.close_lease(lease);
        until("the lease is gone", &mut engine, |engine| engine.ledger().leases().count() == 0);
        assert!(child.try_wait().unwrap().is_none(), "it runs all the time");
        drop(child.stdin.take());
        child.wait().unwrap();
        engine.turn().unwrap();
        assert_eq!((engine.ledger().free(), engine.ledger().recovered(), engine.ledger().strays()), (2, 0, 0));
    }

    #[test]
    fn a_closed_lease_is_forgotten_though_more_descriptors_were_seen_than_opens() {
        let (_parent, mut engine) = pool(2);
        // Beside another one that may want something: its clients have two FIFOs.
        lease(&mut engine, "other");
        let (lease, path) = lease(&mut engine, "build");
        let opened = path.with_file_name("../open");
        let script = "exec 3<>$1 4<>/proc/self/fd/3 5<>/proc/self/fd/3; : >$2; read go; exec 3>&- 4>&- 5>&-; read go";
        let mut command = Command::new("sh");
        let mut child =
            command.args(["-c", script, "sh"]).arg(&path).arg(&opened).stdin(Stdio::piped()).spawn().unwrap();
        while !opened.exists() {
            engine.turn().unwrap();
            // It opens the rest while nobody reads what is told of the first.
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        until("it is a client", &mut engine, |engine| !engine.clients.is_empty());
        engine.close_lease(lease);
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        until("the lease is gone", &mut engine, |engine| engine.ledger().lease(lease).is_none());
        assert!(child.try_wait().unwrap().is_none(), "it runs all the time");
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn one_that_holds_a_token_stays_until_it_ends() {
        let (_parent, mut engine) = pool(2);
        let (lease, mut child) = world(&mut engine, "head -c 1 <&3 >/dev/null");
        until("it has a token", &mut engine, |engine| engine.ledger().held() == 2);
        engine.close_lease(lease);
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let shut = |engine: &Engine| {
            engine.clients.values().all(|client| engine.endpoints.closed_by_owner(client.number).is_some())
        };
        until("it has closed", &mut engine, shut);
        engine.turn().unwrap();
        assert_eq!((engine.ledger().held(), engine.ledger().leases().count()), (1, 1));
        drop(child.stdin.take());
        until("its token is back", &mut engine, |engine| engine.ledger().leases().count() == 0);
        child.wait().unwrap();
        assert_eq!((engine.ledger().free(), engine.ledger().recovered(), engine.ledger().strays()), (2, 1, 0));
    }
}
