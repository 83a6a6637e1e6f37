//! Pools where something is missing or odd: FUSE, rights, room, descriptors, a common pid namespace. Either all works, or
//! one line says what does not and the build goes on at its width.

use std::fs;
use std::io::Read;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use testkit::process::output;

use crate::sandbox::{jobserver, start, text, wait, Outcome, Sandbox};
use crate::served::Served;
use crate::users::{open_to_all, Machine, ONE, TWO};

/// So many slots each build here is to have.
const WIDTH: usize = 3;

impl Machine {
    /// Words run after `setup`, a line of shell, in a mount namespace of their own.
    fn after(&self, setup: &str) -> Command {
        let mut command = self.sandbox.command("unshare");
        command.args(["--mount", "sh", "-c", &format!("{setup} && exec \"$@\""), "sh"]);
        command
    }

    /// The line of shell that gives /dev/fuse these permissions.
    fn fuse(&self, mode: &str) -> String {
        let node = self.sandbox.path(&format!("fuse-{mode}"));
        output(Command::new("mknod").arg("-m").arg(mode).arg(&node).args(["c", "10", "229"]));
        format!("mount --bind {} /dev/fuse", node.display())
    }

    /// The build of user `uid`: all of its jobs ran, as many at once as there are slots.
    #[track_caller]
    fn is_built(&self, uid: u32, outcome: &Outcome) {
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        let spans = self.recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once()), (12, WIDTH), "{outcome:?}");
        // For the next one.
        fs::write(self.recorder.path().join("spans.log"), "").unwrap();
        for entry in fs::read_dir(self.sandbox.path(&format!("met-{uid}"))).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        let names = |path: &Path| -> Vec<String> {
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let left = [self.home(uid), self.sandbox.path("")].iter().flat_map(|path| names(path)).collect::<Vec<_>>();
        assert!(!left.iter().any(|name| name.starts_with("jobserver-")), "{left:?}");
    }

    /// `jobserver run` as user `uid` of the twelve jobs, put behind `command`.
    fn build(&self, mut command: Command, uid: u32, words: &[&str]) -> Outcome {
        command.arg(self.jobserver()).arg("run").args(words).arg("--").arg(self.make()).arg("-s");
        command.current_dir(self.home(uid)).env("TMPDIR", self.home(uid));
        wait(start(command))
    }

    /// A place for a pool of user `uid`, where [`Served`] serves.
    fn give_place(&self, uid: u32) {
        fs::create_dir(self.sandbox.path("shared")).unwrap();
        chown(self.sandbox.path("shared"), Some(uid), Some(uid)).unwrap();
    }
}

fn as_user(mut command: Command, uid: u32) -> Command {
    command.args(Machine::become_user(uid, "--clear-groups"));
    command
}

