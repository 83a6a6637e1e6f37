//! What the kernel tells, turned into events for the driver: opens, closes, moved tokens, ended processes.

use std::collections::BTreeMap;
use std::io;

use super::fifo::Fifo;
use super::member::{Endpoint, Moved};
use super::roles::{End, Roles};
use super::watch::Happening;
use super::{EndpointId, Endpoints, Event, Kind, A_LOOK, FUSE, NEWS, TAKES};

/// So often clients may keep stirring before the others get their turn.
const ROUNDS: usize = 16;

impl Endpoints {
    /// Handles what has come: first what happened in the FIFOs, then who asks for one, then who has ended. What a
    /// process did before it ended was told before its end was.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        let ready = self.ready()?;
        let ready = self.take_caught(ready)?;
        let heirs = self.look_for_heirs(A_LOOK);
        self.catch_up()?;
        if ready.contains(&FUSE) {
            self.answer_all()?;
        }
        let ended = ready.into_iter().filter(|id| ![FUSE, NEWS, TAKES].contains(id)).map(EndpointId).collect();
        self.ended(ended).and(heirs)
    }

    /// Tells all that happened in the FIFOs up to now.
    pub(super) fn catch_up(&mut self) -> io::Result<()> {
        self.take_note()?;
        for _ in 0..ROUNDS {
            if self.stirred.is_empty() {
                break;
            }
            self.settle()?;
        }
        let mut closed: Vec<_> = std::mem::take(&mut self.doubtful).into_iter().collect();
        closed.retain(|id| self.endpoints.get(id).is_some_and(|endpoint| !endpoint.is_open_at_owner()));
        self.ended(closed)
    }

    /// What the driver itself has laid and taken makes events like what clients do: they would wake it in vain. Whoever has
    /// done anything meanwhile is told of as ever.
    pub fn forget_own_moves(&mut self) -> io::Result<()> {
        let moved = self.stir.moved;
        let noted = self.take_note();
        let endpoints = &self.endpoints;
        self.stirred.retain(|id| endpoints.get(id).is_some_and(|endpoint| !matches!(endpoint.is_as_known(), Ok(true))));
        self.stir.moved = moved || self.has_more();
        noted
    }

    /// Reads the kernel's events: opens and closes change roles, everything else only asks for a look.
    fn take_note(&mut self) -> io::Result<()> {
        let mut happenings = self.watch.news.happenings()?;
        happenings.append(&mut self.watch.takes.happenings()?);
        self.stir.moved |= !happenings.is_empty();
        for happening in happenings {
            let (Happening::Opened(number) | Happening::Closed(number) | Happening::Stirred(number)) = happening else {
                self.look_at_all()?;
                continue;
            };
            // None if it was removed meanwhile.
            let Some(&id) = self.fifos.get(&number) else { continue };
            let Some(endpoint) = self.endpoints.get_mut(&id) else { continue };
            let Some((end, fifo)) = endpoint.fifo_mut(number) else { continue };
            self.stirred.insert(id);
            match happening {
                Happening::Opened(_) => {
                    fifo.opens += 1;
                    self.opened(id, end)?;
                }
                Happening::Closed(_) => {
                    fifo.closes += 1;
                    self.stir.closed = true;
                    let fifo_is_closed = fifo.is_closed();
                    if endpoint.inherited {
                        self.doubtful.insert(id);
                    } else if endpoint.process.is_none() && fifo_is_closed {
                        // A part: nothing moved, and its owner may be done.
                        self.events.push_back(Event::Stirred { endpoint: id, taken: 0, returned: 0, left: 0 });
                    } else if endpoint.is_led_to() && endpoint.fifos().all(Fifo::is_closed) {
                        (endpoint.roles, endpoint.unseen) = (Roles::Fresh, false);
                        if endpoint.kind.is_some() && !endpoint.crowded {
                            endpoint.shut = true;
                            self.events.push_back(Event::Shut { endpoint: id });
                        }
                    }
                }
                // It opened one end, and no second one by which it would be seen.
                Happening::Stirred(_) if endpoint.unseen && endpoint.roles == Roles::Fresh => self.opened(id, end)?,
                Happening::Stirred(_) | Happening::Anything => {}
            }
        }
        Ok(())
    }

    /// Events were lost: whoever may have stirred is looked at, and whoever may have opened or closed.
    fn look_at_all(&mut self) -> io::Result<()> {
        self.stirred.extend(self.endpoints.keys());
        for id in self.endpoints.keys().copied().collect::<Vec<_>>() {
            let Some(endpoint) = self.endpoints.get_mut(&id) else { continue };
            endpoint.crowded = true;
            if endpoint.inherited {
                self.doubtful.insert(id);
            } else if endpoint.kind.is_none() && (endpoint.owner.is_none() || !endpoint.seen(End::In).is_empty()) {
                self.opened(id, End::In)?;
            }
        }
        Ok(())
    }

    /// Looks at what has stirred. Where something came back, the kernel's events are read once more after that, and what was
    /// taken is counted again; it is told the other way round.
    ///
    /// A client may take a token from one FIFO and return it through another, at any moment between two looks. In any
    /// other order that return could be seen, and its taking not: it would seem to be a byte that nobody held. In this
    /// order the taking lies before the return that was seen, so its event is read after that, and it is counted last.
    fn settle(&mut self) -> io::Result<()> {
        let mut moved: BTreeMap<EndpointId, Moved> = BTreeMap::new();
        // Whatever fails, what was counted so far must be told.
        let mut result = Ok(());
        for id in std::mem::take(&mut self.stirred) {
            result = result.and(self.catch_at(id));
            let Some(endpoint) = self.endpoints.get_mut(&id) else { continue };
            let look = endpoint.look().map(|look| moved.insert(id, look));
            result = result.and(look.map(drop));
        }
        if moved.values().any(|moved| moved.returned + moved.left > 0) {
            result = result.and(self.take_note());
            // Whoever stirred meanwhile is looked at as well, and stays in the set for his returns.
            for &id in &self.stirred {
                moved.entry(id).or_default();
            }
            for (id, moved) in &mut moved {
                let taken = self.endpoints.get_mut(id).map_or(Ok(0), Endpoint::takes).unwrap_or_else(|error| {
                    result = Err(error);
                    0
                });
                // Left there and taken again by the same client: nothing happened.
                let both = taken.min(moved.left);
                (moved.taken, moved.left) = (moved.taken + taken - both, moved.left - both);
            }
        }
        for (&endpoint, &Moved { taken, .. }) in moved.iter().filter(|(_, moved)| moved.taken > 0) {
            self.events.push_back(Event::Stirred { endpoint, taken, returned: 0, left: 0 });
        }
        for (&endpoint, &Moved { returned, left, .. }) in &moved {
            if returned > 0 || left > 0 {
                self.events.push_back(Event::Stirred { endpoint, taken: 0, returned, left });
            }
        }
        result
    }

    /// The processes have ended, or have closed what they had inherited: the endpoints go, to whoever else has them open.
    pub(super) fn ended(&mut self, mut ids: Vec<EndpointId>) -> io::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut is_over = BTreeMap::new();
        for &id in &ids {
            if let Some(endpoint) = self.endpoints.get(&id) {
                is_over.insert(id, endpoint.is_surely_closed());
                self.stirred.insert(id);
            }
        }
        let settled = self.settle();
        let (mut left, mut gone, mut emptied) = (Vec::new(), Vec::new(), Ok(0));
        while let Some(id) = ids.pop() {
            let Some(mut endpoint) = self.forget(id) else { continue };
            if endpoint.kind.is_some() {
                gone.push(Event::Gone { endpoint: id });
            }
            ids.append(&mut endpoint.parts);
            if !is_over.get(&id).copied().unwrap_or_default() {
                // What lies there is free as well, and nobody else's.
                emptied = emptied.and(endpoint.inn.as_mut().map_or(Ok(0), Fifo::empty));
                left.push(endpoint);
            }
        }
        // What they held is free at once, whoever has inherited what they had open.
        self.events.extend(gone);
        self.heirs.of(left);
        settled.and(emptied.map(drop))
    }

    /// One end of an endpoint was opened.
    pub(super) fn opened(&mut self, id: EndpointId, end: End) -> io::Result<()> {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return Ok(()) };
        if endpoint.owner.is_none() {
            if endpoint.kind.is_none() {
                self.announce(id, Kind::Shared);
            }
            return Ok(());
        }
        if !endpoint.is_led_to() {
            return Ok(());
        }
        let found = if endpoint.roles.wants_look(end) { endpoint.seen(end) } else { Vec::new() };
        endpoint.note_found(end, found.len() as u64);
        let was = endpoint.roles;
        let is_first = was == Roles::Fresh && end == End::In;
        if is_first && found.is_empty() && !std::mem::replace(&mut endpoint.unseen, true) {
            // The kernel tells of an open a moment before the process has the descriptor. It has it when it asks for the
            // next one.
            self.announce(id, Kind::Waiting);
            return Ok(());
        }
        let mut step = was.opened(end, &found, endpoint.crowded);
        let splits = self.split.holds_for(endpoint.lease);
        if step.roles == Roles::Reader && !splits {
            step.roles = Roles::Single;
        }
        let mut kind = step.kind;
        endpoint.roles = step.roles;
        if was == Roles::Fresh && step.roles == Roles::Writer {
            // It is about to be the one for returns.
            if let Some(number) = endpoint.inn.as_ref().map(|inn| inn.number) {
                self.let_go(number);
            }
        }
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return Ok(()) };
        let mut old = None;
        if was == Roles::Fresh && step.roles == Roles::Writer && !endpoint.turn_writer(&mut old) {
            endpoint.roles = Roles::Single;
            kind = Some(Kind::Waiting);
        }
        if kind == Some(Kind::Waiting) && endpoint.roles == Roles::Single && !splits {
            kind = Some(Kind::Unsplit);
        }
        if let Some(kind) = kind {
            self.announce(id, kind);
        }
        if let Some(mut old) = old {
            self.fifos.remove(&old.number);
            let returned = old.empty()?;
            self.events.push_back(Event::Stirred { endpoint: id, taken: 0, returned, left: 0 });
        }
        if step.part {
            self.part(id)?;
        }
        Ok(())
    }

    /// The FIFO for returns is read from: it becomes an endpoint of its own, which gets offers like any other.
    fn part(&mut self, id: EndpointId) -> io::Result<()> {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return Ok(()) };
        let Some(fifo) = endpoint.out.take() else { return Ok(()) };
        let kind = endpoint.kind.unwrap_or(Kind::Waiting);
        let part = Endpoint::part(endpoint.lease, endpoint.owner, fifo);
        let part = self.insert(part)?;
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.parts.push(part);
        }
        self.announce(part, kind);
        self.stirred.insert(part);
        Ok(())
    }
}
