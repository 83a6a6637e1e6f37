//! MAKEFLAGS, read by make's own grammar, and written so that every client reads it alike.
//!
//! Looking for `--jobserver-auth=` anywhere in the text, as most clients do, finds it in the value of a variable or in
//! the argument of another option too, and then a program joins a pool that its make has not joined. So this follows
//! make: words, quoting, `getopt_long`. Nothing is opened and nothing fails: make takes any text, and so does this.
//! `docs/makeflags.md` has the grammar, and every difference from make with its reason.

mod options;
mod read;
mod words;
mod write;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};

use crate::auth::Auth;
pub use write::UnwritableAuth;

/// The value of MAKEFLAGS, read as make reads it.
///
/// Two values are equal if they say the same about jobs and keep the same words.
///
/// ```
/// use jobserver::{Auth, Jobs, MakeFlags};
///
/// // What stands behind ` -- ` are variables: make joins no pool that is named there.
/// let flags = MakeFlags::parse("k -j8 --jobserver-auth=3,4 -- CFLAGS=-O2".as_ref());
/// assert_eq!(flags.jobserver(), Some("3,4".as_ref()));
/// assert_eq!(flags.jobs(), Some(Jobs::Limit(8)));
///
/// let ours = flags.with_jobserver(&Auth::Fifo("/tmp/pool".into()), Some(4))?;
/// assert_eq!(ours, "k -j4 --jobserver-auth=fifo:/tmp/pool -- CFLAGS=-O2");
/// # Ok::<(), jobserver::UnwritableAuth>(())
/// ```
///
/// Bytes on Unix. Elsewhere text that is not Unicode is read, and written back, with U+FFFD for what is broken.
///
/// Source: GNU make manual, "Communicating Options to a Sub-make"; make 4.3 and 4.4.1, measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MakeFlags {
    /// The bundle of short flags that leads the value, with the words it takes as arguments.
    flags: Vec<u8>,
    /// The other words before ` -- `, a space before each, without those that are about jobs.
    rest: Vec<u8>,
    /// From ` -- ` on, without the space before it.
    tail: Vec<u8>,
    auth: Option<OsString>,
    jobs: Option<Jobs>,
    dry_run: bool,
}

/// What `-j` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jobs {
    /// A bare `-j`: as many as there is work for.
    Unlimited,
    /// `-jN`: at most so many at once, never 0.
    Limit(u32),
}

impl MakeFlags {
    /// Reads a value of MAKEFLAGS, in time proportional to its length.
    pub fn parse(value: &OsStr) -> MakeFlags {
        read::read(&bytes(value))
    }

    /// The text of the auth that counts, for [`Auth::parse`], with make's quoting undone: the last of
    /// `--jobserver-auth` and `--jobserver-fds` before ` -- `.
    ///
    /// An empty text never replaces another one; it is reported only if there is nothing else.
    ///
    /// ```
    /// use jobserver::MakeFlags;
    ///
    /// let flags = MakeFlags::parse(" -j --jobserver-auth=3,4 --jobserver-auth=-2,-2".as_ref());
    /// assert_eq!(flags.jobserver(), Some("-2,-2".as_ref()));
    /// // A search of the text would find this one. make doesn't, nor does this.
    /// assert_eq!(MakeFlags::parse(" -- ARGS=--jobserver-auth=3,4".as_ref()).jobserver(), None);
    /// ```
    pub fn jobserver(&self) -> Option<&OsStr> {
        self.auth.as_deref()
    }

    /// The last `-j` with a number that make takes, or without any. Beside an auth it is a remark, not a limit.
    #[inline]
    pub fn jobs(&self) -> Option<Jobs> {
        self.jobs
    }

