//! One FIFO of the pool: its file, the server's own descriptor, and what is known to lie in it.
//!
//! The server opens it once for reading and writing, so that no client ever sees its end, however many of them come
//! and go. It belongs to the user it was made for and to nobody else.
//!
//! One of an earlier server, which a runner kept open, has no file any more; it serves until its clients are gone.
//!
//! What clients read from has two pages, not one: a pipe appends to its last page until that is used up, and a page is
//! free again only when it was read empty. A FIFO of one page that always holds a token would refuse the 4,097th byte
//! although a single one lies in it. What clients only write to is emptied at each look, so one page is enough there.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::failed::failed;
use crate::process::OWN;

/// The byte of every token that the pool gives out: what make itself writes.
const TOKEN: u8 = b'+';
/// As much as a pipe takes in one piece (PIPE_BUF): more is never offered at once.
const MOST: usize = 4096;

/// What a FIFO is for, which decides how much memory it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Clients read tokens from it.
    Offers,
    /// Clients only return tokens to it.
    Returns,
}

/// A FIFO; dropping it removes its file.
#[derive(Debug)]
pub(super) struct Fifo {
    /// Its name, and its number in the events of the folder.
    pub number: u64,
    /// Opened and closed by others so far, as far as events told: two of a kind in a row may be told as one.
    pub opens: u64,
    pub closes: u64,
    /// So many descriptors of its owner were seen at once: there were as many opens at least.
    pub found: u64,
    file: OwnedFd,
    path: PathBuf,
    name: String,
    device: u64,
    inode: u64,
    lying: usize,
}

