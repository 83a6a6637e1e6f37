//! What of the arguments a pool is told.

use std::path::Path;

use crate::cli;

const COMMAND_MOST: usize = 1000;

pub(crate) struct Words {
    pub(crate) name: String,
    pub(crate) command: String,
    pub(crate) now: bool,
    pub(crate) weight: u32,
    pub(crate) floor: u32,
    /// Whether the user named a style: then it is said if it can't be had.
    pub(crate) style_was_asked: bool,
}

impl Words {
    pub(crate) fn of(args: &cli::Run) -> Words {
        let program = Path::new(&args.command[0]).file_name().unwrap_or(&args.command[0]);
        let words: Vec<_> = args.command.iter().map(|word| word.to_string_lossy()).collect();
        Words {
            name: args.name.clone().unwrap_or_else(|| program.to_string_lossy().into_owned()),
            // For people, in one line of the protocol: not all of a long list of files.
            command: words.join(" ").chars().take(COMMAND_MOST).collect(),
            now: args.now,
            weight: args.weight,
            floor: args.floor,
            style_was_asked: args.style != cli::Style::Auto,
        }
    }
}
