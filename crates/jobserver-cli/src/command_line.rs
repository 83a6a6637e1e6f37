//! An explicit `-jN` in the command itself, which takes a tool out of the pool: found, named, and taken out.
//!
//! make says "resetting jobserver mode", ninja and samurai say nothing, and `cmake --build` hands its number to one of
//! them. cargo stays in the pool whatever its `-j`. Only the command's own words are read: what a script does is its own
//! affair. `run` and `doctor` name what is found, `doctor` and the shims leave it out.

// On Windows it is named only.
#![cfg_attr(windows, allow(dead_code))]

use std::ffi::{OsStr, OsString};
use std::path::Path;

use jobserver::{Jobs, MakeFlags};

/// One option that states a width.
struct Width {
    /// The word that it is in, and whether the next one is its number.
    at: usize,
    with_next: bool,
    /// What is left of the word without it: `-k` of `-kj8`.
    rest: Option<OsString>,
    jobs: Jobs,
    /// As in a message.
    text: String,
}

/// The tool and its option, as in `make -j8`, if the command will leave the pool.
pub(crate) fn leaves_pool(command: &[OsString]) -> Option<String> {
    // The last one counts.
    let width = widths(command).pop()?;
    Some(format!("{} {}", tool(command.first()?)?, width.text))
}

/// The width of a command that will leave the pool.
pub(crate) fn width(command: &[OsString]) -> Option<Jobs> {
    widths(command).pop().map(|width| width.jobs)
}

/// The same command without any width.
pub(crate) fn without_width(command: &[OsString]) -> Vec<OsString> {
    let widths = widths(command);
    let mut words = command.to_vec();
    for width in widths.into_iter().rev() {
        if width.with_next {
            words.remove(width.at + 1);
        }
        match width.rest {
            Some(rest) => words[width.at] = rest,
            None => drop(words.remove(width.at)),
        }
    }
    words
}

/// What a program is called, wherever it lies: `make` for `C:\\bin\\Make.exe`.
pub(crate) fn tool(program: &OsStr) -> Option<String> {
    let name = Path::new(program).file_name()?.to_str()?;
    if !cfg!(windows) {
        return Some(name.to_string());
    }
    let name = name.to_ascii_lowercase();
    Some(name.strip_suffix(".exe").map_or_else(|| name.clone(), str::to_string))
}

fn widths(command: &[OsString]) -> Vec<Width> {
    match command.first().and_then(|program| tool(program)).as_deref() {
        Some("make" | "gmake" | "mingw32-make") => of_make(command, 1),
        Some("ninja" | "ninja-build" | "samu") => of_ninja(command),
        Some("cmake") => of_cmake(command),
        _ => Vec::new(),
    }
}

/// make reads its arguments, from `first` on, by the grammar of MAKEFLAGS, so the same parser does: a word is a width if
/// the parser finds another one with it than without.
fn of_make(words: &[OsString], first: usize) -> Vec<Width> {
    let other = Jobs::Limit(u32::MAX);
    let jobs = |value: Vec<u8>| MakeFlags::parse(&text(value)).jobs().filter(|&jobs| jobs != other);
    // A width that nobody writes, to tell whether another one follows. And the first word begins with a dash, which keeps
    // it from being taken for a bundle of flags.
    let mut before = format!("-j{}", u32::MAX).into_bytes();
    let mut found = Vec::new();
    let mut at = first;
    while let Some(word) = words.get(at) {
        let quoted = quoted(word);
        let may_be = word.as_encoded_bytes().first() == Some(&b'-') && word.as_encoded_bytes().contains(&b'j');
        let alone = if may_be { jobs([&before[..], b" ", &quoted].concat()) } else { None };
        let Some(alone) = alone else {
            before.push(b' ');
            before.extend_from_slice(&quoted);
            at += 1;
            continue;
        };
        let next = words.get(at + 1).map(|next| next.as_encoded_bytes()).filter(|next| is_number(next));
        let both = next.and_then(|next| jobs([&before[..], b" ", &quoted, b" ", next].concat()));
        let with_next = both.is_some_and(|both| both != alone);
        let width = both.filter(|_| with_next).unwrap_or(alone);
        let rest = rest_of_bundle(word);
        if let Some(rest) = &rest {
            before.push(b' ');
            before.extend_from_slice(rest.as_encoded_bytes());
        }
        let text = match width {
            Jobs::Limit(number) => format!("-j{number}"),
            _ => "-j".to_string(),
        };
        found.push(Width { at, with_next, rest, jobs: width, text });
        at += 1 + usize::from(with_next);
    }
    found
}

