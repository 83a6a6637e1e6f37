//! The bytes of the FUSE protocol (7.31): requests as the kernel writes them, answers as it reads them.
//!
//! Fields are taken and put by hand, in the machine's byte order, so that no `unsafe` cast is needed; the layouts are
//! those of `include/uapi/linux/fuse.h`. Only what a directory of symlinks needs is here: everything else is
//! [`Operation::Other`].

use std::time::Duration;

/// The protocol this file speaks. A newer kernel comes down to it.
const MAJOR: u32 = 7;
const MINOR: u32 = 31;
/// Lets the kernel look up several names of the directory at once.
const PARALLEL_DIROPS: u32 = 1 << 18;
/// The kernel refuses to read requests into less than 8,192 bytes; ours are far shorter.
pub(super) const BUFFER: usize = 8192;
/// The directory itself.
pub(super) const ROOT: u64 = 1;

const HEADER: usize = 40;
const DIRECTORY: u32 = 0o040_555;
const SYMLINK: u32 = 0o120_777;

/// One request: who asks, about which node, what.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub unique: u64,
    pub node: u64,
    pub uid: u32,
    /// The thread that asks, 0 if it lives in a pid namespace that the server can't see.
    pub thread: u32,
    pub operation: Operation<'a>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    Init {
        major: u32,
        minor: u32,
        flags: u32,
    },
    Lookup(&'a [u8]),
    ReadLink,
    GetAttr,
    StatFs,
    OpenDir,
    ReadDir {
        offset: u64,
        size: usize,
    },
    ReleaseDir,
    /// Whoever asked that question has got a signal. The kernel waits for no answer to this, but for one to the question.
    Interrupt(u64),
    /// FORGET, BATCH_FORGET: the kernel waits for no answer.
    Unanswered,
    Other,
}

impl<'a> Request<'a> {
    /// What the kernel wrote, or `None` if it is shorter than it says.
    pub fn parse(bytes: &'a [u8]) -> Option<Request<'a>> {
        let body = bytes.get(HEADER..)?;
        if word(bytes, 0)? as usize != bytes.len() {
            return None;
        }
        let operation = match word(bytes, 4)? {
            1 => Operation::Lookup(body.strip_suffix(&[0])?),
            3 => Operation::GetAttr,
            5 => Operation::ReadLink,
            17 => Operation::StatFs,
            26 => Operation::Init { major: word(body, 0)?, minor: word(body, 4)?, flags: word(body, 12)? },
            27 => Operation::OpenDir,
            28 => Operation::ReadDir { offset: long(body, 8)?, size: word(body, 16)? as usize },
            29 => Operation::ReleaseDir,
            36 => Operation::Interrupt(long(body, 0)?),
            2 | 42 => Operation::Unanswered,
            _ => Operation::Other,
        };
        Some(Request {
            unique: long(bytes, 8)?,
            node: long(bytes, 16)?,
            uid: word(bytes, 24)?,
            thread: word(bytes, 32)?,
            operation,
        })
    }
}

/// An answer that says no more than that it failed; `errno` is positive.
pub(super) fn refusal(unique: u64, errno: i32) -> Vec<u8> {
    let mut answer = Answer::new();
    answer.finish(unique, -errno)
}

/// An answer that carries `bytes`.
pub(super) fn answer(unique: u64, bytes: &[u8]) -> Vec<u8> {
    let mut answer = Answer::new();
    answer.bytes.extend_from_slice(bytes);
    answer.finish(unique, 0)
}

/// The answer to INIT, or EPROTO for a kernel before 7.31 (Linux 5.2).
pub(super) fn init(unique: u64, major: u32, minor: u32, flags: u32) -> Vec<u8> {
    if major != MAJOR || minor < MINOR {
        return refusal(unique, rustix::io::Errno::PROTO.raw_os_error());
    }
    let mut answer = Answer::new();
    answer.words(&[MAJOR, MINOR, 0, flags & PARALLEL_DIROPS]);
    // max_background and congestion_threshold (two u16 each): the kernel's defaults; then max_write.
    answer.words(&[0, 4096]);
    // time_gran, max_pages and map_alignment, flags2, unused.
    answer.words(&[0; 10]);
    answer.finish(unique, 0)
}

/// The answer to LOOKUP: for how long the name may be kept, and nothing else.
pub(super) fn entry(unique: u64, node: u64, uid: u32, holds: Duration) -> Vec<u8> {
    let mut answer = Answer::new();
    // node, generation, and how long name and attributes hold: seconds, then nanoseconds.
    answer.longs(&[node, 0, holds.as_secs(), 0]);
    answer.words(&[holds.subsec_nanos(), 0]);
    answer.attributes(node, uid);
    answer.finish(unique, 0)
}

/// The answer to GETATTR.
pub(super) fn attributes(unique: u64, node: u64, uid: u32) -> Vec<u8> {
    let mut answer = Answer::new();
    answer.longs(&[0, 0]);
    answer.attributes(node, uid);
    answer.finish(unique, 0)
}

/// The answer to STATFS: a filesystem without blocks.
pub(super) fn statfs(unique: u64) -> Vec<u8> {
    let mut answer = Answer::new();
    answer.longs(&[0; 5]);
    answer.words(&[512, 255, 512, 0]);
    answer.words(&[0; 6]);
    answer.finish(unique, 0)
}

/// The answer to OPENDIR: no handle is kept.
pub(super) fn opened(unique: u64) -> Vec<u8> {
    answer(unique, &[0; 16])
}

/// The answer to READDIR: of all `names` those after the first `offset`, as many as fit into `size`.
pub(super) fn listing<'a>(
    unique: u64,
    names: impl Iterator<Item = (u64, &'a str)>,
    offset: u64,
    size: usize,
) -> Vec<u8> {
    const LINK: u32 = 10;
    let mut answer = Answer::new();
    for (position, (node, name)) in (1..).zip(names).skip(offset as usize) {
        let padded = name.len().next_multiple_of(8);
        if answer.bytes.len() - 16 + 24 + padded > size {
            break;
        }
        answer.longs(&[node, position]);
        answer.words(&[name.len() as u32, LINK]);
        answer.bytes.extend_from_slice(name.as_bytes());
        answer.bytes.resize(answer.bytes.len() + padded - name.len(), 0);
    }
    answer.finish(unique, 0)
}

/// An answer in the making: room for the header, then what was put.
struct Answer {
    bytes: Vec<u8>,
}

impl Answer {
    fn new() -> Answer {
        Answer { bytes: vec![0; 16] }
    }

