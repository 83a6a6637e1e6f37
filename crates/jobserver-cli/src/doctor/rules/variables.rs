//! Traps in the text of the variables: who reads what, and where two clients read it differently.

use jobserver::{Auth, Jobs};

use crate::doctor::channel::Channel;
use crate::doctor::finding::{export, list, note, plain, problem, unset, Finding};
use crate::doctor::situation::Situation;
use crate::doctor::variables::Variable;

pub(crate) fn rules(situation: &Situation) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(hidden_by_cargo(situation));
    for name in ["MAKEFLAGS", "CARGO_MAKEFLAGS"] {
        let Some(variable) = situation.variable(name) else { continue };
        let remedy = mend(variable, situation);
        found.extend(not_text(variable, &remedy));
        found.extend(several(variable, situation, &remedy));
        found.extend(behind(variable, &remedy));
        if name == "MAKEFLAGS" {
            // Who reads the other one does not mind these.
            found.extend(dry_run(variable, &remedy));
            found.extend(fds_with_path(variable, &remedy));
        }
    }
    found.extend(gnu_makeflags(situation));
    found.extend(mflags_only(situation));
    found.extend(jobs_without(situation));
    found
}

/// One value that all read alike, or none where the jobserver of the value is gone anyway.
fn mend(variable: &Variable, situation: &Situation) -> String {
    let text = variable.auth.as_ref().or(variable.hidden().map(|mention| &mention.text));
    let auth = text.and_then(|text| Auth::parse(text).ok());
    // One that only others see has not been looked at: it isn't brought back unless another variable vouches for it.
    let is_known = |auth: &Auth| {
        situation.named.iter().any(|named| named.auth.as_ref() == Ok(auth) && named.channel.is_joinable())
    };
    match auth.filter(is_known).and_then(|auth| variable.mended(&auth)) {
        Some(value) => export(variable.name, value),
        None => unset(&[variable.name]),
    }
}

/// A CARGO_MAKEFLAGS that can't be joined keeps Rust programs from the good one.
fn hidden_by_cargo(situation: &Situation) -> Option<Finding> {
    let cargo = situation.variable("CARGO_MAKEFLAGS")?;
    let good = ["MAKEFLAGS", "MFLAGS"]
        .into_iter()
        .find(|name| situation.named_by(name).is_some_and(|named| named.channel.is_joinable()))?;
    let why =
        "cargo, rustc and other Rust programs take the first of CARGO_MAKEFLAGS, MAKEFLAGS and MFLAGS that is set, \
               and look no further";
    match situation.named_by("CARGO_MAKEFLAGS") {
        None => Some(problem(
            "cargo-makeflags-without-auth",
            format!("CARGO_MAKEFLAGS names no jobserver and hides the one that {good} names"),
            why,
            unset(&[cargo.name]),
        )),
        Some(named) if !named.channel.is_joinable() => Some(problem(
            "stale-cargo-makeflags",
            format!("CARGO_MAKEFLAGS names {}, which can't be joined, and hides {good}, which can", shown(&named.text)),
            why,
            unset(&[cargo.name]),
        )),
        Some(named) if !named.variables.contains(&good) => Some(note(
            "two-jobservers",
            format!("CARGO_MAKEFLAGS and {good} name two jobservers, and both can be joined"),
            "Rust programs join the first and all others the second, so that together they run more jobs than either \
             allows; cargo does that to its build scripts",
            unset(&[cargo.name]),
        )),
        Some(_) => None,
    }
}

fn not_text(variable: &Variable, remedy: &str) -> Option<Finding> {
    let what = format!("{} names a jobserver and is not UTF-8", variable.name);
    let why = "cargo, rustc and other Rust programs then see no jobserver in it; make and ninja take any bytes";
    let counts = !variable.is_text() && variable.auth.is_some();
    counts.then(|| problem("makeflags-not-utf8", what, why, remedy.to_string()))
}

fn several(variable: &Variable, situation: &Situation, remedy: &str) -> Option<Finding> {
    let rivals = variable.rivals();
    let is_off = situation.named_by(variable.name).is_some_and(|named| named.channel == Channel::Disabled);
    if rivals.len() < 2 || is_off {
        return None;
    }
    let names: Vec<String> = rivals.iter().map(shown).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Some(problem(
        "several-auths",
        format!("{} names {} jobservers: {}", variable.name, names.len(), list(&names)),
        "make and ninja take the last one, Rust programs any --jobserver-auth before a --jobserver-fds, others the \
         first: the tools of a build don't meet in one pool",
        remedy.to_string(),
    ))
}

