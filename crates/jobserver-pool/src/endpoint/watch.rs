//! What happens to the FIFOs: which was opened, read, written, closed.
//!
//! Each FIFO has an inotify watch of its own. One watch on their folder would do for opens and closes, but of special
//! files the kernel tells reads and writes to a watch on the file only. Events wake and hint, they don't count: two
//! equal ones in a row become one.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::failed::failed;

/// What happened to the FIFO with that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    Opened(u64),
    Closed(u64),
    Stirred(u64),
    /// The kernel dropped events: anything may have happened to any of them.
    Anything,
}

#[derive(Debug)]
pub(super) struct Watch {
    inotify: OwnedFd,
    /// The FIFO that a watch is on.
    numbers: HashMap<i32, u64>,
}

impl Watch {
    pub fn new() -> io::Result<Watch> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(|error| io::Error::new(error.kind(), format!("no inotify: {error}")))?;
        Ok(Watch { inotify, numbers: HashMap::new() })
    }

    /// Watches FIFO `number` from now on: what we did to it before is not told.
    pub fn add(&mut self, path: &Path, number: u64) -> io::Result<()> {
        let what = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::MODIFY | WatchFlags::CLOSE;
        let watch = inotify::add_watch(&self.inotify, path, what)
            .map_err(|error| failed(error.into(), "can't watch (fs.inotify.max_user_watches)", path))?;
        self.numbers.insert(watch, number);
        Ok(())
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// All that has happened since the last call, in order.
    pub fn happenings(&mut self) -> io::Result<Vec<Happening>> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut found = Vec::new();
        loop {
            match reader.next() {
                // The file is gone, and its watch with it.
                Ok(event) if event.events().contains(ReadFlags::IGNORED) => drop(self.numbers.remove(&event.wd())),
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => found.push(Happening::Anything),
                Ok(event) => found.extend(self.numbers.get(&event.wd()).map(|&number| happening(&event, number))),
                Err(Errno::AGAIN) => return Ok(found),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn happening(event: &inotify::Event<'_>, number: u64) -> Happening {
    let what = event.events();
    if what.contains(ReadFlags::OPEN) {
        Happening::Opened(number)
    } else if what.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::CLOSE_NOWRITE) {
        Happening::Closed(number)
    } else {
        Happening::Stirred(number)
    }
}
