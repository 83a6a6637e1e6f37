//! What is measured: this project's crate, 0.1.35, 0.1.35 once more, and the bare system calls, behind one trait.
//!
//! The second 0.1.35 is the control: a copy of its source that is compiled under another name. Where nobody has made
//! one (only `cargo xtask bench` does) it is the very same crate, which shows the noise of the machine but not that of
//! the compiler.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

#[cfg(not(feature = "again"))]
pub(crate) use upstream as again;
#[cfg(feature = "again")]
pub(crate) use upstream_again as again;

use crate::sys;

/// One who moves tokens.
pub(crate) trait Subject: Clone + Send + Sync + 'static {
    /// Its column.
    const LANE: &'static str;
    type Token: Send + 'static;
    fn create(limit: usize) -> io::Result<Self>;
    /// Joins the pool that the option names.
    fn join(pool: Pool<'_>) -> Self;
    fn acquire(&self) -> Self::Token;
    fn try_acquire(&self) -> Option<Self::Token>;
    fn release_raw(&self);
    fn forget(token: Self::Token);
}

/// A pool that none of them has made.
#[derive(Clone, Copy)]
pub(crate) enum Pool<'a> {
    Fifo(&'a Path),
    Ends(&'a File, &'a File),
}

impl Pool<'_> {
    pub(crate) fn flags(self) -> String {
        use std::os::fd::AsRawFd;
        match self {
            Pool::Fifo(path) => format!(" -j --jobserver-auth=fifo:{}", path.display()),
            Pool::Ends(read, write) => format!(" -j --jobserver-auth={},{}", read.as_raw_fd(), write.as_raw_fd()),
        }
    }
}

/// One with all of 0.1's API.
pub(crate) trait Crate: Subject {
    type Helper;
    fn configure(&self, command: &mut Command);
    fn helper(&self, f: impl FnMut(Self::Token) + Send + 'static) -> Self::Helper;
    fn request(helper: &Self::Helper);
}

macro_rules! implement {
    ($name:ident, $krate:ident, $lane:literal) => {
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) $krate::Client);

        impl Subject for $name {
            const LANE: &'static str = $lane;
            type Token = $krate::Acquired;
            fn create(limit: usize) -> io::Result<Self> {
                $krate::Client::new(limit).map($name)
            }
            #[allow(unsafe_code)]
            fn join(pool: Pool<'_>) -> Self {
                std::env::set_var("CARGO_MAKEFLAGS", pool.flags());
                // SAFETY: the descriptors are those of the pool, which the caller has open.
                let client = unsafe { $krate::Client::from_env() };
                std::env::remove_var("CARGO_MAKEFLAGS");
                $name(client.expect("the pool was made a line above"))
            }
            #[inline]
            fn acquire(&self) -> Self::Token {
                self.0.acquire().unwrap()
            }
            #[inline]
            fn try_acquire(&self) -> Option<Self::Token> {
                self.0.try_acquire().unwrap()
            }
            #[inline]
            fn release_raw(&self) {
                self.0.release_raw().unwrap()
            }
            fn forget(token: Self::Token) {
                token.drop_without_releasing()
            }
        }

        impl Crate for $name {
            type Helper = $krate::HelperThread;
            fn configure(&self, command: &mut Command) {
                self.0.configure(command)
            }
            fn helper(&self, mut f: impl FnMut(Self::Token) + Send + 'static) -> Self::Helper {
                self.0.clone().into_helper_thread(move |token| f(token.unwrap())).unwrap()
            }
            fn request(helper: &Self::Helper) {
                helper.request_token()
            }
        }
    };
}

implement!(Ours, jobserver, "ours");
implement!(Upstream, upstream, "base");
implement!(Again, again, "again");

/// The bare system calls.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    files: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    read: File,
    write: File,
    /// Never waits.
    now: Option<File>,
}

/// A byte that was read.
#[derive(Debug)]
pub(crate) struct RawToken {
    files: Arc<Files>,
    byte: Option<u8>,
}

impl Raw {
    /// Several tokens there and back, by one call each.
    pub(crate) fn batch(&self, most: usize) {
        let mut bytes = [0; 64];
        let count = sys::read(self.files.read.as_fd(), &mut bytes[..most]).unwrap();
        sys::write(self.files.write.as_fd(), &bytes[..count]);
    }

    fn token(&self, byte: u8) -> RawToken {
        RawToken { files: self.files.clone(), byte: Some(byte) }
    }
}

impl Drop for RawToken {
    #[inline]
    fn drop(&mut self) {
        if let Some(byte) = self.byte {
            sys::write(self.files.write.as_fd(), &[byte]);
        }
    }
}

impl Subject for Raw {
    const LANE: &'static str = "floor";
    type Token = RawToken;
    fn create(limit: usize) -> io::Result<Self> {
        let (read, write) = compare::sys::pipe()?;
        if limit >= 1 << 16 {
            compare::sys::set_capacity(&write, 1 << 20)?;
        }
        sys::write(write.as_fd(), &vec![b'+'; limit]);
        Ok(Raw { files: Arc::new(Files { read, write, now: None }) })
    }
    fn join(pool: Pool<'_>) -> Self {
        let (read, write, now) = match pool {
            Pool::Fifo(path) => {
                let open = || OpenOptions::new().read(true).write(true).open(path).unwrap();
                (open(), open(), open())
            }
            Pool::Ends(read, write) => (read.try_clone().unwrap(), write.try_clone().unwrap(), reopen(read)),
        };
        compare::sys::set_nonblocking(&now, true).unwrap();
        Raw { files: Arc::new(Files { read, write, now: Some(now) }) }
    }
    #[inline]
    fn acquire(&self) -> Self::Token {
        let mut byte = [0];
        sys::read(self.files.read.as_fd(), &mut byte).unwrap();
        self.token(byte[0])
    }
    #[inline]
    fn try_acquire(&self) -> Option<Self::Token> {
        let mut byte = [0];
        let now = self.files.now.as_ref().expect("only in a pool that was joined");
        sys::read(now.as_fd(), &mut byte).ok().map(|_| self.token(byte[0]))
    }
    #[inline]
    fn release_raw(&self) {
        sys::write(self.files.write.as_fd(), b"+")
    }
    fn forget(mut token: Self::Token) {
        token.byte = None;
    }
}

fn reopen(end: &File) -> File {
    use std::os::fd::AsRawFd;
    File::open(format!("/proc/self/fd/{}", end.as_raw_fd())).unwrap()
}

/// The same function for each of the four, or for the three crates: `lanes!(all: pair(pool))`.
macro_rules! lanes {
    (all: $f:ident($($argument:expr),*)) => {{
        use $crate::subject::{Again, Ours, Raw, Upstream};
        vec![$f::<Ours>($($argument),*), $f::<Upstream>($($argument),*), $f::<Again>($($argument),*), $f::<Raw>($($argument),*)]
    }};
    (crates: $f:ident($($argument:expr),*)) => {{
        use $crate::subject::{Again, Ours, Upstream};
        vec![$f::<Ours>($($argument),*), $f::<Upstream>($($argument),*), $f::<Again>($($argument),*)]
    }};
}
pub(crate) use lanes;
