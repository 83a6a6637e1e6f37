//! Processes: which one a thread belongs to, when it ends, what it has open, who its parents are.
//!
//! A pid alone is no name: it is used again. A [`Process`] holds a pidfd, which stays with the process it was taken
//! for, and its start time, which together with the pid is a name that can be written down.
//!
//! What others have open is read from `/proc`, from link texts and `fdinfo` alone: a `stat` of another process's
//! descriptor may ask a filesystem that never answers (our own mount among them).

mod search;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags, RawDir};
use rustix::process::{Pid, PidfdFlags};
pub use search::Search;

/// The flags that mark a descriptor as the pool's own, also where a child or a runner has a copy of it: no client opens
/// a FIFO like that. (`O_NOATIME` changes nothing here.)
pub const OWN: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::NOATIME);

/// A process, past or present: no two have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// The pid, which is the thread-group id.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did.
    pub start: u64,
}

/// A process that is watched.
#[derive(Debug)]
pub struct Process {
    id: ProcessId,
    parent: u32,
    pidfd: OwnedFd,
}

/// What a process looks like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name, as `ps -o comm` shows it: 15 bytes at most.
    pub command: String,
    /// The user it acts as.
    pub uid: u32,
    /// Its parent, 0 if that lives outside of our pid namespace.
    pub parent: u32,
}

/// One descriptor that a process has open on a FIFO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// It can be read from.
    pub reads: bool,
    /// It can be written to.
    pub writes: bool,
    /// Its reads never wait.
    pub nonblocking: bool,
}

impl Process {
    /// The process that thread `tid` belongs to.
    ///
    /// # Errors
    /// ESRCH or ENOENT if it is gone, also if it goes while we look; EMFILE.
    pub fn of_thread(tid: u32) -> io::Result<Process> {
        Process::of(group_of(tid)?)
    }

    /// The process `pid`.
    ///
    /// # Errors
    /// As [`Process::of_thread`]; EINVAL or ENOENT if it is the number of a thread that is not its process's first.
    pub fn of(pid: u32) -> io::Result<Process> {
        Process::watched(pid, rustix::process::pidfd_open(number(pid)?, PidfdFlags::empty())?)
    }

