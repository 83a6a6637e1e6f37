//! `jobserver serve`: the pool of a user or of the machine, until it is told to end.
//!
//! What ends it before it begins is said like everything that the command says; what happens from then on is logged, by
//! levels, in lines of the same form. Who watches over services is told when the socket answers, and when it ends.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use jobserver_pool::admission::{Limits, Machine};
use jobserver_pool::endpoint::Style;
use jobserver_pool::fuse::Reach;
use jobserver_pool::server::Server;
use nix::unistd::Group;
use rustix::process::geteuid;
use sd_notify::NotifyState;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::report::say;
use crate::{cli, exit, metrics, serving};

/// Where there is such a group, the machine's pool is for its members.
const GROUP: &str = "jobserver";

pub(crate) fn run(args: &cli::Serve) -> u8 {
    log_from(args.verbose);
    match serve(args) {
        Ok(()) => 0,
        Err(error) => {
            say(format_args!("no pool can be served: {error}"));
            exit::OURS
        }
    }
}

fn serve(args: &cli::Serve) -> io::Result<()> {
    // First: a port that is taken must leave everything as it was.
    let metrics = args.metrics.map(metrics::bind).transpose()?;
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
                log::warn!(
                    "processes can't be told apart: {error}: each build has one named pipe; a token that is lost there \
                     comes back when the build ends"
                );
                Server::start(&directory, Style::Fifo(reach), slots, tell)?
            }
        },
    };
    server.limit(limits(args)?);
    if is_root {
        restrict(&mut server)?;
    }
    server.publish()?;
    if let Some(listener) = metrics {
        metrics::serve(listener, &directory)?;
    }
    log::info!("{slots} slots are served from {}, style {}", directory.display(), server.engine().style_name());
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("{slots} slots"))]);
    let result = server.serve(stopped.as_fd());
    notify(&[NotifyState::Stopping]);
    log::info!("ends");
    result
}

/// # Errors
///
/// Whether there is such a group can't be found out: then it is not for all.
fn restrict(server: &mut Server) -> io::Result<()> {
    let group = Group::from_name(GROUP)
        // No /etc/group: no groups.
        .or_else(|error| if error == nix::errno::Errno::ENOENT { Ok(None) } else { Err(error) })
        .map_err(|error| io::Error::other(format!("can't look for the group {GROUP}: {}", io::Error::from(error))))?;
    let Some(group) = group else { return Ok(()) };
    match server.for_group(group.gid.as_raw()) {
        Ok(()) => log::info!("for members of the group {GROUP} only"),
        Err(error) => log::warn!("for root only: the socket can't be given to the group {GROUP}: {error}"),
    }
    Ok(())
}

/// # Errors
///
/// It can't be found out how much memory there is.
fn limits(args: &cli::Serve) -> io::Result<Limits> {
    let mut limits = Limits::default();
    limits.load = args.max_load;
    limits.memory = match args.min_memory {
        cli::Memory::None => None,
        cli::Memory::Bytes(bytes) => Some(bytes),
        cli::Memory::Percent(percent) => Some((Machine::here().memory()? as f64 * percent / 100.0) as u64),
    };
    Ok(limits)
}

/// Tells systemd, if it has started us.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("the service manager can't be told: {error}");
    }
}

fn log_from(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let mut builder = env_logger::Builder::new();
    match std::env::var("JOBSERVER_LOG") {
        Ok(levels) if verbose == 0 => builder.parse_filters(&levels),
        _ => builder.parse_filters(level),
    };
    // One write a line, in the form of all that the command says.
    builder.format(|line, record| writeln!(line, "jobserver: {}", record.args())).init();
}

fn tell(text: &str) {
    log::warn!("{text}");
}
