//! What happens to the FIFOs: which was opened, read, written, closed.
//!
//! Each FIFO has an inotify watch of its own. One watch on their folder would do for opens and closes, but of special
//! files the kernel tells reads and writes to a watch on the file only. Events wake and hint, they don't count: two
//! equal ones in a row become one.
//!
//! Reads are told through a descriptor of their own, since often nobody needs to know of them at once: a wake-up costs
//! more than all that is done after it.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use crate::failed::failed;

/// Bytes that are read at once.
const BUFFER: usize = 16 * 1024;
/// A pause after the last watch was removed: asked sooner to close, the kernel would wait for several ticks.
const PAUSE: Duration = Duration::from_micros(100);
/// Bytes of one event. Those of a watch on a file itself carry no name.
const EVENT: usize = 16;

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
    /// Opens, closes and writes.
    pub news: Source,
    /// Reads.
    pub takes: Source,
    /// When the last watch was removed.
    ended: Option<Instant>,
}

/// Some kinds of events.
#[derive(Debug)]
pub(super) struct Source {
    inotify: OwnedFd,
    what: WatchFlags,
    /// The FIFO that a watch is on.
    numbers: HashMap<i32, u64>,
}

impl Watch {
    pub fn new() -> io::Result<Watch> {
        let news = Source::new(WatchFlags::OPEN | WatchFlags::MODIFY | WatchFlags::CLOSE)?;
        Ok(Watch { news, takes: Source::new(WatchFlags::ACCESS)?, ended: None })
    }

    /// Watches FIFO `number` from now on: what we did to it before is not told.
    pub fn add(&mut self, path: &Path, number: u64) -> io::Result<()> {
        self.news.add(path, number)?;
        self.takes.add(path, number)
    }

    /// Watches nothing any more, since then: the sooner, the shorter the wait when it is dropped.
    ///
    /// To close an inotify descriptor waits until nobody in the kernel looks at watches that are gone, and the kernel
    /// begins to see them off when they go. Who asks again within 25 us of its end (Linux's `srcutree.exp_holdoff`) waits
    /// for several ticks, 4 to 28 ms here; who asks later, for nothing. One such wait is for both, if neither watches.
    pub fn end(&mut self) -> Instant {
        for source in [&mut self.news, &mut self.takes] {
            for (watch, _) in source.numbers.drain() {
                let _ = inotify::remove_watch(&source.inotify, watch);
            }
        }
        *self.ended.get_or_insert_with(Instant::now)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let ended = self.end();
        std::thread::sleep(PAUSE.saturating_sub(ended.elapsed()));
    }
}

impl Source {
    fn new(what: WatchFlags) -> io::Result<Source> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(|error| io::Error::new(error.kind(), format!("no inotify: {error}")))?;
        Ok(Source { inotify, what, numbers: HashMap::new() })
    }

    fn add(&mut self, path: &Path, number: u64) -> io::Result<()> {
        let watch = inotify::add_watch(&self.inotify, path, self.what)
            .map_err(|error| failed(error.into(), "can't watch (fs.inotify.max_user_watches)", path))?;
        self.numbers.insert(watch, number);
        Ok(())
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// All that had happened when it was called, since the last call, in order.
    pub fn happenings(&mut self) -> io::Result<Vec<Happening>> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut found = Vec::new();
        let mut room = BUFFER;
        loop {
            match reader.next() {
                // The file is gone, and its watch with it.
                Ok(event) if event.events().contains(ReadFlags::IGNORED) => drop(self.numbers.remove(&event.wd())),
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => found.push(Happening::Anything),
                Ok(event) => found.extend(self.numbers.get(&event.wd()).map(|&number| happening(&event, number))),
                Err(Errno::AGAIN) => return Ok(found),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            room -= EVENT;
            if reader.is_buffer_empty() {
                // More would have fitted, so there was no more: the one read tells it.
                if room >= EVENT {
                    return Ok(found);
                }
                room = BUFFER;
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
