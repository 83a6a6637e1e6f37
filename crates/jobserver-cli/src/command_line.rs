//! An explicit `-jN` in the command itself, which takes a tool out of the pool.
//!
//! make says "resetting jobserver mode", ninja and samurai say nothing, and `cmake --build` hands its number to one of
//! them. cargo stays in the pool whatever its `-j`. Only the command's own words are read: what a script does is its own
//! affair.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use jobserver::{Jobs, MakeFlags};

/// The tool and its option, as in `make -j8`, if the command will leave the pool.
pub(crate) fn leaves_pool(command: &[OsString]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let tool = tool(program)?;
    let option = match &*tool {
        "make" | "gmake" | "mingw32-make" => of_make(arguments),
        "ninja" | "samu" => of_ninja(arguments),
        "cmake" => of_cmake(arguments),
        _ => None,
    }?;
    Some(format!("{tool} {option}"))
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

/// make reads its arguments by the grammar of MAKEFLAGS, so the same parser does.
fn of_make(arguments: &[OsString]) -> Option<String> {
    // A lone dash, which make ignores, keeps the first argument from being taken for a bundle of flags.
    let mut value = b"-".to_vec();
    for argument in arguments {
        value.push(b' ');
        for &byte in argument.as_encoded_bytes() {
            match byte {
                b'$' => value.extend_from_slice(b"$$"),
                b' ' | b'\t' | b'\\' => value.extend_from_slice(&[b'\\', byte]),
                _ => value.push(byte),
            }
        }
    }
    match MakeFlags::parse(&text(value)).jobs()? {
        Jobs::Limit(jobs) => Some(format!("-j{jobs}")),
        _ => Some("-j".to_string()),
    }
}

/// `-jN` and `-j N`, alone or behind other letters; as getopt takes them, for "d:f:j:k:l:nt:vw:C:h".
fn of_ninja(arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().map(|word| word.as_encoded_bytes());
    while let Some(word) = words.next() {
        if word == b"--" {
            return None;
        }
        let Some(letters) = word.strip_prefix(b"-").filter(|rest| !rest.starts_with(b"-")) else {
            continue;
        };
        let Some(at) = letters.iter().position(|letter| b"dfjkltwC".contains(letter)) else {
            continue;
        };
        let attached = Some(&letters[at + 1..]).filter(|rest| !rest.is_empty());
        let value = attached.or_else(|| words.next())?;
        match letters[at] {
            b'j' => return Some(format!("-j{}", String::from_utf8_lossy(value))),
            // A tool of ninja's own runs no jobs, and what follows is the tool's.
            b't' => return None,
            _ => {}
        }
    }
    None
}

/// `cmake --build DIR -j[N]`, `--parallel[=][N]`, and what stands behind ` -- ` for make or ninja.
fn of_cmake(arguments: &[OsString]) -> Option<String> {
    if !arguments.iter().any(|word| word == "--build") {
        return None;
    }
    let own = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (own, native) = arguments.split_at(own);
    for (at, word) in own.iter().enumerate() {
        let word = word.to_str().unwrap_or_default();
        let next = own.get(at + 1).and_then(|next| next.to_str()).filter(|next| is_number(next));
        let parallel = word.strip_prefix("--parallel").map(|rest| rest.strip_prefix('=').unwrap_or(rest));
        match parallel.or_else(|| word.strip_prefix("-j")) {
            Some("") => return Some(next.map_or_else(|| word.to_string(), |next| format!("{word} {next}"))),
            Some(number) if is_number(number) => return Some(word.to_string()),
            _ => {}
        }
    }
    of_make(native.get(1..)?)
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

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
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
        }
    }

    #[cfg(unix)]
    #[test]
    fn any_bytes_are_taken() {
        let words = [OsString::from("make"), text(b"V=\xff $(x) \\".to_vec()), "-j2".into()];
        assert_eq!(leaves_pool(&words).as_deref(), Some("make -j2"));
    }
}
