//! A cargo that has all slots and returns none, as long as it has a crate that is ready: what it starts waits for others.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};
use testkit::spans::Recorder;

use crate::sandbox::{start, text, wait, Sandbox};
use crate::served::Served;

const SLOTS: usize = 3;

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(60);

/// Crates that are all ready at once. The first ones, one a slot, are compiled once there is a file `first`, all others
/// once there is one called `second`. Like the compiler, what stands before it opens the path twice before anything else.
struct Cargo<'a> {
    sandbox: &'a Sandbox,
    recorder: Recorder,
}

impl Cargo<'_> {
    fn new(sandbox: &Sandbox) -> Cargo<'_> {
        sandbox.write("Cargo.toml", "[workspace]\nmembers = [\"job*\"]\nresolver = \"2\"\n");
        for number in 0..9 {
            let package = format!("[package]\nname = \"job{number}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n");
            fs::create_dir_all(sandbox.path(&format!("job{number}/src"))).unwrap();
            sandbox.write(&format!("job{number}/Cargo.toml"), &package);
            sandbox.write(&format!("job{number}/src/lib.rs"), "");
        }
        for folder in ["came", "began"] {
            fs::create_dir(sandbox.path(folder)).unwrap();
        }
        Cargo { sandbox, recorder: Recorder::new() }
    }

    fn start(&self, served: &Served) -> Child {
        let job = self.sandbox.script(
            "job",
            &format!(
                "#!/bin/sh\nwhich=second; [ $(ls began | wc -l) -gt {SLOTS} ] || which=first; tries=0\n\
                 while ! [ -e $which ]; do tries=$((tries + 1)); [ $tries -lt 1200 ] || exit 1; sleep 0.05; done\n"
            ),
        );
        let wrapper = self.sandbox.script(
            "wrapper",
            &format!(
                "#!/bin/sh\ncase \" $* \" in *' --crate-name job'*) ;; *) exec \"$@\" ;; esac\ncd '{}'\n: >came/$$\n\
                 path=${{CARGO_MAKEFLAGS##*fifo:}}; path=${{path%% *}}; exec 3<>\"$path\" 4<>\"$path\"\n\
                 : >began/$$\n'{}' '{}'\nexec \"$@\"\n",
                self.sandbox.path("").display(),
                self.recorder.wrapper().display(),
                job.display()
            ),
        );
        let mut command: Command = served.run(&["--name", "cargo", "--style", "tracked", "--"]);
        command.arg(env!("CARGO")).args(["check", "--workspace", "--offline", "--quiet"]);
        command.env("RUSTC_WRAPPER", wrapper).env("CARGO_TARGET_DIR", self.sandbox.path("target"));
        command.env_remove("RUSTC_WORKSPACE_WRAPPER").env_remove("CARGO_BUILD_JOBS");
        start(command)
    }

    /// The one that waits to start, of the jobs that come when the first ones have ended.
    fn waiting(&self) -> i32 {
        let (came, began) = self.until(2 * SLOTS, 2 * SLOTS - 1);
        *came.difference(&began).next().unwrap()
    }

    /// Until so many jobs have come, and so many of them begun.
    fn until(&self, come: usize, begin: usize) -> (BTreeSet<i32>, BTreeSet<i32>) {
        let pids = |folder: &str| -> BTreeSet<i32> {
            let entries = fs::read_dir(self.sandbox.path(folder)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
        };
        let start = Instant::now();
        loop {
            let (came, began) = (pids("came"), pids("began"));
            if (came.len(), began.len()) == (come, begin) {
                return (came, began);
            }
            assert!(start.elapsed() < BOUND, "{came:?} came, {began:?} began");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn second(sandbox: &Sandbox, served: &Served) -> Child {
    let (second, go) = (sandbox.path("second"), sandbox.path("go"));
    let (go, second) = (text(&go), text(&second));
    let script = format!(
        "tries=0; while ! [ -e {go} ]; do tries=$((tries + 1)); [ $tries -lt 1200 ] || exit 1; sleep 0.05; done; : >{second}"
    );
    start(served.run(&["--name", "second", "--style", "tracked", "--", "sh", "-c", &script]))
}

/// Until cargo has all slots, and another build waits for one.
fn full<'a>(cargo: &Cargo, sandbox: &'a Sandbox) -> (Served<'a>, Child, Child) {
    let slots = format!("-j{SLOTS}");
    let served = Served::new(sandbox, &[&slots, "--style", "tracked"]);
    let first = cargo.start(&served);
    cargo.until(SLOTS, SLOTS);
    let second = second(sandbox, &served);
    served.until("another build waits", |status| status["leases"][1]["state"] == "waiting");
    (served, first, second)
}

#[test]
fn another_build_gets_its_first_slot_from_a_cargo_that_returns_nothing() {
    let sandbox = Sandbox::new();
    let cargo = Cargo::new(&sandbox);
    let (served, first, second) = full(&cargo, &sandbox);
    sandbox.write("first", "");
    // None of cargo's jobs ends before the other build does.
    let status = served.until("it has its first slot", |status| status["leases"][1]["state"] == "running");
    assert_eq!((&status["leases"][0]["paused"], status["held"].as_u64()), (&1.into(), Some(3)), "{status}");
    assert_eq!((status["leases"][0]["held"].as_u64(), status["owed"].as_u64()), (Some(2), Some(0)), "{status}");
    cargo.waiting();
    sandbox.write("go", "");
    assert_eq!(wait(second).status, Some(0));
    wait(first).is_clean();
    let spans = cargo.recorder.spans();
    assert_eq!(spans.jobs(), 9);
    assert!(spans.most_at_once() <= SLOTS, "{} at once", spans.most_at_once());
    served.finish();
}

#[test]
fn a_job_that_waits_to_start_dies_of_a_signal_at_once() {
    let sandbox = Sandbox::new();
    let cargo = Cargo::new(&sandbox);
    let (served, first, second) = full(&cargo, &sandbox);
    sandbox.write("first", "");
    served.until("a job of cargo's waits", |status| status["leases"][0]["paused"] == 1);
    let pid = cargo.waiting();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    // What others do meanwhile is their own: it does not take the end of anybody.
    served.until("nobody waits", |status| status["leases"][0]["paused"] == 0);
    let start = Instant::now();
    while PathBuf::from(format!("/proc/{pid}/cwd")).read_link().is_ok() {
        assert!(start.elapsed() < BOUND, "{pid} does not die");
        thread::sleep(Duration::from_millis(20));
    }
    sandbox.write("go", "");
    assert_eq!(wait(second).status, Some(0));
    assert_eq!(wait(first).status, Some(101), "cargo says that its compiler was killed");
    served.finish();
}

#[test]
fn jobs_that_wait_to_start_end_with_their_build() {
    let sandbox = Sandbox::new();
    let cargo = Cargo::new(&sandbox);
    let (served, first, second) = full(&cargo, &sandbox);
    sandbox.write("first", "");
    let status = served.until("a job of cargo's waits", |status| status["leases"][0]["paused"] == 1);
    let cargo_pid = status["leases"][0]["command_pid"].as_i64().unwrap() as i32;
    kill_process(Pid::from_raw(cargo_pid).unwrap(), Signal::KILL).unwrap();
    wait(first);
    // Orphans now, that need nobody's slot.
    served.until("nobody waits", |status| !status["leases"].to_string().contains("\"paused\":1"));
    sandbox.write("go", "");
    assert_eq!(wait(second).status, Some(0));
    served.finish();
}
