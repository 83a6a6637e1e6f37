//! Who has inherited FIFOs of a process that has ended: found by a look at all processes, a few at a time, so that nobody
//! waits for it, however many there are. `happen` says whose heirs are to be found.

use std::collections::BTreeSet;
use std::io;

use super::lead::is_gone;
use super::member::Endpoint;
use super::{EndpointId, Endpoints, Kind, LeaseId};
use crate::process::{Process, Search};

/// So many processes are looked at in a turn: each takes 10 to 50 us.
pub const A_LOOK: usize = 8;

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
        // Those who have ended need no descriptor any more.
        endpoints.iter_mut().for_each(|endpoint| endpoint.process = None);
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
    /// And how often each was opened before.
    endpoints: Vec<(EndpointId, u64)>,
    places: Vec<usize>,
    search: Search,
}

impl Abandoned {
    /// Looks at up to so many processes. Those endpoints, once all have been looked at.
    ///
    /// # Errors
    /// No descriptor is left to look with.
    pub fn go_on(&mut self, all: &Endpoints, most: usize) -> io::Result<Option<Vec<EndpointId>>> {
        if !self.search.go_on(most)? {
            return Ok(None);
        }
        let found = self.places.iter().zip(self.search.found());
        let held: BTreeSet<_> = found.filter_map(|(place, holder)| holder.map(|_| *place)).collect();
        // Whoever has opened it since may be one that was looked at before.
        let is_as_before =
            |&(id, opens): &(EndpointId, u64)| all.endpoints.get(&id).is_some_and(|now| now.opens() == opens);
        let endpoints = self.endpoints.iter().enumerate().filter(|(place, _)| !held.contains(place));
        Ok(Some(endpoints.map(|(_, one)| *one).filter(is_as_before).map(|(id, _)| id).collect()))
    }
}

impl Endpoints {
    /// Whether heirs are looked for: [`next`](Endpoints::next) goes on with it, and no descriptor tells of that.
    pub fn seeks_heirs(&self) -> bool {
        !self.heirs.is_done()
    }

    /// Whether the heirs of a client of that lease are looked for.
    pub fn seeks_heirs_of(&self, lease: LeaseId) -> bool {
        let searched = self.heirs.search.iter().flat_map(|sought| &sought.endpoints);
        self.heirs.waiting.iter().chain(searched).any(|endpoint| endpoint.lease == lease)
    }

    /// A search for those of these endpoints that no process has open which we may look at: for endpoints whose end no event
    /// tells, now and then.
    pub fn abandoned(&self, endpoints: &[EndpointId]) -> Abandoned {
        let known: Vec<_> = endpoints.iter().filter_map(|id| Some((*id, self.endpoints.get(id)?))).collect();
        let (places, search) = search(known.iter().map(|(_, endpoint)| *endpoint));
        Abandoned { endpoints: known.iter().map(|(id, endpoint)| (*id, endpoint.opens())).collect(), places, search }
    }

