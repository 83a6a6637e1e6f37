//! What the next server must know if this one is killed: how many tokens each client has, be they in its hands or lying in
//! its FIFOs; and which leases run, so that nobody gets a slot for one that never was.
//!
//! The FIFOs themselves tell what lies in them, and while there is no server only the clients and their runner move
//! tokens, between the hands of a client and its own FIFOs. So the sum of both is all that has to be written down, when
//! it changes: one small write. The file is in the page cache at once, which outlives the process; it need not outlive
//! the machine.
//!
//! A full disk costs the next server this knowledge, and nobody anything else.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::{Engine, Lease};
use crate::ledger::{EndpointId, LeaseId};

/// The name of the file in the pool's directory.
const NAME: &str = "journal";
/// Bytes of the head: which server wrote it; and of a record: an endpoint's number, its FIFO's device and inode, its sum.
const HEAD: usize = 8;
const RECORD: usize = 28;

/// An endpoint's number, which can be guessed, and device and inode of its first FIFO, of which only who was given it has a
/// descriptor: nobody takes over what another's process has. (The same inode is on every other filesystem, too.)
pub(super) type Key = (u64, (u64, u64));

#[derive(Debug)]
pub(super) struct Journal {
    file: Option<File>,
    /// Records that are used no more.
    unused: Vec<u64>,
    places: HashMap<u64, u64>,
    /// Which server writes it.
    pub server: u64,
}

/// What an earlier server wrote.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub server: u64,
    pub sums: HashMap<Key, u32>,
}

impl Journal {
    /// Reads what an earlier server left in the directory, and begins anew.
    pub fn open(directory: &Path, server: u64) -> (Journal, Found) {
        let path = directory.join(NAME);
        let found = fs::read(&path).map(|bytes| read(&bytes)).unwrap_or_default();
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&path).and_then(|file| {
            file.write_all_at(&server.to_ne_bytes(), 0)?;
            io::Result::Ok(file)
        });
        (Journal { file: file.ok(), unused: Vec::new(), places: HashMap::new(), server }, found)
    }

    /// Nothing has to be known later.
    pub fn stop(&mut self, directory: &Path) {
        self.file = None;
        Journal::remove(directory);
    }

    /// An endpoint has so many tokens now; 0: it may as well be forgotten.
    pub fn write(&mut self, (endpoint, (device, inode)): Key, sum: u32) {
        let Some(file) = &self.file else { return };
        let next = self.places.len() as u64 + self.unused.len() as u64;
        let place = match self.places.get(&endpoint) {
            Some(&place) => place,
            None if sum == 0 => return,
            None => self.unused.pop().unwrap_or(next),
        };
        if sum == 0 {
            self.places.remove(&endpoint);
            self.unused.push(place);
        } else {
            self.places.insert(endpoint, place);
        }
        let mut record = [0; RECORD];
        if sum > 0 {
            record[..8].copy_from_slice(&endpoint.to_ne_bytes());
            record[8..16].copy_from_slice(&device.to_ne_bytes());
            record[16..24].copy_from_slice(&inode.to_ne_bytes());
            record[24..].copy_from_slice(&sum.to_ne_bytes());
        }
        if file.write_all_at(&record, HEAD as u64 + place * RECORD as u64).is_err() {
            self.file = None;
        }
    }

    /// The server ends in good order: there is nothing to know.
    pub fn remove(directory: &Path) {
        let _ = fs::remove_file(directory.join(NAME));
    }
}

impl Engine {
    pub(super) fn write_journal(&mut self) {
        for client in std::mem::take(&mut self.touched) {
            self.write_sum(client);
        }
    }