/// Quoted as make would write it.
fn quoted(word: &OsStr) -> Vec<u8> {
    let mut value = Vec::new();
    for &byte in word.as_encoded_bytes() {
        match byte {
            b'$' => value.extend_from_slice(b"$$"),
            b' ' | b'\t' | b'\\' => value.extend_from_slice(&[b'\\', byte]),
            _ => value.push(byte),
        }
    }
    value
}

/// The letters before `j`, with their dash, of a word of short options that states a width.
fn rest_of_bundle(word: &OsStr) -> Option<OsString> {
    let letters = word.as_encoded_bytes().split(|&byte| byte == b'j').next()?;
    (letters.len() > 1 && !letters.starts_with(b"--")).then(|| text(letters.to_vec()))
}

/// `-jN` and `-j N`, alone or behind other letters; as getopt takes them, for "d:f:j:k:l:nt:vw:C:h".
fn of_ninja(words: &[OsString]) -> Vec<Width> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += 1;
        let Some(word) = words.get(at).map(|word| word.as_encoded_bytes()).filter(|&word| word != b"--") else { break };
        let Some(letters) = word.strip_prefix(b"-").filter(|rest| !rest.starts_with(b"-")) else { continue };
        let Some(place) = letters.iter().position(|letter| b"dfjkltwC".contains(letter)) else { continue };
        let attached = Some(&letters[place + 1..]).filter(|rest| !rest.is_empty());
        let (with_next, this) = (attached.is_none(), at);
        at += usize::from(with_next);
        let Some(value) = attached.or_else(|| words.get(at).map(|word| word.as_encoded_bytes())) else { break };
        match letters[place] {
            // What is no number ninja refuses.
            b'j' if is_number(value) => {
                let text = format!("-j{}", String::from_utf8_lossy(value));
                let jobs = jobs_of_ninja(value);
                found.push(Width { at: this, with_next, rest: rest_of_bundle(&words[this]), jobs, text });
            }
            // A tool of ninja's own runs no jobs, and what follows is the tool's.
            b't' => return Vec::new(),
            _ => {}
        }
    }
    found
}

/// Whether a ninja or samurai is asked for something else than a build: `-t TOOL`, `-h`, `--version`.
pub(crate) fn runs_no_jobs(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1).map(|word| word.as_encoded_bytes()).take_while(|&word| word != b"--");
    while let Some(word) = words.next() {
        if word == b"--version" || word == b"--help" {
            return true;
        }
        let Some(letters) = word.strip_prefix(b"-").filter(|rest| !rest.starts_with(b"-")) else { continue };
        let place = letters.iter().position(|letter| b"dfjkltwC".contains(letter));
        if letters[..place.unwrap_or(letters.len())].contains(&b'h') || place.is_some_and(|at| letters[at] == b't') {
            return true;
        }
        if place == Some(letters.len() - 1) {
            words.next();
        }
    }
    false
}

/// 0 is no limit.
fn jobs_of_ninja(number: &[u8]) -> Jobs {
    let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
    number.filter(|&number| number > 0).map_or(Jobs::Unlimited, Jobs::Limit)
}

/// `cmake --build DIR -j[N]`, `--parallel[=][N]`, and what stands behind ` -- ` for make or ninja.
fn of_cmake(words: &[OsString]) -> Vec<Width> {
    if !words.iter().any(|word| word == "--build") {
        return Vec::new();
    }
    let native = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate().take(native).skip(1) {
        let word = word.to_str().unwrap_or_default();
        let next = words[..native].get(at + 1).and_then(|next| next.to_str()).filter(|next| is_number(next.as_bytes()));
        let parallel = word.strip_prefix("--parallel").map(|rest| rest.strip_prefix('=').unwrap_or(rest));
        let (number, text) = match (parallel.or_else(|| word.strip_prefix("-j")), next) {
            (Some(""), Some(next)) => (next, format!("{word} {next}")),
            (Some(number), _) if number.is_empty() || is_number(number.as_bytes()) => (number, word.to_string()),
            _ => continue,
        };
        let with_next = text.len() > word.len();
        found.push(Width { at, with_next, rest: None, jobs: jobs_of_ninja(number.as_bytes()), text });
    }
    found.extend(of_make(words, native + 1));
    found
}

