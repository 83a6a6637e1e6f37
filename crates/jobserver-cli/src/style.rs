//! How a pool is to be reached, and which make decides that.
//!
//! A named pipe needs no inheritance, ninja insists on it, and only by it processes are told apart. make before 4.4 ends
//! with an internal error when it is told of one: a shim opens it for that make, or else it gets descriptors.

use std::ffi::OsStr;
use std::process::Command;

use jobserver::{Auth, Client, MakeFlags};

use crate::cli::{self, Shim};
use crate::report::say;
use crate::shim::Shims;
use crate::{command_line, make_version};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Tracked,
    Fifo,
    Pipe,
    /// Windows has no other.
    Semaphore,
}

/// How a command reaches its pool.
pub(crate) struct Way {
    pub(crate) style: Style,
    pub(crate) shims: Option<Shims>,
}

/// The way asked for, or else the one that suits the make that `program` is, or would find on PATH.
#[cfg(unix)]
pub(crate) fn choose(asked: cli::Style, shim: Shim, program: &OsStr) -> Way {
    use crate::shim::Which;
    if asked == cli::Style::Pipe {
        if shim == Shim::All {
            say("--shim does nothing with --style pipe: what the tools are led to is a path: leave out --style");
        }
        return Way { style: Style::Pipe, shims: None };
    }
    let old = make_for(program).is_some_and(|make| make_version::takes_pipes_only(&make));
    // One that is called by its path, and all below it, go past the shims.
    let in_reach = !(is_make(program) && has_path(program));
    let which = match shim {
        Shim::All => Some(Which::All),
        Shim::Auto if old && in_reach && asked == cli::Style::Auto => Some(Which::Makes),
        Shim::Auto | Shim::No => None,
    };
    let shims = which.and_then(|which| {
        let say = |error: &std::io::Error| {
            say(format_args!("there are no shims: {error}: set XDG_DATA_HOME to a folder of your own"))
        };
        Shims::make(which, old).inspect_err(say).ok()
    });
    let stops = old && shims.is_none();
    let name = match asked {
        cli::Style::Auto if stops => return Way { style: Style::Pipe, shims },
        cli::Style::Auto | cli::Style::Tracked => "tracked",
        _ => "fifo",
    };
    if stops && is_make(program) {
        say(format_args!(
            "{} is older than 4.4: it can't join a named pipe, and stops: leave out --style {name}",
            program.to_string_lossy()
        ));
    }
    Way { style: if asked == cli::Style::Fifo { Style::Fifo } else { Style::Tracked }, shims }
}

/// A semaphore, for all but a make that can't join one: before 4.4 it would stop at the name, and later ones warn.
#[cfg(windows)]
pub(crate) fn choose(asked: cli::Style, shim: Shim, program: &OsStr) -> Way {
    if asked != cli::Style::Auto {
        say("Windows has semaphores only: leave out --style");
    }
    if shim == Shim::All {
        say("Windows has no shims: each make there joins a semaphore by itself: leave out --shim");
    }
    let emulation = is_make(program).then(|| make_version::ask(program)).as_deref().and_then(make_version::emulation);
    let style = match emulation {
        Some(emulation) => {
            say(format_args!(
                "{} is {emulation}'s: its jobserver is on descriptors that its own programs share, and it can't join a \
                 semaphore: use a make that is built for Windows itself",
                program.to_string_lossy()
            ));
            Style::Pipe
        }
        None => Style::Semaphore,
    };
    Way { style, shims: None }
}

/// What an existing jobserver is on; `None` if it can't be named to a child at all.
pub(crate) fn of(client: &Client) -> Option<Style> {
    match auth_of(client)? {
        Auth::Fifo(_) => Some(Style::Fifo),
        Auth::Pipe { .. } => Some(Style::Pipe),
        Auth::Semaphore(_) => Some(Style::Semaphore),
        _ => None,
    }
}

/// What a child of ours would be told about this jobserver.
pub(crate) fn auth_of(client: &Client) -> Option<Auth> {
    // Never started: only the place where the client writes it.
    let mut nobody = Command::new("true");
    client.join_make(&mut nobody, None).ok()?;
    let value = nobody.get_envs().find(|(name, _)| *name == "CARGO_MAKEFLAGS")?.1?;
    Auth::parse(MakeFlags::parse(value).jobserver()?).ok()
}

/// The file of that make.
#[cfg(unix)]
fn make_for(program: &OsStr) -> Option<std::path::PathBuf> {
    use crate::shim::real;
    match is_make(program) {
        true if has_path(program) => Some(program.into()),
        true => real::find(program),
        false => real::find("make".as_ref()),
    }
}

#[cfg(unix)]
fn has_path(program: &OsStr) -> bool {
    program.as_encoded_bytes().contains(&b'/')
}

fn is_make(program: &OsStr) -> bool {
    matches!(command_line::tool(program).as_deref(), Some("make" | "gmake"))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::shim::real;

    #[test]
    fn the_make_that_decides_is_the_command_or_else_the_one_on_path() {
        let on_path = real::find("make".as_ref());
        for (program, make) in
            [("make", &on_path), ("/opt/bin/gmake", &Some("/opt/bin/gmake".into())), ("cargo", &on_path)]
        {
            assert_eq!(&make_for(program.as_ref()), make, "{program}");
        }
    }

    #[test]
    fn a_jobserver_is_known_by_what_its_children_are_told() {
        assert_eq!(of(&Client::new(1).unwrap()), Some(Style::Pipe));
        let server = jobserver::Server::builder().slots(2).fifo().build().unwrap();
        assert_eq!(of(&server.client()), Some(Style::Fifo));
        assert_eq!(auth_of(&server.client()), Some(Auth::Fifo(server.path().unwrap().to_path_buf())));
    }
}
