//! Traps at the other end of an auth: descriptors and paths that are not, or no longer, a jobserver.

use std::path::Path;

use jobserver::Auth;

use crate::doctor::channel::Channel;
use crate::doctor::finding::{export, list, note, plain, problem, quoted, unset, Finding};
use crate::doctor::situation::{Named, Situation};

pub(crate) fn rules(situation: &Situation) -> Vec<Finding> {
    let mut found = Vec::new();
    for named in &situation.named {
        // `stale-cargo-makeflags` and `gnumakeflags-ignored` have said it.
        let is_alone = |name| named.variables == [name];
        let good = situation.named.iter().any(|other| {
            other.channel.is_joinable() && ["MAKEFLAGS", "MFLAGS"].iter().any(|name| other.variables.contains(name))
        });
        if is_alone("GNUMAKEFLAGS") && situation.named_by("MAKEFLAGS").is_some() || is_alone("CARGO_MAKEFLAGS") && good
        {
            continue;
        }
        found.extend(broken(named, situation));
        found.extend(misread(named, situation));
    }
    found.extend(empty(situation));
    found
}

fn broken(named: &Named, situation: &Situation) -> Option<Finding> {
    let names = list(&named.variables);
    let verb = if named.variables.len() == 1 { "names" } else { "name" };
    let text = plain(&named.text.to_string_lossy());
    let says = |rest: String| format!("{names} {verb} {rest}");
    let remedy = away(named, situation);
    let left_over =
        "the variable is left over from a jobserver that has ended, or some program between it and here has \
                     closed or replaced its descriptors";
    let path = match &named.auth {
        Ok(Auth::Fifo(path)) => path.as_path(),
        _ => Path::new(""),
    };
    let shown_path = plain(&path.to_string_lossy());
    let alone = "make then runs one job at a time, ninja as many as it likes, and cargo makes a pool of its own";
    Some(match &named.channel {
        Channel::Joinable(_) => return None,
        Channel::Disabled => problem(
            "recipe-without-plus",
            says(format!("the descriptors {text}: make has switched the jobserver off for this recipe")),
            "make passes its descriptors only to recipes that begin with `+` or use $(MAKE): others get negative numbers, \
             and what they start runs alone",
            plus(situation),
        ),
        Channel::Closed(closed) if situation.under_make => problem(
            "recipe-without-plus",
            says(format!("the descriptors {text}, and {}", are_closed(closed))),
            "make before 4.4 passes its descriptors only to recipes that begin with `+` or use $(MAKE), and closes them \
             for all others",
            plus(situation),
        ),
        Channel::Closed(closed) => problem(
            "descriptors-closed",
            says(format!("the descriptors {text}, and {}", are_closed(closed))),
            left_over,
            remedy,
        ),
        Channel::Something { fd, is } => problem(
            "descriptor-is-something-else",
            says(format!("the descriptors {text}, but {fd} is {is}")),
            left_over,
            remedy,
        ),
        Channel::WrongWay { are_swapped, fd } => {
            let mended = match (&named.auth, are_swapped) {
                (&Ok(Auth::Pipe { read, write }), true) => Some(Auth::Pipe { read: write, write: read }),
                _ => None,
            };
            let exports = mended.and_then(|auth| {
                let lines = named.variables.iter().map(|name| {
                    let value = situation.variable(name)?.mended(&auth)?;
                    Some(export(name, value))
                });
                lines.collect::<Option<Vec<_>>>()
            });
            let what = match are_swapped {
                true => "but the first is for writing and the second for reading".to_string(),
                false => format!("but {fd} is open the wrong way"),
            };
            problem(
                "descriptors-wrong-way",
                says(format!("the descriptors {text}, {what}")),
                "tokens are read from the first and given back to the second",
                exports.map_or(remedy, |lines| lines.join("; ")),
            )
        }
        Channel::Unopenable { why } => problem(
            "descriptor-not-openable",
            says(format!("the descriptors {text}, which can't be opened anew")),
            format!("{why}: only programs that use the inherited descriptors themselves can join; `jobserver` can't"),
            remedy,
        ),
        Channel::NotUnderstood(why) => {
            problem("auth-not-understood", says(format!("a jobserver that nobody understands: `{text}`")), why, remedy)
        }
        Channel::Semaphore => problem(
            "auth-not-understood",
            says(format!("a jobserver that is neither two numbers nor a path: `{text}`")),
            "only make for Windows names a semaphore so, and none can be reached from here",
            remedy,
        ),
        Channel::Missing => problem(
            "fifo-missing",
            says(format!("the named pipe {shown_path}, which does not exist")),
            format!("its server has ended and removed it, or it lies outside this container: {alone}"),
            remedy,
        ),
        Channel::NotAFifo(is) => problem(
            "not-a-fifo",
            says(format!("{shown_path} as a named pipe, but it is {is}")),
            format!("no tokens can lie there: {alone}"),
            remedy,
        ),
        Channel::Forbidden { is_own: true, .. } => problem(
            "fifo-forbidden",
            says(format!("the named pipe {shown_path}, which this user owns and may not both read and write")),
            "a jobserver's client does both",
            format!("chmod u+rw {}", quoted(path)),
        ),
        Channel::Forbidden { owner, .. } => {
            let whose = owner.map_or(String::new(), |owner| format!(" of user {owner}"));
            problem(
                "fifo-forbidden",
                says(format!("the named pipe {shown_path}{whose}, which this user may not open")),
                "the build was started by another user, who keeps it private; after `sudo` or `su` the variable stays",
                remedy,
            )
        }
        Channel::Unserved => problem(
            "fifo-unserved",
            says(format!("the named pipe {shown_path}, which no process has open")),
            "its server was killed, so that nobody removed it: make waits for ever when it opens it, and others get no \
             token from it",
            remedy,
        ),
        Channel::ServerGone => problem(
            "pool-server-gone",
            says(format!("{shown_path}, whose pool is not served any more")),
            "builds that have begun go on with what they have; new tools can't join",
            remedy,
        ),
        Channel::Failed(why) => problem(
            "fifo-unreachable",
            says(format!("the named pipe {shown_path}, which can't be looked at")),
            why,
            remedy,
        ),
    })
}