    /// What a client has, by the accounts. Before it is given more: if we are killed between the two, it has more by the
    /// journal than it has, and that is free again when it ends. The other way round it would hold what the pool gives out.
    /// What somebody had and gave back in this turn is written last, for the same reason.
    pub(super) fn write_sum(&mut self, client: EndpointId) {
        let sum = self.ledger().endpoint(client).map_or(0, |account| account.held() + account.offered());
        let Some(known) = self.clients.get_mut(&client) else { return };
        if std::mem::replace(&mut known.written, sum) != sum {
            let key = (known.number.0, self.endpoints.file_id(known.number));
            self.journal.write(key, sum);
        }
    }

    /// Its command may run, or it is over.
    pub(super) fn note_lease(&mut self, lease: LeaseId, runs: bool) {
        if let Some(Lease { name, owner, .. }) = self.leases.get(&lease) {
            self.journal.write(lease_key(name, owner.uid, owner.command_pid), runs.into());
        }
    }

    /// Whether process `pid` was the command of the lease of that name, which ran for that user when the earlier server was
    /// killed. None: there was no such lease.
    pub fn had_lease(&self, name: &str, uid: u32, pid: u32) -> Option<bool> {
        let sums = &self.found.sums;
        // It may have been granted its slot, and the server killed before it heard of the command.
        let is_it = [Some(pid), None].into_iter().any(|pid| sums.contains_key(&lease_key(name, uid, pid)));
        let place = lease_key(name, uid, None).0;
        is_it.then_some(true).or_else(|| sums.keys().any(|key| key.0 == place).then_some(false))
    }

    /// It goes on: nobody else can say so again.
    pub fn forget_had_lease(&mut self, name: &str) {
        let place = lease_key(name, 0, None).0;
        self.found.sums.retain(|key, _| key.0 != place);
    }
}

/// No endpoint has a number like that (FNV-1a, with the highest bit set).
fn lease_key(name: &str, uid: u32, command: Option<u32>) -> Key {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    (name.bytes().fold(0xcbf2_9ce4_8422_2325, mix) | 1 << 63, (uid.into(), command.unwrap_or(0).into()))
}

fn read(bytes: &[u8]) -> Found {
    let Some((head, records)) = bytes.split_first_chunk::<HEAD>() else { return Found::default() };
    let record = |record: &[u8]| {
        let (endpoint, rest) = record.split_first_chunk::<8>()?;
        let (device, rest) = rest.split_first_chunk::<8>()?;
        let (inode, sum) = rest.split_first_chunk::<8>()?;
        let file = (u64::from_ne_bytes(*device), u64::from_ne_bytes(*inode));
        let key = (u64::from_ne_bytes(*endpoint), file);
        Some((key, u32::from_ne_bytes(sum.try_into().ok()?)))
    };
    let sums = records.chunks_exact(RECORD).filter_map(record).filter(|&(_, sum)| sum > 0).collect();
    Found { server: u64::from_ne_bytes(*head), sums }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_is_found_and_places_are_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, found) = Journal::open(dir.path(), 7);
        assert!(found.sums.is_empty());
        for (endpoint, sum) in [(1, 3), (2, 4), (1, 0), (3, 5), (2, 1), (9, 0)] {
            journal.write((endpoint, (7, 70)), sum);
        }
        let (_, found) = Journal::open(dir.path(), 8);
        assert_eq!((found.server, found.sums), (7, HashMap::from([((3, (7, 70)), 5), ((2, (7, 70)), 1)])));
        let length = HEAD + 2 * RECORD;
        drop(journal);
        let (mut journal, _) = Journal::open(dir.path(), 9);
        for endpoint in 1..100 {
            for (number, sum) in [(endpoint, 1), (endpoint + 1000, 1), (endpoint, 0), (endpoint + 1000, 0)] {
                journal.write((number, (7, 70)), sum);
            }
        }
        assert_eq!(fs::metadata(dir.path().join(NAME)).unwrap().len() as usize, length);
    }

    #[test]
    fn nonsense_is_no_knowledge() {
        for bytes in [&b""[..], b"short", b"12345678half a reco"] {
            assert!(read(bytes).sums.len() <= 1);
        }
    }
}