    /// Goes on looking for heirs, at so many processes.
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
            match heir.map(Process::of) {
                Some(Ok(process)) => {
                    endpoint.owner = Some(process.id());
                    endpoint.process = Some(process);
                    endpoint.inherited = true;
                }
                // It has ended since; then the next one is looked for.
                Some(Err(error)) if is_gone(&error) => {
                    self.heirs.waiting.push(endpoint);
                    continue;
                }
                None if holders.is_some() => continue,
                // It stays for whoever has it, until its lease ends.
                None | Some(Err(_)) => {}
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
        let is_owned = endpoint.process.is_some();
        let id = self.insert(endpoint)?;
        self.announce(id, kind);
        if is_owned {
            // It may have closed it since it was looked at, or somebody else has its number by now.
            self.doubtful.insert(id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::endpoint::{Event, Style, Use};
    use crate::fuse::Reach;

    /// A lease with so many endpoints of its own whose owners have ended, and the client that holds each open.
    fn world(count: usize) -> (tempfile::TempDir, Endpoints, Vec<Endpoint>, Vec<File>) {
        let parent = tempfile::tempdir().unwrap();
        let mut all = Endpoints::start(&parent.path().join("pool"), Style::Fifo(Reach::Owner)).unwrap();
        let me = rustix::process::geteuid().as_raw();
        let lease = all.open_lease("build", me).unwrap();
        let (mut endpoints, mut files) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let mut endpoint = Endpoint::new(lease, None);
            let fifo = all.new_fifo(me, Use::Offers).unwrap();
            files.push(File::options().read(true).write(true).open(fifo.path()).unwrap());
            endpoint.inn = Some(fifo);
            endpoints.push(endpoint);
        }
        (parent, all, endpoints, files)
    }

    /// A process that ends with this.
    struct Holder(Child);

    impl Holder {
        fn of(file: File) -> Holder {
            Holder(Command::new("cat").stdin(file).stdout(Stdio::null()).spawn().unwrap())
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn told(all: &mut Endpoints) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match all.next().unwrap() {
                Some(event) => events.push(event),
                None if all.seeks_heirs() || all.has_more() => {}
                None => return events,
            }
        }
    }

    #[test]
    fn of_many_endpoints_exactly_those_are_abandoned_that_nobody_has_open() {
        let (_parent, mut all, endpoints, mut files) = world(3);
        let mut ids = vec![EndpointId(u64::MAX)];
        ids.extend(endpoints.into_iter().map(|endpoint| all.insert(endpoint).unwrap()));
        let _child = Holder::of(files.remove(1));
        drop(files);
        let mut search = all.abandoned(&ids);
        let found = loop {
            if let Some(found) = search.go_on(&all, 1).unwrap() {
                break found;
            }
        };
        assert_eq!(found, [ids[1], ids[3]]);
    }

    #[test]
    fn what_was_opened_meanwhile_is_not_abandoned() {
        let (_parent, mut all, mut endpoints, files) = world(1);
        let path = endpoints[0].inn.as_ref().unwrap().path().to_owned();
        let id = all.insert(endpoints.remove(0)).unwrap();
        drop(files);
        let mut search = all.abandoned(&[id]);
        assert_eq!(search.go_on(&all, 1).unwrap(), None, "there is more in /proc");
        let _file = File::options().read(true).write(true).open(path).unwrap();
        told(&mut all);
        assert_eq!(search.go_on(&all, usize::MAX).unwrap(), Some(Vec::new()));
    }

    #[test]
    fn an_heir_that_ends_before_it_is_known_leaves_the_next_one_what_it_has() {
        let (_parent, mut all, endpoints, mut files) = world(1);
        let file = files.remove(0);
        let mut dead = Holder::of(file.try_clone().unwrap());
        let heir = Holder::of(file);
        dead.0.kill().unwrap();
        // Ended, and seen as a process until it is waited for.
        while Process::of(dead.0.id()).is_ok() {}
        all.found(endpoints, vec![0], Some(vec![Some(dead.0.id())])).unwrap();
        let events = told(&mut all);
        let owners: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Opened { process, .. } => process.map(|process| process.pid),
                _ => None,
            })
            .collect();
        assert_eq!(owners, [heir.0.id()], "{events:?}");
    }

    #[test]
    fn who_has_closed_it_before_it_was_known_is_no_heir() {
        let (_parent, mut all, endpoints, files) = world(1);
        drop(files);
        // That it was closed is told while nobody knows whose it is.
        told(&mut all);
        all.found(endpoints, vec![0], Some(vec![Some(std::process::id())])).unwrap();
        let events = told(&mut all);
        let is_gone = |event: &Event| matches!(event, Event::Gone { .. });
        assert!(events.iter().any(is_gone), "{events:?}");
        assert!(all.endpoints.values().all(|endpoint| !endpoint.inherited));
    }
}