/// A small filesystem at a path; it goes with the test.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf, options: &str) -> Disk {
        fs::create_dir(&path).unwrap();
        output(Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&path));
        Disk(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn an_ordinary_user_is_tracked_where_fuse_can_be_opened_and_is_told_where_not() {
    for (mode, style) in [("666", "tracked"), ("600", "fifo")] {
        let machine = Machine::new();
        let setup = machine.fuse(mode);
        machine.makefile(ONE, WIDTH);
        let run = |words: &[&str]| machine.build(as_user(machine.after(&setup), ONE), ONE, words);
        let asked = run(&["-j3", "--style", "tracked"]);
        machine.is_built(ONE, &asked);
        let auto = run(&["-j3"]);
        machine.is_built(ONE, &auto);
        auto.is_clean();
        machine.give_place(ONE);
        let mut served = Served::under(&machine.sandbox, as_user(machine.after(&setup), ONE), &["-j3"]);
        assert_eq!(served.status()["style"], style);
        let server = served.server.as_mut().unwrap();
        let (pid, mut said) = (server.id().to_string(), server.stderr.take().unwrap());
        let mut inside = machine.sandbox.command("nsenter");
        inside.args(["--mount", "--target", &pid]).arg(format!("--wd={}", machine.home(ONE).display()));
        let built = machine.build(as_user(inside, ONE), ONE, &["--pool", text(&served.dir)]);
        machine.is_built(ONE, &built);
        built.is_clean();
        served.finish();
        let mut lines = String::new();
        said.read_to_string(&mut lines).unwrap();
        if style == "tracked" {
            asked.is_clean();
            assert_eq!(lines, "");
        } else {
            assert!(asked.line().contains("/dev/fuse"), "{asked:?}");
            assert!(lines.lines().count() == 1 && lines.contains("can't be told apart"), "{lines:?}");
        }
    }
}

#[test]
fn in_a_user_namespace_builds_run_and_pools_are_served() {
    let script = "pool=$1 jobserver=$2; shift 2; $jobserver serve -j3 --dir $pool & server=$!
        while ! $jobserver status --pool $pool >&- 2>&-; do sleep 0.05; done
        $jobserver run --pool $pool -- \"$@\"; status=$?
        until $jobserver status --json --pool $pool >status; grep -q '\"free\":3' status; do sleep 0.05; done
        cat status; kill $server; wait $server && exit $status";
    for (uid, mode) in [(0, "600"), (ONE, "600"), (ONE, "666")] {
        let machine = Machine::new();
        let setup = machine.fuse(mode);
        if uid == 0 {
            fs::create_dir(machine.home(0)).unwrap();
        }
        machine.makefile(uid, WIDTH);
        let wrapper = || {
            let mut command = as_user(machine.after(&setup), uid);
            command.args(["unshare", "--map-root-user", "--mount"]);
            command
        };
        let run = machine.build(wrapper(), uid, &["-j3"]);
        machine.is_built(uid, &run);
        run.is_clean();
        let mut command = wrapper();
        let pool = machine.home(uid).join("pool");
        command.args(["sh", "-c", script, "sh"]).arg(&pool).arg(machine.jobserver()).arg(machine.make()).arg("-s");
        command.current_dir(machine.home(uid)).env("TMPDIR", machine.home(uid));
        let outcome = wait(start(command));
        machine.is_built(uid, &outcome);
        let status: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
        assert_eq!((status["free"].as_u64(), status["held"].as_u64()), (Some(3), Some(0)), "{status}");
        assert_eq!(fs::read_dir(&pool).unwrap().count(), 0);
        if uid == ONE && mode == "600" {
            assert!(outcome.line().contains("can't be told apart"), "{outcome:?}");
        } else {
            outcome.is_clean();
        }
    }
}

#[test]
fn another_users_pool_is_refused_and_the_build_goes_on() {
    let machine = Machine::new();
    let runtime = machine.sandbox.path("runtime");
    fs::create_dir(&runtime).unwrap();
    chown(&runtime, Some(ONE), Some(ONE)).unwrap();
    let served =
        Served::at(&machine.sandbox, runtime.join("jobserver"), as_user(machine.sandbox.command("env"), ONE), &["-j9"]);
    open_to_all(&served.dir, 0o755);
    open_to_all(&served.dir.join("socket"), 0o666);
    fs::create_dir(machine.home(0)).unwrap();
    for uid in [0, TWO] {
        machine.makefile(uid, WIDTH);
        for (name, value) in [("JOBSERVER_POOL", served.dir.clone()), ("XDG_RUNTIME_DIR", runtime.clone())] {
            let mut command = machine.sandbox.command("env");
            command.env(name, value);
            let outcome = machine.build(as_user(command, uid), uid, &["-j3"]);
            machine.is_built(uid, &outcome);
            assert!(outcome.line().contains(&format!("belongs to user {ONE}")), "{outcome:?}");
        }
        let command = as_user(machine.sandbox.command("env"), uid);
        let outcome = machine.build(command, uid, &["-j3", "--pool", text(&served.dir)]);
        machine.is_built(uid, &outcome);
        assert!(outcome.line().contains(&format!("is served by user {ONE}")), "{outcome:?}");
    }
    served.finish();
}

#[test]
fn on_a_full_disk_clients_share_or_a_build_goes_its_own_way() {
    let machine = Machine::new();
    let disk = Disk::new(machine.sandbox.path("disk"), "size=64k,nr_inodes=11,mode=755");
    let mut served = Served::at(&machine.sandbox, disk.0.join("pool"), machine.sandbox.command("env"), &["-j4"]);
    fs::create_dir(machine.home(0)).unwrap();
    machine.makefile(0, 1);
    let make = machine.make();
    let builds = [0; 3].map(|uid| start(machine.run(uid, &served, &["-j2", "--", text(&make), "-s"])));
    for outcome in builds.map(wait) {
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
    }
    assert_eq!(machine.recorder.spans().jobs(), 36);
    // What they had makes room when the server has seen that they are gone.
    served.until("nothing is left of them", |status| status["leases"].as_array().unwrap().is_empty());
    let fill: Vec<PathBuf> =
        (0..99).map(|number| disk.0.join(number.to_string())).take_while(|path| fs::write(path, "x").is_ok()).collect();
    let outcome = wait(start(machine.run(0, &served, &["-j2", "--", text(&make), "-s"])));
    assert!(outcome.status == Some(0) && outcome.line().contains("No space left"), "{outcome:?}");
    let outcome = wait(start({
        let mut command = machine.sandbox.command(jobserver());
        command.args(["serve", "--dir"]).arg(disk.0.join("other"));
        command
    }));
    assert!(outcome.status == Some(125) && outcome.line().contains("No space left"), "{outcome:?}");
    for path in fill {
        fs::remove_file(path).unwrap();
    }
    wait(start(machine.run(0, &served, &["--", text(&make), "-s"]))).is_clean();
    let mut said = served.server.as_mut().unwrap().stderr.take().unwrap();
    served.finish();
    let mut lines = String::new();
    said.read_to_string(&mut lines).unwrap();
    assert!(lines.lines().all(|line| line.contains("No space left")), "{lines}");
}

#[test]
fn a_runtime_directory_that_is_read_only_is_not_used() {
    let machine = Machine::new();
    machine.makefile(ONE, WIDTH);
    let runtime = machine.sandbox.path("runtime");
    fs::create_dir(&runtime).unwrap();
    chown(&runtime, Some(ONE), Some(ONE)).unwrap();
    let setup =
        format!("{} && mount --bind {1} {1} && mount -o remount,bind,ro {1}", machine.fuse("666"), runtime.display());
    let wrapper = || {
        let mut command = as_user(machine.after(&setup), ONE);
        command.env("XDG_RUNTIME_DIR", &runtime);
        command
    };
    let outcome = machine.build(wrapper(), ONE, &["-j3", "--style", "tracked"]);
    machine.is_built(ONE, &outcome);
    outcome.is_clean();
    let mut serve = wrapper();
    serve.arg(machine.jobserver()).arg("serve");
    let outcome = wait(start(serve));
    assert!(outcome.status == Some(125) && outcome.line().contains("Read-only file system"), "{outcome:?}");
}

/// Forty makes below one, all at once as far as there are slots, and each with two jobs.
fn many_makes(sandbox: &Sandbox) {
    sandbox.write("Makefile", "all: $(addprefix m,$(shell seq 40))\nm%: ; @+$(MAKE) -s -f sub.mk\n");
    sandbox.write("sub.mk", "all: a b\na b: ; @sleep 0.05\n");
}

#[test]
fn with_64_descriptors_the_server_and_the_runner_get_by() {
    let machine = Machine::new();
    let few = || {
        let mut command = machine.sandbox.command("prlimit");
        command.arg("--nofile=64:64");
        command
    };
    many_makes(&machine.sandbox);
    let (make, words) = (machine.make(), ["--style", "tracked", "--"]);
    let run = |mut command: Command, options: &[&str]| {
        command.arg(jobserver()).arg("run").args(options).args(words).arg(&make).arg("-s");
        start(command)
    };
    // Some share an endpoint, and what one of them returns may be heard of after it has ended.
    let outcome = wait(run(few(), &["-j20"]));
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let is_known =
        |line: &str| ["clients share one endpoint", "nobody had taken"].iter().any(|what| line.contains(what));
    assert!(outcome.err.lines().all(is_known), "{outcome:?}");
    let served = Served::under(&machine.sandbox, few(), &["-j30"]);
    let place = served.dir.clone();
    let pool = ["--pool", text(&place)];
    let builds: Vec<Child> = (0..3).map(|_| run(machine.sandbox.command("env"), &pool)).collect();
    for child in builds {
        let outcome = wait(child);
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
    }
    served.finish();
    let served = Served::new(&machine.sandbox, &["-j30"]);
    let builds: Vec<Child> = (0..2).map(|_| run(few(), &pool)).collect();
    builds.into_iter().for_each(|child| wait(child).is_clean());
    served.finish();
}

#[test]
fn three_hundred_clients_at_once_take_turns() {
    let machine = Machine::new();
    let sandbox = &machine.sandbox;
    let served = Served::new(sandbox, &["-j5"]);
    let job = machine.recorder.wrapper();
    let client = format!(
        "#!/bin/sh\npath=${{MAKEFLAGS##*fifo:}}; exec 3<$path 4>$path; echo; exec >&2; flock --shared gate true\n\
         token=$(head -c 1 <&3); [ \"$token\" = + ] && {} true && printf + >&4\n",
        job.display()
    );
    sandbox.script("client", &client);
    // Everybody is there before the lock is given up.
    let script = "exec 9>gate; flock 9; mkfifo came
        (for number in $(seq 300); do { ./client || echo failed >&2; } & done; wait) >came 9>&- &
        head -n 300 <came >all; flock --unlock 9; wait";
    let words = ["--pool", text(&served.dir), "--style", "tracked", "--", "sh", "-c", script];
    wait(start(sandbox.jobserver(&words))).is_clean();
    let spans = machine.recorder.spans();
    assert_eq!(spans.jobs(), 300);
    assert!(spans.most_at_once() <= 4, "{} at once beside the script's own slot", spans.most_at_once());
    served.finish();
}
