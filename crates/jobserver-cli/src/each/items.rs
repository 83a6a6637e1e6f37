//! The items: those after `:::`, or what standard input has, read as it is needed.
//!
//! A read of standard input ends when there is nothing more to be started: whoever writes it may live for ever.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::vec::IntoIter;

use super::crew::Crew;
use super::system;
use crate::report::say;

/// What stands between the command and its items.
const MARK: &str = ":::";

pub(super) enum Items {
    List(IntoIter<OsString>),
    Input(Input),
}

/// What was read of standard input.
pub(super) struct Input {
    end: u8,
    whole: VecDeque<Vec<u8>>,
    /// The beginning of the next item.
    part: Vec<u8>,
    is_over: bool,
}

/// The command, and its items.
pub(super) fn split(words: &[OsString], null: bool) -> Result<(Vec<OsString>, Items), String> {
    let mut parts = words.split(|word| word == MARK);
    let command = parts.next().unwrap_or_default().to_vec();
    if command.is_empty() {
        return Err(format!("there is no command before `{MARK}`: each -- CMD {{}} {MARK} ITEM..."));
    }
    let items = match (parts.next(), parts.next()) {
        (Some(_), Some(_)) => return Err(format!("`{MARK}` stands there twice: there is one list of items")),
        (Some(list), None) => Items::List(Vec::from(list).into_iter()),
        (None, _) => {
            if io::stdin().is_terminal() {
                say("items are read from the terminal, one a line; Ctrl-D ends them");
            }
            let end = if null { 0 } else { b'\n' };
            Items::Input(Input { end, whole: VecDeque::new(), part: Vec::new(), is_over: false })
        }
    };
    Ok((command, items))
}

impl Items {
    /// How many there are, if that is known.
    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Items::List(list) => Some(list.len() as u64),
            Items::Input(_) => None,
        }
    }

    /// The next item; `None`: there is none, or the crew has stopped.
    ///
    /// # Errors
    ///
    /// Standard input can't be read.
    pub(super) fn next(&mut self, crew: &Crew) -> io::Result<Option<OsString>> {
        match self {
            _ if crew.is_stopped() => Ok(None),
            Items::List(list) => Ok(list.next()),
            Items::Input(input) => input.next(crew),
        }
    }
}

impl Input {
    fn next(&mut self, crew: &Crew) -> io::Result<Option<OsString>> {
        loop {
            if let Some(item) = self.whole.pop_front() {
                return Ok(Some(system::item(item)));
            }
            if self.is_over {
                return Ok(None);
            }
            match crew.bell().input()? {
                system::Input::Bytes(bytes) => self.take(&bytes),
                system::Input::End => {
                    self.is_over = true;
                    // The last one needs no end.
                    let last = std::mem::take(&mut self.part);
                    self.add(last);
                }
                system::Input::Nothing if crew.is_stopped() => return Ok(None),
                system::Input::Nothing => {}
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let end = self.end;
        let mut parts = bytes.split(|&byte| byte == end);
        self.part.extend_from_slice(parts.next().unwrap_or_default());
        for part in parts {
            let item = std::mem::replace(&mut self.part, part.to_vec());
            self.add(item);
        }
    }

    /// Empty lines are no items.
    fn add(&mut self, item: Vec<u8>) {
        let item = if self.end == b'\n' { system::line(item) } else { item };
        if !item.is_empty() {
            self.whole.push_back(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn items_stand_behind_one_mark() {
        let (command, items) = split(&words("gcc -c {} ::: a.c b.c"), false).unwrap();
        assert_eq!((command, items.total()), (words("gcc -c {}"), Some(2)));
        let (command, items) = split(&words("true :::"), false).unwrap();
        assert_eq!((command, items.total()), (words("true"), Some(0)));
        assert_eq!(split(&words("true"), false).unwrap().1.total(), None);
        assert!(split(&words("::: a"), false).is_err());
        assert!(split(&words("a ::: b ::: c"), false).is_err());
    }

    #[test]
    fn input_is_cut_at_its_ends_wherever_a_read_ends() {
        for (end, text) in [(b'\n', b"one\n\ntwo words\nthr\xffee\n".to_vec()), (0, b"one\0two\nwords\0x".to_vec())] {
            let expected: Vec<Vec<u8>> =
                text.split(|&byte| byte == end).filter(|item| !item.is_empty()).map(<[u8]>::to_vec).collect();
            for size in 1..=text.len() {
                let mut input = Input { end, whole: VecDeque::new(), part: Vec::new(), is_over: false };
                text.chunks(size).for_each(|chunk| input.take(chunk));
                let last = std::mem::take(&mut input.part);
                input.add(last);
                assert_eq!(Vec::from(input.whole), expected, "{size}");
            }
        }
    }
}
