//! Without the feature `exit` no move is counted.

#[cfg(unix)]
mod on_unix {
    use std::fs::File;
    use std::io;

    pub(crate) fn is_on() -> bool {
        false
    }

    pub(crate) fn take(_: &File, _: Option<&File>, read: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        read()
    }

    pub(crate) fn give(_: &File, tokens: &[u8], write: impl FnOnce(&[u8]) -> io::Result<usize>) -> io::Result<usize> {
        write(tokens)
    }

    pub(crate) fn asleep() -> Option<()> {
        None
    }

    pub(crate) fn adopt(_: &File) {}

    pub(crate) fn disown(_: &File) {}

    pub(crate) fn forget(_: &File) {}
}

#[cfg(unix)]
pub(crate) use on_unix::{adopt, asleep, disown, forget, give, is_on, take};
