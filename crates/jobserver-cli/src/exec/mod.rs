//! `jobserver exec`: slots for a tool that doesn't speak the protocol.
//!
//! The order: signals are kept, so that a wait can be ended with everything given back; then slots are gathered
//! (`gather`) from where they come from (`source`); then the command is told how many it has, and started. The tokens are
//! in this process while the command runs, so they go back on every way out: ours or the command's end, and, where the
//! pool knows whose they are, SIGKILL of either.
//!
//! The command may have tools below it that do speak the protocol. It is left in the jobserver that was inherited, and
//! joins the lease that was opened for it in a served pool; what those tools take there comes on top of the slots that it
//! was given, within MAX in a lease.

#[cfg(target_os = "linux")]
pub(crate) mod collector;
#[cfg(not(target_os = "linux"))]
#[path = "uncollected.rs"]
pub(crate) mod collector;
mod end;
mod gather;
mod inherited;
mod own;
#[cfg(target_os = "linux")]
mod owner;
#[cfg(not(target_os = "linux"))]
mod unwatched;
#[cfg(not(target_os = "linux"))]
use unwatched as owner;
mod source;

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::Command;

use self::end::End;
use self::source::{Answer, Slots, Source};
use crate::bond::Bond;
use crate::report::say;
use crate::signals::Signals;
use crate::{cli, exit, spawn};

/// As `timeout` has it.
const TIMED_OUT: exit::Code = 124;

pub(crate) fn run(args: &cli::Exec) -> exit::Code {
    // First of all: descriptors that are closed must not be numbers of ours when they are looked at.
    let source = Source::find(args);
    #[cfg(unix)]
    spawn::be_called("jobserver");
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return become_command(args, &error),
    };
    let answer = match source {
        Source::Stated(width) => Answer::Got(Slots::stated(width)),
        source => match End::new(args.timeout, &signals) {
            Ok(mut end) => source.gather(args, &mut signals, &mut end),
            Err(error) => Answer::Got(Slots::without(args, &error)),
        },
    };
    let slots = match answer {
        Answer::Got(slots) => slots,
        Answer::Refused(why) => {
            say(why);
            return exit::OURS;
        }
        Answer::TimedOut { had } => {
            let time = args.timeout.unwrap_or_default().as_secs_f64();
            say(format_args!(
                "{} did not come in {time} s, {had} at most: others use them: a longer --timeout or fewer with -n",
                gather::slots(args.slots.least)
            ));
            return TIMED_OUT;
        }
        Answer::Ended => return exit::of_signal(signals.first()),
    };
    let _bond = Bond::tie();
    let status = execute(args, slots, &mut signals);
    status.unwrap_or_else(|error| spawn::failed(&args.command[0], &error))
}

/// Runs the command with its slots, which go back when it has ended.
fn execute(args: &cli::Exec, mut slots: Slots, signals: &mut Signals) -> io::Result<exit::Code> {
    let words = words(args, slots.number());
    let prepare = |command: &mut Command| {
        tell(args, slots.number(), command);
        slots.join(command)
    };
    let mut command = spawn::command(&words);
    prepare(&mut command)?;
    let mut child = spawn::start(command, &words, prepare)?;
    slots.started(child.id());
    let status = signals.supervise(&mut child).map(exit::of_command).unwrap_or_else(|error| {
        say(format_args!("the command can't be waited for: {error}"));
        exit::OURS
    });
    slots.release();
    Ok(status)
}

fn words(args: &cli::Exec, number: usize) -> Vec<OsString> {
    let number = number.to_string();
    args.command.iter().map(|word| spawn::fill(word, number.as_ref())).collect()
}

fn tell(args: &cli::Exec, number: usize, command: &mut Command) {
    let names = args.variables.iter().map(OsString::as_os_str);
    for name in ["JOBSERVER_SLOTS", "PARALLELISM"].map(OsStr::new).into_iter().chain(names) {
        command.env(name, number.to_string());
    }
}

/// Without even the descriptors to hear signals the command takes our place, with the width that it needs at least.
fn become_command(args: &cli::Exec, error: &io::Error) -> exit::Code {
    let number = Slots::without(args, error).number();
    let words = words(args, number);
    let mut command = spawn::command(&words);
    tell(args, number, &mut command);
    spawn::in_our_place(&args.command[0], command)
}
