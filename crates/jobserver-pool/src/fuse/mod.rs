//! A filesystem of one directory with one symlink a lease, served by whoever owns the loop.
//!
//! A symlink is resolved anew for each process that opens it, and the request for its target, READLINK, names the
//! thread that asks: that is all the pool needs of FUSE. Data never comes here. A whole library of FUSE brings
//! threads, sessions and dozens of operations; this is one descriptor that never blocks, for a loop around epoll.
//!
//! Where links lead is never cached by the kernel; that they exist is, for a moment or for good, and only where nobody but
//! their owner can look. To another user a lease does not exist; root sees all.
//!
//! It refuses everything but looking up, listing, asking for attributes, and reading links.

mod mount;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use wire::Operation;

/// Who may see the mount at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The user who serves it: not even root.
    Owner,
    /// Every user, each his own leases; only root may serve that.
    Everyone,
}

/// The filesystem. Dropping it unmounts it; symlinks that clients have followed stay followed.
#[derive(Debug)]
pub struct Fuse {
    // Before the mount: unmounting through the helper looks at the mount, and must find it dead rather than wait for us.
    device: OwnedFd,
    _mount: mount::Mount,
    links: BTreeMap<u64, Link>,
    nodes: HashMap<String, u64>,
    names_hold: Duration,
    buffer: Vec<u8>,
}

/// For so long the kernel may keep a name: a client opens its link twice at once. Not longer where a lease may be closed and
/// opened anew under its name.
const NAME_HOLDS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(3600));

#[derive(Debug)]
struct Link {
    name: String,
    uid: u32,
}

/// A process asks where a link leads; it waits until it is [answered](Fuse::answer) or [refused](Fuse::refuse).
#[derive(Debug)]
#[must_use = "the process waits for an answer"]
pub struct ReadLink {
    /// The link, by the number it was added with.
    pub node: u64,
    /// The thread that asks, by its id; 0 if it lives in a pid namespace that the server can't see.
    pub thread: u32,
    /// The user it acts as.
    pub uid: u32,
    unique: u64,
}

impl ReadLink {
    /// A number that no other question has: [`Question::Interrupted`] names it.
    pub fn unique(&self) -> u64 {
        self.unique
    }
}

/// What [`Fuse::next`] leaves to the pool.
#[derive(Debug)]
pub enum Question {
    /// Where does a link lead?
    ReadLink(ReadLink),
    /// Whoever asked this question has got a signal; it waits for its answer still, even if it is to die.
    Interrupted(u64),
}

impl Fuse {
    /// The first number a link can have.
    pub const FIRST_NODE: u64 = wire::ROOT + 1;

    /// Mounts at `at`, an absolute path without links or dots to an empty directory that no living server uses.
    ///
    /// # Errors
    /// Neither a direct mount nor `fusermount3` works: the error names both reasons.
    pub fn mount(at: &Path, reach: Reach) -> io::Result<Fuse> {
        let (device, mount) = mount::mount(at, reach)?;
        let (links, nodes, buffer) = (BTreeMap::new(), HashMap::new(), vec![0; wire::BUFFER]);
        let names_hold = if reach == Reach::Owner { NAME_HOLDS.0 } else { Duration::ZERO };
        Ok(Fuse { device, _mount: mount, links, nodes, names_hold, buffer })
    }

    /// No name will be used for another link: the kernel need not ask for it each time.
    pub fn never_rename(&mut self) {
        self.names_hold = if self.names_hold.is_zero() { self.names_hold } else { NAME_HOLDS.1 };
    }

    /// Takes away a mount that a killed server left at `at`, if there is one.
    ///
    /// # Errors
    /// What the mount table or unmounting says.
    pub fn clear(at: &Path) -> io::Result<()> {
        mount::clear(at)
    }

    /// Readable when [`Fuse::next`] has something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    /// Adds the link `name` of user `uid`; a link of that name must not be there. `node` must never have been used
    /// before: the kernel may remember it.
    pub fn add(&mut self, node: u64, name: &str, uid: u32) {
        self.nodes.insert(name.to_owned(), node);
        self.links.insert(node, Link { name: name.to_owned(), uid });
    }

