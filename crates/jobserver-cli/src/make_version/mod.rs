//! What a make says of itself: whether it is older than 4.4, and so knows pipes only, or made for an emulation of Unix.
//!
//! `style` and the shims ask by `takes_pipes_only`, which remembers the answer; the rest is pure, and for whoever has asked.

#[cfg(unix)]
mod noted;

use std::ffi::OsStr;
use std::process::Stdio;

#[cfg(unix)]
pub(crate) use noted::takes_pipes_only;

use crate::spawn;

/// Only of a GNU make that says a version before 4.4.
#[cfg(any(unix, test))]
pub(crate) fn says_pipes_only(said: &str) -> bool {
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

/// Whose make this is, if it is one that only looks like Windows' own.
#[cfg(any(windows, test))]
pub(crate) fn emulation(said: &str) -> Option<&'static str> {
    let built_for = said.lines().find_map(|line| line.strip_prefix("Built for "))?;
    [("msys", "MSYS2"), ("cygwin", "Cygwin")].into_iter().find(|(os, _)| built_for.ends_with(os)).map(|(_, name)| name)
}

/// What `make --version` prints; nothing if there is no such make.
pub(crate) fn ask(make: &OsStr) -> String {
    let mut command = spawn::command(&[make.to_os_string()]);
    command.arg("--version").stdin(Stdio::null()).stderr(Stdio::null());
    // Flags for a build must not reach this: with `--jobserver-auth=fifo:` in them an old make would not even start.
    for name in ["MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKEFILES", "CARGO_MAKEFLAGS"] {
        command.env_remove(name);
    }
    command.output().map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
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
            assert_eq!(says_pipes_only(said), only, "{said:?}");
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
}