fn behind(variable: &Variable, remedy: &str) -> Option<Finding> {
    let hidden = variable.hidden()?;
    Some(problem(
        "auth-after-variables",
        format!("{} names {} where make does not look for it", variable.name, shown(&hidden.text)),
        "behind ` -- `, and inside another word, stand variables and goals for make; ninja, gcc, clang and Rust programs \
         search the whole text and take it for a jobserver",
        remedy.to_string(),
    ))
}

fn dry_run(variable: &Variable, remedy: &str) -> Option<Finding> {
    let counts = variable.dry_run && variable.auth.is_some();
    counts.then(|| {
        problem(
            "dry-run-flag",
            "MAKEFLAGS begins with a word that has an `n`".to_string(),
            "that means `make -n`: ninja and clang then leave the jobserver alone and run as many jobs as they like, and \
             make only prints",
            remedy.to_string(),
        )
    })
}

fn fds_with_path(variable: &Variable, remedy: &str) -> Option<Finding> {
    let poison = variable
        .mentions
        .iter()
        .find(|mention| mention.is_fds && mention.text.as_encoded_bytes().starts_with(b"fifo:"))?;
    Some(problem(
        "fds-with-fifo",
        format!("MAKEFLAGS has --jobserver-fds={}", shown(&poison.text)),
        "that word is for two numbers: ninja says \"Invalid file descriptor pair\" and drops the jobserver even if \
         --jobserver-auth names it as well, and clang does the same",
        remedy.to_string(),
    ))
}

fn gnu_makeflags(situation: &Situation) -> Option<Finding> {
    let variable = situation.variable("GNUMAKEFLAGS")?;
    let auth = variable.auth.as_ref()?;
    let text = format!("GNUMAKEFLAGS names the jobserver {}", shown(auth));
    if situation.variable("MAKEFLAGS").is_some_and(|flags| flags.auth.is_some()) {
        return Some(note(
            "gnumakeflags-ignored",
            text,
            "MAKEFLAGS names one as well, and wins",
            unset(&["GNUMAKEFLAGS"]),
        ));
    }
    let makeflags = situation
        .named_by("GNUMAKEFLAGS")
        .filter(|named| named.channel.is_joinable())
        .and_then(|named| named.auth.as_ref().ok())
        .and_then(|auth| variable.mended(auth))
        .map(|value| format!("{}; ", export("MAKEFLAGS", value)));
    Some(problem(
        "gnumakeflags-auth",
        text,
        "make reads this variable and takes it out of the environment; no other tool ever looks at it",
        makeflags.unwrap_or_default() + &unset(&["GNUMAKEFLAGS"]),
    ))
}

fn mflags_only(situation: &Situation) -> Option<Finding> {
    let named = situation.named_by("MFLAGS")?;
    let is_alone = !named.variables.contains(&"MAKEFLAGS") && situation.named_by("MAKEFLAGS").is_none();
    let mended = situation.variable("MFLAGS")?.mended(named.auth.as_ref().ok()?)?;
    (is_alone && named.channel.is_joinable()).then(|| {
        problem(
            "mflags-only",
            "MFLAGS names a jobserver and MAKEFLAGS doesn't".to_string(),
            "make writes MFLAGS for old makefiles and never reads it; ninja, gcc and clang don't either",
            export("MAKEFLAGS", mended),
        )
    })
}

/// `-jN` from a profile: every make makes a pool of its own.
fn jobs_without(situation: &Situation) -> Option<Finding> {
    let variable = ["MAKEFLAGS", "GNUMAKEFLAGS"]
        .iter()
        .filter_map(|name| situation.variable(name))
        .find(|variable| variable.jobs.is_some() && variable.mentions.is_empty())?;
    if situation.joinable().is_some() {
        return None;
    }
    let option = match variable.jobs? {
        Jobs::Limit(jobs) => format!("-j{jobs}"),
        _ => "-j".to_string(),
    };
    let run = situation.run_line();
    let run = if option == "-j" { run } else { run.replacen("jobserver run ", &format!("jobserver run {option} "), 1) };
    // Somebody has meant one pool for all.
    let say = if situation.serving().is_some() { problem } else { note };
    Some(say(
        "jobs-without-jobserver",
        format!("{} says {option} and names no jobserver", variable.name),
        "each make that is started here makes a pool of its own, so that two of them run twice as many jobs; ninja, cargo \
         and others don't read it",
        format!("{}; {run}", unset(&[variable.name])),
    ))
}

fn shown(text: impl AsRef<std::ffi::OsStr>) -> String {
    plain(&text.as_ref().to_string_lossy())
}
