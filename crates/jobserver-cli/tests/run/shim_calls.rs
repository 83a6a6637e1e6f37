//! One call of a shim: the real tool with its own name, arguments, process and end, and nothing of ours in what it keeps.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{text, Sandbox};
use crate::shim::{command, path, run};
use crate::slots::flat;

/// What `script` prints in a pool of four.
#[track_caller]
fn says(sandbox: &Sandbox, options: &[&str], script: &str) -> String {
    let outcome = run(sandbox, &[&["-j4"], options, &["--", "sh", "-c", script]].concat());
    outcome.is_clean();
    outcome.out
}

fn shim(sandbox: &Sandbox, which: &str, tool: &str) -> PathBuf {
    sandbox.path("data/jobserver/shims").join(which).join(tool)
}

#[test]
fn make_is_called_by_the_name_that_leads_back_to_the_shim() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo '$(MAKE) $(MAKECMDGOALS) $(V)'\n");
    assert_eq!(says(&sandbox, &[], "make all V='a  b'"), "make all a  b\n");
    let by_path = shim(&sandbox, "make", "make");
    assert_eq!(says(&sandbox, &[], &format!("{} all", text(&by_path))), format!("{} all \n", text(&by_path)));
    // Still there, and make itself, when the pool is gone.
    let mut later = sandbox.command(&by_path);
    later.args(["-s", "-j2"]).env("PATH", path(&sandbox));
    let outcome = sandbox.finish(later);
    outcome.is_clean();
    assert_eq!(outcome.out, format!("{}  \n", text(&by_path)));
}

#[test]
fn the_process_its_status_and_its_signals_are_those_of_the_tool() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo $$PPID\nfails: ; @exit 7\nwaits: ; @: >begun; exec sleep 60 >/dev/null\n");
    let script = "make -s & pid=$!; wait; echo $pid; make -s fails 2>/dev/null; echo $?; make -sq nothing 2>/dev/null
        echo $?; make -s waits 2>/dev/null & pid=$!; until [ -e begun ]; do sleep 0.01; done; kill -TERM $pid; { wait $pid
        } 2>/dev/null; echo $?";
    let said = says(&sandbox, &["--shim"], script);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], lines[1], "{said}");
    assert_eq!(lines[2..], ["2", "2", "143"], "{said}");
}

/// It joins no jobserver: `exec` takes slots for it, and it is told how many.
#[test]
fn samurai_gets_as_many_jobs_as_there_are_slots_for_it() {
    let sandbox = Sandbox::new();
    let tools = path(&sandbox);
    let processors = std::thread::available_parallelism().unwrap().get();
    let samu = sandbox.script("tools/samu", "#!/bin/sh\necho \"$@\"\n");
    fs::remove_file(sandbox.path("tools/ninja")).unwrap();
    symlink(&samu, sandbox.path("tools/ninja")).unwrap();
    let says = |line: &str| {
        let words: Vec<&str> = ["-j3", "--style", "fifo", "--shim", "--"].into_iter().chain(line.split(' ')).collect();
        let mut command = sandbox.jobserver(&words);
        command.env("PATH", &tools);
        let outcome = sandbox.finish(command);
        outcome.is_clean();
        outcome.out
    };
    for name in ["samu", "ninja"] {
        assert_eq!(says(&format!("{name} -C out -j8 all")), "-j 3 -C out all\n");
        // One that is to run one job at a time, and one that exec would change.
        assert_eq!(says(&format!("{name} -j1 all")), "-j1 all\n");
        assert_eq!(says(&format!("{name} -j8 {{}}")), "-j1 {}\n");
        assert_eq!(says(&format!("{name} all")), format!("-j {} all\n", processors.min(3)));
        assert_eq!(says(&format!("env SAMUFLAGS=-j2 {name} all")), "-j 2 all\n");
        // As they are: these run no job, or one at a time.
        assert_eq!(says(&format!("env SAMUFLAGS=-j1 {name} all")), "all\n");
        let who = "for pid in $(cut -d ' ' -f 4 /proc/$$/stat); do cat /proc/$pid/comm; done";
        sandbox.script("tools/samu", &format!("#!/bin/sh\n{who}\n"));
        assert_eq!(says(&format!("{name} all")), "jobserver\n", "it is known by its name, who holds the slots");
        sandbox.script("tools/samu", "#!/bin/sh\necho \"$@\"\n");
        for words in ["-C out -t clean", "-h", "--version"] {
            assert_eq!(says(&format!("{name} {words}")), format!("{words}\n"));
        }
    }
}

