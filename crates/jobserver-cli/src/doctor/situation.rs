//! All that doctor knows: read off the environment, the descriptors, the files and the tools, before any rule looks.
//!
//! Nothing here takes a token, changes a flag or leaves a file. The rules get this as a value and look at nothing else.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use jobserver::{Auth, Jobs, MakeFlags};

use super::channel::{self, Channel};
use super::finding::line;
use super::machine::{self, Fuse, Limit, Room, RoomState};
use super::recipe;
use super::served::{self, Place, State};
use super::tools::{Program, Subject, Tool};
use super::variables::{Variable, NAMES};
use crate::shim;

#[derive(Clone, Debug)]
pub(crate) struct Situation {
    pub(crate) variables: Vec<Variable>,
    /// Each auth once, in the order of the variables.
    pub(crate) named: Vec<Named>,
    /// Which of `named` counts, and by which variable.
    pub(crate) counts: Option<(usize, &'static str)>,
    /// Whether a make has started this.
    pub(crate) under_make: bool,
    /// CMAKE_BUILD_PARALLEL_LEVEL, which `cmake --build` hands to its tool as `-jN`.
    pub(crate) cmake_level: Option<OsString>,
    pub(crate) subject: Option<Subject>,
    /// The ones that a build would find on PATH.
    pub(crate) make: Option<Program>,
    pub(crate) ninja: Option<Program>,
    pub(crate) served: Vec<Place>,
    pub(crate) fuse: Fuse,
    pub(crate) room: Room,
    pub(crate) descriptors: Limit,
    /// The makefile whose recipe this is, or would be.
    pub(crate) makefile: PathBuf,
}

/// A jobserver that is named, once or several times alike.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) text: OsString,
    pub(crate) auth: Result<Auth, String>,
    pub(crate) variables: Vec<&'static str>,
    pub(crate) channel: Channel,
    /// From the `-jN` beside it.
    pub(crate) slots: Option<usize>,
}

impl Situation {
    pub(crate) fn find(command: &[OsString]) -> Situation {
        // First of all: see `channel`.
        let read = |&name| Some(Variable::read(name, shim::as_tools_see(env::var_os(name)?)));
        let variables: Vec<Variable> = NAMES.iter().filter_map(read).collect();
        let named = named(&variables);
        let subject = Subject::of(command);
        let make = match &subject {
            Some(Subject { tool: Tool::Make, program, .. }) => program.clone(),
            _ => Program::named("make"),
        };
        let ninja = match &subject {
            Some(Subject { tool: Tool::Ninja, program, .. }) => program.clone(),
            _ => Program::named("ninja"),
        };
        let mut situation = Situation {
            counts: None,
            under_make: env::var("MAKELEVEL").is_ok_and(|level| level.parse::<u32>().is_ok_and(|level| level > 0)),
            cmake_level: env::var_os("CMAKE_BUILD_PARALLEL_LEVEL").filter(|level| !level.is_empty()),
            subject,
            make,
            ninja,
            served: served::places(),
            fuse: Fuse::find(),
            room: Room::untried(),
            descriptors: machine::descriptors(),
            makefile: recipe::makefile(),
            variables,
            named,
        };
        situation.counts = situation.counting();
        if situation.joined_by_run().is_none() {
            // Otherwise nobody makes a pool here.
            situation.room = Room::find();
            if situation.serving().is_none() && situation.room.state == RoomState::Enough {
                situation.fuse = situation.fuse.tried();
            }
        }
        situation
    }

