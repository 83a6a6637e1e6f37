//! Who has inherited FIFOs of a process that has ended: found by a look at all processes, a few at a time, so that nobody
//! waits for it, however many there are. `happen` says whose heirs are to be found.

use std::collections::BTreeSet;
use std::io;

use super::member::Endpoint;
use super::{EndpointId, Endpoints, Kind, LeaseId};
use crate::process::{self, Process, Search};

/// So many processes are looked at in a turn: each takes 10 to 50 us.
pub const A_TURN: usize = 8;

/// Endpoints whose owners have ended, and which somebody else may have open. What the owners held is free, and so is what
/// lay there; but the heirs must neither read the end nor die of a broken pipe.
#[derive(Debug, Default)]
pub(super) struct Heirs {
    /// Those of the next search.
    waiting: Vec<Endpoint>,
    search: Option<Sought>,
}

#[derive(Debug)]
struct Sought {
    endpoints: Vec<Endpoint>,
    /// To which of them each file belongs that is searched for.
    places: Vec<usize>,
    search: Search,
}

impl Heirs {
    /// The heirs of these are to be found.
    pub fn of(&mut self, mut endpoints: Vec<Endpoint>) {
        self.waiting.append(&mut endpoints);
    }

    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.search.is_none()
    }
}

impl Sought {
    fn new(endpoints: Vec<Endpoint>) -> Sought {
        let (places, search) = search(endpoints.iter());
        Sought { endpoints, places, search }
    }
}

/// A search for whoever has any FIFO of these open, and whose each file is, by its place.
fn search<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> (Vec<usize>, Search) {
    let (mut places, mut files) = (Vec::new(), Vec::new());
    for (place, endpoint) in endpoints.enumerate() {
        for fifo in endpoint.fifos() {
            places.push(place);
            files.push((fifo.name(), fifo.inode()));
        }
    }
    (places, Search::new(&files))
}

/// A search for endpoints that nobody has open.
#[derive(Debug)]
pub struct Abandoned {
    endpoints: Vec<EndpointId>,
    places: Vec<usize>,
    search: Search,
}

impl Abandoned {
    /// Looks at up to so many processes. Those endpoints, once all have been looked at.
    ///
    /// # Errors
    /// No descriptor is left to look with.
    pub fn go_on(&mut self, most: usize) -> io::Result<Option<Vec<EndpointId>>> {
        if !self.search.go_on(most)? {
            return Ok(None);
        }
        let found = self.places.iter().zip(self.search.found());
        let held: BTreeSet<_> = found.filter_map(|(place, holder)| holder.map(|_| *place)).collect();
        let places = self.endpoints.iter().enumerate().filter(|(place, _)| !held.contains(place));
        Ok(Some(places.map(|(_, endpoint)| *endpoint).collect()))
    }
}

impl Endpoints {
    /// Whether heirs are looked for: [`next`](Endpoints::next) goes on with it, and no descriptor tells of that.
    pub fn seeks_heirs(&self) -> bool {
        !self.heirs.is_done()
    }

    /// Whether any of these may be a client of that lease.
    pub fn seeks_heirs_of(&self, lease: LeaseId) -> bool {
        let searched = self.heirs.search.iter().flat_map(|sought| &sought.endpoints);
        self.heirs.waiting.iter().chain(searched).any(|endpoint| endpoint.lease == lease)
    }

    /// A search for those of these endpoints that no process has open which we may look at: for endpoints whose end no event
    /// tells, now and then.
    pub fn abandoned(&self, endpoints: &[EndpointId]) -> Abandoned {
        let known: Vec<_> = endpoints.iter().filter_map(|id| self.endpoints.get(id)).collect();
        let (places, search) = search(known.into_iter());
        Abandoned { endpoints: endpoints.to_vec(), places, search }
    }

    /// Goes on with that, for so many processes.
    pub(super) fn look_for_heirs(&mut self, most: usize) -> io::Result<()> {
        let waiting = &mut self.heirs.waiting;
        let sought = self.heirs.search.take().or_else(|| {
            let endpoints = std::mem::take(waiting);
            (!endpoints.is_empty()).then(|| Sought::new(endpoints))
        });
        let Some(mut sought) = sought else { return Ok(()) };
        match sought.search.go_on(most) {
            Ok(true) => self.found(sought.endpoints, sought.places, Some(sought.search.found().to_vec())),
            Ok(false) => {
                self.heirs.search = Some(sought);
                Ok(())
            }
            Err(_) => self.found(sought.endpoints, sought.places, None),
        }
    }

    /// `holders`: who has each file open; `None` if nothing is known of that.
    fn found(
        &mut self,
        endpoints: Vec<Endpoint>,
        places: Vec<usize>,
        holders: Option<Vec<Option<u32>>>,
    ) -> io::Result<()> {
        let mut heirs = vec![None; endpoints.len()];
        for (place, holder) in places.into_iter().zip(holders.iter().flatten()) {
            heirs[place] = heirs[place].or(*holder);
        }
        let mut result = Ok(());
        for (mut endpoint, heir) in endpoints.into_iter().zip(heirs) {
            endpoint.owner = None;
            endpoint.process = None;
            match heir.map(Process::of) {
                // It stays for whoever has it, until its lease ends.
                None if holders.is_none() => {}
                None => continue,
                Some(Ok(process)) => {
                    endpoint.owner = Some(process.id());
                    endpoint.process = Some(process);
                    endpoint.inherited = true;
                }
                // It has ended since; then the next one is looked for.
                Some(Err(_)) if heir.is_some_and(|pid| process::group_of(pid).is_err()) => {
                    self.heirs.waiting.push(endpoint);
                    continue;
                }
                Some(Err(_)) => continue,
            }
            result = result.and(self.bequeath(endpoint));
        }
        result
    }

    /// The endpoint is its heir's, or everybody's who has it open. What came back since its owner's end is in the pool
    /// already, as all that the owner held.
    fn bequeath(&mut self, mut endpoint: Endpoint) -> io::Result<()> {
        for fifo in endpoint.inn.iter_mut().chain(&mut endpoint.out) {
            fifo.empty()?;
        }
        let kind = endpoint.kind.take().unwrap_or(Kind::Waiting);
        let id = self.insert(endpoint)?;
        self.announce(id, kind);
        Ok(())
    }
}
