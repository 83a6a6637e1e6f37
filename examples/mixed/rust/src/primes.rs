//! Primes found in two ways that must agree.

use crate::report::Report;
use crate::sys;

/// How many numbers below `limit` the sieve and the test of single numbers disagree about.
fn disagreements(limit: usize) -> usize {
    let mut composite = vec![0; limit];
    sys::sieve(&mut composite);
    (0..limit).filter(|&n| sys::is_prime(n as u64) != (composite[n] == 0)).count()
}

pub fn add(report: &mut Report) {
    report.line("primes below 100000", sys::sieve(&mut vec![0; 100_000]));
    report.line("disagreements", disagreements(20_000));
    report.line("largest prime of 64 bits", sys::is_prime(18_446_744_073_709_551_557));
    report.line("a strong pseudoprime", sys::is_prime(3_215_031_751));
    report.line("totients up to 1000", (1..=1000).map(sys::totient).sum::<u64>());
    report.line("divisors up to 1000", (1..=1000).map(sys::divisors).sum::<u64>());
    report.line("2^(p-1) mod p", sys::power_mod(2, 1_000_000_006, 1_000_000_007));
}