    /// Which variables the tool looks at, the one that wins first.
    pub(crate) fn looked_at(&self) -> &'static [&'static str] {
        match self.tool() {
            Tool::Make => &["MAKEFLAGS", "GNUMAKEFLAGS"],
            Tool::Ninja | Tool::CmakeBuild | Tool::GccLto => &["MAKEFLAGS"],
            Tool::Samurai => &[],
            Tool::Cargo | Tool::Other => &["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS"],
        }
    }

    /// make takes the first that names one; cargo the first that is set; programs with this library the first that can
    /// be joined, if there is one.
    fn counting(&self) -> Option<(usize, &'static str)> {
        let naming = self.looked_at().iter().filter_map(|&name| self.by(name).map(|at| (at, name)));
        let naming: Vec<_> = naming.collect();
        let can = naming.iter().find(|(at, _)| self.named[*at].channel.is_joinable());
        match self.tool() {
            Tool::Other => can.or(naming.first()).copied(),
            Tool::Cargo => {
                let name = self.looked_at().iter().find(|name| self.variable(name).is_some())?;
                Some((self.by(name)?, name))
            }
            _ => naming.first().copied(),
        }
    }

    /// The jobserver that this variable names.
    fn by(&self, name: &str) -> Option<usize> {
        self.named.iter().position(|named| named.variables.contains(&name))
    }

    pub(crate) fn named_by(&self, name: &str) -> Option<&Named> {
        self.by(name).map(|at| &self.named[at])
    }

    pub(crate) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    pub(crate) fn counting_one(&self) -> Option<&Named> {
        self.counts.map(|(at, _)| &self.named[at])
    }

    /// The auth that counts and can be joined.
    pub(crate) fn joinable(&self) -> Option<&Named> {
        self.counting_one().filter(|named| named.channel.is_joinable())
    }

    /// What `run` joins: it is a program with this library, whatever it runs.
    pub(crate) fn joined_by_run(&self) -> Option<&Named> {
        let rust = NAMES[..3].iter().filter_map(|name| self.named_by(name));
        rust.into_iter().find(|named| named.channel.is_joinable())
    }

    pub(crate) fn tool(&self) -> Tool {
        self.subject.as_ref().map_or(Tool::Other, |subject| subject.tool)
    }

    /// The pool that `run` would take a lease of, were there no jobserver.
    pub(crate) fn serving(&self) -> Option<&Place> {
        self.served.iter().find(|place| matches!(place.state, State::Answers(_)))
    }

    /// The command in a pool that it can join; without one, what most people build with.
    pub(crate) fn run_line(&self) -> String {
        let Some(subject) = &self.subject else { return "jobserver run -- make".to_string() };
        let program = subject.program.as_ref();
        let style = match subject.tool {
            Tool::GccLto if program.is_some_and(Program::is_old_gcc) => " --style pipe",
            _ => "",
        };
        // A width of its own would take it out again.
        let words = subject.staying().unwrap_or_else(|| subject.words.clone());
        format!("jobserver run{style} -- {}", line(&words))
    }

    /// The make for which `run` uses descriptors: one before 4.4 that is called by its path, past the shim.
    pub(crate) fn make_on_descriptors(&self) -> Option<&Program> {
        let subject = self.subject.as_ref().filter(|subject| subject.tool == Tool::Make)?;
        let is_past = subject.words[0].to_string_lossy().contains('/');
        self.make.as_ref().filter(|make| is_past && make.takes_pipes_only())
    }

    /// Those are nothing for the ninja that such a make calls.
    pub(crate) fn run_shuts_ninja_out(&self) -> bool {
        let joins_paths_only =
            self.ninja.as_ref().is_some_and(|ninja| ninja.is_ninja_for_paths() && !ninja.is_ninja_for_descriptors());
        joins_paths_only && self.make_on_descriptors().is_some()
    }
}

fn named(variables: &[Variable]) -> Vec<Named> {
    let mut all: Vec<Named> = Vec::new();
    for variable in variables {
        let Some(text) = &variable.auth else { continue };
        let auth = Auth::parse(text).map_err(|error| error.to_string());
        let slots = match MakeFlags::parse(&variable.value).jobs() {
            Some(Jobs::Limit(jobs)) => Some(jobs as usize),
            _ => None,
        };
        match all.iter_mut().find(|named| named.text == *text) {
            Some(known) => {
                known.variables.push(variable.name);
                known.slots = known.slots.or(slots);
            }
            None => all.push(Named {
                text: text.clone(),
                channel: channel::look(&auth),
                auth,
                variables: vec![variable.name],
                slots,
            }),
        }
    }
    all
}

impl Named {
    /// One that make has switched off says which descriptors it had before.
    pub(crate) fn is_path(&self) -> bool {
        matches!(self.auth, Ok(Auth::Fifo(_)))
    }

    pub(crate) fn is_pipe(&self) -> bool {
        matches!(self.auth, Ok(Auth::Pipe { .. }))
    }

    /// The tokens of a pool that somebody made with `-jN`; not known if more lie there than that.
    pub(crate) fn tokens(&self) -> Option<usize> {
        let reached = self.channel.reached()?;
        let tokens = self.slots?.checked_sub(1)?;
        Some(tokens).filter(|tokens| reached.available.is_none_or(|available| available <= *tokens))
    }
}