    /// Removes a link: to a process that asks from now on it does not exist.
    pub fn remove(&mut self, node: u64) {
        if let Some(link) = self.links.remove(&node) {
            self.nodes.remove(&link.name);
        }
    }

    /// Serves what has come, up to the next question for the pool; `None` when nothing is left. Never blocks.
    ///
    /// # Errors
    /// ENODEV once somebody else has unmounted it; what reading the device says.
    // Not an iterator: it may be asked again after `None`.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> io::Result<Option<Question>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.next_with(&mut buffer);
        self.buffer = buffer;
        result
    }

    /// Sends the process on to `target`, relative to the mount.
    ///
    /// # Errors
    /// What writing to the device says; a process that was killed meanwhile is none.
    pub fn answer(&self, question: ReadLink, target: &str) -> io::Result<()> {
        self.write(&wire::answer(question.unique, target.as_bytes()))
    }

    /// Tells the process that following the link failed with `errno`.
    ///
    /// # Errors
    /// As [`Fuse::answer`].
    pub fn refuse(&self, question: ReadLink, errno: Errno) -> io::Result<()> {
        self.write(&wire::refusal(question.unique, errno.raw_os_error()))
    }

    fn next_with(&mut self, buffer: &mut [u8]) -> io::Result<Option<Question>> {
        loop {
            let length = match rustix::io::read(&self.device, &mut *buffer) {
                Ok(length) => length,
                Err(Errno::AGAIN) => return Ok(None),
                // ENOENT: whoever asked was killed while we read the question.
                Err(Errno::INTR | Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(request) = wire::Request::parse(&buffer[..length]) else { continue };
            if let Some(question) = self.serve(&request)? {
                return Ok(Some(question));
            }
        }
    }

    /// Answers a request, unless it is one for the pool.
    fn serve(&self, request: &wire::Request<'_>) -> io::Result<Option<Question>> {
        let (unique, node, uid) = (request.unique, request.node, request.uid);
        let gone = || wire::refusal(unique, Errno::NOENT.raw_os_error());
        let answer = match request.operation {
            Operation::ReadLink if self.visible(node, uid).is_some() => {
                return Ok(Some(Question::ReadLink(ReadLink { node, thread: request.thread, uid, unique })));
            }
            Operation::ReadLink => gone(),
            Operation::Lookup(name) => match self.find(name, uid) {
                Some((node, link)) => wire::entry(unique, node, link.uid, self.names_hold),
                None => gone(),
            },
            Operation::GetAttr if node == wire::ROOT => {
                wire::attributes(unique, node, rustix::process::geteuid().as_raw())
            }
            Operation::GetAttr => match self.visible(node, uid) {
                Some(link) => wire::attributes(unique, node, link.uid),
                None => gone(),
            },
            Operation::OpenDir => wire::opened(unique),
            Operation::ReadDir { offset, size } => {
                let seen = self.links.iter().filter(|(_, link)| link.is_visible_to(uid));
                wire::listing(unique, seen.map(|(&node, link)| (node, link.name.as_str())), offset, size)
            }
            Operation::ReleaseDir => wire::answer(unique, &[]),
            Operation::StatFs => wire::statfs(unique),
            Operation::Init { major, minor, flags } => wire::init(unique, major, minor, flags),
            Operation::Interrupt(unique) => return Ok(Some(Question::Interrupted(unique))),
            Operation::Unanswered => return Ok(None),
            Operation::Other => wire::refusal(unique, Errno::NOSYS.raw_os_error()),
        };
        self.write(&answer)?;
        Ok(None)
    }

    fn find(&self, name: &[u8], uid: u32) -> Option<(u64, &Link)> {
        let node = *self.nodes.get(std::str::from_utf8(name).ok()?)?;
        Some((node, self.visible(node, uid)?))
    }

    fn visible(&self, node: u64, uid: u32) -> Option<&Link> {
        self.links.get(&node).filter(|link| link.is_visible_to(uid))
    }

    fn write(&self, answer: &[u8]) -> io::Result<()> {
        match rustix::io::retry_on_intr(|| rustix::io::write(&self.device, answer)) {
            // ENOENT: whoever asked was killed and waits no more.
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Link {
    fn is_visible_to(&self, uid: u32) -> bool {
        uid == self.uid || uid == 0
    }
}
