//! How many jobs run at once, counted from outside: never more than N, and N where there is work for them.
//!
//! That N are reached follows from no sleep: each job waits until N of them have started.

use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{text, Sandbox};

const WIDTHS: [usize; 3] = [1, 2, 4];

/// A job that ends once `width` jobs have begun, as the command of a recipe.
pub(crate) fn meeting(sandbox: &Sandbox, recorder: &Recorder, name: &str, width: usize) -> String {
    let met = sandbox.path(&format!("met-{name}"));
    std::fs::create_dir(&met).unwrap();
    let script = sandbox.script(
        "meet",
        "#!/bin/sh\n: >\"$1/$$\"; tries=0\n\
         while [ $(ls \"$1\" | wc -l) -lt $2 ]; do\n\
         tries=$((tries + 1)); [ $tries -lt 1200 ] || exit 1; sleep 0.05\ndone\nsleep 0.05\n",
    );
    format!("{} {} {} {width}", recorder.wrapper().display(), script.display(), met.display())
}

/// Twelve jobs side by side.
pub(crate) fn flat(job: &str) -> String {
    format!("all: $(addprefix j,$(shell seq 12))\nj%: ; @{job}\n")
}

fn check(command: impl Fn(&Sandbox, &str) -> Vec<String>, style: &str) {
    for width in WIDTHS {
        let sandbox = Sandbox::new();
        let recorder = Recorder::new();
        let job = meeting(&sandbox, &recorder, "all", width);
        let command = command(&sandbox, &job);
        let jobs = format!("-j{width}");
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let arguments = [&[&jobs, "--style", style, "--"][..], &words].concat();
        let outcome = sandbox.run(&arguments);
        outcome.is_clean();
        let spans = recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once()), (12, width), "{arguments:?}");
    }
}

fn make_flat(make: &std::path::Path, style: &str) {
    check(
        |sandbox, job| {
            sandbox.write("Makefile", &flat(job));
            vec![text(make).to_string()]
        },
        style,
    );
}

fn make_recursive(make: &std::path::Path, style: &str) {
    check(
        |sandbox, job| {
            sandbox.write("Makefile", "all: a b c\na b c: ; @+$(MAKE) --no-print-directory -f sub.mk\n");
            sandbox.write("sub.mk", &format!("all: j1 j2 j3 j4\nj%: ; @{job}\n"));
            vec![text(make).to_string()]
        },
        style,
    );
}

#[test]
fn make_4_3_on_a_pipe_runs_as_many_jobs_as_there_are_slots() {
    make_flat(&clients::make_4_3(), "auto");
    make_recursive(&clients::make_4_3(), "auto");
}

#[test]
fn make_4_4_on_a_fifo_runs_as_many_jobs_as_there_are_slots() {
    make_flat(&clients::make_4_4(), "auto");
    make_recursive(&clients::make_4_4(), "auto");
}

#[test]
fn make_4_4_on_a_pipe_runs_as_many_jobs_as_there_are_slots() {
    make_flat(&clients::make_4_4(), "pipe");
    make_recursive(&clients::make_4_4(), "pipe");
}

#[test]
fn ninja_on_a_fifo_runs_as_many_jobs_as_there_are_slots() {
    check(
        |sandbox, job| {
            let edges: String = (1..=12).map(|number| format!("build j{number}: r\n")).collect();
            sandbox.write("build.ninja", &format!("rule r\n command = {job}\n{edges}"));
            vec![text(&clients::ninja()).to_string(), "--quiet".to_string()]
        },
        "fifo",
    );
}

#[test]
fn makes_of_both_kinds_in_one_tree_share_one_pool() {
    // make 4.4 on a pipe starts make 4.3, which starts make 4.4 again.
    check(
        |sandbox, job| {
            let (old, new) = (clients::make_4_3(), clients::make_4_4());
            let sub = |make: &std::path::Path, file: &str| format!("+{} --no-print-directory -f {file}", text(make));
            sandbox.write("Makefile", &format!("all: a b\na: ; @{}\nb: ; @{job}\n", sub(&old, "middle.mk")));
            sandbox.write("middle.mk", &format!("all: a b\na: ; @{}\nb: ; @{job}\n", sub(&new, "inner.mk")));
            sandbox.write("inner.mk", &flat(job).replace("seq 12", "seq 10"));
            vec![text(&new).to_string()]
        },
        "pipe",
    );
}

/// A shell has one slot and gives it to both: one job more than slots, whatever the server does. A make in its place
/// counts right (above).
#[test]
fn two_makes_that_a_shell_starts_at_once_share_all_slots_but_their_first() {
    for width in [1, 2, 4] {
        let sandbox = Sandbox::new();
        let recorder = Recorder::new();
        let job = meeting(&sandbox, &recorder, "all", width + 1);
        sandbox.write("Makefile", &flat(&job));
        let make = clients::make_4_4();
        let script = format!("{0} & {0} & wait", text(&make));
        sandbox.run(&["-j", &width.to_string(), "--style", "fifo", "--", "sh", "-c", &script]).is_clean();
        let spans = recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once()), (24, width + 1));
    }
}

#[test]
fn two_makes_one_after_the_other_use_the_same_slots() {
    check(
        |sandbox, job| {
            sandbox.write("Makefile", &flat(job).replace("seq 12", "seq 6"));
            let make = clients::make_4_4();
            vec!["sh".to_string(), "-c".to_string(), format!("{0} && {0}", text(&make))]
        },
        "fifo",
    );
}

#[test]
fn cargo_stays_in_the_pool_whatever_its_own_width() {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    let members: Vec<String> = (1..=6).map(|number| format!("m{number}")).collect();
    let list: Vec<String> = members.iter().map(|name| format!("{name:?}")).collect();
    sandbox.write("Cargo.toml", &format!("[workspace]\nresolver = \"2\"\nmembers = [{}]\n", list.join(", ")));
    for name in &members {
        std::fs::create_dir_all(sandbox.path(name).join("src")).unwrap();
        let manifest = format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n");
        sandbox.write(&format!("{name}/Cargo.toml"), &manifest);
        sandbox.write(&format!("{name}/src/lib.rs"), "pub fn f() {}\n");
    }
    for (width, style) in [(1, "fifo"), (2, "fifo"), (2, "pipe")] {
        let jobs = format!("-j{width}");
        let arguments = ["--style", style, "--", "cargo", "build", "--offline", "--quiet", "-j8"];
        let mut command = sandbox.jobserver(&[&[jobs.as_str()][..], &arguments].concat());
        let target = sandbox.path(&format!("target-{width}-{style}"));
        command.env("RUSTC_WRAPPER", recorder.wrapper()).env("CARGO_TARGET_DIR", target);
        sandbox.finish(command).is_clean();
        let spans = recorder.spans();
        assert!(spans.jobs() >= 6 && spans.most_at_once() <= width, "{spans:?}");
    }
}
