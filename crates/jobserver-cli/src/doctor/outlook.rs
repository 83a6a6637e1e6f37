//! What will happen: how `jobserver run` would go about it here, and what the command would do by itself.

use std::thread;

use super::finding::{line, list, plain};
use super::machine::Fuse;
use super::served::State;
use super::situation::Situation;
use super::tools::{Subject, Tool};
use super::variables::NAMES;

/// `jobserver run`, in the order of its own plan.
pub(crate) fn of_run(situation: &Situation) -> String {
    let make = situation.make_on_descriptors();
    if let Some(named) = situation.joined_by_run() {
        return match make {
            Some(make) if named.is_path() => {
                format!(
                    "takes its tokens from this jobserver, and passes them on by descriptors for make {}",
                    make.number()
                )
            }
            _ if situation.counting_one().is_some_and(|counting| counting.text == named.text) => {
                "joins this jobserver".to_string()
            }
            _ => format!("joins the jobserver of {}", list(&named.variables)),
        };
    }
    if let Some(named) = NAMES[..3].iter().find_map(|name| situation.named_by(name)) {
        let names = list(&named.variables);
        return format!("says that {names} can't be used, and runs one job at a time unless -j says otherwise");
    }
    let style = match make {
        Some(make) => {
            let outside = if situation.run_shuts_ninja_out() { "; ninja joins none of those" } else { "" };
            format!(" through inherited descriptors, since make {} can't join a named pipe{outside}", make.number())
        }
        None => String::new(),
    };
    if let Some(place) = situation.serving() {
        let counts = match &place.state {
            State::Answers(Some(counts)) => {
                format!(" ({} of {} slots free, {})", counts.free, counts.slots, builds(counts.builds))
            }
            _ => String::new(),
        };
        return format!("takes a lease of the pool that is served at {}{counts}{style}", place.directory.display());
    }
    let slots = thread::available_parallelism().map_or(1, usize::from);
    let kind = match (make, &situation.fuse) {
        (Some(_), _) => style,
        (None, Fuse::Usable) => " in which every process is known".to_string(),
        (None, _) => " on one named pipe for all, since there is no FUSE".to_string(),
    };
    format!("makes a pool of {slots} slots{kind}")
}

/// The command by itself, if there is one and it is known what it does.
pub(crate) fn of_command(situation: &Situation) -> Option<String> {
    let subject = situation.subject.as_ref()?;
    let program = subject.program.as_ref()?;
    let joinable = situation.joinable();
    let alone = |width: &str| Some(format!("is in no pool, and {width}"));
    if joinable.is_some() && subject.leaves.is_some() && subject.tool != Tool::Samurai {
        return Some("leaves the pool".to_string());
    }
    let Some(named) = joinable else {
        let is_named = situation.counting_one().is_some();
        return match subject.tool {
            _ if subject.leaves.is_some() => alone("has the width that it was given"),
            Tool::Make if is_named => alone("runs one job at a time, or stops"),
            Tool::Make => alone("runs one job at a time, unless its makefile or MAKEFLAGS says otherwise"),
            Tool::Ninja | Tool::Samurai => alone("runs about as many jobs as there are processors"),
            Tool::Cargo => alone("makes one of its own, as wide as there are processors"),
            Tool::CmakeBuild | Tool::GccLto | Tool::Other => None,
        };
    };
    Some(match subject.tool {
        Tool::Make if program.takes_pipes_only() && named.is_path() => "stops with an internal error".to_string(),
        Tool::Make => format!("joins (make {})", program.number()),
        Tool::Ninja if named.is_path() && !program.is_ninja_for_paths() => "stays outside".to_string(),
        Tool::Ninja if named.is_pipe() && !program.is_ninja_for_descriptors() => "stays outside".to_string(),
        Tool::Ninja => format!("joins (ninja {})", program.number()),
        Tool::Samurai => "stays outside".to_string(),
        Tool::Cargo if has_width(subject) => "joins, and its -j is a limit within the pool".to_string(),
        Tool::Cargo => "joins".to_string(),
        Tool::CmakeBuild => "leaves it to make or ninja, which find the same variables".to_string(),
        Tool::GccLto if program.is_old_gcc() && named.is_path() => "stays outside".to_string(),
        Tool::GccLto => format!("joins (gcc {})", program.number()),
        Tool::Other => "finds these variables; whether it or what it starts joins is not known".to_string(),
    })
}

/// The command as a person would write it.
pub(crate) fn shown(subject: &Subject) -> String {
    plain(&line(&subject.words))
}

fn has_width(subject: &Subject) -> bool {
    subject
        .words
        .iter()
        .any(|word| word.to_str().is_some_and(|word| word.starts_with("-j") || word.starts_with("--jobs")))
}

fn builds(count: usize) -> String {
    match count {
        0 => "no build".to_string(),
        1 => "1 build".to_string(),
        _ => format!("{count} builds"),
    }
}
