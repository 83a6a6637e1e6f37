//! `jobserver status`: who holds the slots of a pool, for a person or, with `--json`, for a program.
//!
//! For a program it is what the server says, as `docs/control.md` has it; words are for people alone, and may change.

mod lease;
mod place;
mod table;
mod words;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use jobserver_pool::control::Status;
use ratatui::crossterm::terminal;

pub(crate) use lease::{processes, Process};
pub(crate) use place::{find, is_of_one_command};
pub(crate) use table::why_fewer;
pub(crate) use words::{age, clip, command, count, left, plain, right, span, width, Users};

use crate::report::say;
use crate::{cli, exit};

/// Where nobody says how wide a line may be.
const COLUMNS: usize = 100;

pub(crate) fn run(args: &cli::Status) -> u8 {
    let Some(directory) = find(args.pool.as_deref(), if args.json { "status --json" } else { "status" }) else {
        return exit::OURS;
    };
    match jobserver_pool::lease::status(&directory) {
        Ok(status) => print(&status, &directory, args.json),
        Err(error) => {
            say(format_args!("{error}: `jobserver serve` serves a pool, --pool DIR names another one"));
            exit::OURS
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

/// Whether colours are wanted on a terminal: `NO_COLOR` says that they aren't, as it does to other programs.
pub(crate) fn wants_colour() -> bool {
    let dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    !dumb && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn print(status: &Status, directory: &Path, json: bool) -> u8 {
    let text = if json {
        serde_json::to_string(status).map(|text| text + "\n").map_err(io::Error::from)
    } else {
        Ok(for_people(status, directory))
    };
    match text.and_then(|text| io::stdout().write_all(text.as_bytes())) {
        Ok(()) => 0,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            say(format_args!("the status can't be written: {error}"));
            exit::OURS
        }
    }
}

fn for_people(status: &Status, directory: &Path) -> String {
    let on_terminal = io::stdout().is_terminal();
    let columns = if on_terminal { terminal::size().map_or(COLUMNS, |(columns, _)| columns.into()) } else { COLUMNS };
    let page = table::Page { columns, colour: on_terminal && wants_colour(), now: now() };
    table::write(status, directory, &page, &mut Users::default())
}
