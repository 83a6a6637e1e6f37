//! The options of GNU make, and what `getopt_long` makes of one word.
//!
//! Only what decides the meaning of other words is kept of each option: whether it takes an argument, and from where.
//! The table is that of make 4.4.1; 4.3 lacks `--jobserver-style`, `--shuffle` and `--temp-stdin`. An option that make
//! doesn't know takes nothing, as getopt skips it.

/// Where the argument of an option comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// The rest of the word, if anything is left of it.
    Attached,
    /// The rest of the word, else the next word, whatever that is.
    Required,
}

/// What an option means to a reader of jobservers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--jobserver-auth`, and `--jobserver-fds`, which is the same to make.
    Auth,
    /// `-j`: make itself takes the next word too if that is all digits.
    Jobs,
    /// `-l`: make itself takes the next word too if that begins with a digit or a point.
    Load,
    DryRun,
    Other,
}

/// An option, by its letter; those that are long only have a number below any letter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Switch(u8);

impl Switch {
    pub(super) fn takes(self) -> Takes {
        match self.0 {
            b'C' | b'f' | b'I' | b'o' | b'W' | b'E' | AUTH | FDS | SYNC_MUTEX | TEMP_STDIN | STYLE => Takes::Required,
            b'j' | b'l' | b'O' | DEBUG | SHUFFLE => Takes::Attached,
            _ => Takes::Nothing,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self.0 {
            AUTH | FDS => Kind::Auth,
            b'j' => Kind::Jobs,
            b'l' => Kind::Load,
            b'n' => Kind::DryRun,
            _ => Kind::Other,
        }
    }
}

/// The option that `letter` stands for in a word such as `-kj8`.
pub(super) fn short(letter: u8) -> Switch {
    // The numbers of the long-only options are no letters of make.
    Switch(if letter.is_ascii_alphabetic() { letter } else { 0 })
}

/// The option of a word such as `--jobs=8`, and the argument behind its `=`. None: unknown, ambiguous, or with an
/// argument that it does not take; getopt skips the word.
pub(super) fn long(word: &[u8]) -> Option<(Switch, Option<&[u8]>)> {
    let (name, argument) = match word.iter().position(|&byte| byte == b'=') {
        Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        None => (word, None),
    };
    let switch = named(name)?;
    if argument.is_some() && switch.takes() == Takes::Nothing {
        return None;
    }
    Some((switch, argument))
}

/// getopt takes a beginning of a name for the name if it fits one option only, or several names of the same one.
fn named(name: &[u8]) -> Option<Switch> {
    let mut fitting = None;
    let mut ambiguous = false;
    for &(full, switch) in LONG {
        if full.as_bytes() == name {
            return Some(Switch(switch));
        }
        if full.as_bytes().starts_with(name) {
            ambiguous |= fitting.is_some_and(|other| other != Switch(switch));
            fitting = Some(Switch(switch));
        }
    }
    fitting.filter(|_| !ambiguous)
}

const DEBUG: u8 = 1;
const AUTH: u8 = 2;
const TRACE: u8 = 3;
const NO_PRINT_DIRECTORY: u8 = 4;
const WARN_UNDEFINED: u8 = 5;
const SYNC_MUTEX: u8 = 7;
const NO_SILENT: u8 = 8;
const FDS: u8 = 9;
const TEMP_STDIN: u8 = 10;
const SHUFFLE: u8 = 11;
const STYLE: u8 = 12;

const LONG: &[(&str, u8)] = &[
    ("always-make", b'B'),
    ("assume-new", b'W'),
    ("assume-old", b'o'),
    ("check-symlink-times", b'L'),
    ("debug", DEBUG),
    ("directory", b'C'),
    ("dry-run", b'n'),
    ("environment-overrides", b'e'),
    ("eval", b'E'),
    ("file", b'f'),
    ("help", b'h'),
    ("ignore-errors", b'i'),
    ("include-dir", b'I'),
    ("jobs", b'j'),
    ("jobserver-auth", AUTH),
    ("jobserver-fds", FDS),
    ("jobserver-style", STYLE),
    ("just-print", b'n'),
    ("keep-going", b'k'),
    ("load-average", b'l'),
    ("makefile", b'f'),
    ("max-load", b'l'),
    ("new-file", b'W'),
    ("no-builtin-rules", b'r'),
    ("no-builtin-variables", b'R'),
    ("no-keep-going", b'S'),
    ("no-print-directory", NO_PRINT_DIRECTORY),
    ("no-silent", NO_SILENT),
    ("old-file", b'o'),
    ("output-sync", b'O'),
    ("print-data-base", b'p'),
    ("print-directory", b'w'),
    ("question", b'q'),
    ("quiet", b's'),
    ("recon", b'n'),
    ("shuffle", SHUFFLE),
    ("silent", b's'),
    ("stop", b'S'),
    ("sync-mutex", SYNC_MUTEX),
    ("temp-stdin", TEMP_STDIN),
    ("touch", b't'),
    ("trace", TRACE),
    ("version", b'v'),
    ("warn-undefined-variables", WARN_UNDEFINED),
    ("what-if", b'W'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_of_a_name_counts_if_it_fits_one_option_only() {
        for (word, switch, argument) in [
            ("jobserver-auth=3,4", AUTH, Some("3,4")),
            ("jobserver-a=3,4", AUTH, Some("3,4")),
            ("jobserver-f", FDS, None),
            ("jobs=8", b'j', Some("8")),
            ("jobs", b'j', None),
            ("max=2.5", b'l', Some("2.5")),
            ("eval=a=b", b'E', Some("a=b")),
            ("ju", b'n', None),
            ("jobserver-auth=", AUTH, Some("")),
        ] {
            let (found, rest) = long(word.as_bytes()).unwrap_or_else(|| panic!("{word}"));
            assert!(found == Switch(switch), "{word}");
            assert_eq!(rest, argument.map(str::as_bytes), "{word}");
        }
        for word in ["jobserver-", "jobserver-=3,4", "job=8", "", "=x", "nonsense", "silent=1", "jobserver-authx"] {
            assert!(long(word.as_bytes()).is_none(), "{word}");
        }
    }

    #[test]
    fn only_letters_are_short_options() {
        assert!((0..=255).all(|byte| short(byte).kind() != Kind::Auth));
        assert!(short(b'I').takes() == Takes::Required && short(b'z').takes() == Takes::Nothing);
    }
}
