//! Pools are served on Linux only: a semaphore never tells who took from it, so there is nothing that a server could know.

use std::path::PathBuf;

pub(crate) fn find() -> Option<PathBuf> {
    None
}