    /// The process that a pidfd is of, which may have been opened in another pid namespace, where it has another pid.
    ///
    /// # Errors
    /// As [`Process::of_thread`]; the descriptor is no pidfd, or the process lives where we can't see it.
    pub fn of_pidfd(pidfd: OwnedFd) -> io::Result<Process> {
        let text = whole(&format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
        let not = |why| io::Error::new(io::ErrorKind::InvalidInput, why);
        // -1 of one that has ended, 0 of one outside of our namespace.
        match field(&text, "Pid:").map(str::parse) {
            Some(Ok(pid @ 1..)) => Process::watched(pid, pidfd),
            Some(Ok(0)) => Err(not("it lives in a pid namespace that can't be seen from here")),
            Some(_) => Err(rustix::io::Errno::SRCH.into()),
            None => Err(not("the descriptor is no pidfd")),
        }
    }

    fn watched(pid: u32, pidfd: OwnedFd) -> io::Result<Process> {
        let Stat { start, parent, .. } = stat(pid)?;
        let process = Process { id: ProcessId { pid, start }, parent, pidfd };
        // Only now is it sure that the start time was read of the process that the pidfd is of: it has not ended, so
        // nobody else can have got its pid.
        if process.has_ended()? {
            return Err(rustix::io::Errno::SRCH.into());
        }
        Ok(process)
    }

    /// Its name for all times.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Its parent when it was found, 0 if that lives outside of our pid namespace.
    pub fn parent(&self) -> u32 {
        self.parent
    }

    /// Readable once it has ended, reaped or not.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Whether it has ended, reaped or not.
    ///
    /// # Errors
    /// What poll says.
    pub fn has_ended(&self) -> io::Result<bool> {
        let mut entry = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        Ok(rustix::io::retry_on_intr(|| rustix::event::poll(&mut entry, Some(&now)))? > 0)
    }
}

/// The process that thread `tid` belongs to, by its pid.
///
/// # Errors
/// ENOENT if there is no such thread.
pub fn group_of(tid: u32) -> io::Result<u32> {
    let text = whole(&format!("/proc/{tid}/status"))?;
    field(&text, "Tgid:").and_then(|pid| pid.parse().ok()).ok_or_else(|| unreadable("status", tid))
}

/// Whether process `pid` counts processes as we do: what it says of a pid is of no use if it lives in a pid namespace of
/// its own.
pub fn counts_alike(pid: u32) -> bool {
    let text = whole(&format!("/proc/{pid}/status")).unwrap_or_default();
    field(&text, "NSpid:").is_some_and(|pids| pids.split_whitespace().count() == 1)
}

/// What process `pid` looks like now.
///
/// # Errors
/// ENOENT if it is gone.
pub fn about(pid: u32) -> io::Result<About> {
    let text = whole(&format!("/proc/{pid}/status"))?;
    // Real, effective, saved, filesystem.
    let uid = field(&text, "Uid:").and_then(|ids| ids.split_whitespace().nth(1)?.parse().ok());
    let Stat { command, parent, .. } = stat(pid)?;
    Ok(About { command, uid: uid.ok_or_else(|| unreadable("status", pid))?, parent })
}

/// A file that has no size, read at once: with the little room that is made for such a one, the kernel would write it anew
/// for each piece.
fn whole(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(4096);
    fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// The parents of process `pid`, the nearest first, up to the one that can't be seen.
pub fn ancestors(pid: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(pid), |&pid| stat(pid).ok().map(|stat| stat.parent).filter(|&parent| parent > 0)).skip(1)
}

/// The descriptors that process `pid` has open on the file that is called `name` and has inode `inode`.
///
/// Those that are the pool's [`OWN`] don't count. The directory is not compared: in another mount namespace it is another one.
///
/// # Errors
/// EACCES if the process is not ours to look at; ENOENT if it is gone.
pub fn descriptors(pid: u32, name: &str, inode: u64) -> io::Result<Vec<Opened>> {
    Ok(open_files(pid, &named(&[(name, inode)]))?.into_iter().map(|(_, opened)| opened).collect())
}

/// Files by their names: the place of each, and its inode.
type Named = HashMap<String, Vec<(usize, u64)>>;

fn named(files: &[(&str, u64)]) -> Named {
    let mut named = Named::new();
    for (place, &(name, inode)) in files.iter().enumerate() {
        named.entry(name.to_owned()).or_default().push((place, inode));
    }
    named
}

/// Which of these files process `pid` has open, by their places, and how.
fn open_files(pid: u32, files: &Named) -> io::Result<Vec<(usize, Opened)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(format!("/proc/{pid}/fd"), flags, Mode::empty())?;
    let (mut found, mut target, mut entries) = (Vec::new(), Vec::new(), [MaybeUninit::uninit(); 4096]);
    let mut entries = RawDir::new(&folder, &mut entries);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        // The folder itself, and the one above.
        if entry.file_type() == FileType::Directory {
            continue;
        }
        // By its folder: to walk through /proc to each of them takes longer than all the rest.
        target = match rustix::fs::readlinkat(&folder, entry.file_name(), target) {
            Ok(target) => target.into_bytes(),
            Err(_) => {
                target = Vec::new();
                continue;
            }
        };
        let Some(same) = last_name(&target).and_then(|name| files.get(name)) else { continue };
        let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy());
        let mut text = [0; 512];
        let text = match fs::File::open(info).and_then(|mut file| file.read(&mut text)) {
            // What is asked for is in its first lines.
            Ok(length) => String::from_utf8_lossy(&text[..length]),
            Err(error) if is_exhausted(&error) => return Err(error),
            Err(_) => continue,
        };
        found.extend(same.iter().filter_map(|&(place, inode)| Some((place, opened(&text, inode)?))));
    }
    Ok(found)
}

