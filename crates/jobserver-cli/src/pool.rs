//! The pool that a command runs under, made as planned or as near to it as the system allows.
//!
//! A user's build never fails because of us: each step down is said in one line and keeps the width that was stated,
//! never all processors and never silently one.

use std::io;
use std::process::Command;

use jobserver::{Client, MakeFlags, Server};

use crate::leased::Leased;
use crate::memory;
use crate::nested::Nested;
use crate::plan::Plan;
use crate::report::{say, Account};
use crate::style::{self, Style};
use crate::timeline::Source;
use crate::words::Words;

pub(crate) enum Pool {
    Own(Server),
    Inherited(Client),
    Nested(Nested),
    Leased(Box<Leased>),
    /// None could be had: each tool is told the width.
    Without {
        jobs: usize,
    },
}

impl Pool {
    /// Makes the pool and lets `command` join it. `None`: `give_up` said so while the command waited for its first slot.
    pub(crate) fn open(
        plan: Plan,
        words: &Words,
        command: &mut Command,
        give_up: impl FnMut() -> bool,
    ) -> Option<Pool> {
        Some(match plan {
            Plan::Own { slots, style: Style::Tracked } => match Leased::own(slots, words, command) {
                Ok(leased) => Pool::Leased(Box::new(leased)),
                Err(error) => {
                    if words.style_was_asked {
                        say(format_args!(
                            "processes can't be told apart: {error}: going on with one named pipe for all"
                        ));
                    }
                    own(slots, Style::Fifo, command)
                }
            },
            Plan::Own { slots, style } => own(slots, style, command),
            Plan::Lease { directory, cap, style } => {
                match Leased::of(&directory, cap, style, words, command, give_up) {
                    Ok(Some(leased)) => Pool::Leased(Box::new(leased)),
                    Ok(None) => return None,
                    Err(error) => {
                        let width = cap.unwrap_or(1);
                        say(format_args!(
                            "the pool at {} gives no slots: {error}: the command has a pool of its own, of -j{width}",
                            directory.display()
                        ));
                        own(width, if style == Style::Tracked { Style::Fifo } else { style }, command)
                    }
                }
            }
            Plan::Join(client) => match client.join_make(command, None) {
                Ok(()) => Pool::Inherited(client),
                Err(error) => without_inherited(&error, command),
            },
            Plan::Draw { from, jobs, style } => draw(from, jobs, style, command),
        })
    }

    /// The command has been started.
    pub(crate) fn started(&mut self, pid: u32) {
        if let Pool::Leased(leased) = self {
            leased.started(pid);
        }
    }

    /// Where it can be seen how many slots are in use.
    pub(crate) fn source(&self) -> Source {
        match self {
            #[cfg(target_os = "linux")]
            Pool::Own(server) => Source::Counted { client: server.client(), slots: server.slots() as u32 },
            #[cfg(target_os = "linux")]
            Pool::Leased(leased) => leased.source(),
            _ => Source::Unknown,
        }
    }

    /// Tells the command that there is no pool, and how many jobs it may run; and the user why.
    pub(crate) fn without(jobs: usize, error: &io::Error, command: &mut Command) -> Pool {
        let (slots, jobs_each) = (count(jobs, "slot"), count(jobs, "job"));
        say(format_args!("no pool of {slots} can be made: {error}: each tool of the command runs {jobs_each} at most"));
        tell_width(jobs, command);
        Pool::Without { jobs }
    }

    /// Lets another command join in place of the first.
    pub(crate) fn join(&self, command: &mut Command) -> io::Result<()> {
        match self {
            Pool::Own(server) => server.join_make(command),
            Pool::Inherited(client) => client.join_make(command, None),
            Pool::Nested(nested) => nested.join_make(command),
            Pool::Leased(leased) => leased.join_make(command),
            &Pool::Without { jobs } => {
                tell_width(jobs, command);
                Ok(())
            }
        }
    }

