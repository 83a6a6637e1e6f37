//! From what was seen to what there is to say: pure functions.
//!
//! A code never changes its meaning, and is that of other systems where the matter is the same. A remedy is a line for
//! `cmd`, whole as it stands.

use std::ffi::OsString;

use super::look::{Channel, Situation, Tool};
use crate::command_line::leaves_pool;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) is_problem: bool,
    pub(super) code: &'static str,
    pub(super) what: String,
    pub(super) why: &'static str,
    pub(super) remedy: String,
}

pub(super) fn all(situation: &Situation) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(not_found(situation));
    found.extend(channels(situation));
    found.extend(hidden_by_cargo(situation));
    found.extend(two(situation));
    found.extend(situation.tools.iter().filter_map(|tool| emulated(tool, situation)));
    found.extend(situation.tools.iter().filter_map(|tool| too_old(tool, situation)));
    found.extend(leaves(situation));
    found
}

fn problem(code: &'static str, what: String, why: &'static str, remedy: impl Into<String>) -> Finding {
    Finding { is_problem: true, code, what, why, remedy: remedy.into() }
}

fn not_found(situation: &Situation) -> Option<Finding> {
    let program = situation.command.first().filter(|_| situation.program.is_none())?;
    let name = program.to_string_lossy();
    Some(problem(
        "command-not-found",
        format!("{name} is not on PATH, with none of the endings that PATHEXT has"),
        "what it would do with the jobserver depends on its version; what is built into cmd needs `cmd /c`",
        format!("where {name}"),
    ))
}

/// The one that counts can't be joined.
fn channels(situation: &Situation) -> Option<Finding> {
    let (variable, text, channel) = situation.counting()?;
    let name = variable.name;
    let unset = format!("set {name}=");
    match channel {
        Channel::Joinable => None,
        Channel::Emulated => Some(problem(
            "jobserver-of-an-emulation",
            format!("{name} names {text}, which is the jobserver of MSYS2's or Cygwin's make"),
            "descriptors and named pipes exist among the programs of that emulation alone: no other program can join \
             them; a make that is built for Windows itself has a semaphore, as mingw32-make of \
             mingw-w64-x86_64-make has",
            "pacman -S mingw-w64-x86_64-make",
        )),
        Channel::Missing => Some(problem(
            "stale-semaphore",
            format!("{name} names {text}, and there is no such semaphore in this session"),
            "a semaphore is gone with the last program that has it open: the variable is left over from a build that has \
             ended, or comes from another user's session",
            unset,
        )),
        Channel::NotUnderstood(_) => Some(problem(
            "not-understood",
            format!("{name} names {text}, which is no jobserver's name"),
            "no tool can join it: some stop, others go on by themselves",
            unset,
        )),
        Channel::Failed(error) => Some(problem(
            "semaphore-out-of-reach",
            format!("{name} names {text}, which can't be opened: {error}"),
            "it belongs to another user, or to a program with higher rights",
            unset,
        )),
    }
}

fn hidden_by_cargo(situation: &Situation) -> Option<Finding> {
    situation.joinable()?;
    let first = situation.variables.first().filter(|variable| variable.name == "CARGO_MAKEFLAGS")?;
    if first.names.as_ref().is_some_and(|(_, channel)| *channel == Channel::Joinable) {
        return None;
    }
    Some(problem(
        "stale-cargo-makeflags",
        "CARGO_MAKEFLAGS names no jobserver that can be joined, and hides the one that MAKEFLAGS names".to_string(),
        "cargo, rustc and other Rust programs take the first of CARGO_MAKEFLAGS, MAKEFLAGS and MFLAGS that is set, and \
         look no further",
        "set CARGO_MAKEFLAGS=",
    ))
}

fn two(situation: &Situation) -> Option<Finding> {
    let joinable = |name: &str| {
        let variable = situation.variables.iter().find(|variable| variable.name == name)?;
        variable.names.as_ref().filter(|(_, channel)| *channel == Channel::Joinable).map(|(text, _)| text)
    };
    (joinable("CARGO_MAKEFLAGS")? != joinable("MAKEFLAGS")?).then(|| Finding {
        is_problem: false,
        ..problem(
            "two-jobservers",
            "CARGO_MAKEFLAGS and MAKEFLAGS name two jobservers, and both can be joined".to_string(),
            "Rust programs join the first and all others the second, so that together they run more jobs than either \
             allows",
            "set CARGO_MAKEFLAGS=",
        )
    })
}

fn emulated(tool: &Tool, situation: &Situation) -> Option<Finding> {
    let emulation = tool.emulation()?;
    let finding = problem(
        "make-of-an-emulation",
        format!("{} ({}) is {emulation}'s make", tool.path.display(), tool.number()),
        "it shares its jobserver by descriptors among its own programs and can't join a semaphore: where MAKEFLAGS names \
         one it warns and runs one job at a time, and before 4.4 it stops with an internal error; a make that is built \
         for Windows itself joins, as mingw32-make of mingw-w64-x86_64-make does",
        "pacman -S mingw-w64-x86_64-make",
    );
    // Where there is no semaphore, and nobody asks about it, it does no harm.
    Some(Finding { is_problem: tool.is_asked || situation.joinable().is_some(), ..finding })
}

