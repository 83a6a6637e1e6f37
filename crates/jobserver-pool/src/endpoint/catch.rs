//! Tokens that are caught on their way back.
//!
//! A client that never waits (ninja) reads what it has just returned again within some 20 to 150 us. To hear of it, to
//! count, and to decide takes as long; so whoever has more than its share would keep it. Where the driver has decided
//! before, the FIFO itself wakes us, and the first thing done is to read it.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;

use super::fifo::Fifo;
use super::{EndpointId, Endpoints};

/// A job that ninja starts costs it a fork, 1 ms or so: it returns tokens that far apart. For so long nobody else is
/// served at the most, only where a token was missed or more are to be caught, and only as long as its client has more than
/// its share.
const AWAKE: Duration = Duration::from_micros(1500);

/// When one token was caught, and more are wanted, the next one is waited for this long: a client whose jobs have ended
/// together returns it as soon as it has found that it can't have the first one again.
const NEXT: Duration = Duration::from_micros(200);

impl Endpoints {
    /// From now on what comes back at one of these endpoints, where nothing lies, is taken out at once, up to so many bytes:
    /// then the driver is to decide anew.
    ///
    /// # Errors
    /// The kernel has no memory for it; some may not be caught then.
    pub fn catch(&mut self, endpoints: impl Iterator<Item = (EndpointId, usize)>) -> io::Result<()> {
        let fifo = |(id, most)| Some((self.endpoints.get(&id)?.inn.as_ref()?.number, (id, most)));
        let wanted: BTreeMap<u64, (EndpointId, usize)> = endpoints.filter_map(fifo).collect();
        for number in self.caught.keys().copied().collect::<Vec<_>>() {
            if !wanted.contains_key(&number) {
                self.let_go(number);
            }
        }
        for (number, (id, most)) in wanted {
            if let Some(known) = self.caught.get_mut(&number) {
                known.1 = most;
            } else if let Some(fifo) = self.caught_fifo(id, number) {
                match epoll::add(&self.epoll, fifo.file(), epoll::EventData::new_u64(number), epoll::EventFlags::IN) {
                    Ok(()) | Err(Errno::EXIST) => self.caught.insert(number, (id, most)),
                    Err(error) => return Err(error.into()),
                };
            }
        }
        Ok(())
    }

    /// It is not to be caught any more: something else is about to lie there, or it is about to go.
    pub(super) fn let_go(&mut self, number: u64) {
        let Some((id, _)) = self.caught.remove(&number) else { return };
        if let Some(fifo) = self.caught_fifo(id, number) {
            // Explicitly: a copy of the descriptor elsewhere would keep it in the set.
            let _ = epoll::delete(&self.epoll, fifo.file());
        }
    }

    /// Takes out what came back at the first of these that is caught. Answers which of them are none.
    pub(super) fn take_caught(&mut self, ready: Vec<u64>) -> io::Result<Vec<u64>> {
        let is_caught = |number: &u64| self.caught.contains_key(number);
        let (caught, others): (Vec<u64>, Vec<u64>) = ready.into_iter().partition(is_caught);
        if let Some((&number, &(id, _))) = caught.first().and_then(|number| self.caught.get_key_value(number)) {
            self.stirred.insert(id);
            // Where it was quicker: if several of its jobs have ended at once, the next one's token follows, and to sleep
            // until then would be as slow again.
            let latest = Instant::now() + AWAKE;
            let mut until = latest;
            while self.caught.contains_key(&number) {
                if self.take_back(number)? > 0 {
                    until = latest.min(Instant::now() + NEXT);
                } else if Instant::now() >= until {
                    break;
                }
                std::hint::spin_loop();
            }
        }
        Ok(others)
    }

    /// Takes out what came back at that endpoint, if it is to be caught.
    pub(super) fn catch_at(&mut self, id: EndpointId) -> io::Result<()> {
        let number = self.endpoints.get(&id).and_then(|endpoint| Some(endpoint.inn.as_ref()?.number));
        match number.filter(|number| self.caught.contains_key(number)) {
            Some(number) => self.take_back(number).map(drop),
            None => Ok(()),
        }
    }

    /// Answers how many it were.
    fn take_back(&mut self, number: u64) -> io::Result<usize> {
        let Some((id, most)) = self.caught.get_mut(&number) else { return Ok(0) };
        let Some(endpoint) = self.endpoints.get_mut(id) else { return Ok(0) };
        let Some(inn) = &mut endpoint.inn else { return Ok(0) };
        if inn.lying() > 0 {
            // What came back was seen before it was caught, and is told as lying there: the driver may withdraw it.
            self.let_go(number);
            return Ok(0);
        }
        let got = inn.take(*most)?;
        endpoint.caught += got;
        *most -= got;
        if *most == 0 {
            self.let_go(number);
        }
        Ok(got)
    }

    fn caught_fifo(&self, id: EndpointId, number: u64) -> Option<&Fifo> {
        self.endpoints.get(&id)?.fifos().find(|fifo| fifo.number == number)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::endpoint::Style;
    use crate::fuse::Reach;

    /// A client with three tokens of a plain FIFO, who are to be caught up to `most`.
    fn world(most: usize) -> (tempfile::TempDir, Endpoints, EndpointId, u64, File) {
        let parent = tempfile::tempdir().unwrap();
        let mut endpoints = Endpoints::start(&parent.path().join("pool"), Style::Fifo(Reach::Owner)).unwrap();
        let lease = endpoints.open_lease("build", rustix::process::geteuid().as_raw()).unwrap();
        let path = endpoints.path(lease).unwrap();
        let mut client = File::options().read(true).write(true).open(path).unwrap();
        while endpoints.next().unwrap().is_some() {}
        let id = endpoints.leases[&lease].shared;
        endpoints.offer(id, 3).unwrap();
        client.read_exact(&mut [0; 3]).unwrap();
        while endpoints.next().unwrap().is_some() {}
        endpoints.catch([(id, most)].into_iter()).unwrap();
        let number = endpoints.endpoints[&id].inn.as_ref().unwrap().number;
        (parent, endpoints, id, number, client)
    }

    #[test]
    fn no_more_is_caught_than_is_wanted() {
        let (_parent, mut endpoints, id, number, mut client) = world(2);
        client.write_all(b"+++").unwrap();
        assert_eq!(endpoints.take_back(number).unwrap(), 2);
        assert_eq!(endpoints.take_back(number).unwrap(), 0, "it is let go");
        let moved = endpoints.endpoints.get_mut(&id).unwrap().look().unwrap();
        assert_eq!((moved.returned, moved.left), (2, 1));
    }

    #[test]
    fn what_was_told_as_lying_there_is_not_caught_and_told_once_more() {
        let (_parent, mut endpoints, id, number, mut client) = world(3);
        assert_eq!(endpoints.take_back(number).unwrap(), 0, "nothing is there yet");
        client.write_all(b"+").unwrap();
        let moved = endpoints.endpoints.get_mut(&id).unwrap().look().unwrap();
        assert_eq!((moved.returned, moved.left), (0, 1));
        assert_eq!(endpoints.take_back(number).unwrap(), 0);
        assert!(!endpoints.caught.contains_key(&number), "it is withdrawn as any other offer");
        assert_eq!(endpoints.withdraw(id, 1).unwrap(), 1);
    }
}
