//! Elsewhere than on Linux nobody tells that the maker of a pool is gone: the end of the file has to do.

use std::io;

use jobserver::{Canceller, Client};

pub(super) struct Owner;

impl Owner {
    pub(super) fn of(_: &Client) -> Option<Owner> {
        None
    }
}

pub(super) struct Watch;

impl Watch {
    pub(super) fn over(_: &Client, _: Option<&Owner>, _: &Canceller) -> io::Result<Watch> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn has_ended(&self) -> bool {
        false
    }
}
