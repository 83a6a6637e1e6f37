//! Words and numbers for a screen of so many columns.
//!
//! Names, commands and paths were chosen by others, perhaps by other users: nothing in them may steer the terminal of
//! whoever looks, or turn the direction of its text. Width is what a terminal takes for it, so that columns stay
//! columns under Chinese names too.

use std::collections::HashMap;

use nix::unistd::{Uid, User};
use ratatui::text::Span;

/// Takes out what could steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if steers(letter) { '\u{fffd}' } else { letter }).collect()
}

fn steers(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let breaks = matches!(letter, '\u{2028}' | '\u{2029}' | '\u{feff}');
    letter.is_control() || turns || breaks
}

/// How many columns it takes.
pub(crate) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// As much of it as goes into so many columns, with `…` where something is missing.
pub(crate) fn clip(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_string();
    }
    let mut clipped = String::new();
    let mut used = 0;
    for letter in text.chars() {
        used += width(letter.encode_utf8(&mut [0; 4]));
        if used + 1 > columns {
            break;
        }
        clipped.push(letter);
    }
    if columns > 0 {
        clipped.push('…');
    }
    clipped
}

/// A command in so many columns: where it is too long, its program without the folder says more than the folder.
pub(crate) fn command(text: &str, columns: usize) -> String {
    let text = plain(text);
    if width(&text) <= columns {
        return text;
    }
    let program = text.split(' ').next().unwrap_or_default();
    let folder = program.rfind('/').map_or(0, |slash| slash + 1);
    clip(&text[folder..], columns)
}

/// In exactly so many columns, if it is not wider.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The same, at the right side.
pub(crate) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// A number and what it counts.
pub(crate) fn count(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// A span of time in its two leading digits or so: `0.4s`, `12s`, `3min`, `5h`, `2d`.
pub(crate) fn span(seconds: f64) -> String {
    // Clocks may have been set back.
    let seconds = seconds.max(0.0);
    match seconds as u64 {
        0 if seconds < 0.05 => "0s".to_string(),
        0..=9 => format!("{seconds:.1}s"),
        whole @ 10..=119 => format!("{whole}s"),
        whole @ 120..=7_199 => format!("{}min", whole / 60),
        whole @ 7_200..=172_799 => format!("{}h", whole / 3600),
        whole => format!("{}d", whole / 86_400),
    }
}

/// The same in whole seconds: how long ago something began.
pub(crate) fn age(now: f64, since: f64) -> String {
    span((now - since).max(0.0).floor()).replace(".0s", "s")
}

/// What users are called; each is looked up once, since that may ask the network.
#[derive(Debug, Default)]
pub(crate) struct Users {
    known: HashMap<u32, String>,
}

impl Users {
    pub(crate) fn name(&mut self, uid: u32) -> &str {
        self.known.entry(uid).or_insert_with(|| match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => plain(&user.name),
            // In a container with other users.
            Ok(None) | Err(_) => uid.to_string(),
        })
    }

    /// Those that have been looked up.
    pub(crate) fn known(&self) -> &HashMap<u32, String> {
        &self.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_taken_out_and_words_of_all_scripts_stay() {
        assert_eq!(plain("a\x1b[2J\rb\u{9b}1m\u{202e}c\u{7f}"), "a\u{fffd}[2J\u{fffd}b\u{fffd}1m\u{fffd}c\u{fffd}");
        assert_eq!(plain("naïve 構築 сборка"), "naïve 構築 сборка");
    }

    #[test]
    fn a_text_is_clipped_at_columns_not_at_letters() {
        assert_eq!(clip("kernel", 6), "kernel");
        assert_eq!(clip("kernels", 6), "kerne…");
        assert_eq!(
            (clip("構築構築", 8), clip("構築構築", 7), clip("構築構築", 6)),
            ("構築構築".into(), "構築構…".into(), "構築…".into())
        );
        assert_eq!((clip("abc", 1), clip("abc", 0)), ("…".to_string(), String::new()));
        assert_eq!((left("構", 4), right("構", 4), left("abc", 2)), ("構  ".into(), "  構".into(), "abc".into()));
    }

    #[test]
    fn a_long_command_loses_the_folder_of_its_program_first() {
        assert_eq!(command("/usr/bin/make all", 17), "/usr/bin/make all");
        assert_eq!(command("/usr/bin/make all", 16), "make all");
        assert_eq!(command("/usr/bin/make a/b", 6), "make …");
        assert_eq!(command("make /usr/lib\r", 8), "make /u…");
    }

    #[test]
    fn a_time_is_short_and_never_negative() {
        for (seconds, said) in [
            (-3.0, "0s"),
            (0.0, "0s"),
            (0.4, "0.4s"),
            (9.94, "9.9s"),
            (12.7, "12s"),
            (119.0, "119s"),
            (120.0, "2min"),
            (7_200.0, "2h"),
            (200_000.0, "2d"),
        ] {
            assert_eq!(span(seconds), said, "{seconds}");
        }
        assert_eq!((age(105.7, 100.0), age(100.0, 105.0)), ("5s".to_string(), "0s".to_string()));
        assert_eq!(count(1, "slot") + &count(2, "slot"), "1 slot2 slots");
    }
}
