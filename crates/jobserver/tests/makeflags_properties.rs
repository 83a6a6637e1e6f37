//! What must hold of `MakeFlags` for every value, a million of them: no panic, what is written is read back, what is
//! not about jobs is kept.
//!
//! Two sources: bytes chosen to hit the grammar (dashes, blanks, backslashes, dollars and the letters of options), and
//! words of real MAKEFLAGS strung together. Against a real make: `makeflags_like_make.rs`.

use std::ffi::{OsStr, OsString};

use jobserver::{Auth, Jobs, MakeFlags};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// Six properties on each of two sources. On Windows, which mostly is wine, fewer: the code is the same.
const CASES: u32 = if cfg!(windows) { 2_000 } else { 100_000 };

fn config() -> Config {
    // Nothing is written beside the sources, so that a failure is told by its seedless minimal case alone.
    Config { cases: CASES, failure_persistence: None, ..Config::default() }
}

/// A value of bytes. On systems where a value is Unicode, what is not becomes U+FFFD first.
fn os(bytes: &[u8]) -> OsString {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        OsStr::from_bytes(bytes).to_os_string()
    }
    #[cfg(not(unix))]
    String::from_utf8_lossy(bytes).into_owned().into()
}

// Strategies draw plain numbers and map them to text: a choice drawn as a strategy of its own costs most of the time of
// a million cases.

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let likely = b"-- \t\\$=jlIWkn80.,";
    prop::collection::vec(any::<u8>(), 0..24).prop_map(move |bytes| {
        let likelier = |byte: u8| {
            if byte < 224 {
                likely[usize::from(byte) % likely.len()]
            } else {
                byte << 3
            }
        };
        bytes.into_iter().map(likelier).collect()
    })
}

const WORDS: &[&str] = &[
    "k",
    "kn",
    "j8",
    "kj",
    "kI",
    "l",
    "I",
    "foo",
    "5",
    ".5",
    "-",
    "--",
    "-k",
    "-kn",
    "-j",
    "-j8",
    "-kj8",
    "-kj",
    "-I",
    "-Idir",
    "-l",
    "-l2",
    "-O",
    "-W",
    "-E",
    "--jobs",
    "--jobs=8",
    "--jobs=",
    "--eval",
    "--include-dir",
    "--dry-run",
    "--jobserver-auth",
    "--jobserver-auth=",
    "--jobserver-auth=3,4",
    "--jobserver-fds=5,6",
    "--jobserver-a=7,8",
    "--jobserver-",
    "--jobserver-auth=-2,-2",
    "--jobserver-auth=fifo:/p",
    "V=1",
    "V=--jobserver-auth=9,9",
    "V=a\\ b",
    "V=$$",
    "\\k",
    "k\\",
    "\\",
    "\\ ",
    "\\--",
    "--bogus",
    "-Z",
    "--silent=1",
    "\u{e4}",
    "\n",
];

const BLANKS: &[&str] = &[" ", " ", " ", "  ", "\t", ""];

fn real_words() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u16>(), 0..7).prop_map(|picks| {
        let mut value = String::new();
        for pick in picks.into_iter().map(usize::from) {
            value += BLANKS[pick % BLANKS.len()];
            value += WORDS[pick / BLANKS.len() % WORDS.len()];
        }
        // Trailing blanks make a word of their own.
        if value.len() % 5 == 0 {
            value.push(' ');
        }
        value.into_bytes()
    })
}

/// Words in which nothing is quoted and no option takes the next one.
fn plain_words() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(any::<u8>(), 0..8).prop_map(|picks| {
        let all = [SIMPLE, ABOUT_JOBS].concat();
        picks.into_iter().map(|pick| all[usize::from(pick) % all.len()]).collect()
    })
}

fn any_auth() -> impl Strategy<Value = Auth> {
    let paths = ["/", "/p", "/tmp/a-b_c.d/0", "/--jobserver-auth", "/-j8"];
    let names = ["a", "gmake_semaphore_32", "-j8", "--", ".."];
    any::<(i32, i32, u8)>().prop_map(move |(read, write, pick)| match usize::from(pick) {
        pick if pick % 3 == 0 => Auth::Pipe { read, write },
        pick if pick % 3 == 1 => Auth::Fifo(paths[pick % paths.len()].into()),
        pick => Auth::Semaphore(names[pick % names.len()].into()),
    })
}

fn any_jobs() -> impl Strategy<Value = Option<usize>> {
    any::<u32>().prop_map(|number| Some(number as usize >> 1).filter(|&jobs| jobs > 0))
}

/// The words of a value without blanks and quotes, as far as its options go. Independent of the crate: only for values
/// in which nothing is quoted and no option takes the next word.
fn simple_words(value: &str) -> Vec<&str> {
    value.split([' ', '\t']).filter(|word| !word.is_empty()).take_while(|word| *word != "--").collect()
}

const SIMPLE: &[&str] =
    &["-k", "-n", "--no-silent", "V=1", "V=--jobserver-auth=9,9", "-Idir", "-l2", "-O", "W=", "--debug", "-", "foo"];
const ABOUT_JOBS: &[&str] = &["-j8", "--jobs=3", "--jobserver-auth=3,4", "--jobserver-fds=5,6", "--jobserver-a=7,8"];