fn is_exhausted(error: &io::Error) -> bool {
    matches!(rustix::io::Errno::from_io_error(error), Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// `fdinfo` of a descriptor, if it is on the file with that inode. Before Linux 5.14 it does not say which.
fn opened(text: &str, inode: u64) -> Option<Opened> {
    if field(text, "ino:").is_some_and(|number| number.parse() != Ok(inode)) {
        return None;
    }
    let flags = u32::from_str_radix(field(text, "flags:")?, 8).ok()?;
    let flags = OFlags::from_bits_retain(flags);
    if flags.contains(OWN) {
        return None;
    }
    let access = flags & OFlags::RWMODE;
    Some(Opened {
        reads: access != OFlags::WRONLY,
        writes: access != OFlags::RDONLY,
        nonblocking: flags.contains(OFlags::NONBLOCK),
    })
}

fn last_name(target: &[u8]) -> Option<&str> {
    let last = std::str::from_utf8(target.rsplit(|&byte| byte == b'/').next()?).ok()?;
    // The kernel says so of a file that was removed.
    Some(last.strip_suffix(" (deleted)").unwrap_or(last))
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    command: String,
    parent: u32,
    start: u64,
}

fn stat(pid: u32) -> io::Result<Stat> {
    // Read at once: `fs::read` would begin with 32 bytes.
    let mut text = [0; 1024];
    let length = fs::File::open(format!("/proc/{pid}/stat"))?.read(&mut text)?;
    parse_stat(&String::from_utf8_lossy(&text[..length])).ok_or_else(|| unreadable("stat", pid))
}

/// `PID (COMMAND) STATE PPID ...`: the command may hold blanks and parentheses, so the last one counts.
fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let command = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    // proc(5) counts from 1 and from the pid on: the state is field 3, the start time field 22.
    Some(Stat { command, parent: fields.get(1)?.parse().ok()?, start: fields.get(19)?.parse().ok()? })
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn number(pid: u32) -> io::Result<Pid> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the number of a process"))
}

fn unreadable(file: &str, pid: u32) -> io::Error {
    io::Error::other(format!("/proc/{pid}/{file} is not as it should be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_blanks_and_parentheses_is_read_whole() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2";
        let expected = Stat { command: "a) b (c)".to_owned(), parent: 7, start: 987_654 };
        assert_eq!(parse_stat(text), Some(expected));
        assert_eq!(parse_stat("42 (a) S"), None);
    }

    #[test]
    fn a_thread_leads_to_its_process() {
        let me = std::process::id();
        std::thread::spawn(move || {
            let link = fs::read_link("/proc/thread-self").unwrap();
            let tid = link.file_name().unwrap().to_str().unwrap().parse().unwrap();
            assert_ne!(tid, me);
            let process = Process::of_thread(tid).unwrap();
            assert_eq!(process.id(), Process::of(me).unwrap().id());
            assert!(!process.has_ended().unwrap());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn an_ended_process_is_known_as_ended_and_is_not_taken_for_another() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert_eq!(ancestors(child.id()).next(), Some(std::process::id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(process.has_ended().unwrap());
        assert!(Process::of(child.id()).is_err());
    }

    #[test]
    fn a_pidfd_leads_to_its_process_and_other_descriptors_to_none() {
        let me = std::process::id();
        let open = || rustix::process::pidfd_open(number(me).unwrap(), PidfdFlags::empty()).unwrap();
        assert_eq!(Process::of_pidfd(open()).unwrap().id(), Process::of(me).unwrap().id());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pidfd = rustix::process::pidfd_open(number(child.id()).unwrap(), PidfdFlags::empty()).unwrap();
        child.wait().unwrap();
        assert!(Process::of_pidfd(pidfd).is_err());
        let file = fs::File::open("/dev/null").unwrap();
        assert_eq!(Process::of_pidfd(file.into()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(counts_alike(me) && !counts_alike(0));
    }

    #[test]
    fn it_is_seen_how_a_file_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("17");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        let both_ends = fs::File::options().read(true).write(true).open(&path).unwrap();
        let _own = rustix::fs::open(&path, OWN | OFlags::CLOEXEC, rustix::fs::Mode::empty()).unwrap();
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).unwrap());
        let me = std::process::id();
        let both = Opened { reads: true, writes: true, nonblocking: false };
        assert_eq!(descriptors(me, "17", inode).unwrap(), [both]);
        assert_eq!(descriptors(me, "17", inode + 1).unwrap(), []);
        let mut other = std::process::Command::new("cat");
        let mut other =
            other.stdin(both_ends.try_clone().unwrap()).stdout(std::process::Stdio::null()).spawn().unwrap();
        let holders = |files: &[(&str, u64)]| {
            let mut search = Search::new(files);
            // One process after the other.
            while !search.go_on(1).unwrap() {}
            search.found().to_vec()
        };
        let mut third = std::process::Command::new("cat");
        let mut third =
            third.stdin(both_ends.try_clone().unwrap()).stdout(std::process::Stdio::null()).spawn().unwrap();
        let first = other.id().min(third.id());
        assert_eq!(holders(&[("16", inode), ("17", inode)]), [None, Some(first)]);
        third.kill().unwrap();
        third.wait().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(holders(&[("17", inode)]), [None]);
        let _read = rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, rustix::fs::Mode::empty()).unwrap();
        fs::remove_file(&path).unwrap();
        let read = Opened { reads: true, writes: false, nonblocking: true };
        assert!(descriptors(me, "17", inode).unwrap().contains(&read));
    }
}
