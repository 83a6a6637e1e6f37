//! Number theory, done in C and tidied up in Rust: enough of both to make cargo, rustc and cc work.

pub mod primes;
pub mod report;
pub mod sequences;
pub mod sys;
