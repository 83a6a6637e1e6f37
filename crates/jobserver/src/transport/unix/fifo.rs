//! A named pipe in a folder of its own, for a server, and what may stand at the path of somebody else's.

use std::collections::hash_map::RandomState;
use std::ffi::CString;
use std::fs::{self, DirBuilder, Metadata};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;

use super::sys;
use crate::auth::check_path;

/// A FIFO of mode 0600 in a folder of mode 0700; dropping it removes both.
#[derive(Debug)]
pub(crate) struct PrivateFifo {
    folder: PathBuf,
    path: PathBuf,
    /// A child that was forked off and ends by itself must not remove what its parent still serves.
    owner: u32,
}

impl PrivateFifo {
    /// Makes one below `parent`, or below the system's folder for temporary files (`TMPDIR`, else `/tmp`).
    #[inline]
    pub(crate) fn create(parent: Option<&Path>) -> io::Result<PrivateFifo> {
        let parent = match parent {
            Some(parent) => checked(parent)?,
            // A user may well have a blank in TMPDIR, which no client but make can read in a path.
            None => checked(&std::env::temp_dir()).or_else(|_| checked(Path::new("/tmp")))?,
        };
        let folder = create_folder(&parent)?;
        let path = folder.join("fifo");
        let fifo = PrivateFifo { folder, path, owner: process::id() };
        sys::make_fifo(&CString::new(fifo.path.as_os_str().as_bytes())?).map_err(|error| at(&fifo.path, error))?;
        Ok(fifo)
    }

    #[inline]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFifo {
    #[inline]
    fn drop(&mut self) {
        if self.owner == process::id() {
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Refuses what must never be read as a jobserver: tokens would be eaten from a file, or written into it.
///
/// A character device is accepted as ninja 1.14 does (a pool can be one), but not the memory devices: `/dev/null` and
/// `/dev/zero` stand at the descriptors of many a stale MAKEFLAGS.
pub(super) fn is_jobserver(file: &Metadata) -> bool {
    let kind = file.file_type();
    kind.is_fifo() || (kind.is_char_device() && !is_memory_device(file.rdev()))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn is_memory_device(device: u64) -> bool {
    // The memory devices' major number, Documentation/admin-guide/devices.txt of Linux.
    libc::major(device as libc::dev_t) == 1
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn is_memory_device(device: u64) -> bool {
    ["/dev/null", "/dev/zero"].iter().any(|path| fs::metadata(path).is_ok_and(|known| known.rdev() == device))
}

#[inline]
fn checked(parent: &Path) -> io::Result<PathBuf> {
    check_path(parent).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
    Ok(parent.to_path_buf())
}

#[inline]
fn create_folder(parent: &Path) -> io::Result<PathBuf> {
    // 100 names that all exist already are no accident.
    for _ in 0..100 {
        // The folder's mode keeps others out; the name only has to be free.
        let random = RandomState::new().build_hasher().finish();
        let folder = parent.join(format!("jobserver-{:016x}", random));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(at(&folder, error)),
        }
    }
    Err(at(parent, io::ErrorKind::AlreadyExists.into()))
}

#[inline]
fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifo_is_private_and_goes_with_its_guard() {
        let fifo = PrivateFifo::create(None).unwrap();
        let path = fifo.path().to_path_buf();
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_fifo());
        assert_eq!(metadata.mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        drop(fifo);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn a_folder_that_no_client_could_read_is_refused() {
        let error = PrivateFifo::create(Some(Path::new("/tmp/with blank"))).unwrap_err();
        assert!(error.to_string().contains("/tmp/with blank"), "{error}");
        let error = PrivateFifo::create(Some(Path::new("relative"))).unwrap_err();
        assert!(error.to_string().contains("relative"), "{error}");
    }

    #[test]
    fn memory_devices_and_plain_files_are_no_jobserver() {
        for path in ["/dev/null", "/dev/zero", "/etc/passwd"] {
            assert!(!is_jobserver(&fs::metadata(path).unwrap()), "{path}");
        }
    }
}
