//! How a pool is to be reached, and which make decides that.
//!
//! make before 4.4 ends with an internal error when it is told of a named pipe, so it gets descriptors. Everything else
//! is better off with a named pipe, which needs no inheritance and which ninja insists on.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use jobserver::{Auth, Client, MakeFlags};

use crate::report::say;
use crate::{cli, command_line, spawn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Tracked,
    Fifo,
    Pipe,
    /// Windows has no other.
    Semaphore,
}

/// The style asked for, or else the one that suits the make that `program` is, or would find on PATH.
pub(crate) fn choose(asked: cli::Style, program: &OsStr) -> Style {
    if cfg!(windows) {
        return on_windows(asked, program);
    }
    match asked {
        cli::Style::Fifo => by_path(Style::Fifo, "fifo", program),
        cli::Style::Tracked => by_path(Style::Tracked, "tracked", program),
        cli::Style::Pipe => Style::Pipe,
        cli::Style::Auto if takes_pipes_only(&ask_version(make_for(program))) => Style::Pipe,
        cli::Style::Auto => Style::Tracked,
    }
}

/// A semaphore, for all but a make that can't join one: before 4.4 it would stop at the name, and later ones warn.
fn on_windows(asked: cli::Style, program: &OsStr) -> Style {
    if asked != cli::Style::Auto {
        say("Windows has semaphores only: leave out --style");
    }
    match is_make(program).then(|| emulation(&ask_version(program))).flatten() {
        Some(emulation) => {
            say(format_args!(
                "{} is {emulation}'s: its jobserver is on descriptors that its own programs share, and it can't join a \
                 semaphore: use a make that is built for Windows itself",
                program.to_string_lossy()
            ));
            Style::Pipe
        }
        None => Style::Semaphore,
    }
}

/// Whose make this is, by what `make --version` says, if it is one that only looks like Windows' own.
pub(crate) fn emulation(said: &str) -> Option<&'static str> {
    let built_for = said.lines().find_map(|line| line.strip_prefix("Built for "))?;
    [("msys", "MSYS2"), ("cygwin", "Cygwin")].into_iter().find(|(os, _)| built_for.ends_with(os)).map(|(_, name)| name)
}

/// A style that an old make stops at.
fn by_path(style: Style, name: &str, program: &OsStr) -> Style {
    if is_make(program) && takes_pipes_only(&ask_version(program)) {
        say(format_args!(
            "{} is older than 4.4: it can't join a named pipe, and stops: leave out --style {name}",
            program.to_string_lossy()
        ));
    }
    style
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

fn make_for(program: &OsStr) -> &OsStr {
    if is_make(program) {
        program
    } else {
        OsStr::new("make")
    }
}

fn is_make(program: &OsStr) -> bool {
    matches!(command_line::tool(program).as_deref(), Some("make" | "gmake"))
}

/// What `make --version` prints; nothing if there is no such make.
fn ask_version(make: &OsStr) -> String {
    let mut command = spawn::command(&[make.to_os_string()]);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null());
    // Flags for a build must not reach this: with `--jobserver-auth=fifo:` in them an old make would not even start.
    for name in ["MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKEFILES", "CARGO_MAKEFLAGS"] {
        command.env_remove(name);
    }
    command.output().map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Only of a GNU make that says a version before 4.4.
pub(crate) fn takes_pipes_only(said: &str) -> bool {
    let Some(version) = said.lines().find_map(|line| line.trim_start().strip_prefix("GNU Make ")) else {
        return false;
    };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < (4, 4),
        (Some(Ok(major)), _) => major < 4,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_old_gnu_make_takes_pipes_only() {
        for (said, only) in [
            ("GNU Make 3.81\nCopyright", true),
            ("GNU Make 4.3\nBuilt for x86_64-pc-linux-gnu\n", true),
            ("GNU Make 4.3.92\n", true),
            ("make: a wrapper\nGNU Make 4.2.1\n", true),
            ("GNU Make 4.4\n", false),
            ("GNU Make 4.4.1\n", false),
            ("GNU Make 4.10\n", false),
            ("GNU Make 10.0\n", false),
            ("GNU Make 5\n", false),
            ("GNU Make unknown\n", false),
            ("bmake 20200710\n", false),
            ("", false),
        ] {
            assert_eq!(takes_pipes_only(said), only, "{said:?}");
        }
    }

    #[test]
    fn makes_of_an_emulation_are_told_by_what_they_are_built_for() {
        for (built_for, emulation_of) in [
            ("x86_64-pc-msys", Some("MSYS2")),
            ("x86_64-pc-cygwin", Some("Cygwin")),
            ("Windows32", None),
            ("x86_64-w64-mingw32", None),
            ("x86_64-pc-linux-gnu", None),
        ] {
            let said = format!("GNU Make 4.4.1\nBuilt for {built_for}\nCopyright (C) 1988-2023\n");
            assert_eq!(emulation(&said), emulation_of, "{built_for}");
        }
        assert_eq!(emulation("GNU Make 4.4.1\nCopyright"), None);
    }

    #[test]
    fn the_make_that_decides_is_the_command_or_else_the_one_on_path() {
        for (program, make) in
            [("make", "make"), ("/opt/bin/gmake", "/opt/bin/gmake"), ("cargo", "make"), ("/x/makepkg", "make")]
        {
            assert_eq!(make_for(program.as_ref()), make, "{program}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_jobserver_is_known_by_what_its_children_are_told() {
        assert_eq!(of(&Client::new(1).unwrap()), Some(Style::Pipe));
        let server = jobserver::Server::builder().slots(2).fifo().build().unwrap();
        assert_eq!(of(&server.client()), Some(Style::Fifo));
        assert_eq!(auth_of(&server.client()), Some(Auth::Fifo(server.path().unwrap().to_path_buf())));
    }
}
