//! make before 4.4 in a pool that has a path: it joins through a shim, and whatever goes past the shim joins too.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{kill_process, Pid, Signal};
use serde_json::Value;
use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{start, text, wait, Outcome, Sandbox};
use crate::served::Served;
use crate::slots::{flat, meeting};

/// PATH, where `make` is 4.3, `gmake` 4.4.1, and ninja and cargo are there.
pub(crate) fn path(sandbox: &Sandbox) -> String {
    let tools = sandbox.path("tools");
    if !tools.exists() {
        fs::create_dir(&tools).unwrap();
        for (name, program) in
            [("make", clients::make_4_3()), ("gmake", clients::make_4_4()), ("ninja", clients::ninja())]
        {
            symlink(program, tools.join(name)).unwrap();
        }
    }
    let rest = std::env::var("PATH").unwrap();
    format!("{}:{rest}", tools.display())
}

/// `jobserver run` with these arguments on that PATH.
pub(crate) fn command(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.jobserver(arguments);
    command.env("PATH", path(sandbox));
    command
}

pub(crate) fn run(sandbox: &Sandbox, arguments: &[&str]) -> Outcome {
    sandbox.finish(command(sandbox, arguments))
}

/// `command`, in a pool of three, has twelve jobs and runs three at once.
fn runs_three_at_once(arguments: &[&str], files: &[(&str, &str)]) {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    let job = meeting(&sandbox, &recorder, "all", 3);
    for (name, content) in files {
        let path = sandbox.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        sandbox.write(name, &content.replace("JOB", &job));
    }
    let outcome = run(&sandbox, &[&["-j3"], arguments].concat());
    outcome.is_clean();
    let spans = recorder.spans();
    assert_eq!((spans.jobs(), spans.most_at_once()), (12, 3), "{arguments:?} {outcome:?}");
}

const FLAT: &str = "all: $(addprefix j,$(shell seq 12))\nj%: ; @JOB\n";
const NINJA: &str =
    "rule job\n command = JOB\nbuild n1: job\nbuild n2: job\nbuild n3: job\nbuild n4: job\nbuild n5: job\n\
    build n6: job\nbuild n7: job\nbuild n8: job\nbuild n9: job\nbuild n10: job\nbuild n11: job\nbuild n12: job\n";

#[test]
fn an_old_make_has_as_many_jobs_as_there_are_slots_however_deep_it_goes() {
    let deep = "all: a b\na b: ; @+$(MAKE) -s -f 2.mk\n";
    let deeper = "all: a b\na b: ; @+$(MAKE) -s -f 3.mk\n";
    let jobs = "all: j1 j2 j3\nj%: ; @JOB\n";
    for options in [&["--style", "auto"][..], &["--shim", "--style", "tracked"], &["--shim", "--style", "fifo"]] {
        runs_three_at_once(&[options, &["--", "make", "-s"]].concat(), &[("Makefile", FLAT)]);
        let files = [("Makefile", deep), ("2.mk", deeper), ("3.mk", jobs)];
        runs_three_at_once(&[options, &["--", "make", "-sk"]].concat(), &files);
    }
    // A script that cd's, and names its makefile.
    runs_three_at_once(&["--", "sh", "-c", "cd sub && make -s -f all.mk"], &[("sub/all.mk", FLAT)]);
}

#[test]
fn tools_that_take_a_path_join_below_an_old_make_even_in_a_recipe_without_plus() {
    for line in ["ninja --quiet", "+ninja --quiet", "/usr/bin/env ninja --quiet"] {
        let sandbox = Sandbox::new();
        let recorder = Recorder::new();
        sandbox.write("Makefile", &format!("all: ; @{line}\n"));
        sandbox.write("build.ninja", &NINJA.replace("JOB", &format!("{} sleep 0.05", recorder.wrapper().display())));
        run(&sandbox, &["-j1", "--", "make", "-s"]).is_clean();
        let spans = recorder.spans();
        // One that has not joined runs two at least, on one processor too.
        assert_eq!((spans.jobs(), spans.most_at_once()), (12, 1), "{line}");
    }
    for recipe in ["gmake -s -f new.mk", "+gmake -s -f new.mk"] {
        let files = [("Makefile", &*format!("all: ; @{recipe}\n")), ("new.mk", FLAT)];
        runs_three_at_once(&["--shim", "--", "make", "-s"], &files);
    }
}

#[test]
fn an_old_make_joins_below_what_takes_a_path() {
    let old = [("Makefile", "all: ; @+make -s -f old.mk\n"), ("old.mk", FLAT)];
    runs_three_at_once(&["--shim", "--", "gmake", "-s"], &old);
    let edge = "rule make\n command = make -s -f old.mk\nbuild all: make\n";
    runs_three_at_once(&["--", "ninja", "--quiet"], &[("build.ninja", edge), ("old.mk", FLAT)]);
}

#[test]
fn a_make_that_goes_past_the_shim_is_in_the_pool_all_the_same() {
    let make = clients::make_4_3();
    let script = format!("#!{} -sf\n{FLAT}", text(&make));
    let past = format!("all: ; @+{} -s -f old.mk\n", text(&make));
    runs_three_at_once(&["--", "sh", "-c", &format!("{} -s", text(&make))], &[("Makefile", FLAT)]);
    runs_three_at_once(&["--", "make", "-s"], &[("Makefile", &past), ("old.mk", FLAT)]);
    runs_three_at_once(&["--", "sh", "-c", "chmod +x rules && ./rules"], &[("rules", &script)]);
    // One that could not join would say so.
    let sandbox = Sandbox::new();
    sandbox.write("build.ninja", &format!("rule make\n command = {} -s -f old.mk\nbuild all: make\n", text(&make)));
    sandbox.write("old.mk", &FLAT.replace("JOB", "echo '$(MAKEFLAGS)'"));
    let outcome = run(&sandbox, &["-j3", "--", "ninja", "--quiet"]);
    outcome.is_clean();
    assert_eq!(outcome.out.matches(" -j3 --jobserver-auth=").count(), 12, "{outcome:?}");
}

