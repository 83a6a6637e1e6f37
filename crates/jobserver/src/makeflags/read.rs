//! One walk over the words, as `getopt_long` takes it for make: what counts, and what is kept for writing.
//!
//! The words about jobs are taken out here already, so that every way to write the value agrees on what is left. Where
//! taking a word out would change the meaning of its neighbour, a lone `-`, which make ignores, keeps them apart.

use super::options::{self, Kind, Switch, Takes};
use super::words::{self, Word};
use super::{text, Jobs, MakeFlags};

pub(super) fn read(value: &[u8]) -> MakeFlags {
    let words = words::split(value);
    let mut walk = Walk { value, words: &words, next: 0, after_bare_load: false, found: MakeFlags::default() };
    while walk.step() {}
    walk.found
}

struct Walk<'a> {
    value: &'a [u8],
    words: &'a [Word<'a>],
    next: usize,
    /// The last word kept ends in a `-l` that would take a number behind it.
    after_bare_load: bool,
    found: MakeFlags,
}

/// What is left to keep of an option word.
struct Remains {
    /// So much of its text.
    length: usize,
    /// And the next word, its argument.
    argument: bool,
    /// It wants an argument and there is none, so it must stay the last word of the value.
    dangling: bool,
    bare_load: bool,
}

impl<'a> Walk<'a> {
    fn step(&mut self) -> bool {
        let words = self.words;
        let Some(word) = words.get(self.next) else { return false };
        let first = self.next == 0;
        self.next += 1;
        let text: &[u8] = &word.text;
        if text == b"--" {
            self.found.tail = self.value[word.place.start..].to_vec();
            return false;
        }
        if first && is_bundle(text) {
            let remains = self.cluster(text, 0);
            self.keep_bundle(word, remains);
        } else if let Some(name) = text.strip_prefix(b"--") {
            let remains = self.long(name, text.len());
            self.keep(word, remains);
        } else if text.len() > 1 && text[0] == b'-' {
            let remains = self.cluster(text, 1);
            self.keep(word, remains);
        } else {
            self.operand(word);
        }
        true
    }

    /// A word of short options: `-kj8`, or `kj8` at the start of the value.
    fn cluster(&mut self, text: &'a [u8], start: usize) -> Remains {
        for (at, &letter) in text.iter().enumerate().skip(start) {
            let switch = options::short(letter);
            if switch.takes() == Takes::Nothing {
                self.found.dry_run |= switch.kind() == Kind::DryRun;
                continue;
            }
            let attached = Some(&text[at + 1..]).filter(|rest| !rest.is_empty());
            let remains = self.option(switch, attached, text.len());
            return match switch.kind() {
                // `-kj8` becomes `-k`, and `-j8` nothing.
                Kind::Jobs => Remains { length: if at > start { at } else { 0 }, ..remains },
                _ => remains,
            };
        }
        Remains::whole(text.len())
    }

    fn long(&mut self, name: &'a [u8], length: usize) -> Remains {
        match options::long(name) {
            Some((switch, attached)) => self.option(switch, attached, length),
            None => Remains::whole(length),
        }
    }

    fn option(&mut self, switch: Switch, attached: Option<&'a [u8]>, length: usize) -> Remains {
        let argument = attached.or_else(|| self.next_as_argument(switch));
        let mut remains = Remains::whole(length);
        remains.argument = attached.is_none() && argument.is_some();
        match switch.kind() {
            Kind::Auth => {
                self.auth(argument);
                remains = Remains::nothing();
            }
            Kind::Jobs => {
                self.jobs(argument);
                remains = Remains::nothing();
            }
            Kind::DryRun => self.found.dry_run = true,
            Kind::Load => remains.bare_load = argument.is_none(),
            Kind::Other => {
                // The empty word behind trailing blanks is an argument too, until something is written behind it.
                remains.dangling =
                    switch.takes() == Takes::Required && attached.is_none() && argument.unwrap_or_default().is_empty();
            }
        }
        remains
    }

