//! The pool's path beside the descriptors, in one value of MAKEFLAGS: pure text.
//!
//! make before 4.4 stops at a path and ninja refuses descriptors, but each takes the last that it sees, and they look in
//! different ways: make reads the words of MAKEFLAGS with their quotes, ninja, jobserver-rs, GCC and LLVM without. So the
//! path is hidden from make in the value of a variable,
//!
//! ```text
//!  -j4 --jobserver-auth=100,101 -- JOBSERVER_FIFO=/path\ --jobserver-auth=fifo:/path
//! ```
//!
//! which is to make a variable like any other: it goes on to sub-makes, and into the environment of recipes, where the
//! shims find it. Nobody but the shims and who starts them may call this.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The variable, of make and of the environment.
pub(crate) const FIFO: &str = "JOBSERVER_FIFO";

/// The value of the variable in the environment.
pub(super) fn value(path: &Path) -> OsString {
    joined(path, b" ")
}

/// The path in such a value; blanks or anything else that no path of ours has is none of ours.
pub(super) fn path(value: &OsStr) -> Option<PathBuf> {
    let path = value.as_bytes().split(|&byte| byte == b' ').next()?;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_./-".contains(byte);
    let is_ours = path.first() == Some(&b'/') && path.iter().all(plain);
    is_ours.then(|| PathBuf::from(OsStr::from_bytes(path)))
}

/// `flags`, a value of MAKEFLAGS, with the variable at its end in place of any that it had.
pub(super) fn with(flags: &OsStr, path: &Path) -> OsString {
    let mut flags = without(flags).into_vec();
    // Without a dash and a blank before it the first word would be a bundle of flags.
    flags.extend_from_slice(format!(" {FIFO}=").as_bytes());
    flags.extend_from_slice(joined(path, b"\\ ").as_bytes());
    OsString::from_vec(flags)
}

/// `flags` without the variable, wherever make has put it among others.
pub(super) fn without(flags: &OsStr) -> OsString {
    let name = format!("{FIFO}=");
    let mut rest = flags.as_bytes();
    let mut kept = Vec::new();
    while let Some(at) = rest.windows(name.len()).position(|part| part == name.as_bytes()) {
        let begins = at == 0 || rest[at - 1] == b' ';
        let end = if begins { at + end_of_word(&rest[at..]) } else { at + name.len() };
        let stays = if begins { at.saturating_sub(1) } else { end };
        kept.extend_from_slice(&rest[..stays]);
        rest = &rest[end..];
    }
    kept.extend_from_slice(rest);
    // The mark before variables of which none is left.
    if let Some(empty) = kept.strip_suffix(b" --").map(<[u8]>::len).filter(|_| kept.len() != flags.len()) {
        kept.truncate(empty);
    }
    OsString::from_vec(kept)
}

fn end_of_word(text: &[u8]) -> usize {
    let ends = |at: &usize| matches!(text[*at], b' ' | b'\t') && text[at - 1] != b'\\';
    (1..text.len()).find(ends).unwrap_or(text.len())
}

fn joined(path: &Path, between: &[u8]) -> OsString {
    let path = path.as_os_str().as_bytes();
    OsString::from_vec([path, between, b"--jobserver-auth=fifo:", path].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jobserver::MakeFlags;

    const OURS: &str = r"JOBSERVER_FIFO=/p\ --jobserver-auth=fifo:/p";

    #[test]
    fn the_variable_is_put_last_and_taken_out_wherever_it_is() {
        for (before, with_it) in [
            ("", " OURS"),
            (" -j4 --jobserver-auth=3,4", " -j4 --jobserver-auth=3,4 OURS"),
            ("k -j4 -- V=1", "k -j4 -- V=1 OURS"),
            (r"k -- V=a\ b", r"k -- V=a\ b OURS"),
            ("k -- MY_JOBSERVER_FIFO=1", "k -- MY_JOBSERVER_FIFO=1 OURS"),
        ] {
            let with_it = with_it.replace("OURS", OURS);
            assert_eq!(with(before.as_ref(), Path::new("/p")), with_it.as_str(), "{before:?}");
            assert_eq!(without(with_it.as_ref()), before, "{with_it:?}");
            assert_eq!(with(with_it.as_ref(), Path::new("/p")), with_it.as_str(), "{before:?}");
        }
        for (written_by_make, rest) in [
            (format!("k -j4 --jobserver-auth=3,4 -- {OURS} V=1"), "k -j4 --jobserver-auth=3,4 -- V=1"),
            (format!(" -j4 -- {OURS}"), " -j4"),
            (format!(" -j4 {OURS}"), " -j4"),
            (" -j4 -- V=1 --".to_string(), " -j4 -- V=1 --"),
        ] {
            assert_eq!(without(written_by_make.as_ref()), rest, "{written_by_make:?}");
        }
    }

    #[test]
    fn make_reads_past_it_and_the_environment_tells_the_path() {
        let flags = with(" -j4 --jobserver-auth=3,4".as_ref(), Path::new("/p"));
        assert_eq!(MakeFlags::parse(&flags).jobserver(), Some("3,4".as_ref()));
        assert_eq!(path(&value(Path::new("/run/a_b/c-1.2"))).as_deref(), Some(Path::new("/run/a_b/c-1.2")));
        for other in ["", "relative", "/a$(b)", "/ä", " --jobserver-auth=fifo:/p"] {
            assert_eq!(path(other.as_ref()), None, "{other:?}");
        }
    }
}
