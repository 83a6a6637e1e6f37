//! `jobserver run`: plan, pool, command, report.
//!
//! The order matters. What asks a make for its version comes first, while a Ctrl-C still ends us with nothing to clean
//! up; then signals are kept, so that nothing we make can outlive us; then the pool is made and the command started.

use std::io;
use std::process::{Child, Command};

use crate::bond::Bond;
use crate::plan::{self, Plan, Wish};
use crate::pool::Pool;
use crate::report::say;
use crate::shim::{self, Shims};
use crate::signals::Signals;
use crate::timeline::Timeline;
use crate::words::Words;
use crate::{cli, command_line, exit, spawn};

pub(crate) fn run(args: &cli::Run) -> exit::Code {
    let mut timeline = match Timeline::prepare(args) {
        Ok(timeline) => timeline,
        Err(why) => {
            say(why);
            return exit::OURS;
        }
    };
    let (plan, mut shims) = plan::make(&Wish::of(args));
    let jobs_alone = plan.jobs_alone();
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return become_command(args, jobs_alone, &error),
    };
    let bond = Bond::tie();
    let Some((pool, started)) = start(args, plan, &mut shims, &mut signals, timeline.as_mut()) else {
        return exit::of_signal(signals.first());
    };
    let status = match started {
        Ok(mut child) => {
            let ended = signals.supervise(&mut child);
            let status = ended.as_ref().map_or_else(
                |error| {
                    say(format_args!("the command can't be waited for: {error}"));
                    exit::OURS
                },
                |status| exit::of_command(*status),
            );
            if let Some(timeline) = timeline {
                timeline.finish(ended);
            }
            status
        }
        // Those that a start needs are not there although the pool has given its own back.
        Err(error) if spawn::lacks_descriptors(&error) && !pool.exists() => {
            drop(signals);
            return in_our_place(args, &pool);
        }
        Err(error) => spawn::failed(&args.command[0], &error),
    };
    bond.wait_for_the_rest(|| pool.is_whole());
    for line in pool.close().lines() {
        say(line);
    }
    status
}

/// `None`: somebody wants to end it while it waits for its first slot.
fn start(
    args: &cli::Run,
    plan: Plan,
    shims: &mut Option<Shims>,
    signals: &mut Signals,
    mut timeline: Option<&mut Timeline>,
) -> Option<(Pool, io::Result<Child>)> {
    let jobs_alone = plan.jobs_alone();
    let mut command = spawn::command(&args.command);
    let words = Words::of(args);
    let mut pool = Pool::open(plan, &words, &mut command, || signals.want_end())?;
    shim::hand(shims.as_ref(), &mut command);
    // A tool that is called by its path goes past the shims.
    let by_name = !args.command[0].as_encoded_bytes().contains(&b'/');
    let drops = shims.is_some() && args.shim() == cli::Shim::All && by_name;
    if pool.exists() && !drops {
        if let Some(option) = command_line::leaves_pool(&args.command) {
            say(format_args!(
                "`{option}` leaves the pool: with a -j of its own a tool takes no slots from it: give the width to \
                 `jobserver run -j N` alone"
            ));
        }
    }
    let join = |pool: &Pool, shell: &mut Command| {
        pool.join(shell)?;
        shim::hand(shims.as_ref(), shell);
        Ok(())
    };
    if let Some(timeline) = &mut timeline {
        timeline.begin();
    }
    let mut started = spawn::start(command, &args.command, |shell| join(&pool, shell));
    if let Some(error) = started.as_ref().err().filter(|error| pool.exists() && spawn::lacks_descriptors(error)) {
        // The pool has taken those that the start needs.
        pool.close();
        *shims = None;
        command = spawn::command(&args.command);
        pool = Pool::without(jobs_alone, error, &mut command);
        shim::hand(None, &mut command);
        started = spawn::start(command, &args.command, |shell| {
            pool.join(shell)?;
            shim::hand(None, shell);
            Ok(())
        });
    }
    if let Ok(child) = &started {
        pool.started(child.id());
        if let Some(timeline) = timeline {
            timeline.started(child.id(), pool.source());
        }
    }
    Some((pool, started))
}

/// Without even the descriptors to hear signals there is nothing that we could do for the command.
fn become_command(args: &cli::Run, jobs: usize, error: &io::Error) -> exit::Code {
    let pool = Pool::without(jobs, error, &mut spawn::command(&args.command));
    in_our_place(args, &pool)
}

/// Not to be in the command's way: it takes our place, so that status and signals are its own.
fn in_our_place(args: &cli::Run, pool: &Pool) -> exit::Code {
    let mut command = spawn::command(&args.command);
    match pool.join(&mut command) {
        Ok(()) => spawn::in_our_place(&args.command[0], command),
        Err(error) => spawn::failed(&args.command[0], &error),
    }
}
