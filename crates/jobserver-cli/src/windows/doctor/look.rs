//! All that doctor knows, read off the environment, the semaphores and the tools before any rule looks.
//!
//! A tool whose name is known is asked for its `--version`, never anything else, and not waited for longer than
//! [`PATIENCE`]. The command that is asked about is never run.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jobserver::{Auth, Client, MakeFlags};

use crate::{command_line, make_version, windows::spawn};

const PATIENCE: Duration = Duration::from_secs(5);

/// In the order in which Rust programs look; make and ninja read MAKEFLAGS alone.
const NAMES: [&str; 3] = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"];

/// Under which of its names a make may lie on PATH.
const MAKES: [&str; 3] = ["make", "gmake", "mingw32-make"];

#[derive(Debug)]
pub(super) struct Situation {
    pub(super) variables: Vec<Variable>,
    pub(super) command: Vec<OsString>,
    /// The option of the command that takes it out of the pool.
    pub(super) leaves: Option<String>,
    /// The command's program, unless it is a tool that is listed anyway.
    pub(super) program: Option<PathBuf>,
    pub(super) tools: Vec<Tool>,
}

/// One that is set.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    /// The text of its auth, and what that leads to.
    pub(super) names: Option<(String, Channel)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Joinable,
    /// Descriptors or a named pipe: of an emulation of Unix.
    Emulated,
    NotUnderstood(String),
    /// There is no such semaphore (any more).
    Missing,
    Failed(String),
}

#[derive(Debug)]
pub(super) struct Tool {
    /// `make`, `ninja`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) said: String,
    /// Whether it is the command that is asked about.
    pub(super) is_asked: bool,
}

impl Situation {
    pub(super) fn find(command: &[OsString]) -> Situation {
        let variables = NAMES.iter().filter_map(|&name| Some(Variable::read(name, &env::var_os(name)?))).collect();
        let asked = command.first().and_then(|program| command_line::tool(program));
        let is_known = |name: &str| MAKES.contains(&name) || name == "ninja";
        let mut tools = Vec::new();
        if let (Some(name), Some(path)) = (&asked, command.first().and_then(|program| spawn::find(program))) {
            if is_known(name) {
                tools.push(Tool { name: name.clone(), said: version(&path), path, is_asked: true });
            }
        }
        for name in MAKES.iter().chain(&["ninja"]).filter(|&&name| asked.as_deref() != Some(name)) {
            if let Some(path) = spawn::find(name.as_ref()) {
                tools.push(Tool { name: name.to_string(), said: version(&path), path, is_asked: false });
            }
        }
        Situation {
            variables,
            leaves: command_line::leaves_pool(command),
            program: command.first().and_then(|program| spawn::find(program)),
            command: command.to_vec(),
            tools,
        }
    }

    /// The variable that counts: the first that names one that can be joined, or else the first that names one.
    pub(super) fn counting(&self) -> Option<(&Variable, &str, &Channel)> {
        let naming = || self.variables.iter().filter(|variable| variable.names.is_some());
        let can = |variable: &&Variable| matches!(variable.names, Some((_, Channel::Joinable)));
        let variable = naming().find(can).or_else(|| naming().next())?;
        variable.names.as_ref().map(|(text, channel)| (variable, &**text, channel))
    }

    /// The semaphore that counts and can be joined.
    pub(super) fn joinable(&self) -> Option<&str> {
        self.counting().filter(|(_, _, channel)| **channel == Channel::Joinable).map(|(_, text, _)| text)
    }
}

impl Variable {
    fn read(name: &'static str, value: &OsStr) -> Variable {
        let names = MakeFlags::parse(value).jobserver().map(|text| {
            let channel = match Auth::parse(text) {
                Err(error) => Channel::NotUnderstood(error.to_string()),
                Ok(auth) => look(&auth),
            };
            (text.to_string_lossy().into_owned(), channel)
        });
        Variable { name, names }
    }
}

fn look(auth: &Auth) -> Channel {
    if !matches!(auth, Auth::Semaphore(_)) {
        return Channel::Emulated;
    }
    match Client::connect_to(auth) {
        Ok(_) => Channel::Joinable,
        Err(error) => {
            let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
            match cause.map(std::io::Error::kind) {
                Some(std::io::ErrorKind::NotFound) => Channel::Missing,
                _ => Channel::Failed(error.to_string()),
            }
        }
    }
}

impl Tool {
    /// `4.4.1`, or nothing.
    pub(super) fn number(&self) -> &str {
        let first = self.said.lines().next().unwrap_or_default();
        first.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default()
    }

    /// Whose it is, if it belongs to an emulation of Unix.
    pub(super) fn emulation(&self) -> Option<&'static str> {
        make_version::emulation(&self.said)
    }

    pub(super) fn is_older_than(&self, major: u32, minor: u32) -> bool {
        let mut numbers = self.number().split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(first)), Some(Ok(second))) => (first, second) < (major, minor),
            _ => false,
        }
    }
}

/// What it says to `--version`; nothing if it doesn't answer.
fn version(path: &PathBuf) -> String {
    let mut command = Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for name in NAMES.iter().chain(&["GNUMAKEFLAGS", "MAKEFILES"]) {
        command.env_remove(name);
    }
    let Ok(mut child) = command.spawn() else { return String::new() };
    let Some(output) = child.stdout.take() else { return String::new() };
    let (answer, answered) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        let _ = output.take(1 << 16).read_to_end(&mut said);
        let _ = answer.send(String::from_utf8_lossy(&said).into_owned());
    });
    let said = answered.recv_timeout(PATIENCE).unwrap_or_default();
    // One that still runs hangs.
    let _ = child.kill();
    let _ = child.wait();
    said
}
