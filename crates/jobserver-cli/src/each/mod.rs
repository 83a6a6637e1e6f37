//! `jobserver each`: one command for each of many items, one slot an item.
//!
//! The main thread reads an item, takes a slot for it (`place`), and starts its command (`job`); a thread for each command
//! that runs waits for its end, gives the slot back, and writes what it has printed (`output`). What all of them share is
//! the `crew`: which commands run, and whether it is over. The item comes before the slot, so that no slot is held while
//! nobody knows whether there is a job for it.
//!
//! `each` is itself a client of the pool: its first item runs in its own slot, in its caller's if it inherited a
//! jobserver, and each further one in a token.

mod crew;
mod items;
mod job;
mod output;
mod place;
mod progress;
mod system;

use std::sync::Arc;

use self::crew::{Crew, Stop};
use self::items::Items;
use self::job::{Starter, Template};
use self::output::Output;
use self::place::{Origin, Place};
use self::progress::Progress;
use crate::bond::Bond;
use crate::report::say;
use crate::signals::Signals;
use crate::{cli, exit};

/// As GNU parallel counts.
const MORE_FAILED: u64 = 101;

pub(crate) fn run(args: &cli::Each) -> exit::Code {
    let (words, items) = match items::split(&args.command, args.null) {
        Ok(split) => split,
        Err(why) => {
            say(why);
            return exit::OURS;
        }
    };
    if items.total() == Some(0) {
        return 0;
    }
    let origin = Origin::find(args, &words);
    let mut signals = match Signals::listen_only() {
        Ok(signals) => signals,
        Err(error) => return out_of_descriptors(&error),
    };
    let _bond = Bond::tie();
    let Some(place) = Place::open(origin, args, &words, &mut signals) else {
        return exit::of_signal(signals.first());
    };
    let crew = match Crew::new() {
        Ok(crew) => Arc::new(crew),
        Err(error) => return out_of_descriptors(&error),
    };
    let ears = Arc::clone(&crew);
    let hearing = match signals.hear(move |signal, reached| ears.signal(signal, reached)) {
        Ok(hearing) => hearing,
        Err(error) => return out_of_descriptors(&error),
    };
    let output = Arc::new(Output::new(args.keep_order, Progress::new(items.total(), args.quiet)));
    let starter = Starter::new(Template::new(words), args.fail_fast, Arc::clone(&crew), Arc::clone(&output));
    start_all(items, starter, &place, &crew);
    crew.wait_for_all();
    output.finish();
    drop(hearing);
    place.close();
    status(&crew)
}

fn start_all(mut items: Items, mut starter: Starter, place: &Place, crew: &Arc<Crew>) {
    loop {
        let item = match items.next(crew) {
            Ok(Some(item)) => item,
            Ok(None) => return,
            Err(error) => {
                say(format_args!("the items can't be read: {error}"));
                return crew.stop(Stop::Failed(exit::OURS));
            }
        };
        crew.wait_for_room(place.most());
        let slot = place.take(crew);
        if crew.is_stopped() {
            return;
        }
        starter.start(&item, slot, place);
    }
}

fn status(crew: &Crew) -> exit::Code {
    match crew.stopped() {
        Some(Stop::Signal(signal)) => {
            say(format_args!("signal {signal}: no further items were started, and those that ran have ended"));
            exit::of_signal(Some(signal))
        }
        Some(Stop::Failed(status)) => status,
        Some(Stop::Enough) | None => crew.failures().min(MORE_FAILED) as exit::Code,
    }
}

fn out_of_descriptors(error: &std::io::Error) -> exit::Code {
    say(format_args!("nothing can be started: {error}: `ulimit -n` and `ulimit -u` set the limits"));
    exit::OURS
}
