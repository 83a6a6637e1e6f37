//! What can be known of an inherited pool without taking anything of it.

use std::ffi::OsStr;
use std::fs;
#[cfg(target_os = "linux")]
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jobserver::{Auth, Client, Jobs, MakeFlags};

use crate::{leased, shim, style};

/// How many slots the inherited jobserver has, if that can be known.
pub(super) fn room(client: &Client) -> Option<usize> {
    let auth = style::auth_of(client)?;
    let told = match &auth {
        Auth::Fifo(path) => leased::room(path),
        // Those of a served pool are FIFOs that lie in its directory.
        Auth::Pipe { read, .. } => fs::read_link(number(*read)).ok().and_then(|path| leased::room(&path)),
        _ => None,
    };
    let stated = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"].into_iter().find_map(|name| {
        let flags = MakeFlags::parse(&std::env::var_os(name)?);
        let is_it = names(flags.jobserver()?, &auth);
        match flags.jobs() {
            Some(Jobs::Limit(jobs)) if is_it => Some(jobs as usize),
            _ => None,
        }
    });
    told.into_iter().chain(stated).min()
}

/// Descriptors have other numbers once they are opened anew: any pair will do.
fn names(text: &OsStr, auth: &Auth) -> bool {
    match (Auth::parse(text), auth) {
        (Ok(Auth::Fifo(path)), Auth::Fifo(other)) => path == *other,
        (Ok(Auth::Pipe { .. }), Auth::Pipe { .. }) => true,
        (Ok(Auth::Semaphore(name)), Auth::Semaphore(other)) => name == *other,
        _ => false,
    }
}

/// Whether what anybody writes lies there for who needs it, and nobody asks whose it was: the pools of make, and of a `run`
/// that can't tell processes apart. A served pool gives two FIFOs, and what is written into one comes to its server. cargo
/// takes tokens in advance and keeps them until a job of its own has ended, such as the one that waits here.
pub(super) fn is_plain(client: &Client) -> bool {
    match style::auth_of(client) {
        _ if is_of_cargo() => false,
        Some(Auth::Pipe { read, write }) => is_one(read, write),
        Some(Auth::Fifo(path)) => !is_of_served(&path),
        _ => false,
    }
}

/// cargo tells of its own pool in this variable alone.
fn is_of_cargo() -> bool {
    let value = |name| std::env::var_os(name).map(shim::as_tools_see);
    let named = |name| MakeFlags::parse(&value(name)?).jobserver().map(OsStr::to_owned);
    named("CARGO_MAKEFLAGS").is_some_and(|cargos| named("MAKEFLAGS").as_ref() != Some(&cargos))
}

/// Its server may be gone, and its clients' tokens are written down all the same.
fn is_of_served(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name);
    folder.is_some_and(|folder| ["mnt", "f"].map(OsStr::new).contains(&folder))
}

#[cfg(target_os = "linux")]
fn is_one(read: i32, write: i32) -> bool {
    let of = |fd| fs::metadata(number(fd)).map(|found| (found.dev(), found.ino()));
    matches!((of(read), of(write)), (Ok(one), Ok(other)) if one == other)
}

/// Pools are served on Linux only.
#[cfg(not(target_os = "linux"))]
fn is_one(_: i32, _: i32) -> bool {
    true
}

fn number(fd: i32) -> PathBuf {
    format!("/proc/self/fd/{fd}").into()
}
