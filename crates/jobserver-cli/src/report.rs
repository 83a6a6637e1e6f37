//! What is written for a person: one line a matter, `jobserver: what: why: remedy`, on standard error.
//!
//! A build's output is the user's, so there is a line only where something is not as it should be; and a standard error
//! that is closed or full never becomes a failure of the build.

use std::fmt::Display;
use std::io::Write;

use clap::error::ErrorKind;

use crate::{cli, exit};

/// Writes one line.
pub(crate) fn say(message: impl Display) {
    // One write, so that lines of the build don't come between.
    let _ = std::io::stderr().write_all(format!("jobserver: {message}\n").as_bytes());
}

/// Prints what clap has to say, help or a wrong argument, and returns the exit status.
pub(crate) fn usage(answer: &clap::Error) -> exit::Code {
    match answer.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = answer.print();
            0
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = answer.print();
            exit::OURS
        }
        _ => {
            say(in_one_line(&answer.to_string(), &help_page()));
            exit::OURS
        }
    }
}

/// What clap says in several paragraphs: what is wrong, its tips, and where more is to be read; the usage is there, too.
fn in_one_line(answer: &str, page: &str) -> String {
    let text = answer.strip_prefix("error: ").unwrap_or(answer);
    let of_help = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more information");
    let mut line = String::new();
    for part in text.lines().map(str::trim).filter(|line| !line.is_empty() && !of_help(line)) {
        let (joint, part) = match part.strip_prefix("tip: ") {
            Some(tip) => (": ", tip),
            None => (" ", part),
        };
        line += if line.is_empty() { "" } else { joint };
        line += part;
    }
    format!("{line}: `{page}` says what there is")
}

/// The page of the command that was called.
fn help_page() -> String {
    let command = cli::command();
    let called = std::env::args().nth(1).filter(|name| command.find_subcommand(name).is_some());
    called.map_or_else(|| "jobserver --help".to_string(), |name| format!("jobserver {name} --help"))
}

/// What a pool has to account for when its command has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// The tokens that the command could have, or has had.
    pub(crate) tokens: usize,
    /// Those of them that did not come back.
    pub(crate) lost: usize,
    /// Tokens that came back without having been taken.
    pub(crate) strays: usize,
    /// Whether lost tokens were replaced in the inherited jobserver.
    pub(crate) made_good: bool,
}

impl Account {
    /// The lines that this is worth: none if all is well.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.lost > 0 {
            let consequence = if self.made_good {
                "the inherited jobserver has them back all the same"
            } else {
                "since then fewer jobs ran"
            };
            lines.push(format!(
                "{} of {} did not come back: a process that held one was killed, or still runs: {consequence}",
                self.lost,
                tokens(self.tokens),
            ));
        }
        if self.strays > 0 {
            lines.push(format!(
                "{} came back that nobody had taken: a tool of the command returns what it never took: while it does, \
                 more jobs run than -j allows",
                tokens(self.strays),
            ));
        }
        lines
    }
}

fn tokens(count: usize) -> String {
    match count {
        1 => "1 token".to_string(),
        _ => format!("{count} tokens"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_arguments_is_one_line() {
        for (answer, line) in [
            (
                "error: unexpected argument '--pol' found\n\n  tip: a similar argument exists: '--pool'\n\nUsage: jobserver top \
                 --pool <DIR>\n\nFor more information, try '--help'.\n",
                "unexpected argument '--pol' found: a similar argument exists: '--pool': `P` says what there is",
            ),
            (
                "error: the following required arguments were not provided:\n  <CMD>...\n\nUsage: jobserver each <CMD>...\n",
                "the following required arguments were not provided: <CMD>...: `P` says what there is",
            ),
        ] {
            assert_eq!(in_one_line(answer, "P"), line);
        }
    }

    #[test]
    fn a_balanced_pool_is_not_worth_a_line() {
        assert!(Account { tokens: 3, ..Account::default() }.lines().is_empty());
    }

    #[test]
    fn each_fault_is_one_line() {
        let account = Account { tokens: 3, lost: 1, strays: 2, made_good: false };
        let lines = account.lines();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("1 of 3 tokens did not come back: "), "{lines:?}");
        assert!(lines[1].starts_with("2 tokens came back that nobody had taken: "), "{lines:?}");
    }
}
