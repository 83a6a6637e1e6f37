//! The programs that would meet the pool: which file, which version, and what they are known to do with a jobserver.
//!
//! A tool whose name is known is asked for its `--version`, never anything else, and no other program is run. It may
//! hang, so it is not waited for longer than [`PATIENCE`].

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{accessat, Access, AtFlags, CWD};

use crate::shim::real;
use crate::{command_line, make_version};

/// A tool answers within milliseconds, on a machine that is not overwhelmed.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than any tool says about its version.
const MOST: u64 = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Make,
    Ninja,
    Samurai,
    CmakeBuild,
    Cargo,
    /// With link time optimisation that asks a jobserver.
    GccLto,
    Other,
}

/// What the user is about to run.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) words: Vec<OsString>,
    pub(crate) tool: Tool,
    pub(crate) program: Option<Program>,
    /// The option that takes it out of the pool.
    pub(crate) leaves: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) said: String,
}

impl Subject {
    pub(crate) fn of(words: &[OsString]) -> Option<Subject> {
        let tool = tool_of(words.first()?, &words[1..]);
        let path = find(&words[0]);
        let program = path.map(|path| match tool {
            Tool::Other | Tool::Cargo => Program { path, said: String::new() },
            _ => Program::ask(path),
        });
        Some(Subject { tool, program, leaves: command_line::leaves_pool(words), words: words.to_vec() })
    }

    /// The same command without the option that leaves the pool, if that can be told.
    pub(crate) fn staying(&self) -> Option<Vec<OsString>> {
        let words = command_line::without_width(&self.words);
        command_line::leaves_pool(&words).is_none().then_some(words)
    }
}

fn tool_of(program: &OsStr, arguments: &[OsString]) -> Tool {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    match &*name {
        "make" | "gmake" => Tool::Make,
        "ninja" | "ninja-build" => Tool::Ninja,
        "samu" => Tool::Samurai,
        "cmake" if has("--build") => Tool::CmakeBuild,
        "cargo" => Tool::Cargo,
        _ if is_gcc(&name) && ["-flto=jobserver", "-flto=auto"].iter().any(|word| has(word)) => Tool::GccLto,
        _ => Tool::Other,
    }
}

/// `gcc`, `x86_64-linux-gnu-g++-12`...
fn is_gcc(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    ["gcc", "g++", "cc", "c++"].iter().any(|tool| {
        name.strip_suffix(tool).is_some_and(|triple| triple.is_empty() || (triple.ends_with('-') && *tool != "cc"))
    })
}

/// The file that this word would start.
pub(crate) fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let program = Path::new(program.as_ref());
    let may_run =
        |path: &PathBuf| path.is_file() && accessat(CWD, path.as_path(), Access::EXEC_OK, AtFlags::EACCESS).is_ok();
    if program.as_os_str().to_string_lossy().contains('/') {
        return Some(program.to_path_buf()).filter(may_run);
    }
    let path = env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    env::split_paths(&path).map(|folder| folder.join(program)).find(may_run)
}

impl Program {
    /// The one on PATH.
    pub(crate) fn named(name: &str) -> Option<Program> {
        find(name).map(Program::ask)
    }

    fn ask(path: PathBuf) -> Program {
        let said = version(&path).unwrap_or_default();
        Program { path, said }
    }

    pub(crate) fn version(&self) -> Option<(u32, u32)> {
        numbers(&self.said)
    }

    /// `4.3`, or nothing if it did not say.
    pub(crate) fn number(&self) -> String {
        self.version().map_or_else(|| "of unknown version".to_string(), |(major, minor)| format!("{major}.{minor}"))
    }

    /// A make that can't join a named pipe, not even through a shim.
    pub(crate) fn takes_pipes_only(&self) -> bool {
        make_version::says_pipes_only(&self.said) && !real::is_shim(&self.path)
    }

    /// A gcc that can't join a named pipe.
    pub(crate) fn is_old_gcc(&self) -> bool {
        self.version().is_some_and(|(major, _)| major < 13)
    }

    /// A ninja that joins named pipes.
    pub(crate) fn is_ninja_for_paths(&self) -> bool {
        self.version().is_none_or(|version| version >= (1, 13))
    }

    /// A ninja that joins descriptors: Kitware's builds, as on PyPI, had that before ninja had anything.
    pub(crate) fn is_ninja_for_descriptors(&self) -> bool {
        self.said.contains("kitware.jobserver")
    }
}

fn version(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Flags for a build must not reach this: an old make would not even start.
    for name in ["MAKEFLAGS", "GNUMAKEFLAGS", "MFLAGS", "MAKEFILES", "CARGO_MAKEFLAGS"] {
        command.env_remove(name);
    }
    let mut child = command.spawn().ok()?;
    let (send, receive) = mpsc::channel();
    let output = child.stdout.take()?;
    thread::spawn(move || {
        let mut said = Vec::new();
        let _ = output.take(MOST).read_to_end(&mut said);
        let _ = send.send(said);
    });
    let said = receive.recv_timeout(PATIENCE).ok();
    // It has said all, or will not.
    let _ = child.kill();
    let _ = child.wait();
    said.map(|said| String::from_utf8_lossy(&said).into_owned())
}

/// The first version in a text: two numbers with a dot between, and no letter before.
fn numbers(said: &str) -> Option<(u32, u32)> {
    // What stands in brackets is about the package: `gcc (Debian 12.2.0-14) 12.2.0`.
    let first = said.lines().next()?;
    let words = first.rsplit_once(") ").map_or(first, |(_, rest)| rest).split_whitespace();
    words.into_iter().find_map(|word| {
        let mut parts = word.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
        Some((major, minor.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_where_each_tool_says_it() {
        for (said, version) in [
            ("GNU Make 4.3\nBuilt for", Some((4, 3))),
            ("1.13.2.git.kitware.jobserver-pipe-1\n", Some((1, 13))),
            ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\n", Some((12, 2))),
            ("g++ (GCC) 14.1.1 20240522\n", Some((14, 1))),
            ("1.9.0\n", Some((1, 9))),
            ("no number\n", None),
            ("", None),
        ] {
            assert_eq!(numbers(said), version, "{said:?}");
        }
    }

    #[test]
    fn a_command_is_known_by_its_name_and_what_it_is_asked() {
        for (line, tool) in [
            ("make -j8", Tool::Make),
            ("/usr/bin/gmake", Tool::Make),
            ("ninja", Tool::Ninja),
            ("cmake --build out", Tool::CmakeBuild),
            ("cmake -S .", Tool::Other),
            ("gcc -flto=jobserver a.c", Tool::GccLto),
            ("x86_64-linux-gnu-g++-12 -flto=auto", Tool::GccLto),
            ("gcc -c a.c", Tool::Other),
            ("ccache -flto=auto", Tool::Other),
            ("cargo build", Tool::Cargo),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(tool_of(&words[0], &words[1..]), tool, "{line}");
        }
    }
}
