//! One scenario on one crate: `actor ours|upstream SCENARIO RESULT-FILE ARGUMENT...`.
//!
//! Each scenario is a function that is generic over the crate and returns what it saw; this writes it into the file.
//! What a crate must answer is decided in `tests/`.

mod chain;
mod configure;
mod environment;
mod flags;
mod helper;
mod release;
mod sizes;

use std::fs;
use std::process::Command;

use compare::either::Jobserver;
use compare::wakeups::{wait, Way};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("usage: actor ours|upstream SCENARIO RESULT-FILE ARGUMENT...");
    let (which, scenario, result) = (next(), next(), next());
    let rest: Vec<String> = arguments.collect();
    let said = match which.as_str() {
        "ours" => run::<jobserver::Client>(&scenario, &result, &rest),
        "upstream" => run::<upstream::Client>(&scenario, &result, &rest),
        _ => panic!("no crate is called {which}"),
    };
    fs::write(result, said).unwrap();
}

fn run<J: Jobserver>(scenario: &str, result: &str, arguments: &[String]) -> String {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match scenario {
        "wait" => wait::<J>(Way::Acquire),
        "wait-helper" => wait::<J>(Way::Helper),
        "keep" => flags::keep(result),
        "use-everything" => flags::use_everything::<J>(&arguments),
        "flags-of-a-child" => flags::flags_of_a_child::<J>(),
        "without-proc" => flags::without_proc::<J>(),
        "show-flags" => flags::show_flags(),
        "cycle" => sizes::cycle::<J>(&arguments),
        "make" => sizes::make::<J>(&arguments),
        "quota" => sizes::quota::<J>(&arguments),
        "served" => sizes::served(&arguments),
        "look" => configure::look(),
        "drop-first" => configure::drop_first::<J>(),
        "reuse" => configure::reuse::<J>(),
        "reuse-inherited" => configure::reuse_inherited::<J>(),
        "closed-stdio" => configure::closed_stdio::<J>(),
        "print" => configure::print::<J>(),
        "children" => configure::children::<J>(&arguments),
        "storm" => configure::storm::<J>(),
        "forks" => configure::forks::<J>(&arguments),
        "sigusr1" => helper::sigusr1::<J>(),
        "masked" => helper::masked::<J>(),
        "drop-waiting" => helper::drop_waiting::<J>(&arguments),
        "drop-racing" => helper::drop_racing::<J>(&arguments),
        "full" => release::full::<J>(&arguments),
        "signals" => release::signals::<J>(&arguments),
        "give-back" => release::give_back::<J>(),
        "join" => environment::join::<J>(&arguments),
        "connect" => environment::connect::<J>(),
        "steal" => environment::steal::<J>(),
        "try" => environment::try_often::<J>(),
        "chain" => chain::chain::<J>(&arguments),
        _ => panic!("no scenario is called {scenario}"),
    }
}

/// A child of the scenario's own: this program once more.
struct Child {
    command: Command,
    result: tempfile::TempPath,
}

impl Child {
    fn new(which: &str, scenario: &str) -> Child {
        let result = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([which, scenario]).arg(&result);
        Child { command, result }
    }

    /// Runs it and returns what it said, or why it could not be started or failed.
    fn run(mut self) -> String {
        match self.command.status() {
            Ok(status) if status.success() => fs::read_to_string(&self.result).unwrap(),
            Ok(status) => format!("child failed: {status}"),
            Err(error) => format!("spawn failed: {error}"),
        }
    }
}
