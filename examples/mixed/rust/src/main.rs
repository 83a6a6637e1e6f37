//! Prints what the library works out; the example's last step compares it with `expected/rust.txt`.

use mixed::{primes, report::Report, sequences};

fn main() {
    let mut report = Report::default();
    primes::add(&mut report);
    sequences::add(&mut report);
    print!("{report}");
}