/// make has semaphores since 4.0, ninja since 1.13.
fn too_old(tool: &Tool, situation: &Situation) -> Option<Finding> {
    let what = format!("{} ({}) is too old to join a semaphore", tool.path.display(), tool.number());
    let finding = match &*tool.name {
        "ninja" if tool.is_older_than(1, 13) => problem(
            "ninja-too-old",
            what,
            "ninja before 1.13 runs as many jobs as there are processors, whatever the pool has left; `jobserver exec` \
             takes slots for it and tells it how many",
            "jobserver exec -n 1..8 -- ninja -j {}",
        ),
        "ninja" => return None,
        _ if tool.emulation().is_none() && tool.is_older_than(4, 0) => problem(
            "make-too-old",
            what,
            "make before 4.0 has no jobserver on Windows, and runs one job at a time",
            "winget install ezwinports.make",
        ),
        _ => return None,
    };
    Some(Finding { is_problem: tool.is_asked && situation.joinable().is_some(), ..finding })
}

fn leaves(situation: &Situation) -> Option<Finding> {
    let option = situation.leaves.as_ref()?;
    situation.joinable()?;
    Some(problem(
        "command-leaves-pool",
        format!("`{option}` leaves the pool"),
        "with a width of its own a tool takes no tokens from the jobserver and runs that many jobs besides all others",
        staying(&situation.command).unwrap_or_else(|| "jobserver run -- make".to_string()),
    ))
}

/// The same command without the option that leaves the pool, if leaving out a word (and its number) does it.
fn staying(words: &[OsString]) -> Option<String> {
    let stays = |words: &[OsString]| {
        let text = || words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        leaves_pool(words).is_none().then(text)
    };
    (1..words.len()).rev().find_map(|at| {
        let mut fewer = words.to_vec();
        fewer.remove(at);
        let is_number = |word: &OsString| word.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        if fewer.get(at).is_some_and(is_number) {
            fewer.remove(at);
        }
        stays(&fewer)
    })
}

#[cfg(test)]
mod tests {
    use super::super::look::Variable;
    use super::*;

    fn variable(name: &'static str, channel: Option<Channel>) -> Variable {
        Variable { name, names: channel.map(|channel| (format!("pool of {name}"), channel)) }
    }

    fn codes(variables: Vec<Variable>, tools: Vec<Tool>) -> Vec<(&'static str, bool)> {
        let situation = Situation { variables, command: Vec::new(), leaves: None, program: None, tools };
        all(&situation).iter().map(|finding| (finding.code, finding.is_problem)).collect()
    }

    fn tool(name: &str, said: &str, is_asked: bool) -> Tool {
        Tool { name: name.to_string(), path: name.into(), said: said.to_string(), is_asked }
    }

    #[test]
    fn what_counts_is_judged_and_what_hides_it_is_named() {
        let joined = || variable("MAKEFLAGS", Some(Channel::Joinable));
        assert_eq!(codes(vec![], vec![]), []);
        assert_eq!(codes(vec![joined()], vec![]), []);
        for (channel, code) in [
            (Channel::Emulated, "jobserver-of-an-emulation"),
            (Channel::Missing, "stale-semaphore"),
            (Channel::NotUnderstood(String::new()), "not-understood"),
            (Channel::Failed(String::new()), "semaphore-out-of-reach"),
        ] {
            assert_eq!(codes(vec![variable("MAKEFLAGS", Some(channel.clone()))], vec![]), [(code, true)]);
            let stale = variable("CARGO_MAKEFLAGS", Some(channel));
            assert_eq!(codes(vec![stale, joined()], vec![]), [("stale-cargo-makeflags", true)]);
        }
        let both = vec![variable("CARGO_MAKEFLAGS", Some(Channel::Joinable)), joined()];
        assert_eq!(codes(both, vec![]), [("two-jobservers", false)]);
        assert_eq!(codes(vec![variable("CARGO_MAKEFLAGS", None), joined()], vec![]), [("stale-cargo-makeflags", true)]);
    }

    #[test]
    fn a_command_can_be_written_so_that_it_stays() {
        for (line, stays) in [
            ("make -j8 all", Some("make all")),
            ("make all -j 8", Some("make all")),
            ("ninja -C out -j8 x", Some("ninja -C out x")),
            ("make -kj8", Some("make")),
            ("make -j8 -j9", None),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(staying(&words).as_deref(), stays, "{line}");
        }
    }

    #[test]
    fn tools_are_judged_by_what_they_are_built_for_and_how_old_they_are() {
        let joined = || vec![variable("MAKEFLAGS", Some(Channel::Joinable))];
        let msys = |asked| tool("make", "GNU Make 4.4.1\nBuilt for x86_64-pc-msys\n", asked);
        assert_eq!(codes(vec![], vec![msys(false)]), [("make-of-an-emulation", false)]);
        assert_eq!(codes(vec![], vec![msys(true)]), [("make-of-an-emulation", true)]);
        assert_eq!(codes(joined(), vec![msys(false)]), [("make-of-an-emulation", true)]);
        assert_eq!(codes(joined(), vec![tool("make", "GNU Make 4.4.1\nBuilt for Windows32\n", true)]), []);
        assert_eq!(codes(joined(), vec![tool("make", "GNU Make 3.81\nBuilt for i386-pc-mingw32\n", true)]).len(), 1);
        assert_eq!(codes(joined(), vec![tool("ninja", "1.13.2\n", true)]), []);
        assert_eq!(codes(joined(), vec![tool("ninja", "1.12.1\n", true)]), [("ninja-too-old", true)]);
    }
}