    /// Whether make would only print: `n` among the short flags, or a long name of it.
    #[inline]
    pub fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// The same value, joined to another pool.
    ///
    /// What it said about jobs (`-j`, any auth) is gone. The new words follow the short flags; behind them the other
    /// words stand in their order, byte for byte, one space between. From ` -- ` on nothing changes. A value without
    /// short flags begins with a space, so that no client takes its first word for some. `jobs` is a remark for
    /// people and makefiles: `-jN`; 0, and what make's own counter can't hold, are written as a bare `-j`, as is None.
    ///
    /// A pipe is named twice, because make before 4.2 knows only `--jobserver-fds`; any other pool once, because
    /// ninja drops the jobserver at `--jobserver-fds=fifo:`.
    ///
    /// ```
    /// use jobserver::{Auth, MakeFlags};
    ///
    /// let flags = MakeFlags::parse("ks -- V=1".as_ref());
    /// let pipe = Auth::Pipe { read: 3, write: 4 };
    /// assert_eq!(flags.with_jobserver(&pipe, None)?, "ks -j --jobserver-fds=3,4 --jobserver-auth=3,4 -- V=1");
    /// # Ok::<(), jobserver::UnwritableAuth>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An auth that some client would read otherwise: a path that is not absolute, or a path or name with characters
    /// outside `A-Za-z0-9_./-`.
    #[inline]
    pub fn with_jobserver(&self, auth: &Auth, jobs: Option<usize>) -> Result<OsString, UnwritableAuth> {
        let words = write::words(auth, jobs)?;
        Ok(self.assemble(&words))
    }

    /// The same value without a jobserver and without `-j`, for a program that must not join, such as a daemon.
    ///
    /// ```
    /// use jobserver::MakeFlags;
    ///
    /// let flags = MakeFlags::parse("k -j8 --jobserver-auth=3,4 -- V=1".as_ref());
    /// assert_eq!(flags.without_jobserver(), "k -- V=1");
    /// ```
    #[inline]
    pub fn without_jobserver(&self) -> OsString {
        self.assemble(b"")
    }

    /// The same value without a jobserver and with a width instead: each make makes a pool of its own, of so many jobs.
    ///
    /// 0, and what make's own counter can't hold, are written as a bare `-j`, which is no limit.
    ///
    /// ```
    /// use jobserver::MakeFlags;
    ///
    /// let flags = MakeFlags::parse("k -j8 --jobserver-auth=3,4 -- V=1".as_ref());
    /// assert_eq!(flags.with_jobs(2), "k -j2 -- V=1");
    /// ```
    #[inline]
    pub fn with_jobs(&self, jobs: usize) -> OsString {
        self.assemble(write::jobs(Some(jobs)).as_bytes())
    }

    #[inline]
    fn assemble(&self, ours: &[u8]) -> OsString {
        let mut value = [&self.flags, ours, &self.rest].concat();
        if !self.tail.is_empty() {
            value.push(b' ');
            value.extend_from_slice(&self.tail);
        }
        text(value)
    }
}

#[cfg(unix)]
fn bytes(text: &OsStr) -> Cow<'_, [u8]> {
    use std::os::unix::ffi::OsStrExt;
    text.as_bytes().into()
}

#[cfg(not(unix))]
fn bytes(text: &OsStr) -> Cow<'_, [u8]> {
    match text.to_string_lossy() {
        Cow::Borrowed(text) => text.as_bytes().into(),
        Cow::Owned(text) => text.into_bytes().into(),
    }
}

#[cfg(unix)]
fn text(bytes: Vec<u8>) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(bytes)
}

