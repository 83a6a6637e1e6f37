//! What a person installs beside the command: manual pages and completions, made from the same arguments.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::roff::{roman, Roff};
use clap_mangen::Man;

use crate::report::say;
use crate::{cli, exit};

pub(crate) fn completions(shell: clap_complete::Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "jobserver", &mut text);
    print(&text)
}

pub(crate) fn manual(directory: Option<&Path>) -> u8 {
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    let Some(directory) = directory else {
        return match page(&command) {
            Ok(text) => print(&text),
            Err(error) => failed("the manual page", &error),
        };
    };
    let pages = || {
        fs::create_dir_all(directory)?;
        for command in [&command].into_iter().chain(command.get_subcommands()) {
            let name = command.get_display_name().unwrap_or_else(|| command.get_name());
            fs::write(directory.join(format!("{name}.1")), page(command)?)?;
        }
        io::Result::Ok(())
    };
    match pages() {
        Ok(()) => 0,
        Err(error) => failed(&format!("the manual pages in {}", directory.display()), &error),
    }
}

/// As `clap_mangen` would write it, but for what follows the options: each of its paragraphs has a title, and lines that
/// are to be kept.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man =
        Man::new(command.clone()).manual("User commands").source(concat!("jobserver ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let after = command.get_after_long_help().or_else(|| command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    for paragraph in after.split("\n\n") {
        let (title, body) = match paragraph.split_once(':') {
            Some((title, body)) if ["Example", "Examples", "Exit status"].contains(&title) => (title, body),
            _ => ("Notes", paragraph),
        };
        if !body.trim().is_empty() {
            let mut roff = Roff::new();
            roff.control("SH", [title.to_uppercase().as_str()]).control("nf", []);
            for line in body.trim_matches('\n').lines() {
                roff.text([roman(line.trim_start())]);
            }
            roff.control("fi", []).to_writer(&mut text)?;
        }
    }
    Ok(text)
}

fn print(text: &[u8]) -> u8 {
    match io::stdout().write_all(text) {
        Ok(()) => 0,
        Err(error) => failed("it", &error),
    }
}

fn failed(what: &str, error: &io::Error) -> u8 {
    say(format_args!("{what} can't be written: {error}"));
    exit::OURS
}