#[cfg(unix)]
fn text(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

/// Only the widths in it matter, and they are plain.
#[cfg(not(unix))]
fn text(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        leaves_pool(&words)
    }

    #[test]
    fn an_explicit_width_leaves_the_pool() {
        for (line, option) in [
            ("make -j8", "make -j8"),
            ("/usr/bin/gmake all -j 8", "gmake -j8"),
            ("make -kj8 all", "make -j8"),
            ("make --jobs=3", "make -j3"),
            ("make --jobs 3 all", "make -j3"),
            ("make -j", "make -j"),
            ("make all -j test", "make -j"),
            ("make -C dir -j2", "make -j2"),
            ("ninja -j8", "ninja -j8"),
            ("ninja -C out -vj 8 all", "ninja -j8"),
            ("samu -j0", "samu -j0"),
            ("cmake --build out -j8", "cmake -j8"),
            ("cmake --build out -j 8", "cmake -j 8"),
            ("cmake --build out -j", "cmake -j"),
            ("cmake --build out --parallel", "cmake --parallel"),
            ("cmake --build out --parallel 4 --target x", "cmake --parallel 4"),
            ("cmake --build out --parallel=4", "cmake --parallel=4"),
            ("cmake --build out -- -kj8", "cmake -j8"),
        ] {
            assert_eq!(leaves(line).as_deref(), Some(option), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_width_does_not() {
        for line in [
            "make",
            "make all",
            "make -k V=-j8",
            "make -- -j8",
            "make -f -j8",
            "make -C -j8 all",
            "make j8",
            "make --jobserver-style=fifo",
            "ninja",
            "ninja -C -j8",
            "ninja -t clean -j8",
            "ninja -- -j8",
            "cmake -S . -B out -j8",
            "cmake --build out --target job -- -k",
            "cargo build -j8",
            "sh -c make\\ -j8",
        ] {
            assert_eq!(leaves(line), None, "{line}");
            assert_eq!(staying(line), line);
        }
    }

    fn staying(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let words: Vec<String> = without_width(&words).iter().map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn a_command_is_left_as_it_was_but_for_its_widths() {
        for (line, stays) in [
            ("make -j8 all", "make all"),
            ("make all -j 8", "make all"),
            ("make -kj8", "make -k"),
            ("make -skj 8 all", "make -sk all"),
            ("make --jobs=8 --jobs 3", "make"),
            ("make -j", "make"),
            ("make -j 8 8 -f -j8 -j4 -- -j2", "make 8 -f -j8 -- -j2"),
            ("make -j0", "make -j0"),
            ("gmake -I j -j2 job", "gmake -I j job"),
            ("ninja -C out -j8 x", "ninja -C out x"),
            ("ninja -j8 -C -j2", "ninja -C -j2"),
            ("ninja -vj 8 -j9 -k 0 all", "ninja -v -k 0 all"),
            ("ninja -j", "ninja -j"),
            ("cmake --build out --parallel 4 --target x", "cmake --build out --target x"),
            ("cmake --build out -j8 -- -j4", "cmake --build out --"),
            ("cmake --build out -j 8 -v -- -kj 4 all", "cmake --build out -v -- -k all"),
        ] {
            assert_eq!(staying(line), stays, "{line}");
        }
    }

    #[test]
    fn the_width_is_the_last_one() {
        for (line, jobs) in [
            ("make", None),
            ("make -j8 -j1", Some(Jobs::Limit(1))),
            ("make -j1 --jobs", Some(Jobs::Unlimited)),
            ("ninja -j0", Some(Jobs::Unlimited)),
            ("ninja -j 1", Some(Jobs::Limit(1))),
            ("cmake --build out -j1", Some(Jobs::Limit(1))),
            ("cmake --build out -j8 -- -j1", Some(Jobs::Limit(1))),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(width(&words), jobs, "{line}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn any_bytes_are_taken() {
        let words = [OsString::from("make"), text(b"V=\xff $(x) \\".to_vec()), "-j2".into()];
        assert_eq!(leaves_pool(&words).as_deref(), Some("make -j2"));
    }
}
