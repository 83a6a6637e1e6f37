//! Famous sequences.

use crate::report::Report;
use crate::sys;

pub fn add(report: &mut Report) {
    report.line("gcd", sys::gcd(1_071, 462));
    report.line("fibonacci 90", sys::fibonacci(90));
    report.line("binomial 60 over 30", sys::binomial(60, 30));
    report.line("partitions of 100", sys::partitions(100));
    report.line("catalan 30", sys::catalan(30));
    report.line("square root", sys::sqrt(u64::MAX));
    let longest = (1..100_000).max_by_key(|&n| (sys::collatz(n), std::cmp::Reverse(n)));
    report.line("longest collatz start below 100000", longest.unwrap_or(0));
    let steps: Vec<_> = [27, 97, 871].iter().map(|&n| sys::collatz(n).to_string()).collect();
    report.line("collatz steps", steps.join(" "));
}
