//! Where no pool can tell its clients apart (not Linux), none is used.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use jobserver::Client;

use crate::report::Account;
use crate::style::Style;
use crate::words::Words;

pub(crate) enum Leased {}

impl Leased {
    pub(crate) fn own(_: usize, _: &Words, _: &mut Command) -> io::Result<Leased> {
        Err(unsupported())
    }

    pub(crate) fn of(
        _: &Path,
        _: Option<usize>,
        _: Style,
        _: &Words,
        _: &mut Command,
        _: impl FnMut() -> bool,
    ) -> io::Result<Option<Leased>> {
        Err(unsupported())
    }

    pub(crate) fn join_make(&self, _: &mut Command) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn client(&self) -> io::Result<Client> {
        match *self {}
    }

    pub(crate) fn capacity(&self) -> usize {
        match *self {}
    }

    pub(crate) fn belongs_to(&mut self, _: u32) {
        match *self {}
    }

    pub(crate) fn started(&mut self, _: u32) {
        match *self {}
    }

    pub(crate) fn close(self) -> Account {
        match self {}
    }
}

pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) path: PathBuf,
}

pub(crate) fn place(_: &Client) -> Option<Place> {
    None
}

pub(crate) enum Loan {}

impl Loan {
    pub(crate) fn make(_: &Path, _: &Path) -> io::Result<Loan> {
        Err(unsupported())
    }

    pub(crate) fn end_with_token(self) -> io::Result<()> {
        match self {}
    }
}

pub(crate) fn room(_: &Path) -> Option<usize> {
    None
}

pub(crate) fn free(_: &Path) -> Option<usize> {
    None
}

#[cfg(unix)]
pub(crate) fn can_track() -> io::Result<()> {
    Err(unsupported())
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this system has no pool that is shared or tracked yet")
}
