//! Which makes take pipes only: asked once, then noted.
//!
//! To ask costs a process; to look costs three system calls, and a shim looks at each call. The answer is kept in the
//! user's cache by what would change with another make: the file, its size and its time. Where there is no cache each is
//! asked. Only the module above may call this.

use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::{ask, says_pipes_only};

/// Whether the make at this path takes pipes only; false if it says nothing that is known.
pub(crate) fn takes_pipes_only(make: &Path) -> bool {
    let Some(note) = note(make) else { return says_pipes_only(&ask(make.as_os_str())) };
    // Another user's could say anything.
    match fs::read(&note).as_deref() {
        Ok(b"pipes") if is_ours(&note) => return true,
        Ok(b"paths") if is_ours(&note) => return false,
        _ => {}
    }
    let said = ask(make.as_os_str());
    let old = says_pipes_only(&said);
    // What says nothing may have been interrupted.
    if !said.is_empty() {
        remember(&note, if old { b"pipes" } else { b"paths" });
    }
    old
}

fn note(make: &Path) -> Option<PathBuf> {
    let found = fs::metadata(make).ok()?;
    let mut hasher = DefaultHasher::new();
    (make, found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()).hash(&mut hasher);
    Some(cache()?.join(format!("make-{:016x}", hasher.finish())))
}

fn cache() -> Option<PathBuf> {
    let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    Some(folder.join("jobserver"))
}

fn is_ours(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.uid() == geteuid().as_raw())
}

/// A file that cannot be written is a version that is asked again.
fn remember(note: &Path, answer: &[u8]) {
    let Some(folder) = note.parent() else { return };
    // Another user's home (after `sudo -E`) must not get files of ours.
    if !folder.ancestors().find(|folder| folder.exists()).is_some_and(is_ours) {
        return;
    }
    let _ = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    // Whole or not at all: others may read it now.
    let new = note.with_extension(std::process::id().to_string());
    if fs::write(&new, answer).and_then(|()| fs::rename(&new, note)).is_err() {
        let _ = fs::remove_file(&new);
    }
}
