//! `jobserver serve`: the pool of a user or of the machine, until it is told to end.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use jobserver_pool::endpoint::Style;
use jobserver_pool::fuse::Reach;
use jobserver_pool::server::Server;
use rustix::process::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::report::say;
use crate::{cli, exit, serving};

pub(crate) fn run(args: &cli::Serve) -> u8 {
    match serve(args) {
        Ok(()) => 0,
        Err(error) => {
            say(format_args!("no pool can be served: {error}"));
            exit::OURS
        }
    }
}

fn serve(args: &cli::Serve) -> io::Result<()> {
    let (stop, stopped) = UnixStream::pair()?;
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, stop.try_clone()?)?;
    }
    serving::raise_limit();
    let slots = match args.jobs {
        Some(jobs) => u32::try_from(jobs).map_err(|_| io::Error::other(format!("-j{jobs}: too many to be counted")))?,
        None => thread::available_parallelism()?.get() as u32,
    };
    let is_root = geteuid().is_root();
    let directory =
        args.dir.clone().or_else(|| if is_root { Some(serving::MACHINE.into()) } else { serving::of_user() });
    let directory: PathBuf = directory
        .ok_or_else(|| io::Error::other("$XDG_RUNTIME_DIR is not set: name a directory of your own with --dir"))?;
    let reach = if is_root { Reach::Everyone } else { Reach::Owner };
    let mut server = match args.style {
        cli::ServeStyle::Tracked => Server::start(&directory, Style::Tracked(reach), slots, tell)?,
        cli::ServeStyle::Fifo => Server::start(&directory, Style::Fifo(reach), slots, tell)?,
        cli::ServeStyle::Auto => match Server::start(&directory, Style::Tracked(reach), slots, tell) {
            Ok(server) => server,
            // In use, not ours, not to be written: FUSE is not to blame.
            Err(error) if Server::start(&directory, Style::Fifo(reach), slots, tell).is_err() => return Err(error),
            Err(error) => {
                say(format_args!(
                    "processes can't be told apart: {error}: each build has one named pipe; a token that is lost there \
                     comes back when the build ends"
                ));
                Server::start(&directory, Style::Fifo(reach), slots, tell)?
            }
        },
    };
    server.serve(stopped.as_fd())
}

fn tell(text: &str) {
    say(text);
}
