//! The words that name a pool in MAKEFLAGS, in the one spelling that all clients read alike.
//!
//! make would take more (a quoted space, an abbreviation, a separate argument), but no other client undoes its quoting,
//! and make itself expands `$` anew at each level. So what needs quoting is refused rather than quoted.

use std::fmt;

use crate::auth::{self, Auth};

/// ` -jN --jobserver-auth=X`, a space before each word.
#[inline]
pub(super) fn words(auth: &Auth, jobs: Option<usize>) -> Result<Vec<u8>, UnwritableAuth> {
    check(auth).map_err(UnwritableAuth)?;
    let mut words = self::jobs(jobs);
    if let Auth::Pipe { .. } = auth {
        words += &format!(" --jobserver-fds={auth}");
    }
    // Nothing is lost in text: `check` has let ASCII pass only.
    words += &format!(" --jobserver-auth={auth}");
    Ok(words.into_bytes())
}

/// ` -jN`, or ` -j` where there is no number that make can hold.
#[inline]
pub(super) fn jobs(jobs: Option<usize>) -> String {
    match jobs {
        // make counts in an `unsigned int` and prints it as an `int`.
        Some(jobs) if jobs > 0 && i32::try_from(jobs).is_ok() => format!(" -j{jobs}"),
        _ => " -j".to_string(),
    }
}

#[inline]
fn check(auth: &Auth) -> Result<(), String> {
    let name = match auth {
        Auth::Pipe { .. } => return Ok(()),
        Auth::Fifo(path) => return auth::check_path(path),
        Auth::Semaphore(name) => name,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let why = if name.is_empty() {
        "it is empty"
    } else if !name.bytes().all(plain) {
        "it has characters other than A-Z a-z 0-9 _ . -"
    } else if Auth::parse(name.as_ref()).as_ref() != Ok(auth) {
        "it is read as another kind of pool"
    } else {
        return Ok(());
    };
    Err(format!("the semaphore `{name}` can't be named in MAKEFLAGS: {why}; choose another name"))
}

/// Why an [`Auth`] can't be written into MAKEFLAGS so that every client would read it alike: it names the path or the
/// name, what is wrong with it, and what to do.
///
/// ```
/// use jobserver::{Auth, MakeFlags};
///
/// let error = MakeFlags::default().with_jobserver(&Auth::Fifo("/tmp/my pool".into()), None).unwrap_err();
/// assert!(error.to_string().contains("/tmp/my pool"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwritableAuth(String);

impl fmt::Display for UnwritableAuth {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnwritableAuth {}