#[test]
fn a_tool_that_is_not_there_is_not_found() {
    let sandbox = Sandbox::new();
    let outcome = run(&sandbox, &["-j2", "--shim", "--", "samu"]);
    assert_eq!(outcome.status, Some(127), "{outcome:?}");
    assert!(outcome.line().starts_with("jobserver: samu: there is none behind this shim"), "{outcome:?}");
}

#[test]
fn a_folder_of_shims_that_is_there_twice_is_passed_twice() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo built\n");
    says(&sandbox, &["--shim"], "true");
    symlink(sandbox.path("data/jobserver/shims/all"), sandbox.path("again")).unwrap();
    let twice = format!("PATH=$PATH:$PWD/again make -s; PATH=$PWD/again:{} make -s", path(&sandbox));
    assert_eq!(says(&sandbox, &["--shim"], &twice), "built\nbuilt\n");
    let nested = format!("{} run -j2 -- make -s", crate::sandbox::jobserver());
    assert_eq!(says(&sandbox, &["--shim"], &nested), "built\n");
}

#[test]
fn a_make_that_starts_itself_anew_stays_in_the_pool() {
    let sandbox = Sandbox::new();
    sandbox
        .write("Makefile", "all: ; @echo '$(MAKEFLAGS) $(MAKE_RESTARTS)'\n-include made.mk\nmade.mk: ; @: >made.mk\n");
    let said = says(&sandbox, &[], "make -s");
    assert!(said.contains("--jobserver-auth=") && said.trim_end().ends_with(" 1"), "{said}");
}

#[test]
fn one_job_at_a_time_is_left_as_it_is() {
    for line in ["make -s -j1 -f flat.mk", "MAKEFLAGS=-j1 make -s -f flat.mk", "ninja --quiet -j1", "make -s -f sub.mk"]
    {
        let sandbox = Sandbox::new();
        let recorder = Recorder::new();
        let job = format!("{} sleep 0.1", recorder.wrapper().display());
        sandbox.write("flat.mk", &format!("all: a b c d\na b c d: ; @{job}\n"));
        sandbox.write("sub.mk", "all: ; @+$(MAKE) -s -j1 -f deep.mk\n");
        sandbox.write("deep.mk", "all: ; @+$(MAKE) -s -f flat.mk\n");
        sandbox.write("build.ninja", &format!("rule r\n command = {job}\nbuild a: r\nbuild b: r\nbuild c: r\n"));
        run(&sandbox, &["-j4", "--shim", "--", "sh", "-c", line]);
        let spans = recorder.spans();
        assert!(spans.jobs() >= 3 && spans.most_at_once() == 1, "{line}: {spans:?}");
    }
}

#[test]
fn with_a_make_that_takes_a_path_the_shims_drop_widths_and_nothing_is_inherited() {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    let tools = sandbox.path("new");
    fs::create_dir(&tools).unwrap();
    symlink(clients::make_4_4(), tools.join("make")).unwrap();
    sandbox.write("Makefile", &flat(&format!("{} sleep 0.1", recorder.wrapper().display())));
    let script = "echo $MAKEFLAGS; ls /proc/self/fd | wc -l; make -s -j8";
    let build = |options: &[&str], script: &str| {
        let mut build = sandbox.jobserver(&[options, &["-j2", "--", "sh", "-c", script]].concat());
        build.env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH").unwrap()));
        let outcome = sandbox.finish(build);
        outcome.is_clean();
        outcome.out
    };
    let said = build(&["--shim"], script);
    let spans = recorder.spans();
    assert_eq!((spans.jobs(), spans.most_at_once()), (12, 2), "{said}");
    assert!(said.starts_with("-j2 --jobserver-auth=fifo:/"), "{said}");
    assert_eq!(said.lines().nth(1), build(&[], "echo; ls /proc/self/fd | wc -l").lines().nth(1), "{said}");
    // By its path it goes past the shim, and that is said.
    let make = tools.join("make");
    let outcome = sandbox.run(&["-j2", "--shim", "--", text(&make), "-s", "-j8"]);
    assert!(outcome.err.contains("`make -j8` leaves the pool"), "{outcome:?}");
}

#[test]
fn a_script_that_has_left_its_environment_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo '$(MAKEFLAGS)'\n");
    let script = "env -i PATH=$PATH make -s -j2; unset MAKEFLAGS; make -s";
    let said = says(&sandbox, &["--shim"], script);
    assert!(said.starts_with("s -j2 --jobserver-auth=") && said.ends_with("\ns\n"), "{said}");
    assert!(!said.contains("=10") && !said.contains("fifo"), "{said}");
}

