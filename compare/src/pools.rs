//! Pools that neither crate has made: FIFOs and pipes as make would.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::actor::Actor;
use crate::sys;

/// The number at which actors find the read end of a [`Pipe`], far from those that anybody gets by himself.
pub const READ: i32 = 400;
/// And the write end.
pub const WRITE: i32 = 401;

/// A FIFO with tokens in it, open for reading and writing here.
#[derive(Debug)]
pub struct Fifo {
    /// This process' own open file.
    pub file: File,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Fifo {
    /// Makes one.
    pub fn new(tokens: usize) -> Fifo {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        sys::mkfifo(&path).unwrap();
        let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let fifo = Fifo { file, path, _dir: dir };
        fifo.fill(tokens);
        fifo
    }

    /// Puts more tokens into it.
    pub fn fill(&self, tokens: usize) {
        (&self.file).write_all(&vec![b'+'; tokens]).unwrap();
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The option that names it.
    pub fn auth(&self) -> String {
        format!("--jobserver-auth=fifo:{}", self.path.display())
    }

    /// How many tokens lie in it.
    pub fn free(&self) -> usize {
        use std::os::fd::AsRawFd;
        sys::readable(self.file.as_raw_fd()).unwrap()
    }
}

/// A pipe with tokens in it.
#[derive(Debug)]
pub struct Pipe {
    /// The end that tokens are read from.
    pub read: File,
    /// The end that they are written to.
    pub write: File,
}

impl Pipe {
    /// Makes one.
    pub fn new(tokens: usize) -> Pipe {
        let (read, write) = sys::pipe().unwrap();
        (&write).write_all(&vec![b'+'; tokens]).unwrap();
        Pipe { read, write }
    }

    /// A pipe of one page, the smallest.
    pub fn of_one_page(tokens: usize) -> Pipe {
        let pipe = Pipe::new(0);
        sys::set_capacity(&pipe.write, 4096).unwrap();
        (&pipe.write).write_all(&vec![b'+'; tokens]).unwrap();
        pipe
    }

    /// Lets nobody open it anew, as the pipe of another user: [`Actor::as_nobody`] has to be said as well, for root
    /// opens everything.
    pub fn closed_to_others(self) -> Pipe {
        self.read.set_permissions(fs::Permissions::from_mode(0o000)).unwrap();
        self
    }

    /// The option that names it in an actor that it was given to.
    pub fn auth() -> String {
        format!("--jobserver-auth={READ},{WRITE}")
    }

    /// Lets the actor inherit it.
    pub fn give(&self, actor: Actor) -> Actor {
        actor.give(self.read.try_clone().unwrap(), READ).give(self.write.try_clone().unwrap(), WRITE)
    }

    /// How many tokens lie in it.
    pub fn free(&self) -> usize {
        use std::os::fd::AsRawFd;
        sys::readable(self.read.as_raw_fd()).unwrap()
    }
}
