//! Who has files open, among all processes: a look at all their descriptors, which takes as long as there are many.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use super::{is_exhausted, named, open_files, Named};

/// A search for whoever has some files open, to be done a few processes at a time.
#[derive(Debug)]
pub struct Search {
    files: Named,
    found: Vec<Option<u32>>,
    /// Who was looked at, or is about to be.
    known: BTreeSet<u32>,
    next: Vec<u32>,
}

impl Search {
    /// For these files, by name and inode.
    pub fn new(files: &[(&str, u64)]) -> Search {
        let own = std::process::id();
        // We are no client of our own, and have more of them open than anybody.
        Search { files: named(files), found: vec![None; files.len()], known: BTreeSet::from([own]), next: Vec::new() }
    }

    /// Looks at up to so many processes. `true`: the search is over, [`found`](Search::found) says what it found.
    ///
    /// Whoever inherits a file meanwhile, from a process that then ends, has been started meanwhile, and is looked at last.
    ///
    /// # Errors
    /// No descriptor is left to look with: then nothing is known.
    pub fn go_on(&mut self, mut most: usize) -> io::Result<bool> {
        loop {
            if self.found.iter().all(Option::is_some) {
                return Ok(true);
            }
            if self.next.is_empty() && !self.list()? {
                return Ok(true);
            }
            if most == 0 {
                return Ok(false);
            }
            most -= 1;
            let Some(pid) = self.next.pop() else { continue };
            match open_files(pid, &self.files) {
                Ok(open) => open.into_iter().for_each(|(file, _)| self.found[file] = self.found[file].or(Some(pid))),
                Err(error) if is_exhausted(&error) => return Err(error),
                // It has ended, or is not ours to look at.
                Err(_) => {}
            }
        }
    }

    /// For each file, a process that has it open, if there is one among those we may look at.
    pub fn found(&self) -> &[Option<u32>] {
        &self.found
    }

    /// All that are there and were not looked at; the latest is looked at first. `false`: there are none.
    fn list(&mut self) -> io::Result<bool> {
        for entry in fs::read_dir("/proc")? {
            let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            self.next.extend(pid.filter(|pid| self.known.insert(*pid)));
        }
        Ok(!self.next.is_empty())
    }
}
