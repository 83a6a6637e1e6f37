//! A bench on which real make runs, and what it joined is seen from outside.
//!
//! Three FIFOs lie there, each with two tokens of its own letter, open in make under fixed numbers and by path. Two
//! goals run; where make hands an auth to its recipes, each ends only after the other has begun. So a make that has
//! joined must take a token, and whatever it returns is `+`: the FIFO that lacks its letter was read, the one that has a
//! `+` was written. No time has to be short for that.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jobserver::{Auth, MakeFlags};

/// What a make did with a value, or what this crate would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    /// It took tokens of one FIFO and returned them to one, by letter.
    Joined { read: char, write: char },
    /// It ran without any of our tokens.
    Alone,
    /// It ran nothing.
    Refused,
}

/// How a run went.
pub(crate) struct Run {
    pub(crate) did: Did,
    /// MAKEFLAGS as a recipe of it found it.
    pub(crate) handed: MakeFlags,
    /// The variable V, as the makefile found it.
    pub(crate) variable: String,
    /// What make said, for people.
    pub(crate) said: String,
}

const LETTERS: [char; 3] = ['a', 'b', 'c'];
/// The descriptors of one FIFO: read the first, write the second.
const NUMBERS: [(i32, i32); 3] = [(3, 4), (5, 6), (7, 8)];
/// A second name of each FIFO, which needs quoting in MAKEFLAGS.
const ODD_NAMES: [&str; 3] = ["a a", r"b\b", "c$c"];

