//! A pool for one command, served by a thread of the process that runs it: no daemon, and a directory of its own that
//! goes with it.
//!
//! Whoever is killed by SIGKILL leaves its directory, and a mount that answers nobody; the next one removes what no
//! living server holds locked.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use super::{Server, UNNAMED};
use crate::control::{Open, Status, SOCKET};
use crate::endpoint::{self, Style};
use crate::failed::failed;
use crate::lease::{patient, Lease};

/// What the directories of local pools are called; the rest of the name is chance's.
pub const OF_ONE_COMMAND: &str = "jobserver-run-";

/// A pool served by a thread.
#[derive(Debug)]
pub struct Local {
    directory: PathBuf,
    stop: UnixStream,
    thread: Option<JoinHandle<io::Result<Status>>>,
}

impl Local {
    /// Serves `capacity` slots from a new directory in `parent`; the lease is there before the thread is, so that nobody
    /// waits for an answer.
    ///
    /// # Errors
    /// As [`Server::start`] and [`Lease::open`]; no directory can be made in `parent`; no thread can be had.
    pub fn start(parent: &Path, style: Style, capacity: u32, open: Open, tell: fn(&str)) -> io::Result<(Local, Lease)> {
        sweep(parent);
        let name = format!("{OF_ONE_COMMAND}{}-{:08x}", std::process::id(), chance()?);
        let directory = parent.join(name);
        let opened = Server::start(&directory, style, capacity, tell).and_then(|mut server| {
            // Nobody holds its clients' FIFOs when this process is gone, and they may outlive it.
            server.never_split();
            let lease = server.open_lease(&directory, open)?;
            server.publish()?;
            Ok((server, lease))
        });
        let (mut server, lease) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let _ = fs::remove_dir(&directory);
                return Err(error);
            }
        };
        let (stop, stopped) = UnixStream::pair()?;
        let body = move || {
            server.serve(stopped.as_fd())?;
            Ok(server.engine().status(|_| true))
        };
        let thread = Builder::new().name("pool".to_string()).spawn(body)?;
        Ok((Local { directory, stop, thread: Some(thread) }, lease))
    }

    /// Ends the pool, and tells how it stood at the end.
    ///
    /// # Errors
    /// What has ended it before.
    pub fn finish(mut self) -> io::Result<Status> {
        self.end().unwrap_or_else(|| Err(io::Error::other("the pool's thread has ended by itself")))
    }

    fn end(&mut self) -> Option<io::Result<Status>> {
        let thread = self.thread.take()?;
        let _ = self.stop.shutdown(std::net::Shutdown::Both);
        let status = thread.join().ok();
        let _ = fs::remove_dir(&self.directory);
        status
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.end();
    }
}

impl Server {
    /// Opens a lease for this very process, which does not serve yet.
    fn open_lease(&mut self, directory: &Path, open: Open) -> io::Result<Lease> {
        let (speaker, peer) = UnixStream::pair()?;
        let id = self.next_peer;
        self.admit(peer)?;
        Lease::over(patient(speaker)?, directory, open, || {
            self.hear(id);
            self.turn_engine();
        })
    }
}

/// Removes what killed servers of this user have left in `parent`.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(OF_ONE_COMMAND))
            && entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw());
        // One that is served is locked; one that is being made is not yet, but its maker is alive.
        let maker = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix(OF_ONE_COMMAND)?.split('-').next()?.parse().ok());
        let is_orphan = maker.is_some_and(|pid: u32| !Path::new("/proc").join(pid.to_string()).exists());
        if is_ours && is_orphan && endpoint::clear(&entry.path()).is_ok() {
            for socket in [SOCKET, UNNAMED] {
                let _ = fs::remove_file(entry.path().join(socket));
            }
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn chance() -> io::Result<u32> {
    let mut bytes = [0; 4];
    let path = Path::new("/dev/urandom");
    let read = fs::File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut bytes));
    read.map_err(|error| failed(error, "can't read", path))?;
    Ok(u32::from_ne_bytes(bytes))
}
