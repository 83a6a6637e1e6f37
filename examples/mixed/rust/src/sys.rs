//! Safe names for the functions of `c/`. All of them take plain numbers and touch no memory of ours, but for
//! `sieve`, which gets a slice with its length.

mod raw {
    extern "C" {
        pub fn num_gcd(a: u64, b: u64) -> u64;
        pub fn num_power_mod(base: u64, exponent: u64, modulus: u64) -> u64;
        pub fn num_is_prime(n: u64) -> bool;
        pub fn num_sieve(composite: *mut u8, length: usize) -> usize;
        pub fn num_totient(n: u64) -> u64;
        pub fn num_divisors(n: u64) -> u64;
        pub fn num_sqrt(n: u64) -> u64;
        pub fn num_fibonacci(n: u32) -> u64;
        pub fn num_binomial(n: u32, k: u32) -> u64;
        pub fn num_partitions(n: u32) -> u64;
        pub fn num_catalan(n: u32) -> u64;
        pub fn num_collatz(n: u64) -> u32;
    }
}

macro_rules! safe {
    ($($name:ident = $raw:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        $(pub fn $name($($argument: $type),*) -> $result {
            // SAFETY: the C function takes and returns numbers only and is defined for all of them.
            unsafe { raw::$raw($($argument),*) }
        })*
    };
}

safe! {
    gcd = num_gcd(a: u64, b: u64) -> u64;
    power_mod = num_power_mod(base: u64, exponent: u64, modulus: u64) -> u64;
    is_prime = num_is_prime(n: u64) -> bool;
    totient = num_totient(n: u64) -> u64;
    divisors = num_divisors(n: u64) -> u64;
    sqrt = num_sqrt(n: u64) -> u64;
    fibonacci = num_fibonacci(n: u32) -> u64;
    binomial = num_binomial(n: u32, k: u32) -> u64;
    partitions = num_partitions(n: u32) -> u64;
    catalan = num_catalan(n: u32) -> u64;
    collatz = num_collatz(n: u64) -> u32;
}

/// Marks the composite numbers below the slice's length, and returns how many are prime.
pub fn sieve(composite: &mut [u8]) -> usize {
    // SAFETY: the pointer and the length are those of one slice that we may write to.
    unsafe { raw::num_sieve(composite.as_mut_ptr(), composite.len()) }
}