fn are_closed(closed: &[i32]) -> String {
    match closed {
        [one] => format!("{one} is closed"),
        _ => "both are closed".to_string(),
    }
}

/// Away with the variable; for a command that is at hand, and a new pool.
fn away(named: &Named, situation: &Situation) -> String {
    match &situation.subject {
        None => unset(&named.variables),
        Some(_) => format!("{}; {}", unset(&named.variables), situation.run_line()),
    }
}

/// A `+` before the recipe's line that runs this.
fn plus(situation: &Situation) -> String {
    let what = match &situation.subject {
        Some(subject) => subject.words[0].to_string_lossy().into_owned(),
        None => "jobserver doctor".to_string(),
    };
    // What stands between slashes of sed, as itself.
    let pattern: String =
        what.chars().flat_map(|c| "/.*[]\\^$".contains(c).then_some('\\').into_iter().chain([c])).collect();
    let script = format!("/^\\t[^+]*{pattern}/s/^\\t/\\t+/");
    format!("sed -i {} {}", quoted(script), quoted(&situation.makefile))
}

fn misread(named: &Named, situation: &Situation) -> Option<Finding> {
    let Ok(Auth::Fifo(path)) = &named.auth else { return None };
    let why = if !path.is_absolute() {
        "a relative path leads elsewhere from any other folder"
    } else {
        let text = path.to_string_lossy();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        match text.chars().find(|&c| !is_plain(c))? {
            '$' => "make expands `$`: it looks for another path than all others do",
            c if c.is_whitespace() => "only make undoes the quoting of a blank: all others end the path there",
            _ => "clients quote and expand what is not A-Z a-z 0-9 _ . / - differently",
        }
    };
    Some(problem(
        "path-misread",
        format!(
            "{} leads to {}, which clients read differently",
            list(&named.variables),
            plain(&path.to_string_lossy())
        ),
        why,
        format!("{}; {}", unset(&named.variables), situation.run_line()),
    ))
}

/// Nothing to be had just now: all at work, or lost.
fn empty(situation: &Situation) -> Option<Finding> {
    let named = situation.joinable()?;
    let reached = named.channel.reached()?;
    let available = reached.available?;
    let look = "jobserver status".to_string();
    match (&reached.pool, available) {
        (Some(ours), 0) => Some(note(
            "pool-empty",
            format!("all {} slots of the pool are in use", ours.slots),
            "more jobs start as these come back; `jobserver status` says who has them",
            format!("{look} --pool {}", quoted(&ours.directory)),
        )),
        // A pool of one job has no tokens at all.
        (None, 0) if named.slots != Some(1) => Some(note(
            "pool-empty",
            "no token lies in the jobserver just now".to_string(),
            "all of them are at work, or some were lost when a process that held them was killed: this kind of jobserver \
             can't tell; if it stays so while nothing runs, start the build again under one that can",
            format!("{}; {}", unset(&named.variables), situation.run_line()),
        )),
        _ => None,
    }
}
