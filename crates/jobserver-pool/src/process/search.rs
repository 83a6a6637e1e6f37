//! Who has files open, among all processes: a look at all their descriptors, which takes as long as there are many.

use std::collections::BTreeSet;
use std::fs::{self, ReadDir};
use std::io;

use super::{is_exhausted, named, open_files, Named};

/// Who was started while the first round passed his number is looked at in the second. There are no more: where processes are
/// started without end, there is always somebody new.
const ROUNDS: usize = 2;
/// What it takes to pass over an entry, and to look at what a process has open.
const PASS: usize = 1;
const LOOK: usize = 16;

/// A search for whoever has some files open, to be done a few processes at a time.
#[derive(Debug)]
pub struct Search {
    files: Named,
    found: Vec<Option<u32>>,
    /// Who was looked at.
    known: BTreeSet<u32>,
    rounds: usize,
    round: Option<ReadDir>,
}

impl Search {
    /// For these files, by name and inode.
    pub fn new(files: &[(&str, u64)]) -> Search {
        // We are no client of our own, and have more of them open than anybody.
        let known = BTreeSet::from([std::process::id()]);
        Search { files: named(files), found: vec![None; files.len()], known, rounds: 0, round: None }
    }

    /// Looks at up to so many processes. `true`: the search is over, [`found`](Search::found) says what it found.
    ///
    /// # Errors
    /// No descriptor is left to look with: then nothing is known.
    pub fn go_on(&mut self, most: usize) -> io::Result<bool> {
        let mut room = most.saturating_mul(LOOK);
        while room > 0 && self.found.iter().any(Option::is_none) {
            let round = match &mut self.round {
                Some(round) => round,
                None if self.rounds == ROUNDS => return Ok(true),
                none => {
                    self.rounds += 1;
                    none.insert(fs::read_dir("/proc")?)
                }
            };
            let Some(entry) = round.next() else {
                self.round = None;
                continue;
            };
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            let Some(pid) = pid.filter(|pid| self.known.insert(*pid)) else {
                room = room.saturating_sub(PASS);
                continue;
            };
            room = room.saturating_sub(LOOK);
            match open_files(pid, &self.files) {
                Ok(open) => open.into_iter().for_each(|(file, _)| self.found[file] = self.found[file].or(Some(pid))),
                Err(error) if is_exhausted(&error) => return Err(error),
                // It has ended, or is not ours to look at.
                Err(_) => {}
            }
        }
        Ok(self.found.iter().all(Option::is_some))
    }

    /// For each file, the first process that has it open, mostly the oldest, if there is one among those we may look at.
    pub fn found(&self) -> &[Option<u32>] {
        &self.found
    }
}