macro_rules! of_both_sources {
    ($($name:ident($value:ident $(, $argument:ident in $strategy:expr)*) $body:block)*) => {
        mod bytes {
            use super::*;
            proptest! {
                #![proptest_config(config())]
                $(#[test] fn $name(value in any_bytes() $(, $argument in $strategy)*) {
                    let $value = os(&value);
                    $body
                })*
            }
        }
        mod words {
            use super::*;
            proptest! {
                #![proptest_config(config())]
                $(#[test] fn $name(value in real_words() $(, $argument in $strategy)*) {
                    let $value = os(&value);
                    $body
                })*
            }
        }
    };
}

of_both_sources! {
    what_is_written_is_read_back(value, auth in any_auth(), jobs in any_jobs()) {
        let written = MakeFlags::parse(&value).with_jobserver(&auth, jobs).unwrap();
        let flags = MakeFlags::parse(&written);
        prop_assert_eq!(flags.jobserver(), Some(&*auth.to_os_string()), "{:?}", &written);
        prop_assert_eq!(Auth::parse(flags.jobserver().unwrap()), Ok(auth));
        let expected = jobs.map_or(Jobs::Unlimited, |jobs| Jobs::Limit(jobs as u32));
        prop_assert_eq!(flags.jobs(), Some(expected), "{:?}", written);
    }

    writing_twice_is_writing_once(value, auth in any_auth(), jobs in any_jobs()) {
        let written = MakeFlags::parse(&value).with_jobserver(&auth, jobs).unwrap();
        let again = MakeFlags::parse(&written).with_jobserver(&auth, jobs).unwrap();
        prop_assert_eq!(&again, &written);
        let left = MakeFlags::parse(&written).without_jobserver();
        prop_assert_eq!(MakeFlags::parse(&left).without_jobserver(), left);
    }

    without_a_jobserver_there_is_none(value) {
        let left = MakeFlags::parse(&value).without_jobserver();
        let flags = MakeFlags::parse(&left);
        prop_assert_eq!(flags.jobserver(), None, "{:?}", &left);
        prop_assert_eq!(flags.jobs(), None, "{:?}", &left);
        // With a width in its place there is that width, and nothing else has changed.
        let alone = flags.with_jobs(7);
        let alone = MakeFlags::parse(&alone);
        prop_assert_eq!((alone.jobserver(), alone.jobs()), (None, Some(Jobs::Limit(7))), "{:?}", &left);
        prop_assert_eq!(alone.without_jobserver(), left);
    }

    what_is_not_about_jobs_stays(value, auth in any_auth()) {
        // Joining and leaving again leaves what leaving at once leaves, and a dry run stays one.
        let flags = MakeFlags::parse(&value);
        let written = flags.with_jobserver(&auth, None).unwrap();
        let joined = MakeFlags::parse(&written);
        prop_assert_eq!(joined.without_jobserver(), flags.without_jobserver(), "{:?}", &written);
        prop_assert_eq!(joined.dry_run(), flags.dry_run());
        prop_assert_eq!(MakeFlags::parse(&flags.without_jobserver()).dry_run(), flags.dry_run());
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_stands_behind_the_dashes_is_unchanged(
        options in plain_words(),
        tail in any_bytes(),
        auth in any_auth(),
    ) {
        let mut value = options.join(" ").into_bytes();
        value.extend_from_slice(b" -- ");
        value.extend_from_slice(&tail);
        let flags = MakeFlags::parse(&os(&value));
        let mut end = b" -- ".to_vec();
        end.extend_from_slice(&tail);
        let end = os(&end);
        for written in [flags.with_jobserver(&auth, Some(2)).unwrap(), flags.without_jobserver()] {
            let (written, end) = (written.as_encoded_bytes(), end.as_encoded_bytes());
            prop_assert!(written.ends_with(end), "{:?}", written.escape_ascii().to_string());
        }
    }

    #[test]
    fn the_other_words_survive_in_their_order(
        first in 0..5usize,
        options in plain_words(),
        auth in any_auth(),
    ) {
        let first = ["k", "ks", "-", "-k", "V=0"][first];
        let value = format!("{first} {}", options.join(" "));
        let expected: Vec<_> = simple_words(&value).into_iter().filter(|word| !ABOUT_JOBS.contains(word)).collect();
        let flags = MakeFlags::parse(value.as_ref());
        let written = flags.with_jobserver(&auth, Some(2)).unwrap().into_string().unwrap();
        let ours = [
            "-j2".to_string(),
            format!("--jobserver-auth={auth}"),
            format!("--jobserver-fds={auth}"),
        ];
        let found: Vec<_> = simple_words(&written).into_iter().filter(|word| !ours.iter().any(|own| own == word)).collect();
        prop_assert_eq!(&found, &expected, "{:?}", &written);
        let left = flags.without_jobserver().into_string().unwrap();
        prop_assert_eq!(simple_words(&left), expected, "{:?}", left);
    }
}

#[test]
fn a_long_value_is_read_in_time_proportional_to_its_length() {
    // Anything quadratic would need hours for these.
    for piece in
        ["k ", "-j8 ", "\\", "$", "--jobserver-auth=3,4 ", "-kkkkkkkk", "-- ", "V=1 ", "--jobserver-auth ", "-I "]
    {
        let value: OsString = piece.repeat(4_000_000 / piece.len()).into();
        let flags = MakeFlags::parse(&value);
        let written = flags.with_jobserver(&Auth::Fifo("/p".into()), None).unwrap();
        assert_eq!(MakeFlags::parse(&written).jobserver(), Some(OsStr::new("fifo:/p")), "{piece:?}");
    }
}
