//! The examples as a reader would run them: under make 4.3 and 4.4.1, and alone.
//!
//! cargo builds them beside the tests; `--test examples` alone does not, so one that is older than its source is an
//! error, and never the one that is tested.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::spans::Recorder;
use testkit::{clients, process};

const JOBS: usize = 9;

/// The program of an example.
fn example(name: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).with_extension("rs");
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    assert!(changed(&program) >= changed(&source), "{program:?} is old: cargo build -p jobserver --examples");
    program.into_os_string().into_string().unwrap()
}

/// What a shell without a jobserver prints.
fn sh(script: &str) -> String {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).stdin(Stdio::null());
    process::without_jobserver(&mut shell);
    process::output(&mut shell)
}

/// What make prints with a makefile of one recipe.
fn make(make: &Path, options: &str, recipe: &str) -> String {
    // $$ would be a variable of the makefile's, and no recipe here needs one.
    let said = sh(&format!("printf 'all:\\n\\t@%s\\n' \"{recipe}\" | {} {options} -f - 2>&1", make.display()));
    // With tokens too few or too many at its end it says so, and succeeds.
    assert!(!said.contains("INTERNAL"), "{said}");
    said
}

/// The example `name` with nine jobs, of which three at once are waited for.
fn with_jobs(name: &str) -> (Recorder, String) {
    let recorder = Recorder::with_meeting(3);
    let job = format!(" '{} true'", recorder.wrapper().display());
    (recorder, example(name) + &job.repeat(JOBS))
}

/// Both makes with three slots, in all their styles, and how the line of a recipe has to begin for them.
fn makes() -> [(PathBuf, &'static str, &'static str); 3] {
    [
        (clients::make_4_3(), "-j3", "+"),
        (clients::make_4_4(), "-j3", ""),
        (clients::make_4_4(), "-j3 --jobserver-style=pipe", "+"),
    ]
}

#[test]
fn connect_says_for_how_many_jobs_there_is_room_or_why_there_is_one_only() {
    let connect = example("connect");
    for (program, options, plus) in makes() {
        assert_eq!(make(&program, options, &format!("{plus}{connect}")), "room for 3 jobs\n");
        let said = make(&program, "", &format!("+{connect}"));
        assert!(said.starts_with("room for 1 job: ") && said.contains("MAKE"), "{said}");
    }
    let said = make(&clients::make_4_3(), "-j3", &connect);
    assert!(said.starts_with("room for 1 job: ") && said.contains("needs a leading `+`"), "{said}");
    assert!(sh(&connect).starts_with("room for 1 job: "));
}

#[test]
fn serve_gives_make_its_slots_and_tells_the_balance() {
    let serve = example("serve");
    for (program, style) in [(clients::make_4_3(), ""), (clients::make_4_4(), ""), (clients::make_4_4(), "--fifo")] {
        let recorder = Recorder::with_meeting(3);
        let makefile = recorder.path().join("Makefile");
        let rule = format!("all: 1 2 3 4 5 6 7 8 9\n1 2 3 4 5 6 7 8 9:\n\t@{} true\n", recorder.wrapper().display());
        fs::write(&makefile, rule).unwrap();
        let said = sh(&format!("{serve} {style} 3 {} -f {} 2>&1", program.display(), makefile.display()));
        assert_eq!(said, "2 of 2 tokens are in the pool\n");
        let spans = recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once()), (JOBS, 3), "{} {style}", program.display());
    }
    // What the command says of itself, and what it takes with it.
    assert_eq!(sh(&format!("{serve} 3 sh -c 'exit 7'; test $? = 7")), "2 of 2 tokens are in the pool\n");
    let takes_one = "pool=${MAKEFLAGS##*fifo:}; head -c1 ${pool%% *} >/dev/null";
    assert_eq!(sh(&format!("{serve} --fifo 3 sh -c '{takes_one}'")), "1 of 2 tokens are in the pool\n");
}

fn uses_the_slots_of_make(name: &str) -> String {
    let mut last = String::new();
    for (program, options, plus) in makes() {
        let (recorder, command) = with_jobs(name);
        last = make(&program, options, &format!("{plus}{command}"));
        let spans = recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once()), (JOBS, 3), "{} {options}: {last}", program.display());
    }
    last
}

#[test]
fn slots_runs_as_many_commands_as_make_has_slots_and_four_alone() {
    assert_eq!(uses_the_slots_of_make("slots"), "");
    let recorder = Recorder::with_meeting(4);
    let job = format!(" '{} true'", recorder.wrapper().display());
    assert_eq!(sh(&(example("slots") + &job.repeat(JOBS))), "");
    assert_eq!(recorder.spans().most_at_once(), 4);
    assert_eq!(sh(&format!("{} true false; echo $?", example("slots"))), "1\n");
}

#[test]
fn the_tasks_of_the_async_example_use_the_slots_of_make() {
    let said = uses_the_slots_of_make("async");
    assert_eq!(said.matches("true: exit status: 0\n").count(), JOBS, "{said}");
    let name = example("async");
    assert_eq!(sh(&format!("{name} true 'exit 3'")), "true: exit status: 0\nexit 3: exit status: 3\n");
}

#[test]
fn the_event_loop_uses_the_slots_of_make() {
    let said = uses_the_slots_of_make("event_loop");
    assert_eq!(said, "exit status: 0\n".repeat(JOBS));
    assert_eq!(sh(&format!("{} 'exit 3'", example("event_loop"))), "exit status: 3\n");
}

#[test]
fn a_signal_stops_the_event_loop_and_every_token_comes_back() {
    const MANY: usize = 2_000;
    // Each of them sends it, so it does not matter when it is seen.
    let jobs = " 'kill -INT $PPID'".repeat(MANY);
    let said = sh(&format!("{} 3 {}{jobs}", example("serve"), example("event_loop")));
    let ended = said.matches("exit status: 0\n").count();
    assert!((1..MANY).contains(&ended), "{ended} jobs");
    assert!(said.ends_with("2 of 2 tokens are in the pool\n"), "{said}");
}
