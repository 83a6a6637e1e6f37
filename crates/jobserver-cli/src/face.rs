//! What a person installs beside the command: manual pages and completions, made from the same arguments.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::roff::{bold, roman, Roff};
use clap_mangen::Man;

use crate::report::say;
use crate::{cli, exit};

pub(crate) fn completions(shell: clap_complete::Shell) -> exit::Code {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "jobserver", &mut text);
    print(&text)
}

pub(crate) fn manual(directory: Option<&Path>) -> exit::Code {
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

/// As `clap_mangen` would write it, but for the synopsis, which names the values, and for what follows the options: each of
/// its paragraphs has a title, lists keep their lines, and all else is filled.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man =
        Man::new(command.clone()).manual("User commands").source(concat!("jobserver ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    synopsis(command).to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let after = command.get_after_long_help().or_else(|| command.get_after_help());
    let after = after.map(ToString::to_string).unwrap_or_default();
    let mut last = "";
    for paragraph in after.split("\n\n") {
        let (title, body) = match paragraph.split_once(':') {
            Some((title, body)) if ["Example", "Examples", "Columns", "Exit status"].contains(&title) => (title, body),
            _ => ("Notes", paragraph),
        };
        if body.trim().is_empty() {
            continue;
        }
        let mut roff = Roff::new();
        match title == last {
            true => roff.control("PP", []),
            false => roff.control("SH", [title.to_uppercase().as_str()]),
        };
        last = title;
        let lines: Vec<&str> = body.trim_matches('\n').lines().map(str::trim_start).collect();
        // In the source a paragraph is one line.
        let is_list = lines.len() > 1 || title.starts_with("Example");
        if is_list {
            roff.control("nf", []);
        }
        for line in lines {
            roff.text([roman(line)]);
        }
        if is_list {
            roff.control("fi", []);
        }
        roff.to_writer(&mut text)?;
    }
    Ok(text)
}

fn synopsis(command: &Command) -> Roff {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    match usage.strip_prefix(name) {
        Some(arguments) => roff.text([bold(name), roman(arguments)]),
        None => roff.text([roman(usage)]),
    };
    roff
}

fn print(text: &[u8]) -> exit::Code {
    match io::stdout().write_all(text) {
        Ok(()) => 0,
        Err(error) => failed("it", &error),
    }
}

fn failed(what: &str, error: &io::Error) -> exit::Code {
    say(format_args!("{what} can't be written: {error}"));
    exit::OURS
}
