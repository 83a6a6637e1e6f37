//! What a shim does: it becomes the real tool, in the pool if there is one.
//!
//! It is the same process, so signals, status and terminal are the tool's own; but for samurai alone, whose parent is a
//! `jobserver exec` that holds slots for it: its jobs have PARALLELISM and JOBSERVER_SLOTS, and where a signal ends it the
//! status is 128+n. Whatever fails on the way to the pool leaves
//! the call as it was written, and where make would stop at what it finds, without a jobserver. `main` may call this, first
//! of all: a build does it thousands of times.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use jobserver::{Auth, Jobs, MakeFlags};

use super::decide::{decide, Call, Verdict};
use super::samurai::{self, Plan};
use super::{ends, real, words, Tool, MODE};
use crate::report::say;
use crate::{exit, make_version, spawn};

const LEVEL: &str = "CMAKE_BUILD_PARALLEL_LEVEL";

/// The exit status, if this program was called by the name of a tool and can't become it.
pub(crate) fn act() -> Option<exit::Code> {
    let mut arguments = env::args_os();
    let called = arguments.next()?;
    let name = Path::new(&called).file_name()?.to_os_string();
    let tool = Tool::named(&name)?;
    let words: Vec<OsString> = [called].into_iter().chain(arguments).collect();
    let Some(real) = real::find(&name) else {
        say(format_args!("{}: there is none behind this shim: install it, or check PATH", name.to_string_lossy()));
        return Some(exit::NOT_FOUND);
    };
    let mut shim = Shim::new(tool, real, words);
    shim.prepare();
    // By its name cmake looks for its modules, and would look beside this program.
    let called = if tool == Tool::Cmake { shim.real.as_os_str() } else { &shim.words[0] };
    if let Some(most) = shim.slots {
        shim.with_slots(most);
        // One job at a time is what it may do without.
        shim.command.arg("-j1");
    }
    let error = shim.command.arg0(called).args(&shim.words[1..]).exec();
    Some(spawn::failed(shim.real.as_os_str(), &error))
}

struct Shim {
    tool: Tool,
    real: PathBuf,
    words: Vec<OsString>,
    drops: bool,
    makeflags: OsString,
    auth: Option<Auth>,
    command: Command,
    /// It joins no pool: so many slots at the most are taken for it.
    slots: Option<usize>,
}

impl Shim {
    fn new(tool: Tool, real: PathBuf, words: Vec<OsString>) -> Shim {
        let makeflags = env::var_os("MAKEFLAGS").unwrap_or_default();
        let auth = MakeFlags::parse(&makeflags).jobserver().and_then(|text| Auth::parse(text).ok());
        let command = Command::new(&real);
        let drops = env::var_os(MODE).is_some_and(|mode| mode == "all");
        Shim { tool, real, words, drops, makeflags, auth, command, slots: None }
    }

    fn prepare(&mut self) {
        let fifo = env::var_os(words::FIFO);
        if self.tool == Tool::Cmake && !self.words.iter().any(|word| word == "--build") {
            return self.configure(fifo.as_deref().and_then(words::path));
        }
        let call = Call {
            tool: self.tool,
            words: &self.words,
            makeflags: &self.makeflags,
            fifo: fifo.as_deref(),
            drops: self.drops,
        };
        match decide(&call) {
            Verdict::Alone => {}
            Verdict::Leaves { below } => self.leave(below),
            Verdict::Joins { path, words } => self.join(&path, words),
        }
    }

    fn join(&mut self, path: &Path, mut words: Vec<OsString>) {
        let is_link = match fs::symlink_metadata(path) {
            Ok(found) => found.is_symlink(),
            Err(error) => return self.without(path, &error, words),
        };
        // Before anything is opened, which may get their numbers where make has closed them.
        let above = ends::of_shim_above(self.auth.as_ref());
        match self.tool {
            Tool::Make if make_version::takes_pipes_only(&self.real) => match ends::open_at(path, is_link) {
                Ok(auth) => self.on_descriptors(&auth, path, above),
                Err(error) => return self.without(path, &error, words),
            },
            Tool::Make => {
                let flags = MakeFlags::parse(&words::without(&self.makeflags));
                self.set_jobserver(&flags, &Auth::Fifo(path.to_path_buf()));
                ends::close(above);
            }
            // What make before 4.4 needs that cmake starts by its path, and what ninja needs.
            Tool::Cmake if self.auth.as_ref().is_some_and(ends::are_open) => self.name_path(path),
            Tool::Cmake => match ends::open_at(path, is_link) {
                Ok(auth) => self.on_descriptors(&auth, path, above),
                Err(error) => return self.without(path, &error, words),
            },
            Tool::Ninja => {
                if !matches!(self.auth, Some(Auth::Fifo(_))) {
                    self.name_path(path);
                }
                if real::is_samurai(&self.real) {
                    let flags = env::var_os(samurai::FLAGS).unwrap_or_default();
                    let processors = std::thread::available_parallelism().map_or(1, usize::from);
                    match samurai::plan(&self.words, &flags, processors) {
                        Plan::AsWritten => words.clone_from(&self.words),
                        Plan::One => words.insert(1, "-j1".into()),
                        Plan::Slots(most) => self.slots = Some(most),
                    }
                }
            }
            Tool::Cargo => self.tell_cargo(path),
        }
        if self.tool == Tool::Cmake && self.drops && env::var_os(LEVEL).is_some_and(|level| level != "1") {
            self.command.env_remove(LEVEL);
        }
        self.words = words;
    }

