//! Prints how many sleepers one token wakes, for both crates: `cargo run --release --bin wakeups` in `compare/`.
//!
//! It starts itself as the waiting processes.

use compare::either::Which;
use compare::wakeups::{measure, wait, Style, Way, TOKENS, WAITERS};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["ours", "wait", _] => wait::<jobserver::Client>(Way::Acquire),
        ["upstream", "wait", _] => wait::<upstream::Client>(Way::Acquire),
        ["ours", "wait-helper", _] => wait::<jobserver::Client>(Way::Helper),
        ["upstream", "wait-helper", _] => wait::<upstream::Client>(Way::Helper),
        [] => print(),
        _ => {
            eprintln!("usage: wakeups");
            std::process::exit(2);
        }
    }
}

fn print() {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    println!("wake-ups a token ({WAITERS} waiting processes, {TOKENS} tokens one at a time):");
    println!("{:10} {:10} {:>8} {:>8}", "style", "way", "0.1.35", "ours");
    for style in [Style::Fifo, Style::Pipe] {
        for way in [Way::Acquire, Way::Helper] {
            let upstream = measure(program, Which::Upstream, style, way);
            let ours = measure(program, Which::Ours, style, way);
            println!("{:10} {:10} {upstream:8.2} {ours:8.2}", format!("{style:?}"), format!("{way:?}"));
        }
    }
}