pub(crate) struct Bench {
    dir: tempfile::TempDir,
    fifos: Vec<File>,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let mut fifos = Vec::new();
        for (letter, odd) in LETTERS.iter().zip(ODD_NAMES) {
            let path = dir.path().join(letter.to_string());
            assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap().success());
            fs::hard_link(&path, dir.path().join(odd)).unwrap();
            let fifo = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
            fifos.push(fifo);
        }
        fs::create_dir(dir.path().join("dir")).unwrap();
        // -C may go elsewhere, so every path is absolute.
        let at = dir.path().display();
        // Each recipe leaves its mark and, if make handed it an auth before its variables, waits for the other's mark.
        let meet = |own: &str, other: &str| {
            format!(
                "flags=\" $$MAKEFLAGS\"; : >{at}/{own}.began; case \"$${{flags%% -- *}}\" in *\" --jobserver-auth=\"*) \
                 tries=0; until [ -e {at}/{other}.began ] || [ $$tries = 400 ]; do tries=$$((tries+1)); sleep 0.05; \
                 done;; esac"
            )
        };
        let (one, two) = (meet("one", "two"), meet("two", "one"));
        let makefile = format!(
            "$(file >{at}/variable,$(V))\n.PHONY: one two\n\
             one:\n\t+@printf %s \"$$MAKEFLAGS\" >{at}/handed; {one}\n\
             two:\n\t+@{two}\n\
             .DEFAULT:\n\t@:\n"
        );
        fs::write(dir.path().join("makefile"), makefile).unwrap();
        Bench { dir, fifos }
    }

    /// Puts the folder of this bench into a value.
    pub(crate) fn place(&self, value: &str) -> OsString {
        value.replace("DIR", self.dir.path().to_str().unwrap()).into()
    }

    /// The auth by which a make that knows `fifo:`, or one that doesn't, can join the FIFO of `letter`.
    pub(crate) fn auth(&self, letter: char, fifo: bool) -> Auth {
        let index = LETTERS.iter().position(|&known| known == letter).unwrap();
        let (read, write) = NUMBERS[index];
        if fifo {
            Auth::Fifo(self.dir.path().join(letter.to_string()))
        } else {
            Auth::Pipe { read, write }
        }
    }

    /// Runs make under a value of MAKEFLAGS.
    pub(crate) fn run(&mut self, make: &Path, value: &OsStr) -> Run {
        for (mut fifo, letter) in self.fifos.iter().zip(LETTERS) {
            fifo.write_all(&[letter as u8; 2]).unwrap();
        }
        for old in ["handed", "one.began", "two.began", "variable"] {
            let _ = fs::remove_file(self.dir.path().join(old));
        }
        // Only a shell can open files under chosen numbers in a child without unsafe code.
        let script = "exec 3<>a 4<>a 5<>b 6<>b 7<>c 8<>c; exec \"$@\"";
        let output = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(make)
            .arg("-f")
            .arg(self.dir.path().join("makefile"))
            .args(["one", "two"])
            .current_dir(self.dir.path())
            .envs([("MAKEFLAGS", value), ("LC_ALL", OsStr::new("C"))])
            .env_remove("GNUMAKEFLAGS")
            .env_remove("MAKELEVEL")
            .env_remove("V")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let file = |name: &str| fs::read(self.dir.path().join(name)).ok();
        let variable = String::from_utf8_lossy(&file("variable").unwrap_or_default()).trim_end().to_string();
        let handed = file("handed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let did = match (self.moved(value), &handed) {
            (Some(joined), Some(_)) => joined,
            (None, Some(_)) => Did::Alone,
            (None, None) => Did::Refused,
            (Some(_), None) => panic!("{value:?}: tokens moved and no recipe ran: {said}"),
        };
        let handed = MakeFlags::parse(&OsString::from_vec(handed.unwrap_or_default()));
        Run { did, handed, variable, said }
    }

    /// Empties the FIFOs and tells from what they hold which was read and which was written.
    fn moved(&self, value: &OsStr) -> Option<Did> {
        let (mut read, mut write, mut total) = (Vec::new(), Vec::new(), 0);
        for (fifo, letter) in self.fifos.iter().zip(LETTERS) {
            let tokens = drain(fifo);
            total += tokens.len();
            let own = tokens.iter().filter(|&&token| token == letter as u8).count();
            if own < 2 {
                read.push(letter);
            }
            if tokens.len() > own {
                write.push(letter);
            }
        }
        assert_eq!(total, 6, "{value:?}: tokens were lost or made");
        match (&read[..], &write[..]) {
            ([], []) => None,
            (&[read], &[write]) => Some(Did::Joined { read, write }),
            _ => panic!("{value:?}: read from {read:?}, wrote to {write:?}"),
        }
    }

    /// What this crate would join here: the auth that `MakeFlags` reports, opened in thought.
    pub(crate) fn ours(&self, value: &OsStr, knows_fifo: bool) -> Did {
        let flags = MakeFlags::parse(value);
        let Some(text) = flags.jobserver() else {
            return Did::Alone;
        };
        match Auth::parse(text) {
            Ok(Auth::Pipe { read, write }) => {
                let read = NUMBERS.iter().position(|&(known, also)| read == known || read == also);
                let write = NUMBERS.iter().position(|&(known, also)| write == known || write == also);
                match (read, write) {
                    (Some(read), Some(write)) => Did::Joined { read: LETTERS[read], write: LETTERS[write] },
                    _ => Did::Alone,
                }
            }
            Ok(Auth::Fifo(path)) if knows_fifo => match self.letter(&path) {
                Some(letter) => Did::Joined { read: letter, write: letter },
                None => Did::Alone,
            },
            // make 4.3 stops at what it can't read: "internal error: invalid --jobserver-auth string".
            Ok(_) if !knows_fifo => Did::Refused,
            Err(_) if !knows_fifo && !text.is_empty() => Did::Refused,
            _ => Did::Alone,
        }
    }

    fn letter(&self, path: &Path) -> Option<char> {
        let names = |index: usize| [LETTERS[index].to_string(), ODD_NAMES[index].to_string()];
        let dir: PathBuf = self.dir.path().into();
        (0..3).find(|&index| names(index).iter().any(|name| dir.join(name) == path)).map(|index| LETTERS[index])
    }
}

fn drain(mut fifo: &File) -> Vec<u8> {
    let mut tokens = Vec::new();
    let mut buffer = [0; 64];
    loop {
        match fifo.read(&mut buffer) {
            Ok(count) => tokens.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return tokens,
            Err(error) => panic!("{error}"),
        }
    }
}