#[test]
fn what_cmake_keeps_are_the_real_tools() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("src")).unwrap();
    sandbox.write(
        "src/CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(p C)\nadd_custom_target(t ALL COMMAND true)\n",
    );
    for (options, generator) in [(&[][..], "Unix Makefiles"), (&["--shim"], "Unix Makefiles"), (&["--shim"], "Ninja")] {
        let build = sandbox.path(&format!("out{}", generator.len() + options.len()));
        let configure = ["cmake", "-G", generator, "-S", "src", "-B", text(&build)];
        let outcome = run(&sandbox, &[&["-j4"], options, &["--"], &configure].concat());
        outcome.is_clean();
        let kept = fs::read_to_string(build.join("CMakeCache.txt")).unwrap();
        assert!(kept.contains("CMAKE_MAKE_PROGRAM:FILEPATH=/") && !kept.contains("/shims/"), "{kept}");
        let outcome = run(&sandbox, &[&["-j4"], options, &["--", "cmake", "--build", text(&build), "-j8"]].concat());
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        assert_eq!(outcome.err.contains("leaves the pool"), options.is_empty(), "{outcome:?}");
        let command = kept.lines().find_map(|line| line.strip_prefix("CMAKE_COMMAND:INTERNAL="));
        assert_eq!(Path::new(command.unwrap()).file_name().unwrap(), "cmake", "{kept}");
        // By the path of the shim, as one that a script keeps.
        let by_path = shim(&sandbox, if options.is_empty() { "make" } else { "all" }, "cmake");
        run(&sandbox, &["-j4", "--", text(&by_path), "--build", text(&build)]).is_clean();
        run(&sandbox, &["-j4", "--", text(&by_path), text(&build)]).is_clean();
        // Not a shim is left in PATH.
        let mut later = sandbox.command("cmake");
        later.args(["--build", text(&build)]);
        sandbox.finish(later).is_clean();
    }
}

#[test]
fn few_descriptors_or_a_pool_that_is_gone_cost_no_build() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: a b c\na b c: ; @echo built\n");
    assert_eq!(says(&sandbox, &[], "ulimit -n 64; make -s"), "built\n".repeat(3));
    let gone = |flags: &str| {
        let mut make = sandbox.command(shim(&sandbox, "make", "make"));
        let fifo = "/nonexistent/p --jobserver-auth=fifo:/nonexistent/p";
        make.arg("-s").env("PATH", path(&sandbox)).env("MAKEFLAGS", flags).env("JOBSERVER_FIFO", fifo);
        sandbox.finish(make)
    };
    let outcome = gone(" -j4 --jobserver-auth=fifo:/nonexistent/p");
    assert_eq!((outcome.status, outcome.out), (Some(0), "built\n".repeat(3)), "{}", outcome.err);
    assert!(outcome.err.starts_with("jobserver: the pool at /nonexistent/p can't be joined: "), "{}", outcome.err);
    // make itself says that it can't have those.
    let outcome = gone(" -j4 --jobserver-auth=77,78");
    assert_eq!((outcome.status, outcome.out), (Some(0), "built\n".repeat(3)), "{}", outcome.err);
    assert!(!outcome.err.contains("jobserver: "), "{}", outcome.err);
}

#[test]
fn nothing_is_left_but_the_shims_and_what_makes_said() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @:\n");
    says(&sandbox, &["--shim"], "make -s");
    says(&sandbox, &[], "make -s");
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    };
    assert_eq!(names(&sandbox.path("data/jobserver")), ["shims"]);
    assert_eq!(names(&sandbox.path("data/jobserver/shims/make")), ["cmake", "gmake", "make"]);
    let all = ["cargo", "cmake", "gmake", "make", "ninja", "ninja-build", "samu"];
    assert_eq!(names(&sandbox.path("data/jobserver/shims/all")), all);
    assert!(names(&sandbox.path("cache/jobserver"))
        .iter()
        .all(|name| name.starts_with("make-") && !name.contains('.')));
    // One that leads elsewhere is mended, while others use it.
    let link = shim(&sandbox, "make", "make");
    fs::remove_file(&link).unwrap();
    symlink("/nonexistent/jobserver", &link).unwrap();
    let outcome = sandbox.finish(command(&sandbox, &["-j2", "--", "make", "-s"]));
    outcome.is_clean();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new(crate::sandbox::jobserver()));
}
