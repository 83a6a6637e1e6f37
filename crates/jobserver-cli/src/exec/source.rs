//! Where a command's slots come from: the jobserver that was inherited, a served pool, or nowhere.
//!
//! Nothing that goes wrong with a pool keeps the command from running. If there is none, it gets the most that was stated,
//! since nobody else is known to use the machine. If there is one that can't be reached, it gets the least: whoever made
//! that pool counts on the rest.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use jobserver::{Acquired, Client};

use super::end::End;
use super::gather::{self, draw, Drawn, Patience};
use super::inherited::{is_plain, room};
use super::own::Own;
use super::owner::{Owner, Watch};
use crate::cli::Range;
use crate::leased::{self, Leased};
use crate::report::say;
use crate::shim;
use crate::signals::Signals;
use crate::style::{self, Style, Way};
use crate::words::Words;
use crate::{cli, plan, serving};

pub(super) enum Source {
    /// The caller's own slot is the first of the command's.
    Inherited(Client),
    /// A lease of the pool that is served there.
    Served(PathBuf),
    /// None: as many as were stated, which was said.
    Stated(usize),
}

/// What became of the wait.
pub(super) enum Answer {
    Got(Slots),
    /// More than there are: a line that says so.
    Refused(String),
    /// The most that it had at once.
    TimedOut {
        had: usize,
    },
    /// By a signal.
    Ended,
}

/// The slots of the command.
pub(super) struct Slots {
    number: usize,
    tokens: Vec<Acquired>,
    /// And how the command's own tools reach it.
    leased: Option<(Box<Leased>, Way)>,
}

impl Source {
    pub(super) fn find(args: &cli::Exec) -> Source {
        if let Some(directory) = &args.pool {
            return Source::Served(directory.clone());
        }
        let program = args.command[0].to_string_lossy();
        match Client::connect() {
            Ok(client) => Source::Inherited(client),
            Err(error) if plan::is_expected(&error) => serving::find().map_or_else(
                || {
                    let most = gather::slots(args.slots.most);
                    say(format_args!(
                        "there is no pool here: {program} goes on as if it had {most}: `jobserver serve` or `jobserver \
                         run` makes one"
                    ));
                    Source::Stated(args.slots.most)
                },
                Source::Served,
            ),
            Err(error) => {
                let least = gather::slots(args.slots.least);
                say(format_args!("{error}; until then {program} goes on as if it had {least}"));
                Source::Stated(args.slots.least)
            }
        }
    }

    pub(super) fn gather(self, args: &cli::Exec, signals: &mut Signals, end: &mut End) -> Answer {
        let gathered = match self {
            Source::Inherited(client) => inherited(&client, args, signals, end),
            Source::Served(directory) => served(&directory, args, signals, end),
            Source::Stated(width) => Ok(Answer::Got(Slots::stated(width))),
        };
        gathered.unwrap_or_else(|error| Answer::Got(Slots::without(args, &error)))
    }
}

fn inherited(client: &Client, args: &cli::Exec, signals: &mut Signals, end: &End) -> io::Result<Answer> {
    let Range { least, most } = args.slots;
    // The caller's own slot is there in any case.
    let room = if least > 1 { room(client) } else { None };
    if let Some(room) = room.filter(|&room| room < least) {
        return Ok(refused(args, room));
    }
    let mut attempts = Attempts::new(args);
    // Only of make's and `run`'s own pools: a served one outlives who made it.
    let is_watched = least > 1 && is_plain(client);
    let owner = if is_watched { Owner::of(client) } else { None };
    let watch = if is_watched { Watch::over(client, owner.as_ref(), &end.canceller).ok() } else { None };
    let mut own = Own::new(client, owner.as_ref());
    loop {
        // One that was lent is a token like the others.
        let extra = usize::from(!own.is_lent());
        match draw(client, (least - extra, most - extra), own.lends(), &mut attempts.patience, end)? {
            Drawn::Enough(mut tokens) => {
                if let Some(token) = own.is_lent().then(|| tokens.pop()).flatten() {
                    own.regain(token);
                }
                return Ok(Answer::Got(Slots::new(tokens, None)));
            }
            Drawn::Over(drawn) => {
                let answer = attempts.over(drawn + extra, signals);
                own.regain_at_last()?;
                let has_ended = watch.is_some_and(|watch| watch.has_ended()) && !signals.want_end();
                return Ok(if has_ended { ended(args) } else { answer });
            }
            Drawn::Stuck(drawn) => {
                own.lend()?;
                let own_slot = usize::from(!own.is_lent());
                attempts.pause(drawn + extra, end, || own.free() + own_slot >= least)?;
            }
        }
    }
}