    /// Whether there is a pool that the command could leave.
    pub(crate) fn exists(&self) -> bool {
        !matches!(self, Pool::Without { .. })
    }

    /// Whether all tokens are there: nothing is to be waited for.
    pub(crate) fn is_whole(&self) -> bool {
        match self {
            Pool::Own(server) => server.balance().map_or(true, |balance| balance.missing() == 0),
            // What is drawn is known to the broker alone.
            Pool::Nested(_) => false,
            Pool::Inherited(_) | Pool::Leased(_) | Pool::Without { .. } => true,
        }
    }

    /// Takes the pool down after the command has ended, and says what is missing.
    pub(crate) fn close(self) -> Account {
        match self {
            Pool::Own(server) => match server.balance() {
                Ok(balance) => Account {
                    tokens: balance.tokens,
                    lost: balance.missing(),
                    strays: balance.strays(),
                    made_good: false,
                },
                Err(error) => {
                    say(format_args!("the pool can't be counted: {error}: whether tokens were lost is unknown"));
                    Account::default()
                }
            },
            Pool::Nested(nested) => nested.settle(),
            Pool::Leased(leased) => leased.close(),
            // What others do in the inherited jobserver can't be told from what this command did.
            Pool::Inherited(_) | Pool::Without { .. } => Account::default(),
        }
    }
}

fn own(slots: usize, style: Style, command: &mut Command) -> Pool {
    let attempt = |style, command: &mut Command| {
        let builder = Server::builder().slots(slots);
        let server = match style {
            Style::Fifo | Style::Tracked => {
                let in_memory = memory::folder().map(|folder| builder.clone().fifo().directory(folder).build());
                in_memory.and_then(Result::ok).map_or_else(|| builder.fifo().build(), Ok)?
            }
            Style::Pipe => builder.pipe().build()?,
            Style::Semaphore => builder.build()?,
        };
        server.join_make(command)?;
        io::Result::Ok(server)
    };
    let error = match attempt(style, command) {
        Ok(server) => return Pool::Own(server),
        Err(error) => error,
    };
    if style == Style::Fifo {
        if let Ok(server) = attempt(Style::Pipe, command) {
            say(format_args!(
                "no named pipe can be made: {error}: going on with an unnamed one, which ninja does not join; set \
                 TMPDIR to a folder with room"
            ));
            return Pool::Own(server);
        }
    }
    Pool::without(slots, &error, command)
}

fn draw(from: Client, jobs: Option<usize>, style: Style, command: &mut Command) -> Pool {
    let error = match Nested::open(&from, jobs, style).and_then(|nested| {
        nested.join_make(command)?;
        Ok(nested)
    }) {
        Ok(nested) => return Pool::Nested(nested),
        Err(error) => error,
    };
    // The inherited one is still a bound that holds for all, if the command can reach it.
    let within_reach = style == Style::Fifo || style::of(&from) == Some(style);
    if within_reach && from.join_make(command, None).is_ok() {
        say(format_args!(
            "no pool inside the inherited jobserver can be made: {error}: the command takes all that one gives"
        ));
        return Pool::Inherited(from);
    }
    without_inherited(&error, command)
}

/// One slot is what the command was given by whoever started us.
fn without_inherited(error: &io::Error, command: &mut Command) -> Pool {
    say(format_args!("the inherited jobserver can't be passed on: {error}: the command runs one job at a time"));
    tell_width(1, command);
    Pool::Without { jobs: 1 }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn tell_width(jobs: usize, command: &mut Command) {
    let flags = MakeFlags::parse(&std::env::var_os("MAKEFLAGS").unwrap_or_default());
    command.env("MAKEFLAGS", flags.with_jobs(jobs));
    command.env("CARGO_BUILD_JOBS", jobs.to_string());
    command.env("CMAKE_BUILD_PARALLEL_LEVEL", jobs.to_string());
    command.env_remove("CARGO_MAKEFLAGS").env_remove("MFLAGS");
}
