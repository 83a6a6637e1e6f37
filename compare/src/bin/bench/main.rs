//! The benchmark: this crate beside 0.1.35, 0.1.35 beside itself, and the bare system calls below them.
//!
//! `cargo xtask bench` builds it with a second copy of 0.1.35, runs it and makes a table of the lines that it prints,
//! one JSON object a row. By itself: `cargo run --release --manifest-path compare/Cargo.toml --bin bench`, with
//! `--quick` and `--only PART` (a file here that has rows).

#![deny(unsafe_code)]

mod helper;
mod processes;
mod rounds;
mod slots;
mod spawn;
mod subject;
#[allow(unsafe_code)]
mod sys;
mod threads;
mod uncontended;

/// Some rows, and what `--only` calls them.
struct Part {
    name: &'static str,
    /// With how many rounds.
    run: fn(usize),
}

const PARTS: [Part; 6] = [
    Part { name: "uncontended", run: uncontended::run },
    Part { name: "threads", run: threads::run },
    Part { name: "processes", run: processes::run },
    Part { name: "helper", run: helper::run },
    Part { name: "slots", run: slots::run },
    Part { name: "spawn", run: spawn::run },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["wait", ref rest @ ..] => processes::wait(rest),
        ["hungry", ref rest @ ..] => slots::hungry(rest),
        [] => measure(101, None),
        ["--quick"] => measure(11, None),
        ["--only", part] if is_part(part) => measure(101, Some(part)),
        ["--quick", "--only", part] if is_part(part) => measure(11, Some(part)),
        _ => {
            eprintln!("usage: bench [--quick] [--only PART]");
            std::process::exit(2);
        }
    }
}

fn is_part(name: &str) -> bool {
    PARTS.iter().any(|part| part.name == name)
}

fn measure(rounds: usize, only: Option<&str>) {
    for part in PARTS.iter().filter(|part| only.is_none_or(|only| only == part.name)) {
        (part.run)(rounds);
    }
}
