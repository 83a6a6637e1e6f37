//! What of the arguments a pool is told.

use std::cell::Cell;
use std::ffi::OsString;
use std::path::Path;

use crate::cli;

/// So many characters of a name, and of a command, are told to a pool: they are shown to people, and a command may be a
/// long list of files.
const MOST: usize = 1000;

// Pools that are told are Linux' so far.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) struct Words {
    pub(crate) name: String,
    pub(crate) command: String,
    pub(crate) now: bool,
    pub(crate) weight: u32,
    pub(crate) floor: u32,
    /// Whether the user named a style: then it is said if it can't be had.
    pub(crate) style_was_asked: bool,
    /// What the user may do about a wait.
    pub(crate) remedy: &'static str,
    /// A wait is said once, however often it begins anew.
    pub(crate) said_waiting: Cell<bool>,
}

impl Words {
    pub(crate) fn of(args: &cli::Run) -> Words {
        Words {
            now: args.now,
            weight: args.weight,
            floor: args.floor,
            style_was_asked: args.style != cli::Style::Auto,
            remedy: "; --now starts at once",
            ..Words::new(args.name.as_deref(), &args.command)
        }
    }

    /// Of a command that asks for nothing in particular.
    pub(crate) fn new(name: Option<&str>, command: &[OsString]) -> Words {
        let program = Path::new(&command[0]).file_name().unwrap_or(&command[0]);
        let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
        Words {
            name: shortened(name.unwrap_or(&program.to_string_lossy())),
            command: shortened(&words.join(" ")),
            now: false,
            weight: 1,
            floor: 1,
            style_was_asked: false,
            remedy: "",
            said_waiting: Cell::new(false),
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(MOST).collect()
}
