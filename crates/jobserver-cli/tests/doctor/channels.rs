//! Traps behind `R,W`: descriptors that make or somebody else has closed, replaced or turned round.

use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use testkit::clients;

use crate::seen::{Place, Seen, DOCTOR};

#[test]
fn a_recipe_without_a_plus_and_the_plus_that_the_remedy_writes() {
    for (make, style, kind) in
        [(clients::make_4_3(), "", "pipe"), (clients::make_4_4(), "--jobserver-style=pipe", "disabled")]
    {
        let place = Place::with(make);
        place.makefile(&format!("\t@{DOCTOR} >seen"));
        place.done(place.sh(&format!("make -j2 {style}")));
        let seen = place.seen("seen");
        // The lowest numbers that were free.
        let auth = seen.has("kind", kind).0["auth"].as_str().unwrap();
        assert_eq!(auth == "-2,-2", kind == "disabled", "{auth}");
        let remedy = seen.problem("recipe-without-plus");
        place.done(place.sh(&format!("{remedy}; make -j2 {style}"))).is_clean();
        place.seen("seen").is_joined().has("pool", 2).has("available", 1);
    }
}

#[test]
fn a_makefile_of_another_name_is_the_one_that_gets_the_plus() {
    let place = Place::with_old_make();
    place.makefile("\techo none of this");
    place.sandbox.write("other.mk", &format!("all: ; @true\nit:\n\t@{DOCTOR} -- ninja.py -k >seen\n"));
    place.fake("ninja.py", "0.1");
    place.done(place.sh("make -j2 -f other.mk it"));
    let remedy = place.seen("seen").problem("recipe-without-plus");
    assert!(remedy.ends_with(" other.mk") && remedy.contains("ninja\\.py"), "{remedy}");
    place.done(place.sh(&format!("{remedy}; make -j2 -f other.mk it"))).is_clean();
    place.seen("seen").is_joined();
}

#[test]
fn descriptors_that_some_program_between_has_closed() {
    let place = Place::new();
    // As Python's subprocess does by default.
    let script = "numbers=${MAKEFLAGS##*-auth=}; r=${numbers%,*} w=${numbers#*,}; eval \"exec $r<&- $w>&-\"";
    place.under_run(&["--style", "pipe"], &format!("{script}; {DOCTOR} >seen; true")).is_clean();
    let remedy = place.seen("seen").problem("descriptors-closed");
    assert_eq!(remedy, "unset CARGO_MAKEFLAGS MAKEFLAGS");
    let script = format!("{script}; {remedy}; {DOCTOR} >after");
    place.under_run(&["--style", "pipe"], &script).is_clean();
    place.seen("after").note("no-jobserver");
}

/// `0,0`, and standard input is this.
#[track_caller]
fn on_standard_input(place: &Place, input: impl Into<Stdio>, words: &str) -> Seen {
    let mut command = place.sh(&format!("{DOCTOR} {words} >seen"));
    command.env("MAKEFLAGS", " -j4 --jobserver-auth=0,0").stdin(input);
    let outcome = place.done(command);
    assert!(outcome.err.is_empty(), "{outcome:?}");
    place.seen("seen")
}

#[test]
fn descriptors_that_are_something_else() {
    let place = Place::new();
    let file = place.sandbox.write("file", "tokens\n");
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/ptmx").unwrap();
    let (socket, _other) = UnixStream::pair().unwrap();
    let inputs: [(OwnedFd, &str); 5] = [
        (File::open(&file).unwrap().into(), "a plain file"),
        (File::open(place.sandbox.path("")).unwrap().into(), "a folder"),
        (File::open("/dev/null").unwrap().into(), "/dev/null or the like"),
        (terminal.into(), "a terminal"),
        (socket.into(), "a socket"),
    ];
    for (input, is) in inputs {
        let seen = on_standard_input(&place, input, "");
        assert_eq!(seen.problem("descriptor-is-something-else"), "unset MAKEFLAGS");
        let what = seen.finding("descriptor-is-something-else")["what"].as_str().unwrap();
        assert!(what.ends_with(is), "{what}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "tokens\n");
    let input = File::open(&file).unwrap();
    let remedy = on_standard_input(&place, input, "-- sh -c \"$0\"").problem("descriptor-is-something-else");
    assert!(remedy.starts_with("unset MAKEFLAGS; jobserver run -- sh -c "), "{remedy}");
}

#[test]
fn ends_that_are_swapped() {
    let place = Place::new();
    let swap = "numbers=${MAKEFLAGS##*-auth=}; unset CARGO_MAKEFLAGS
        export MAKEFLAGS=\" -j4 --jobserver-auth=${numbers#*,},${numbers%,*}\"";
    place.under_run(&["-j4", "--style", "pipe"], &format!("{swap}; {DOCTOR} >seen; true")).is_clean();
    let remedy = place.seen("seen").problem("descriptors-wrong-way");
    // The numbers are the same in each run.
    place.under_run(&["-j4", "--style", "pipe"], &format!("{swap}; {remedy}; {DOCTOR} >after")).is_clean();
    place.seen("after").is_joined().has("available", 3);
}

#[test]
fn an_end_that_can_only_be_written() {
    let place = Place::new();
    let fifo = place.sandbox.path("fifo");
    place.done(place.sh("mkfifo fifo")).is_clean();
    let both = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let write = OpenOptions::new().write(true).open(&fifo).unwrap();
    let seen = on_standard_input(&place, write, "");
    assert_eq!(seen.problem("descriptors-wrong-way"), "unset MAKEFLAGS");
    on_standard_input(&place, both, "").is_content().has("available", 0);
}

#[test]
fn an_auth_that_nobody_understands() {
    let place = Place::new();
    for auth in ["3,x", "fifo:", "gmake_semaphore_32"] {
        let flags = format!(" -j4 --jobserver-auth={auth}");
        let flags = [("MAKEFLAGS", flags.as_str())];
        let remedy = place.doctor("", &flags).problem("auth-not-understood");
        place.after(&remedy, "", &flags).note("no-jobserver");
    }
}

#[test]
fn an_empty_pool_is_worth_a_note_and_no_more() {
    let place = Place::new();
    for style in ["fifo", "pipe"] {
        let (open, read, write) = match style {
            "fifo" => ("f=${auth#fifo:}; exec 8<>$f", "8", "8"),
            _ => ("r=${auth%,*} w=${auth#*,}", "$r", "$w"),
        };
        let script = format!(
            "auth=${{MAKEFLAGS##*-auth=}}; {open}; eval \"head -c 1 <&{read} >token\"; {DOCTOR} >seen; \
             eval \"cat token >&{write}\"; {DOCTOR} >after"
        );
        place.under_run(&["-j2", "--style", style], &script).is_clean();
        let remedy = place.seen("seen").has("available", 0).note("pool-empty");
        assert!(remedy.starts_with("unset ") && remedy.ends_with("jobserver run -- make"), "{remedy}");
        place.seen("after").is_joined().has("available", 1);
    }
    // One that can tell who has them.
    let script =
        format!("auth=${{MAKEFLAGS##*fifo:}}; exec 8<>$auth; head -c 1 <&8 >token; {DOCTOR} >seen; cat token >&8");
    place.under_run(&["-j2", "--style", "tracked"], &script).is_clean();
    assert!(place.seen("seen").note("pool-empty").starts_with("jobserver status --pool "));
}