impl Fifo {
    /// Makes it in `folder` for user `owner`.
    pub fn create(folder: &Path, number: u64, owner: u32, what: Use) -> io::Result<Fifo> {
        let path = folder.join(number.to_string());
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode)
            .map_err(|error| failed(error.into(), "can't make the FIFO", &path))?;
        let opened = Fifo::open(&path, owner, what);
        let (file, (device, inode)) = opened.map_err(|error| {
            let _ = std::fs::remove_file(&path);
            failed(error.into(), "can't open the FIFO", &path)
        })?;
        Ok(Fifo {
            number,
            opens: 0,
            closes: 0,
            found: 0,
            file,
            name: number.to_string(),
            path,
            device,
            inode,
            lying: 0,
        })
    }

    /// One that an earlier server made; `file` is a descriptor of its own kind. What lies in it counts as known.
    pub fn adopt(file: OwnedFd, number: u64) -> io::Result<Fifo> {
        // Where it can be reached as long as it is open; not a file that could be removed.
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let stat = rustix::fs::fstat(&file)?;
        let flags = rustix::fs::fcntl_getfl(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo || !flags.contains(OWN) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a descriptor of a pool's FIFO"));
        }
        let target = std::fs::read_link(&path)?.to_string_lossy().into_owned();
        let name = target.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or_default().to_owned();
        let (device, inode) = (stat.st_dev, stat.st_ino);
        let mut fifo = Fifo { number, opens: 0, closes: 0, found: 0, file, path, name, device, inode, lying: 0 };
        fifo.moved()?;
        Ok(fifo)
    }

    fn open(path: &Path, owner: u32, what: Use) -> Result<(OwnedFd, (u64, u64)), Errno> {
        let flags = OWN | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        let size = rustix::param::page_size() * if what == Use::Offers { 2 } else { 1 };
        rustix::pipe::fcntl_setpipe_size(&file, size)?;
        if owner != rustix::process::geteuid().as_raw() {
            rustix::fs::fchown(&file, Some(Uid::from_raw(owner)), None)?;
        }
        let stat = rustix::fs::fstat(&file)?;
        Ok((file, (stat.st_dev, stat.st_ino)))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its file is called, or was.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's own descriptor.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Its file's device and inode: no other file has both.
    pub fn file_id(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Its file's inode.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// How many bytes lay in it when it was last looked at or changed.
    pub fn lying(&self) -> usize {
        self.lying
    }

    /// Whether as many have closed it as have opened it.
    pub fn is_closed(&self) -> bool {
        self.opens == self.closes
    }

    /// Puts `count` tokens in: all of them or, with an error, none.
    pub fn put(&mut self, count: usize) -> io::Result<()> {
        if count > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("more than {MOST} tokens at once")));
        }
        let tokens = [TOKEN; MOST];
        let put = match self.write(&tokens[..count]) {
            // The last page is used up, though little lies in the FIFO: read empty, it begins with a fresh one.
            Err(Errno::AGAIN) => self.refresh().and_then(|()| self.write(&tokens[..count])),
            result => result,
        };
        put.map_err(|error| failed(error.into(), "no more tokens fit into", &self.path))?;
        self.lying += count;
        Ok(())
    }

    /// Takes `most` bytes back, or as many as nobody was quicker to read.
    pub fn take(&mut self, most: usize) -> io::Result<usize> {
        let taken = self.read(&mut [0; MOST][..most.min(MOST)])?;
        self.lying = self.lying.saturating_sub(taken);
        Ok(taken)
    }

    /// Takes out all that lies in it.
    pub fn empty(&mut self) -> io::Result<usize> {
        let mut total = 0;
        // As often as pages of 64 KiB could be full: a client that never stops writing must not keep the server here.
        for _ in 0..32 {
            let taken = self.read(&mut [0; MOST])?;
            total += taken;
            if taken < MOST {
                break;
            }
        }
        self.lying = 0;
        Ok(total)
    }

    /// How many bytes others read out of it, and how many they wrote into it, since it was last looked at: of one of them
    /// there were more.
    pub fn moved(&mut self) -> io::Result<(usize, usize)> {
        let (known, count) = (self.lying, self.count()?);
        self.lying = count;
        Ok((known.saturating_sub(count), count.saturating_sub(known)))
    }

    /// How many bytes others read out of it, more than they wrote, since it was last looked at. What they wrote is left for
    /// the next look.
    pub fn removed(&mut self) -> io::Result<usize> {
        let removed = self.lying.saturating_sub(self.count()?);
        self.lying -= removed;
        Ok(removed)
    }

    /// Whether as much lies in it as when it was last looked at or changed.
    pub fn is_as_known(&self) -> io::Result<bool> {
        Ok(self.count()? == self.lying)
    }

    fn count(&self) -> io::Result<usize> {
        rustix::io::ioctl_fionread(&self.file).map(|count| count as usize).map_err(|error| self.named(error))
    }

    fn refresh(&mut self) -> Result<(), Errno> {
        let mut bytes = vec![0; 2 * rustix::param::page_size()];
        let mut length = rustix::io::retry_on_intr(|| rustix::io::read(&self.file, &mut bytes))?;
        // What others wrote is kept as it is; it fits, for the pipe is empty now.
        while length > 0 {
            let written = self.write(&bytes[..length.min(MOST)])?;
            bytes.copy_within(written..length, 0);
            length -= written;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        rustix::io::retry_on_intr(|| rustix::io::write(&self.file, bytes))
    }

    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.file, &mut *bytes)) {
            Err(Errno::AGAIN) => Ok(0),
            result => result.map_err(|error| self.named(error)),
        }
    }

    fn named(&self, error: Errno) -> io::Error {
        failed(error.into(), "the FIFO", &self.path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        // An adopted one's path is no file's: removing it fails.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fifo(folder: &Path, what: Use) -> Fifo {
        Fifo::create(folder, 7, rustix::process::geteuid().as_raw(), what).unwrap()
    }

    #[test]
    fn a_fifo_that_is_never_empty_takes_tokens_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let mut fifo = fifo(folder.path(), Use::Offers);
        fifo.put(1).unwrap();
        for _ in 0..20_000 {
            // As a client that returns one does, without the server's help.
            fifo.write(b"+").unwrap();
            assert_eq!(fifo.take(1).unwrap(), 1);
        }
        assert_eq!(fifo.moved().unwrap(), (0, 1), "the one that was put, counted anew");
    }

    #[test]
    fn one_page_would_stick_and_is_freed_by_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let mut fifo = fifo(folder.path(), Use::Returns);
        let page = rustix::param::page_size();
        fifo.put(1).unwrap();
        for _ in 1..page {
            fifo.put(1).unwrap();
            assert_eq!(fifo.take(1).unwrap(), 1);
        }
        assert_eq!((fifo.moved().unwrap(), fifo.lying()), ((0, 0), 1));
        assert_eq!(fifo.write(b"+"), Err(Errno::AGAIN), "one byte lies in it, and no other fits");
        fifo.put(1).unwrap();
        assert_eq!(fifo.empty().unwrap(), 2);
    }

    #[test]
    fn what_others_took_and_wrote_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut fifo = fifo(folder.path(), Use::Offers);
        fifo.put(5).unwrap();
        assert_eq!(fifo.read(&mut [0; 2]).unwrap(), 2);
        assert_eq!((fifo.removed().unwrap(), fifo.moved().unwrap()), (2, (0, 0)));
        fifo.write(b"GGG").unwrap();
        assert_eq!((fifo.removed().unwrap(), fifo.moved().unwrap()), (0, (0, 3)));
        assert_eq!((fifo.take(100).unwrap(), fifo.lying()), (6, 0));
    }

    #[test]
    fn a_full_fifo_is_an_error_that_names_it_and_nothing_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let mut fifo = fifo(folder.path(), Use::Offers);
        let all = 2 * rustix::param::page_size();
        for _ in 0..all / MOST {
            fifo.put(MOST).unwrap();
        }
        let error = fifo.put(1).unwrap_err();
        assert!(error.to_string().contains(fifo.path().to_str().unwrap()), "{error}");
        assert_eq!((fifo.lying(), fifo.empty().unwrap()), (all, all));
    }

    #[test]
    fn its_file_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        drop(fifo(folder.path(), Use::Offers));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
