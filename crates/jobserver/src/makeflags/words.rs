//! Words of a MAKEFLAGS value, cut and unquoted as make's `decode_env_switches` does it.
//!
//! Each word keeps its place in the value beside its meaning, because what is written back must be the bytes that were
//! there. Every byte is looked at a fixed number of times. References to make variables are not expanded: their values
//! are unknown here; only `$$`, which is always `$`, is.

use std::borrow::Cow;
use std::ops::Range;

/// One word.
pub(super) struct Word<'a> {
    /// Where it stands in the value, quoting included.
    pub(super) place: Range<usize>,
    /// What make sees. Empty only for the word behind trailing blanks, which make really makes.
    pub(super) text: Cow<'a, [u8]>,
    /// A lone backslash ends it. make takes that literally, and only at the end of the value: whatever were written
    /// behind it would be quoted.
    pub(super) open: bool,
}

/// Cuts `value` into words.
pub(super) fn split(value: &[u8]) -> Vec<Word<'_>> {
    // make skips any white space before the first word, but only blanks separate words: a newline is part of one.
    let Some(mut at) = value.iter().position(|&byte| !is_space(byte)) else {
        return Vec::new();
    };
    let mut words = Vec::new();
    loop {
        let word = read(value, at);
        at = word.place.end;
        words.push(word);
        if at == value.len() {
            return words;
        }
        while at < value.len() && is_blank(value[at]) {
            at += 1;
        }
    }
}

/// The part of `raw` that stands for the first `count` bytes of its text.
pub(super) fn prefix(raw: &[u8], count: usize) -> &[u8] {
    let mut at = 0;
    for _ in 0..count {
        at += step(raw, at).1;
    }
    &raw[..at]
}

fn read(value: &[u8], start: usize) -> Word<'_> {
    let mut end = start;
    let mut plain = true;
    let mut open = false;
    while end < value.len() && !is_blank(value[end]) {
        let (byte, length) = step(value, end);
        plain &= length == 1;
        // A backslash that quotes nothing: it is the last byte of the value.
        open = length == 1 && byte == b'\\';
        end += length;
    }
    let raw = &value[start..end];
    let text = if plain { Cow::Borrowed(raw) } else { Cow::Owned(unquote(raw)) };
    Word { place: start..end, text, open }
}

fn unquote(raw: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let (byte, length) = step(raw, at);
        text.push(byte);
        at += length;
    }
    text
}

/// The byte of the text that begins at `at`, and how many bytes of the value it took. `$` is expanded before the
/// backslash is undone: both make 4.3 and 4.4.1 expand the whole value first.
fn step(value: &[u8], at: usize) -> (u8, usize) {
    match (value[at], value.get(at + 1)) {
        (b'\\', Some(b'$')) if value.get(at + 2) == Some(&b'$') => (b'$', 3),
        (b'\\', Some(&quoted)) => (quoted, 2),
        (b'$', Some(b'$')) => (b'$', 2),
        (byte, _) => (byte, 1),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// What make skips at the start of a value.
pub(super) fn is_space(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'\n' | 0x0b | 0x0c | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_where_make_cuts_them() {
        for (value, texts) in [
            ("", &[][..]),
            (" \t\n", &[]),
            ("k", &["k"]),
            ("\n k  \t-j8", &["k", "-j8"]),
            ("-k\n-j8", &["-k\n-j8"]),
            ("k ", &["k", ""]),
            (r"a\ b c", &["a b", "c"]),
            (r"\-\-\\x", &[r"--\x"]),
            (r"a\", &[r"a\"]),
            (r"a\\", &[r"a\"]),
            (r"a\ ", &["a "]),
            (r"a$$b $x$(y)$", &["a$b", "$x$(y)$"]),
            (r"\$$b \$x", &["$b", "$x"]),
        ] {
            let words = split(value.as_bytes());
            let found: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(&word.text).into_owned()).collect();
            assert_eq!(found, texts, "{value:?}");
        }
    }

    #[test]
    fn only_a_lone_backslash_at_the_end_leaves_a_word_open() {
        for (value, open) in [(r"a\", true), (r"a\\", false), (r"a\\\", true), ("a", false), (r"\", true)] {
            assert_eq!(split(value.as_bytes())[0].open, open, "{value}");
        }
    }

    #[test]
    fn a_prefix_keeps_its_quoting() {
        assert_eq!(prefix(br"\k$$j8", 2), br"\k$$");
        assert_eq!(prefix(b"kj8", 0), b"");
        assert_eq!(prefix(br"k\", 2), br"k\");
    }
}
