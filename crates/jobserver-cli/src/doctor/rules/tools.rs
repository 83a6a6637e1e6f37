//! What the tools can do with the jobserver that counts: versions that can't join it, and options that leave it.
//!
//! A tool that is to be run now is a problem; one that only lies on PATH is a note.

use crate::doctor::finding::{line, note, plain, problem, unset, Finding};
use crate::doctor::situation::{Named, Situation};
use crate::doctor::tools::{Program, Subject, Tool};

pub(crate) fn rules(situation: &Situation) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(not_found(situation));
    if let Some(named) = situation.joinable() {
        found.extend(make(situation, named));
        found.extend(ninja(situation, named));
        found.extend(gcc(situation, named));
        found.extend(samurai(situation));
        found.extend(leaves(situation));
        found.extend(cmake(situation));
    } else if situation.tool() == Tool::Samurai {
        found.extend(samurai(situation));
    }
    found
}

fn not_found(situation: &Situation) -> Option<Finding> {
    let subject = situation.subject.as_ref().filter(|subject| subject.program.is_none())?;
    let name = &subject.words[0];
    let is_path = name.to_string_lossy().contains('/');
    let (place, remedy) = match is_path {
        true => ("there", format!("ls -l {}", line(&[name]))),
        false => ("on PATH", format!("type -a {}; echo \"$PATH\"", line(&[name]))),
    };
    Some(problem(
        "command-not-found",
        format!("{} is not {place}, or may not be executed", plain(&name.to_string_lossy())),
        "what it would do with the jobserver depends on its version",
        remedy,
    ))
}

fn is_about(situation: &Situation, tool: Tool) -> bool {
    situation.tool() == tool
}

fn of_version(program: &Program) -> String {
    format!("{} ({})", program.path.display(), program.number())
}

fn make(situation: &Situation, named: &Named) -> Option<Finding> {
    let make = situation.make.as_ref().filter(|make| make.takes_pipes_only() && named.is_path())?;
    let what = format!("{} is too old to join a named pipe", of_version(make));
    let why =
        "make before 4.4 stops with \"internal error: invalid --jobserver-auth string\"; `jobserver run` gives it \
               descriptors with tokens of the same pool";
    Some(match is_about(situation, Tool::Make) {
        true => problem("make-too-old", what, why, situation.run_line()),
        false => note("make-too-old", what, why, "jobserver run -- make".to_string()),
    })
}

fn ninja(situation: &Situation, named: &Named) -> Option<Finding> {
    let ninja = situation.ninja.as_ref()?;
    let (by_path, by_descriptors) = (ninja.is_ninja_for_paths(), ninja.is_ninja_for_descriptors());
    let is_asked = is_about(situation, Tool::Ninja);
    let say = if is_asked { problem } else { note };
    let asked = situation.subject.as_ref().filter(|_| is_asked);
    let words = line(&asked.and_then(Subject::staying).unwrap_or_else(|| vec!["ninja".into()]));
    match (named.is_path(), by_path, by_descriptors) {
        (true, true, _) | (false, _, true) => None,
        (_, false, false) => Some(say(
            "ninja-too-old",
            format!("{} is too old to join a jobserver", of_version(ninja)),
            "ninja before 1.13 runs as many jobs as there are processors, whatever the pool has left; `jobserver exec` \
             takes slots for it and tells it how many",
            format!("jobserver exec -n 1..8 -- {words} -j {{}}"),
        )),
        (true, false, true) => Some(say(
            "ninja-too-old",
            format!("{} is too old to join a named pipe", of_version(ninja)),
            "this build of it knows descriptors only, and runs as many jobs as there are processors; `jobserver run` gives \
             it descriptors with tokens of the same pool",
            format!("jobserver run --style pipe -- {words}"),
        )),
        (false, true, false) => Some(say(
            "ninja-needs-fifo",
            format!("{} joins named pipes only, and this jobserver has descriptors", of_version(ninja)),
            "ninja says so in one line and runs as many jobs as there are processors; `jobserver run` gives it a named \
             pipe with tokens of the same pool",
            format!("jobserver run --style fifo -- {words}"),
        )),
    }
}

/// Fifos came with GCC 13.
fn gcc(situation: &Situation, named: &Named) -> Option<Finding> {
    let subject = situation.subject.as_ref().filter(|subject| subject.tool == Tool::GccLto)?;
    let gcc = subject.program.as_ref()?;
    (gcc.is_old_gcc() && named.is_path()).then(|| {
        problem(
            "gcc-too-old",
            format!("{} is too old to join a named pipe", of_version(gcc)),
            "gcc before 13 does not recognise it, and optimises with a width of its own, without a word; `jobserver run` \
             gives it descriptors with tokens of the same pool",
            situation.run_line(),
        )
    })
}

fn samurai(situation: &Situation) -> Option<Finding> {
    let subject = situation.subject.as_ref().filter(|subject| subject.tool == Tool::Samurai)?;
    Some(problem(
        "samurai-joins-none",
        "samu joins no jobserver".to_string(),
        "it runs as many jobs as there are processors, or as its -j says; `jobserver exec` takes slots for it and tells \
         it how many",
        format!("jobserver exec -n 1..8 -- {} -j {{}}", line(&subject.staying()?)),
    ))
}

fn leaves(situation: &Situation) -> Option<Finding> {
    let subject = situation.subject.as_ref().filter(|subject| subject.tool != Tool::Samurai)?;
    let option = subject.leaves.as_ref()?;
    Some(problem(
        "command-leaves-pool",
        format!("`{}` leaves the pool", plain(option)),
        "with a width of its own a tool takes no tokens from the jobserver and runs that many jobs besides all others",
        match subject.staying() {
            Some(words) => line(&words),
            None => "jobserver run -- make".to_string(),
        },
    ))
}

/// cmake hands it on as `-jN`.
fn cmake(situation: &Situation) -> Option<Finding> {
    let level = situation.cmake_level.as_ref().filter(|_| is_about(situation, Tool::CmakeBuild))?;
    Some(problem(
        "cmake-parallel-level",
        format!("CMAKE_BUILD_PARALLEL_LEVEL={} takes the build out of the pool", plain(&level.to_string_lossy())),
        "`cmake --build` hands it to make or ninja as -j, and with a width of its own a tool takes no tokens",
        unset(&["CMAKE_BUILD_PARALLEL_LEVEL"]),
    ))
}