fn served(directory: &std::path::Path, args: &cli::Exec, signals: &mut Signals, end: &End) -> io::Result<Answer> {
    // We open the path ourselves, and are known by that, whatever make there is; one before 4.4 below may not reach it.
    let way = style::choose(cli::Style::Auto, cli::Shim::Auto, &args.command[0]);
    let mut words = Words::new(args.name.as_deref(), &args.command);
    if args.timeout.is_none() {
        words.remedy = "; --timeout ends the wait";
    }
    let mut attempts = Attempts::new(args);
    loop {
        // The command is told later: only then is known what it is.
        let mut nobody = Command::new("true");
        let give_up = || signals.want_end() || end.is_late();
        let most = Some(args.slots.most);
        let Some(leased) = Leased::of(directory, most, Style::Tracked, &words, &mut nobody, give_up)? else {
            return Ok(attempts.over(0, signals));
        };
        if leased.capacity() < args.slots.least {
            return Ok(refused(args, leased.capacity()));
        }
        if args.slots.most == 1 {
            return Ok(Answer::Got(Slots::new(Vec::new(), Some((leased, way)))));
        }
        let client = leased.client()?;
        let counts = (args.slots.least - 1, args.slots.most - 1);
        match draw(&client, counts, true, &mut attempts.patience, end)? {
            Drawn::Enough(tokens) => return Ok(Answer::Got(Slots::new(tokens, Some((leased, way))))),
            Drawn::Over(drawn) => return Ok(attempts.over(drawn + 1, signals)),
            Drawn::Stuck(drawn) => {
                // Its first slot is one that others may wait for.
                drop(client);
                leased.close();
                attempts
                    .pause(drawn + 1, end, || leased::free(directory).is_some_and(|free| free >= args.slots.least))?;
            }
        }
    }
}

fn refused(args: &cli::Exec, room: usize) -> Answer {
    let least = gather::slots(args.slots.least);
    Answer::Refused(format!(
        "{least} can't be had: the pool has {room} for this command: ask for {room} at most with -n"
    ))
}

fn ended(args: &cli::Exec) -> Answer {
    let least = gather::slots(args.slots.least);
    Answer::Refused(format!("the pool has ended while this command waited for {least}: whoever made it is gone"))
}

/// What is tried again until it is enough.
struct Attempts<'a> {
    args: &'a cli::Exec,
    patience: Patience,
    /// The most so far.
    had: usize,
    was_said: bool,
}

impl<'a> Attempts<'a> {
    fn new(args: &'a cli::Exec) -> Attempts<'a> {
        Attempts { args, patience: Patience::new(), had: 0, was_said: false }
    }

    /// After the `had` slots were given back.
    fn pause(&mut self, had: usize, end: &End, is_free: impl Fn() -> bool) -> io::Result<()> {
        self.had = self.had.max(had);
        if !std::mem::replace(&mut self.was_said, true) {
            say(format_args!(
                "{} got {had} of {} and no more: that is given back for now, since another command may be waiting \
                 for it in the same way: trying again until all are there",
                self.args.command[0].to_string_lossy(),
                gather::slots(self.args.slots.least)
            ));
        }
        self.patience.pause(end, is_free)
    }

    /// Ended with `had` slots at hand.
    fn over(&self, had: usize, signals: &mut Signals) -> Answer {
        match signals.want_end() {
            true => Answer::Ended,
            false => Answer::TimedOut { had: self.had.max(had) },
        }
    }
}

impl Slots {
    fn new(tokens: Vec<Acquired>, leased: Option<(Leased, Way)>) -> Slots {
        let leased = leased.map(|(leased, way)| (Box::new(leased), way));
        Slots { number: tokens.len() + 1, tokens, leased }
    }

    pub(super) fn stated(number: usize) -> Slots {
        Slots { number, tokens: Vec::new(), leased: None }
    }

    /// There is a pool, and it can't be used.
    pub(super) fn without(args: &cli::Exec, error: &io::Error) -> Slots {
        let number = args.slots.least;
        let (program, slots) = (args.command[0].to_string_lossy(), gather::slots(number));
        say(format_args!("the pool gives no slots: {error}: {program} goes on as if it had {slots}"));
        Slots::stated(number)
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Lets the command's own tools take part.
    pub(super) fn join(&self, command: &mut Command) -> io::Result<()> {
        match &self.leased {
            Some((leased, way)) if way.style != Style::Pipe => {
                leased.join_make(command)?;
                shim::hand(way.shims.as_ref(), command);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn started(&mut self, pid: u32) {
        if let Some((leased, _)) = &mut self.leased {
            leased.started(pid);
        }
    }

    pub(super) fn release(self) {
        // Before the lease ends, so that the pool sees them come back.
        drop(self.tokens);
        if let Some((leased, _)) = self.leased {
            leased.close();
        }
    }
}
