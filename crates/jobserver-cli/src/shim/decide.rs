//! What a call of a tool becomes, read off its words and the environment: no I/O.
//!
//! A tool is kept in the pool that MAKEFLAGS names, or that it named before a script wrote its own `-jN` there. `-j1` is
//! left as it is: a build that says so is often broken in parallel, and in the pool it would be parallel. Any other width
//! gives way to the pool, a smaller one too: no tool knows a cap beside a jobserver.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use jobserver::{Auth, Jobs, MakeFlags};

use super::words;
use super::Tool;
use crate::command_line;

/// One call, and what it finds.
pub(super) struct Call<'a> {
    pub(super) tool: Tool,
    /// The program's name and its arguments.
    pub(super) words: &'a [OsString],
    pub(super) makeflags: &'a OsStr,
    /// The variable of our own.
    pub(super) fifo: Option<&'a OsStr>,
    /// Whether an explicit width is dropped.
    pub(super) drops: bool,
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is no pool.
    Alone,
    /// There is one, and this call is to go its own way, with all below it if `below`.
    Leaves { below: bool },
    /// It joins the pool at `path`, with these words.
    Joins { path: PathBuf, words: Vec<OsString> },
}

pub(super) fn decide(call: &Call) -> Verdict {
    let flags = MakeFlags::parse(call.makeflags);
    let auth = flags.jobserver().and_then(|text| Auth::parse(text).ok());
    let width = command_line::width(call.words);
    let ours = call.fifo.and_then(words::path);
    let path = match auth {
        Some(Auth::Fifo(path)) => Some(path),
        Some(_) => ours,
        None if stays(call, width, flags.jobs()) => ours,
        None => None,
    };
    let Some(path) = path else { return Verdict::Alone };
    match width {
        None => Verdict::Joins { path, words: call.words.to_vec() },
        Some(Jobs::Limit(1)) => Verdict::Leaves { below: false },
        Some(_) if call.drops => Verdict::Joins { path, words: command_line::without_width(call.words) },
        Some(_) => Verdict::Leaves { below: true },
    }
}

/// Whether a call that finds no jobserver in MAKEFLAGS is one of a script that wants to be parallel: make is not unless it
/// is told, ninja and cargo are.
fn stays(call: &Call, width: Option<Jobs>, flags: Option<Jobs>) -> bool {
    let told = |jobs: Option<Jobs>| jobs.is_some_and(|jobs| jobs != Jobs::Limit(1));
    let by_itself = match call.tool {
        Tool::Make | Tool::Cmake => told(width.or(flags)),
        Tool::Ninja | Tool::Cargo => true,
    };
    call.drops && by_itself
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "/p --jobserver-auth=fifo:/p";

    fn of(line: &str, makeflags: &str, fifo: Option<&str>, drops: bool) -> Verdict {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let tool = Tool::named(&words[0]).unwrap();
        let fifo = fifo.map(OsStr::new);
        decide(&Call { tool, words: &words, makeflags: makeflags.as_ref(), fifo, drops })
    }

    fn joins(path: &str, line: &str) -> Verdict {
        Verdict::Joins { path: path.into(), words: line.split(' ').map(OsString::from).collect() }
    }

    #[test]
    fn a_pool_is_the_one_that_makeflags_names_and_its_path_may_be_in_our_variable() {
        let pipe = " -j4 --jobserver-auth=100,101";
        for tool in ["make", "ninja", "cargo", "cmake --build"] {
            let line = format!("{tool} -v all");
            assert_eq!(of(&line, pipe, Some(OURS), false), joins("/p", &line), "{tool}");
            assert_eq!(of(&line, " --jobserver-auth=fifo:/q", Some(OURS), false), joins("/q", &line), "{tool}");
            assert_eq!(of(&line, " --jobserver-auth=fifo:/q", None, false), joins("/q", &line), "{tool}");
            assert_eq!(of(&line, pipe, None, true), Verdict::Alone, "{tool}");
            assert_eq!(of(&line, "", None, true), Verdict::Alone, "{tool}");
        }
        // Switched off for this recipe, which is what make does to all in it; the variable is still there.
        assert_eq!(of("make", " --jobserver-auth=-2,-2", Some(OURS), false), joins("/p", "make"));
    }

    #[test]
    fn an_explicit_width_is_dropped_or_else_left_with_all_below_it() {
        let pipe = " -j4 --jobserver-auth=100,101";
        for (line, rest) in [
            ("make -kj8 all", "make -k all"),
            ("gmake --jobs 2 all", "gmake all"),
            ("ninja -j0", "ninja"),
            ("samu -C out -j 16", "samu -C out"),
            ("cmake --build out --parallel 8 -- -v -j3", "cmake --build out -- -v"),
        ] {
            assert_eq!(of(line, pipe, Some(OURS), true), joins("/p", rest), "{line}");
            assert_eq!(of(line, pipe, Some(OURS), false), Verdict::Leaves { below: true }, "{line}");
            let one = line.replace("-j0", "-j1").replace(['8', '2', '3'], "1").replace("16", "1");
            assert_eq!(of(&one, pipe, Some(OURS), true), Verdict::Leaves { below: false }, "{one}");
        }
        // It stays in the pool by itself.
        assert_eq!(of("cargo build -j8", pipe, Some(OURS), true), joins("/p", "cargo build -j8"));
    }

    #[test]
    fn a_script_that_writes_makeflags_of_its_own_is_kept_if_it_wants_to_be_parallel() {
        for (line, makeflags, stays) in [
            ("make", "", false),
            ("make -j8", "", true),
            ("make", " -j8", true),
            ("make -j1", " -j8", false),
            ("make", " -j1", false),
            ("make", "k", false),
            ("ninja", "", true),
            ("cargo build", "", true),
            ("cmake --build out", "", false),
            ("cmake --build out -j8", "", true),
        ] {
            let kept = matches!(of(line, makeflags, Some(OURS), true), Verdict::Joins { .. });
            assert_eq!(kept, stays, "{line} {makeflags:?}");
            assert_eq!(of(line, makeflags, Some(OURS), false), Verdict::Alone, "{line} {makeflags:?}");
        }
    }
}
