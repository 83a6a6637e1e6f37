//! The pool's directory: `mnt`, where the symlinks are, and `f`, where the FIFOs are, side by side, so that a link
//! reaches a FIFO by a relative path wherever the directory is mounted.
//!
//! One server at a time: it holds a lock on the directory itself, which the kernel takes back when the server ends in
//! whatever way. Whoever gets the lock may therefore remove what lies in `f` and in `mnt`.
//!
//! It refuses a directory of another user, and paths that some client could not read from MAKEFLAGS.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::failed::failed;
use crate::fuse::{Fuse, Reach};

const FIFOS: &str = "f";
const MOUNT: &str = "mnt";

const NOT_A_POOLS: &str = "is none of a pool's: a pool needs a directory of its own";

#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes it if need be, locks it, and removes what a killed server left there.
    pub fn claim(path: &Path, reach: Reach) -> io::Result<Directory> {
        let (outer, inner) = match reach {
            Reach::Owner => (0o700, 0o700),
            // Others may pass through, not list: who can open a folder can lock it, and no server would start there again.
            Reach::Everyone => (0o711, 0o711),
        };
        let is_new = make(path, outer)?;
        let path = fs::canonicalize(path).map_err(|error| failed(error, "can't find", path))?;
        check(&path)?;
        let lock = File::open(&path).map_err(|error| failed(error, "can't open", &path))?;
        if lock.metadata()?.uid() != rustix::process::geteuid().as_raw() {
            return Err(refused(io::ErrorKind::PermissionDenied, &path, "belongs to another user"));
        }
        // One that was there before may be open to others.
        if reach == Reach::Everyone {
            fs::set_permissions(&path, Permissions::from_mode(outer))
                .map_err(|error| failed(error, "can't close to others", &path))?;
        }
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(refused(io::ErrorKind::AddrInUse, &path, "is in use by another server"))
            }
            Err(error) => return Err(failed(error.into(), "can't lock", &path)),
        }
        let directory = Directory { path, _lock: lock };
        if !is_new {
            directory.clear()?;
        }
        for (folder, mode) in [(directory.fifos(), inner), (directory.mount(), outer)] {
            make(&folder, mode)?;
            // Whatever the umask is that we were started with.
            fs::set_permissions(&folder, Permissions::from_mode(mode))
                .map_err(|error| failed(error, "can't set the mode of", &folder))?;
        }
        Ok(directory)
    }

    /// Removes what a killed server left there, and nothing else.
    fn clear(&self) -> io::Result<()> {
        Fuse::clear(&self.mount())?;
        let mut left = Vec::new();
        for folder in [self.fifos(), self.mount()] {
            if fs::symlink_metadata(&folder).is_ok_and(|found| !found.is_dir()) {
                return Err(refused(io::ErrorKind::AlreadyExists, &folder, NOT_A_POOLS));
            }
        }
        for entry in fs::read_dir(self.fifos()).into_iter().flatten() {
            let entry = entry?;
            let is_number = entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
            if !is_number || !entry.file_type()?.is_fifo() {
                return Err(refused(io::ErrorKind::AlreadyExists, &entry.path(), NOT_A_POOLS));
            }
            left.push(entry.path());
        }
        for path in left {
            fs::remove_file(&path).map_err(|error| failed(error, "can't remove", &path))?;
        }
        Ok(())
    }

    /// The folder of FIFOs.
    pub fn fifos(&self) -> PathBuf {
        self.path.join(FIFOS)
    }

    /// The place of the mount.
    pub fn mount(&self) -> PathBuf {
        self.path.join(MOUNT)
    }

    /// How a link on the mount reaches FIFO `number`.
    pub fn target(number: u64) -> String {
        format!("../{FIFOS}/{number}")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.fifos());
        let _ = fs::remove_dir(self.mount());
    }
}

/// False: there is something already.
fn make(path: &Path, mode: u32) -> io::Result<bool> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error, "can't make", path)),
        made => Ok(made.is_ok()),
    }
}

/// A path with other characters is read wrongly by make (`$`), or by everyone else (blanks).
fn check(path: &Path) -> io::Result<()> {
    let is_plain = path.as_os_str().as_encoded_bytes().iter().all(|&byte| is_plain(byte) || byte == b'/');
    if is_plain {
        return Ok(());
    }
    Err(refused(io::ErrorKind::InvalidInput, path, "can't stand in MAKEFLAGS: only A-Z a-z 0-9 _ . / - can"))
}

/// Whether a name can stand in MAKEFLAGS, and be a name of a file.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && name != "." && name != ".." && name.bytes().all(is_plain)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)
}

fn refused(kind: io::ErrorKind, path: &Path, why: &str) -> io::Error {
    io::Error::new(kind, format!("{} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_server_at_a_time_and_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pool");
        let first = Directory::claim(&path, Reach::Owner).unwrap();
        let error = Directory::claim(&path, Reach::Owner).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
        drop(first);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_server_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(FIFOS)).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join(FIFOS).join("17"), rustix::fs::Mode::RUSR).unwrap();
        let directory = Directory::claim(dir.path(), Reach::Owner).unwrap();
        assert_eq!(fs::read_dir(directory.fifos()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_none_of_a_pools_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FIFOS).join("thesis");
        fs::create_dir(dir.path().join(FIFOS)).unwrap();
        fs::write(&file, "text").unwrap();
        let error = Directory::claim(dir.path(), Reach::Owner).unwrap_err();
        assert!(error.to_string().contains("thesis"), "{error}");
        assert!(file.exists());
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path().join(FIFOS), elsewhere.path().join(FIFOS)).unwrap();
        Directory::claim(elsewhere.path(), Reach::Owner).unwrap_err();
        assert!(file.exists());
    }

    #[test]
    fn a_path_that_make_would_read_wrongly_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = Directory::claim(&dir.path().join("a b"), Reach::Owner).unwrap_err();
        assert!(error.to_string().contains("MAKEFLAGS"), "{error}");
        assert!(!is_plain_name("a$b") && !is_plain_name("..") && is_plain_name("build-1.x_2"));
    }
}
