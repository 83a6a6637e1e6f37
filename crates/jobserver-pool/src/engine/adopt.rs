//! Clients of an earlier server, which was killed while they ran.

use std::io;
use std::os::fd::OwnedFd;

use super::Engine;
use crate::endpoint::{self, Event};
use crate::ledger::LeaseId;

impl Engine {
    /// Takes a client over that an earlier server gave this number. The descriptors are those that it gave for it.
    ///
    /// # Errors
    /// The process is gone, the lease too, or these are no descriptors of a pool's FIFOs.
    pub fn adopt(
        &mut self,
        lease: LeaseId,
        (server, number): (u64, u64),
        pid: u32,
        kind: endpoint::Kind,
        descriptors: Vec<OwnedFd>,
    ) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the lease is gone");
        let place = self.leases.get(&lease).ok_or_else(gone)?.place;
        let (endpoint, lying) = self.endpoints.adopt(place, pid, kind, descriptors)?;
        if lying > self.set as usize {
            // It is told as opened by now, and nothing will tell that it is gone.
            let (_, events) = self.hear();
            events.into_iter().for_each(|event| self.happened(event));
            self.endpoints.shut(endpoint);
            self.gone(endpoint);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "more tokens lie there than the pool has slots"));
        }
        let key = (number, self.endpoints.file_id(endpoint));
        let sum = if server == self.found.server { self.found.sums.remove(&key) } else { None };
        let (result, events) = self.hear();
        for event in events {
            let is_it = matches!(event, Event::Opened { endpoint: opened, .. } if opened == endpoint);
            self.happened(event);
            // Before its returns are heard of, which are of what it holds.
            if let Some(&client) = self.numbers.get(&endpoint).filter(|_| is_it) {
                let held = sum.map_or(0, |sum| sum.saturating_sub(lying as u32));
                self.scheduler.adopt(self.now(), client, held);
                self.touched.push(client);
            }
        }
        // What lies there is nobody's. What the client was quicker to take is told like any other.
        self.endpoints.withdraw(endpoint, lying)?;
        result
    }
}