// What came in as Unicode is cut only beside ASCII, so nothing is lost here.
#[cfg(not(unix))]
fn text(bytes: Vec<u8>) -> OsString {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> MakeFlags {
        MakeFlags::parse(value.as_ref())
    }

    #[test]
    fn the_auth_is_the_one_make_joins() {
        for (value, auth) in [
            ("", None),
            ("k", None),
            ("--jobserver-auth=3,4", Some("3,4")),
            (" -j8 --jobserver-fds=3,4", Some("3,4")),
            // The last of both spellings.
            ("--jobserver-auth=3,4 --jobserver-fds=5,6", Some("5,6")),
            ("--jobserver-fds=5,6 --jobserver-auth=fifo:/p", Some("fifo:/p")),
            (" -j --jobserver-auth=3,4 --jobserver-auth=-2,-2", Some("-2,-2")),
            ("--jobserver-auth=3,4 --jobserver-auth=", Some("3,4")),
            ("--jobserver-auth=", Some("")),
            // Words, beginnings, quotes.
            ("--jobserver-auth 3,4", Some("3,4")),
            ("--jobserver-auth -- --jobserver-fds=3,4", Some("3,4")),
            ("--jobserver-auth", None),
            ("--jobserver-a=3,4 --jobserver-=5,6", Some("3,4")),
            (r"--jobserver-auth=fifo:/a\ b\\c$$d", Some(r"fifo:/a b\c$d")),
            (r"\--jobserver\-auth=3,4", Some("3,4")),
            ("--jobserver-auth=3,4\n-k", Some("3,4\n-k")),
            // What is no option.
            ("-- --jobserver-auth=3,4", None),
            ("k -- V=--jobserver-auth=3,4", None),
            ("V=--jobserver-auth=3,4 --jobserver-auth=5,6 -- W=--jobserver-auth=7,8", Some("5,6")),
            (r"k V=a\ --jobserver-auth=3,4", None),
            ("jobserver-auth=3,4", None),
            ("-jobserver-auth=3,4", None),
            // The argument of another option.
            ("-I --jobserver-auth=3,4", None),
            ("kI --jobserver-auth=3,4 --jobserver-auth=5,6", Some("5,6")),
            ("--eval --jobserver-auth=3,4", None),
            ("-I -- --jobserver-auth=3,4", Some("3,4")),
            ("-O --jobserver-auth=3,4", Some("3,4")),
            ("-l 2.5 --jobserver-auth=3,4", Some("3,4")),
            ("-Idir --jobserver-auth=3,4", Some("3,4")),
        ] {
            assert_eq!(parse(value).jobserver(), auth.map(OsStr::new), "{value:?}");
        }
    }

    #[test]
    fn jobs_are_the_last_that_make_takes() {
        for (value, jobs) in [
            ("", None),
            ("j", Some(Jobs::Unlimited)),
            ("kj8", Some(Jobs::Limit(8))),
            ("kj 8", Some(Jobs::Limit(8))),
            ("-j -k 8", Some(Jobs::Unlimited)),
            ("-j8 --jobs", Some(Jobs::Unlimited)),
            ("-j --jobs=8", Some(Jobs::Limit(8))),
            ("--jobs 8", Some(Jobs::Limit(8))),
            ("-j8 -j8k -j0 -j+9 -j99999999999 --jobs=", Some(Jobs::Limit(8))),
            ("-Ij8", None),
            ("k -- -j8", None),
            ("-j ", None),
        ] {
            assert_eq!(parse(value).jobs(), jobs, "{value:?}");
        }
    }

    #[test]
    fn a_dry_run_is_known_by_each_of_its_names() {
        for value in ["n", "kn", "-n", "k -sn", "--just-print", "--dry-run", "--recon", "--dry"] {
            assert!(parse(value).dry_run(), "{value}");
        }
        for value in ["", "k", "-In", "-I n", "N=n", "V=n n", "-- n", "--no-silent", "-jn"] {
            assert!(!parse(value).dry_run(), "{value}");
        }
    }

    #[test]
    fn ours_takes_the_place_of_what_was_said_about_jobs() {
        for (value, with, without) in [
            ("", " -j4 OURS", ""),
            ("k", "k -j4 OURS", "k"),
            ("k -- A=1 -- -j", "k -j4 OURS -- A=1 -- -j", "k -- A=1 -- -j"),
            (" -- A=1  B=\\ 2 ", " -j4 OURS -- A=1  B=\\ 2 ", " -- A=1  B=\\ 2 "),
            ("kj8 --jobserver-fds=3,4 -O  --jobserver-auth 3,4", "k -j4 OURS -O", "k -O"),
            ("-kj 8 --jobs --jobs=3 -s", " -j4 OURS -k -s", " -k -s"),
            (r"\kj8 V=a\ b", r"\k -j4 OURS V=a\ b", r"\k V=a\ b"),
            ("-I --jobserver-auth=3,4", " -j4 OURS -I --jobserver-auth=3,4", " -I --jobserver-auth=3,4"),
            // Words that belong to the bundle stay with it.
            ("kI dir -s", "kI dir -j4 OURS -s", "kI dir -s"),
            ("kl 2.5 -s", "kl 2.5 -j4 OURS -s", "kl 2.5 -s"),
            // Nothing may be written behind these.
            ("kI", " -j4 OURS -kI", " -kI"),
            ("k -I ", "k -j4 OURS -I ", "k -I "),
            ("k\\", " -j4 OURS -k\\", " -k\\"),
            ("k a\\", "k -j4 OURS a\\", "k a\\"),
            // A lone dash keeps a word from meaning more than it did.
            ("-j8 foo", " -j4 OURS - foo", " - foo"),
            ("-l --jobserver-auth=3,4 5", " -j4 OURS -l - 5", " -l - 5"),
            ("-j8 \n-k", " -j4 OURS - \n-k", " - \n-k"),
            ("V=1 foo", " -j4 OURS V=1 foo", " V=1 foo"),
        ] {
            let auth = Auth::Fifo("/p".into());
            let with = with.replace("OURS", "--jobserver-auth=fifo:/p");
            assert_eq!(parse(value).with_jobserver(&auth, Some(4)).unwrap(), with.as_str(), "{value:?}");
            assert_eq!(parse(value).without_jobserver(), without, "{value:?}");
        }
    }

    #[test]
    fn a_bare_j_is_written_where_no_number_fits() {
        let auth = Auth::Semaphore("pool_1".into());
        for jobs in [None, Some(0), Some(usize::MAX)] {
            assert_eq!(parse("8").with_jobserver(&auth, jobs).unwrap(), "8 -j --jobserver-auth=pool_1");
        }
    }

    #[test]
    fn an_auth_that_clients_read_differently_is_refused_with_the_remedy() {
        for (auth, why) in [
            (Auth::Fifo("pool".into()), "pool can't be named in MAKEFLAGS: it is not absolute"),
            (Auth::Fifo("/a b".into()), "it has characters other than"),
            (Auth::Fifo("/a$b".into()), "it has characters other than"),
            (Auth::Fifo("/ä".into()), "choose another folder"),
            (Auth::Fifo("/a\nb".into()), "it has characters other than"),
            (Auth::Semaphore("".into()), "it is empty"),
            (Auth::Semaphore("fifo".into()), "it is read as another kind of pool"),
            (Auth::Semaphore("a,b".into()), "the semaphore `a,b` can't be named"),
        ] {
            let error = parse("k").with_jobserver(&auth, None).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_width_takes_the_place_of_what_was_said_about_jobs() {
        for (before, after) in [
            ("", " -j3"),
            ("k", "k -j3"),
            ("k -- V=1", "k -j3 -- V=1"),
            ("ks -j8 --jobserver-auth=fifo:/gone -O -- V=\\ 1", "ks -j3 -O -- V=\\ 1"),
            ("kI dir", "kI dir -j3"),
        ] {
            assert_eq!(MakeFlags::parse(before.as_ref()).with_jobs(3), after, "{before:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_kept() {
        use std::os::unix::ffi::OsStrExt;
        let flags = MakeFlags::parse(OsStr::from_bytes(b"k --jobserver-auth=fifo:/\xff -- V=\xfe"));
        assert_eq!(flags.jobserver(), Some(OsStr::from_bytes(b"fifo:/\xff")));
        assert_eq!(flags.without_jobserver(), OsStr::from_bytes(b"k -- V=\xfe"));
    }
}