    fn words(&mut self, words: &[u32]) {
        self.bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    fn longs(&mut self, longs: &[u64]) {
        self.bytes.extend(longs.iter().flat_map(|long| long.to_ne_bytes()));
    }

    fn attributes(&mut self, node: u64, uid: u32) {
        // Inode, size, blocks, three times; then their nanoseconds.
        self.longs(&[node, 0, 0, 0, 0, 0]);
        self.words(&[0; 3]);
        let (mode, links) = if node == ROOT { (DIRECTORY, 2) } else { (SYMLINK, 1) };
        // Mode, links, uid, gid, device, block size, flags.
        self.words(&[mode, links, uid, 0, 0, 4096, 0]);
    }

    fn finish(&mut self, unique: u64, error: i32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[4..8].copy_from_slice(&error.to_ne_bytes());
        self.bytes[8..16].copy_from_slice(&unique.to_ne_bytes());
        std::mem::take(&mut self.bytes)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(opcode: u32, body: &[u8]) -> Vec<u8> {
        let mut request = Answer { bytes: Vec::new() };
        request.words(&[(HEADER + body.len()) as u32, opcode]);
        request.longs(&[77, 3]);
        request.words(&[1000, 100, 4242, 0]);
        request.bytes.extend_from_slice(body);
        request.bytes
    }

    #[test]
    fn a_request_names_the_thread_and_the_user() {
        let bytes = request(5, &[]);
        let expected = Request { unique: 77, node: 3, uid: 1000, thread: 4242, operation: Operation::ReadLink };
        assert_eq!(Request::parse(&bytes), Some(expected));
        let bytes = request(1, b"build\0");
        assert_eq!(Request::parse(&bytes).unwrap().operation, Operation::Lookup(b"build"));
        let bytes = request(4711, &[1, 2, 3]);
        assert_eq!(Request::parse(&bytes).unwrap().operation, Operation::Other);
    }

    #[test]
    fn what_is_cut_short_is_no_request() {
        for (opcode, body) in [(5, &b""[..]), (26, &[0; 16]), (28, &[0; 24]), (1, b"x\0")] {
            let whole = request(opcode, body);
            assert!(Request::parse(&whole).is_some());
            assert_eq!(Request::parse(&whole[..whole.len() - 1]), None, "opcode {opcode}");
        }
    }

    #[test]
    fn answers_have_the_sizes_of_the_kernels_structures() {
        let body = |bytes: Vec<u8>| bytes.len() - 16;
        assert_eq!(body(init(1, 7, 45, u32::MAX)), 64);
        assert_eq!(body(entry(1, 2, 0, Duration::MAX)), 128);
        assert_eq!(body(attributes(1, 2, 0)), 104);
        assert_eq!(body(statfs(1)), 80);
        assert_eq!(body(opened(1)), 16);
        assert_eq!(body(init(1, 7, 30, 0)), 0);
    }

    #[test]
    fn a_listing_goes_on_where_the_last_one_ended() {
        let names = || [(2, "first"), (3, "a-longer-name"), (4, "third")].into_iter();
        // Header, then 24 bytes and the padded name each.
        assert_eq!(listing(1, names(), 0, 4096).len(), 16 + 32 + 40 + 32);
        assert_eq!(listing(1, names(), 0, 72).len(), 16 + 32 + 40);
        assert_eq!(listing(1, names(), 2, 72).len(), 16 + 32);
        assert_eq!(listing(1, names(), 3, 72).len(), 16);
    }
}
