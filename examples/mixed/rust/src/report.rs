//! Lines of `name: value`, to be compared with `expected/rust.txt`.

use std::fmt::{self, Display};

#[derive(Debug, Default)]
pub struct Report {
    lines: Vec<(&'static str, String)>,
}

impl Report {
    pub fn line(&mut self, name: &'static str, value: impl Display) {
        self.lines.push((name, value.to_string()));
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))
    }
}
