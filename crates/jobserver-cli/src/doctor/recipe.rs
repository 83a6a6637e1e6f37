//! The makefile whose recipe this runs in: what the remedy for a missing `+` has to change.
//!
//! make tells its recipes nothing about it, so the arguments of the make above are read; without one to be seen it is
//! the file that make would read in this folder.

use std::fs;
use std::path::{Path, PathBuf};

/// Shells and wrappers that may stand between a recipe's make and this process.
const DEEPEST: usize = 8;

pub(crate) fn makefile() -> PathBuf {
    let names = ["GNUmakefile", "makefile", "Makefile"];
    let usual = || names.into_iter().find(|name| Path::new(name).is_file()).unwrap_or("Makefile").into();
    named_above().unwrap_or_else(usual)
}

fn named_above() -> Option<PathBuf> {
    let mut pid = rustix::process::getppid()?.as_raw_nonzero().get();
    for _ in 0..DEEPEST {
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = words.split(|&byte| byte == 0).collect();
        let program = String::from_utf8_lossy(words.first()?);
        if program.ends_with("make") {
            return file_of(&words[1..]);
        }
        // `pid (name) state ppid`, and the name may hold anything.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        pid = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
    }
    None
}

fn file_of(arguments: &[&[u8]]) -> Option<PathBuf> {
    let mut words = arguments.iter().map(|word| String::from_utf8_lossy(word));
    while let Some(word) = words.next() {
        if ["-f", "--file", "--makefile"].contains(&&*word) {
            return words.next().map(|next| next.into_owned().into());
        }
        let attached = ["--file=", "--makefile=", "-f"].iter().find_map(|option| word.strip_prefix(option));
        if let Some(path) = attached {
            return Some(path.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_makefile_is_named_in_each_of_its_ways() {
        for (line, file) in [
            ("-j4 -f x.mk all", Some("x.mk")),
            ("-fx.mk", Some("x.mk")),
            ("--file=x.mk", Some("x.mk")),
            ("--makefile x.mk", Some("x.mk")),
            ("-j4 all", None),
            ("-f", None),
        ] {
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            assert_eq!(file_of(&words), file.map(PathBuf::from), "{line}");
        }
    }
}
