//! What doctor has to say about one matter, and how a remedy is written so that it can be pasted.
//!
//! A code never changes its meaning: scripts go by it. A remedy is one line of `sh`, whole as it stands; it has no
//! placeholder that a person would have to fill in.

use std::ffi::OsStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// A tool leaves the pool, fails, or runs at another width than it was meant to.
    Problem,
    /// Worth knowing, and nothing is wrong.
    Note,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Problem => "problem",
            Severity::Note => "note",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// In kebab-case, and stable.
    pub(crate) code: &'static str,
    pub(crate) what: String,
    pub(crate) why: String,
    pub(crate) remedy: String,
}

pub(crate) fn problem(code: &'static str, what: String, why: impl Into<String>, remedy: String) -> Finding {
    Finding { severity: Severity::Problem, code, what, why: why.into(), remedy }
}

pub(crate) fn note(code: &'static str, what: String, why: impl Into<String>, remedy: String) -> Finding {
    Finding { severity: Severity::Note, ..problem(code, what, why, remedy) }
}

/// One word of a shell's line, quoted where it has to be. Bytes that are no text can't be pasted and become U+FFFD.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let text = word.as_ref().to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Words as a shell's line.
pub(crate) fn line<W: AsRef<OsStr>>(words: &[W]) -> String {
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

pub(crate) fn export(name: &str, value: impl AsRef<OsStr>) -> String {
    format!("export {name}={}", quoted(value))
}

pub(crate) fn unset(names: &[&str]) -> String {
    format!("unset {}", names.join(" "))
}

/// `A`, `A and B`, `A, B and C`.
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => one.to_string(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Whoever set it may have put anything into it: nothing in it steers the terminal of whoever looks.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_is_one_word_for_a_shell() {
        for word in ["make", "-j8", "a b", "it's", "", "$HOME", "a\\b", "*", "V=x y", "#x", "~"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf '%s|' {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{word}|"));
        }
    }

    #[test]
    fn names_are_listed_as_a_person_would() {
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }
}