    fn next_as_argument(&mut self, switch: Switch) -> Option<&'a [u8]> {
        let word: &[u8] = &self.words.get(self.next)?.text;
        let taken = match switch.kind() {
            Kind::Jobs => word.iter().all(u8::is_ascii_digit),
            Kind::Load => begins_number(word),
            _ => switch.takes() == Takes::Required,
        };
        if !taken {
            return None;
        }
        self.next += 1;
        Some(word)
    }

    fn auth(&mut self, argument: Option<&[u8]>) {
        match argument {
            None => {}
            Some(b"") if self.found.auth.is_some() => {}
            Some(argument) => self.found.auth = Some(text(argument.to_vec())),
        }
    }

    fn jobs(&mut self, argument: Option<&[u8]>) {
        let Some(digits) = argument else {
            self.found.jobs = Some(Jobs::Unlimited);
            return;
        };
        // `parse` would take `+8`, and so does make 4.4.1, yet 4.3 does not.
        if digits.iter().all(u8::is_ascii_digit) {
            let add = |number: u32, digit: &u8| number.checked_mul(10)?.checked_add(u32::from(digit - b'0'));
            match digits.iter().try_fold(0, add) {
                None | Some(0) => {}
                Some(number) => self.found.jobs = Some(Jobs::Limit(number)),
            }
        }
    }

    fn keep_bundle(&mut self, word: &Word<'_>, remains: Remains) {
        let (open, dangling) = (self.last_is_open(word, &remains), remains.dangling);
        let kept = self.raw(word, &remains);
        if kept.is_empty() {
            return;
        }
        if open || dangling {
            // Nothing may be written behind it, so it can't lead; with a dash it means the same at the end.
            self.found.rest.extend_from_slice(b" -");
            self.found.rest.extend_from_slice(&kept);
        } else {
            self.found.flags = kept;
        }
        self.after_bare_load = remains.bare_load;
    }

    fn keep(&mut self, word: &Word<'_>, remains: Remains) {
        let kept = self.raw(word, &remains);
        if !kept.is_empty() {
            self.push(&kept);
            self.after_bare_load = remains.bare_load;
        }
    }

    fn operand(&mut self, word: &Word<'_>) {
        if word.text.is_empty() {
            return;
        }
        let leads = self.found.flags.is_empty() && self.found.rest.is_empty();
        if (leads && is_bundle(&word.text)) || (self.after_bare_load && begins_number(&word.text)) {
            self.push(b"-");
        }
        self.push(&self.value[word.place.clone()]);
        self.after_bare_load = false;
    }

    fn push(&mut self, raw: &[u8]) {
        // At the start of a value make skips a newline, which elsewhere belongs to its word.
        let leads = self.found.flags.is_empty() && self.found.rest.is_empty();
        if leads && raw.first().is_some_and(|&byte| words::is_space(byte)) {
            self.found.rest.extend_from_slice(b" -");
        }
        self.found.rest.push(b' ');
        self.found.rest.extend_from_slice(raw);
    }

    fn raw(&self, word: &Word<'_>, remains: &Remains) -> Vec<u8> {
        let mut kept = words::prefix(&self.value[word.place.clone()], remains.length).to_vec();
        if remains.argument && !kept.is_empty() {
            kept.push(b' ');
            kept.extend_from_slice(&self.value[self.words[self.next - 1].place.clone()]);
        }
        kept
    }

    fn last_is_open(&self, word: &Word<'_>, remains: &Remains) -> bool {
        if remains.argument {
            self.words[self.next - 1].open
        } else {
            word.open && remains.length == word.text.len()
        }
    }
}

impl Remains {
    fn whole(length: usize) -> Remains {
        Remains { length, argument: false, dangling: false, bare_load: false }
    }

    fn nothing() -> Remains {
        Remains::whole(0)
    }
}

/// Whether make, finding this word first, puts a dash before it and reads short flags.
fn is_bundle(text: &[u8]) -> bool {
    !text.starts_with(b"-") && !text.contains(&b'=')
}

fn begins_number(text: &[u8]) -> bool {
    text.first().is_some_and(|&byte| byte.is_ascii_digit() || byte == b'.')
}