    /// Becomes an `exec` that runs the tool with as many jobs as there were slots. Returns if it can't: where there is no
    /// `/proc`, say.
    fn with_slots(&self, most: usize) {
        let Ok(this) = spawn::this_program() else { return };
        let mut exec = Command::new(this);
        exec.arg0("jobserver").args(["exec", "-n", &format!("1..{most}"), "--"]);
        exec.arg(&self.real).args(["-j", "{}"]).args(&self.words[1..]);
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => exec.env(name, value),
                None => exec.env_remove(name),
            };
        }
        let _ = exec.exec();
    }

    fn on_descriptors(&mut self, auth: &Auth, path: &Path, above: Vec<i32>) {
        let flags = MakeFlags::parse(&words::without(&self.makeflags));
        self.set_jobserver(&flags, auth);
        self.name_path(path);
        ends::close(above);
    }

    fn set_jobserver(&mut self, flags: &MakeFlags, auth: &Auth) {
        let jobs = match flags.jobs() {
            Some(Jobs::Limit(jobs)) => Some(jobs as usize),
            _ => None,
        };
        // A path that was named in MAKEFLAGS can be named there again.
        if let Ok(value) = flags.with_jobserver(auth, jobs) {
            self.set_makeflags(value);
        }
    }

    fn set_makeflags(&mut self, value: OsString) {
        self.command.env("MAKEFLAGS", &value);
        self.makeflags = value;
    }

    fn name_path(&mut self, path: &Path) {
        self.set_makeflags(words::with(&self.makeflags, path));
        self.command.env(words::FIFO, words::value(path));
    }

    /// cargo looks here first, and finds it there unless a script has taken it away or make has closed what it names.
    fn tell_cargo(&mut self, path: &Path) {
        let told = env::var_os("CARGO_MAKEFLAGS").unwrap_or_default();
        let told = MakeFlags::parse(&told).jobserver().and_then(|text| Auth::parse(text).ok());
        if matches!(told, Some(Auth::Fifo(_))) {
            return;
        }
        if let Ok(value) = MakeFlags::default().with_jobserver(&Auth::Fifo(path.to_path_buf()), None) {
            self.command.env("CARGO_MAKEFLAGS", value);
        }
    }

    /// The pool has no path any more. What was inherited from it may still be good.
    fn without(&mut self, path: &Path, error: &dyn std::fmt::Display, words: Vec<OsString>) {
        if self.auth.as_ref().is_some_and(ends::are_open) {
            self.words = words;
        } else if self.stops_at_path() {
            say(format_args!(
                "the pool at {} can't be joined: {error}: {} goes on without it",
                path.display(),
                self.words[0].to_string_lossy()
            ));
            self.take_jobserver_out();
        }
    }

    fn leave(&mut self, below: bool) {
        if below {
            let rest = words::without(&self.makeflags);
            self.command.env_remove(words::FIFO);
            self.set_makeflags(rest);
        }
        if self.stops_at_path() {
            self.take_jobserver_out();
        }
    }

    /// Whether what MAKEFLAGS names would end the tool, or a make that it starts.
    fn stops_at_path(&self) -> bool {
        let may_be_old = match self.tool {
            Tool::Make => make_version::takes_pipes_only(&self.real),
            Tool::Cmake => true,
            Tool::Ninja | Tool::Cargo => false,
        };
        may_be_old && matches!(self.auth, Some(Auth::Fifo(_)))
    }

    fn take_jobserver_out(&mut self) {
        let rest = MakeFlags::parse(&self.makeflags).without_jobserver();
        self.set_makeflags(rest);
    }

    /// A build that is only set up keeps the paths of the tools that it finds: they are to be the real ones. It tries
    /// make, too, which must not stop at a path, and ninja.
    fn configure(&mut self, fifo: Option<PathBuf>) {
        let other = ["-E", "-P", "--install", "--open"];
        if self.words.iter().any(|word| other.iter().any(|other| word == other)) {
            return;
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).filter(|folder| !real::is_of_shims(folder));
        if let Ok(path) = env::join_paths(folders) {
            self.command.env("PATH", path);
        }
        if let Some(Auth::Fifo(named)) = self.auth.clone() {
            self.take_jobserver_out();
            self.name_path(&fifo.unwrap_or(named));
        }
    }
}
