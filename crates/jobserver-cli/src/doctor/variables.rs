//! The variables that may name a jobserver: read once, by make's grammar and as those read it who only search the text.
//!
//! Nothing is opened here. A value is kept as bytes, since make takes any; what a remedy writes in its place keeps all
//! that is not about jobs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use jobserver::{Auth, Jobs, MakeFlags};

/// In the order in which Rust programs look at the first three; make reads MAKEFLAGS, then GNUMAKEFLAGS for what that
/// does not say.
pub(crate) const NAMES: [&str; 4] = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS"];

#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) value: OsString,
    /// The text of the auth that make joins.
    pub(crate) auth: Option<OsString>,
    pub(crate) jobs: Option<Jobs>,
    /// `n` in the first word, which has no dash: a dry run for who looks for it.
    pub(crate) dry_run: bool,
    /// All that a search of the text finds, in its order.
    pub(crate) mentions: Vec<Mention>,
}

/// One `--jobserver-auth=X` or `--jobserver-fds=X`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) text: OsString,
    pub(crate) is_fds: bool,
    /// Behind ` -- `, or inside another word, where make does not look.
    pub(crate) is_hidden: bool,
}

const SPELLINGS: [(&[u8], bool); 2] = [(b"--jobserver-auth=", false), (b"--jobserver-fds=", true)];

impl Variable {
    pub(crate) fn read(name: &'static str, value: OsString) -> Variable {
        let flags = MakeFlags::parse(&value);
        let mut mentions = Vec::new();
        let mut behind = false;
        for word in words(&value) {
            behind |= word == b"--";
            mentions.extend(mentioned(word).map(|(at, text, is_fds)| Mention {
                text: OsStr::from_bytes(text).to_owned(),
                is_fds,
                is_hidden: behind || at > 0,
            }));
        }
        Variable {
            name,
            auth: flags.jobserver().map(OsStr::to_owned),
            jobs: flags.jobs(),
            dry_run: bundle(&value).is_some_and(|bundle| bundle.contains(&b'n')),
            mentions,
            value,
        }
    }

    /// Auths that make reads and that differ.
    pub(crate) fn rivals(&self) -> Vec<&OsStr> {
        let mut texts: Vec<&OsStr> = Vec::new();
        for mention in self.mentions.iter().filter(|mention| !mention.is_hidden) {
            if !texts.contains(&mention.text.as_os_str()) {
                texts.push(&mention.text);
            }
        }
        texts
    }

    /// An auth that make does not see and others do, if it isn't the one that make joins anyway.
    pub(crate) fn hidden(&self) -> Option<&Mention> {
        self.mentions.iter().find(|mention| mention.is_hidden && Some(&mention.text) != self.auth.as_ref())
    }

    pub(crate) fn is_text(&self) -> bool {
        self.value.to_str().is_some()
    }

    /// The value that all clients read alike: one auth, before ` -- `, no dry run, text only. None: that auth can't be
    /// written so.
    pub(crate) fn mended(&self, auth: &Auth) -> Option<OsString> {
        let mut value = Vec::new();
        for (at, word) in self.value.as_bytes().split(is_blank).enumerate() {
            let is_first = at == 0;
            if std::str::from_utf8(word).is_err() || mentioned(word).is_some() {
                continue;
            }
            if !is_first {
                value.push(b' ');
            }
            match self.dry_run && is_first {
                true => value.extend(word.iter().filter(|&&letter| letter != b'n')),
                false => value.extend_from_slice(word),
            }
        }
        let jobs = match self.jobs {
            Some(Jobs::Limit(jobs)) => Some(jobs as usize),
            _ => None,
        };
        MakeFlags::parse(&OsString::from_vec(value)).with_jobserver(auth, jobs).ok()
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn words(value: &OsStr) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(is_blank).filter(|word| !word.is_empty())
}

/// What ninja and LLVM take for make's short flags: the first word, unless a blank leads.
fn bundle(value: &OsStr) -> Option<&[u8]> {
    let first = value.as_bytes().split(is_blank).next()?;
    Some(first).filter(|word| !word.starts_with(b"-") && !word.contains(&b'='))
}

/// Where in the word an auth stands, what it says, and whether it is spelled `fds`.
fn mentioned(word: &[u8]) -> Option<(usize, &[u8], bool)> {
    SPELLINGS.iter().find_map(|(spelling, is_fds)| {
        let at = word.windows(spelling.len()).position(|window| window == *spelling)?;
        Some((at, &word[at + spelling.len()..], *is_fds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Variable {
        Variable::read("MAKEFLAGS", value.into())
    }

    #[test]
    fn what_make_sees_and_what_a_search_finds_are_told_apart() {
        for (value, rivals, hidden) in [
            ("", 0, None),
            (" -j4 --jobserver-auth=3,4", 1, None),
            (" -j4 --jobserver-fds=3,4 --jobserver-auth=3,4", 1, None),
            (" -j4 --jobserver-fds=3,4 --jobserver-auth=5,6", 2, None),
            (" --jobserver-auth=3,4 --jobserver-auth=-2,-2", 2, None),
            (" -- --jobserver-auth=3,4", 0, Some("3,4")),
            (" --jobserver-auth=3,4 -- V=--jobserver-auth=3,4", 1, None),
            (" --jobserver-auth=3,4 -- V=--jobserver-auth=5,6", 1, Some("5,6")),
            ("V=--jobserver-auth=5,6", 0, Some("5,6")),
        ] {
            let read = read(value);
            assert_eq!(read.rivals().len(), rivals, "{value}");
            assert_eq!(read.hidden().map(|mention| mention.text.to_str().unwrap()), hidden, "{value}");
        }
    }

    #[test]
    fn only_a_first_word_without_dash_is_a_bundle() {
        for (value, dry) in
            [("n -j4", true), ("kn", true), (" n", false), ("-n", false), ("V=n", false), ("k n", false), ("", false)]
        {
            assert_eq!(read(value).dry_run, dry, "{value:?}");
        }
    }

    #[test]
    fn a_mended_value_says_one_thing_to_all_and_keeps_the_rest() {
        let auth = Auth::Fifo("/p".into());
        for (value, mended) in [
            (" -j4 --jobserver-auth=3,4 --jobserver-fds=fifo:/p", " -j4 --jobserver-auth=fifo:/p"),
            ("kn -j4 -- V=1 --jobserver-auth=fifo:/p", "k -j4 --jobserver-auth=fifo:/p -- V=1"),
            ("n -j4 --jobserver-auth=fifo:/p", " -j4 --jobserver-auth=fifo:/p"),
            (" -- V=--jobserver-auth=3,4 W=1", " -j --jobserver-auth=fifo:/p -- W=1"),
        ] {
            assert_eq!(read(value).mended(&auth).unwrap(), mended, "{value}");
        }
        let bytes = OsString::from_vec(b"k --jobserver-auth=fifo:/p -- V=\xff W=1".to_vec());
        let mended = Variable::read("MAKEFLAGS", bytes).mended(&auth).unwrap();
        assert_eq!(mended, "k -j --jobserver-auth=fifo:/p -- W=1");
        assert_eq!(read("").mended(&Auth::Fifo("/a b".into())), None);
    }
}