#[test]
fn what_a_killed_old_make_held_comes_back_while_its_build_goes_on() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    sandbox.write(
        "Makefile",
        "all: sub\n\t@echo ready; while ! [ -e go ]; do sleep 0.02; done\nsub: ; -@+$(MAKE) -s -f sub.mk\n",
    );
    sandbox.write("sub.mk", "all: a b c d\na b c d: ; @echo $$PPID > $@.pid; while ! [ -e go ]; do sleep 0.02; done\n");
    let mut build = served.run(&["--", "make", "-s"]);
    build.env("PATH", path(&sandbox));
    let child = start(build);
    let held = |status: &Value| status["held"].as_u64().unwrap();
    let status = served.until("all slots are in use", |status| held(status) == 4);
    assert_eq!(status["leases"][0]["held"], 4, "{status}");
    let pid: i32 = fs::read_to_string(sandbox.path("a.pid")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let status = served.until("its tokens are back", |status| status["recovered"].as_u64() == Some(3));
    assert_eq!(status["strays"], 0, "{status}");
    sandbox.write("go", "");
    wait(child);
    served.finish();
}

#[test]
fn each_and_exec_give_their_commands_the_shim_too() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo '$(MAKEFLAGS)'\n");
    let mut each = sandbox.command(crate::sandbox::jobserver());
    each.args(["each", "-j3", "--", "make", "-s", "{}", ":::", "all"]).env("PATH", path(&sandbox));
    let outcome = sandbox.finish(each);
    outcome.is_clean();
    assert!(outcome.out.contains("--jobserver-auth=100,101"), "{outcome:?}");
    let served = Served::new(&sandbox, &["-j4"]);
    let mut exec = sandbox.command(crate::sandbox::jobserver());
    exec.args(["exec", "-n", "2", "--pool", text(&served.dir), "--", "make", "-s"]).env("PATH", path(&sandbox));
    let outcome = wait(start(exec));
    outcome.is_clean();
    assert!(outcome.out.contains("--jobserver-auth=100,101"), "{outcome:?}");
    served.finish();
}

#[test]
fn without_shims_an_old_make_has_a_pipe_as_ever() {
    let sandbox = Sandbox::new();
    let show = ["--", "sh", "-c", "echo $MAKEFLAGS; echo $PATH; echo $JOBSERVER_FIFO"];
    let outcome = run(&sandbox, &[&["-j3", "--no-shim"][..], &show].concat());
    outcome.is_clean();
    let (flags, rest) = outcome.out.split_once('\n').unwrap();
    assert!(flags.starts_with("-j3 --jobserver-fds=") && !flags.contains("fifo"), "{outcome:?}");
    assert_eq!(rest, format!("{}\n\n", path(&sandbox)));
    // A shim of a run around it leads nowhere else.
    let inner = [&["-j3", "--no-shim", "--"][..], &["make", "-s"]].concat();
    sandbox.write("Makefile", "all: ; @echo $$MAKEFLAGS $$JOBSERVER_FIFO\n");
    let inner: Vec<&str> = [crate::sandbox::jobserver(), "run"].into_iter().chain(inner).collect();
    let outcome = run(&sandbox, &[&["-j4", "--"][..], &inner].concat());
    outcome.is_clean();
    assert!(!outcome.out.contains("fifo"), "{outcome:?}");
}

#[test]
fn without_a_place_for_the_shims_there_is_a_line_and_a_pipe() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", &flat("true"));
    for place in [PathBuf::from("/dev/null/data"), sandbox.write("file", "")] {
        let mut build = command(&sandbox, &["-j3", "--", "sh", "-c", "echo $MAKEFLAGS; make -s"]);
        build.env("XDG_DATA_HOME", &place);
        let outcome = sandbox.finish(build);
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        assert!(outcome.line().starts_with("jobserver: there are no shims: "), "{outcome:?}");
        assert!(outcome.out.starts_with("-j3 --jobserver-fds="), "{outcome:?}");
    }
}

#[test]
fn a_script_is_called_what_env_would_call_it() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("sub")).unwrap();
    for script in ["sub/hello", "here"] {
        sandbox.script(script, "#!/bin/sh\necho \"$0 $1\"\n");
    }
    let absolute = sandbox.path("sub");
    for (folders, word) in [
        ("", "sub/hello"),
        ("", "./sub/hello"),
        (text(&absolute), "hello"),
        ("sub", "hello"),
        ("./sub", "hello"),
        ("nowhere:sub", "hello"),
        ("", "here"),
    ] {
        let path = format!("{folders}:{}", path(&sandbox));
        let of = |mut command: Command| {
            let outcome = sandbox.finish({
                command.args([word, "x"]).env("PATH", &path);
                command
            });
            outcome.is_clean();
            outcome.out
        };
        let as_ever = of(sandbox.command("env"));
        assert_eq!(of(sandbox.jobserver(&["-j2", "--"])), as_ever, "{folders:?} {word}");
    }
}
