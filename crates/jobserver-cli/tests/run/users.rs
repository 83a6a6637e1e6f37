//! Several users and root under the machine's pool: they share its slots, and nobody sees, opens, takes over, starves or
//! ends what is another's.
//!
//! Only root can become other users, so these tests are root's.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{chown, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{kill_process_group, Pid, Signal, Uid};
use rustix::thread::set_thread_res_uid;
use serde_json::Value;
use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{jobserver, start, text, wait, Sandbox};
use crate::served::Served;
use crate::slots::{flat, meeting};

/// `nobody`: fusermount3 wants a user who has a name.
pub(crate) const ONE: u32 = 65_534;
pub(crate) const TWO: u32 = 61_002;

/// A script that says it is there, waits for the file `go` beside it, and goes on.
pub(crate) const WAIT: &str = "echo ready; while ! [ -e go ]; do sleep 0.02; done";

/// A place that all users can use, with programs that all can reach: where tests are built may be closed to them.
pub(crate) struct Machine {
    pub(crate) sandbox: Sandbox,
    pub(crate) recorder: Recorder,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        assert!(rustix::process::geteuid().is_root(), "only root can become other users: run the tests as root");
        let machine = Machine { sandbox: Sandbox::new(), recorder: Recorder::new() };
        open_to_all(&machine.sandbox.path(""), 0o755);
        open_to_all(machine.recorder.path(), 0o755);
        fs::write(machine.recorder.path().join("spans.log"), "").unwrap();
        open_to_all(&machine.recorder.path().join("spans.log"), 0o666);
        fs::copy(jobserver(), machine.jobserver()).unwrap();
        fs::copy(clients::make_4_4(), machine.make()).unwrap();
        for uid in [ONE, TWO] {
            fs::create_dir(machine.home(uid)).unwrap();
            chown(machine.home(uid), Some(uid), Some(uid)).unwrap();
        }
        machine
    }

    pub(crate) fn jobserver(&self) -> PathBuf {
        self.sandbox.path("jobserver")
    }

    pub(crate) fn make(&self) -> PathBuf {
        self.sandbox.path("make")
    }

    pub(crate) fn home(&self, uid: u32) -> PathBuf {
        self.sandbox.path(&format!("home-{uid}"))
    }

    /// Words that run the words after them as another user.
    pub(crate) fn become_user(uid: u32, groups: &str) -> Vec<String> {
        ["setpriv".into(), format!("--reuid={uid}"), format!("--regid={uid}"), groups.into()].into()
    }

    /// A command of user `uid`, in that user's folder.
    pub(crate) fn command(&self, uid: u32, words: &[&str]) -> Command {
        let become_user = Machine::become_user(uid, "--clear-groups");
        let mut command = self.sandbox.command(&become_user[0]);
        command.args(&become_user[1..]).args(words).current_dir(self.home(uid)).env("TMPDIR", self.home(uid));
        command
    }

    /// `jobserver run` of user `uid` on this pool; what it starts is in a process group of its own.
    pub(crate) fn run(&self, uid: u32, served: &Served<'_>, words: &[&str]) -> Command {
        let program = self.jobserver();
        let options = [text(&program), "run", "--style", "tracked", "--pool", text(&served.dir)];
        let mut command = self.command(uid, &[&options, words].concat());
        command.process_group(0);
        command
    }

    /// The makefile of twelve jobs in the folder of user `uid`, each of which waits until `width` of them have begun.
    pub(crate) fn makefile(&self, uid: u32, width: usize) {
        let job = meeting(&self.sandbox, &self.recorder, &uid.to_string(), width);
        open_to_all(&self.sandbox.path(&format!("met-{uid}")), 0o777);
        fs::write(self.home(uid).join("Makefile"), flat(&job)).unwrap();
    }

    pub(crate) fn status_as(&self, uid: u32, served: &Served<'_>) -> Value {
        let program = self.jobserver();
        let mut command = self.command(uid, &[text(&program), "status", "--json", "--pool", text(&served.dir)]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What user `uid` is answered to one request.
    fn ask(&self, uid: u32, served: &Served<'_>, request: &str) -> Value {
        let connect = || {
            let uid = Uid::from_raw(uid);
            // Of this thread alone, which the kernel goes by.
            set_thread_res_uid(uid, uid, uid).unwrap();
            UnixStream::connect(served.dir.join("socket")).unwrap()
        };
        let mut peer = std::thread::scope(|scope| scope.spawn(connect).join().unwrap());
        peer.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(peer).read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

pub(crate) fn open_to_all(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What a child that is [`start`]ed has said first.
fn line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().to_string()
}

fn kill_all_of(child: &Child) {
    kill_process_group(Pid::from_raw(child.id() as i32).unwrap(), Signal::KILL).unwrap();
}

fn held(status: &Value) -> u64 {
    status["held"].as_u64().unwrap()
}

#[test]
fn builds_of_two_users_and_of_root_run_at_once_within_the_slots_and_each_sees_the_own() {
    for style in ["tracked", "fifo"] {
        let machine = Machine::new();
        let served = Served::new(&machine.sandbox, &["-j4", "--style", style]);
        fs::create_dir(machine.home(0)).unwrap();
        let script = format!("{WAIT}; exec {} -s", text(&machine.make()));
        let builds = [0, ONE, TWO].map(|uid| {
            machine.makefile(uid, 1);
            machine.sandbox.start(machine.run(uid, &served, &["--", "sh", "-c", &script]))
        });
        let uids = |status: &Value| -> Vec<u64> {
            status["leases"].as_array().unwrap().iter().map(|lease| lease["uid"].as_u64().unwrap()).collect()
        };
        let all = served.status();
        assert_eq!(uids(&all), [0, u64::from(ONE), u64::from(TWO)], "{all}");
        for uid in [ONE, TWO] {
            let own = machine.status_as(uid, &served);
            assert_eq!(uids(&own), [u64::from(uid)], "{own}");
            assert_eq!(held(&own), 3, "the sums are of all: {own}");
        }
        for uid in [0, ONE, TWO] {
            fs::write(machine.home(uid).join("go"), "").unwrap();
        }
        builds.into_iter().for_each(|build| wait(build).is_clean());
        let spans = machine.recorder.spans();
        assert_eq!(spans.jobs(), 36);
        assert!((2..=4).contains(&spans.most_at_once()), "{style}: {} at once", spans.most_at_once());
        served.finish();
    }
}

#[test]
fn nobody_opens_names_or_takes_over_what_is_another_users() {
    let machine = Machine::new();
    let mut served = Served::new(&machine.sandbox, &["-j3"]);
    let script = format!("echo ${{MAKEFLAGS##*fifo:}}; exec 3<>${{MAKEFLAGS##*fifo:}}; {WAIT}");
    let mut build = start(machine.run(ONE, &served, &["--name", "secret", "--", "sh", "-c", &script]));
    let path = line(&mut build);
    let pid = served.until("it is open", |status| status["leases"][0]["endpoints"][0]["pid"].is_u64())["leases"][0]
        ["command_pid"]
        .clone();
    // Its path, its FIFOs, its name.
    let probe = format!(
        "! [ -e {path} ] && ! [ -L {path} ] && ! cat <{path} && [ -z \"$(ls {dir}/mnt)\" ] && ! ls {dir}/f && \
         for number in $(seq 200); do ! [ -r {dir}/f/$number ] || exit 1; done",
        dir = served.dir.display(),
    );
    testkit::process::output(machine.command(TWO, &["sh", "-c", &probe]).stderr(Stdio::null()));
    let pipes: Vec<_> =
        fs::read_dir(served.dir.join("f")).unwrap().map(|pipe| pipe.unwrap().metadata().unwrap()).collect();
    assert!(
        pipes.len() >= 2 && pipes.iter().all(|pipe| (pipe.uid(), pipe.mode() & 0o777) == (ONE, 0o600)),
        "{pipes:?}"
    );
    assert!(!machine.status_as(TWO, &served).to_string().contains("secret"));
    // What it says on the socket.
    let resume = |pid: &Value| format!("{{\"request\":\"resume\",\"open\":{{}},\"path\":\"{path}\",\"pid\":{pid}}}");
    let adopt = format!("{{\"request\":\"adopt\",\"server\":0,\"endpoint\":1,\"pid\":{pid},\"kind\":\"waiting\"}}");
    let watch = format!("{{\"request\":\"watch\",\"path\":\"{path}\"}}");
    for request in [
        resume(&pid),
        adopt,
        format!("{{\"request\":\"command\",\"pid\":{pid}}}"),
        watch.clone(),
        "{\"request\":\"set\",\"capacity\":99}".to_string(),
        "{\"request\":\"open\",\"floor\":2}".to_string(),
        "{\"request\":\"open\",\"weight\":9}".to_string(),
    ] {
        assert_eq!(machine.ask(TWO, &served, &request)["reply"], "error", "{request}");
    }
    assert_eq!(machine.ask(ONE, &served, &watch)["reply"], "watching");
    let lease = format!("{{\"request\":\"open\"}}\n{{\"request\":\"command\",\"pid\":{pid}}}");
    machine.ask(TWO, &served, &lease);
    let status = served.until("that is over", |status| status["leases"].as_array().unwrap().len() == 1);
    assert_eq!((status["capacity"].as_u64(), &status["leases"][0]["command_pid"]), (Some(3), &pid), "{status}");
    fs::write(machine.home(ONE).join("go"), "").unwrap();
    wait(build);
    // Or the journal would tell the next server that this command runs, and nobody else may claim its lease.
    served.until("it is over", |status| status["leases"].as_array().unwrap().is_empty());
    // Nor after a server that was killed, when nobody has claimed the path yet.
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
    served.start(&["-j3"]);
    let refused = machine.ask(TWO, &served, &resume(&Value::from(1)));
    assert_eq!(refused["reply"], "error", "{refused}");
    let mut command = machine.command(ONE, &["sh", "-c", "echo ready; exec cat"]);
    command.stdin(Stdio::piped());
    let mut command = machine.sandbox.start(command);
    let own = machine.ask(ONE, &served, &resume(&Value::from(command.id())));
    assert_eq!((own["reply"].as_str(), own["path"].as_str()), (Some("opened"), Some(path.as_str())), "{own}");
    drop(command.stdin.take());
    command.wait().unwrap();
    served.finish();
}

#[test]
fn a_client_that_takes_all_and_returns_nothing_hurts_only_its_own_build() {
    let machine = Machine::new();
    let served = Served::new(&machine.sandbox, &["-j4"]);
    machine.makefile(TWO, 1);
    let script = format!("{WAIT}; exec {} -s", text(&machine.make()));
    let other = machine.sandbox.start(machine.run(TWO, &served, &["--", "sh", "-c", &script]));
    let take = "exec 3<>${MAKEFLAGS##*fifo:}; exec head -c 100 <&3";
    let greedy = start(machine.run(ONE, &served, &["--", "sh", "-c", take]));
    served.until("it has all but the other build's own slot", |status| held(status) == 4);
    fs::write(machine.home(TWO).join("go"), "").unwrap();
    wait(other).is_clean();
    assert_eq!(machine.recorder.spans().jobs(), 12);
    // Once it is alone it takes the last one too. Whoever comes then may start at once all the same.
    served.until("it has all", |status| held(status) == 4);
    wait(start(machine.run(TWO, &served, &["--now", "--", text(&machine.make()), "-s"]))).is_clean();
    assert_eq!(machine.recorder.spans().jobs(), 24);
    kill_all_of(&greedy);
    wait(greedy);
    served.until("all is back", |status| held(status) == 0);
    served.finish();
}

#[test]
fn a_server_that_keeps_its_files_to_itself_serves_others_all_the_same() {
    let machine = Machine::new();
    let mut wrapper = machine.sandbox.command("sh");
    wrapper.args(["-c", "umask 077 && exec \"$@\"", "sh"]);
    let served = Served::under(&machine.sandbox, wrapper, &["-j3"]);
    machine.makefile(ONE, 3);
    wait(start(machine.run(ONE, &served, &["--", text(&machine.make()), "-s"]))).is_clean();
    assert_eq!(machine.recorder.spans().most_at_once(), 3);
    served.finish();
}

#[test]
fn killing_all_processes_of_a_user_returns_all_they_held() {
    let machine = Machine::new();
    let served = Served::new(&machine.sandbox, &["-j6"]);
    let job = format!("all: a b c d\na b c d: ; @{WAIT}\n");
    for uid in [ONE, TWO] {
        fs::write(machine.home(uid).join("Makefile"), &job).unwrap();
    }
    let make = machine.make();
    let build = |uid| start(machine.run(uid, &served, &["--", text(&make), "-s"]));
    let (doomed, other) = ([build(ONE), build(ONE)], build(TWO));
    served.until("all slots are in use", |status| held(status) == 6);
    doomed.iter().for_each(kill_all_of);
    doomed.into_iter().for_each(|build| drop(wait(build)));
    let status = served.until("the other one has what it wants", |status| {
        status["leases"].as_array().unwrap().len() == 1 && held(status) == 4
    });
    assert_eq!(status["leases"][0]["uid"].as_u64(), Some(u64::from(TWO)), "{status}");
    fs::write(machine.home(TWO).join("go"), "").unwrap();
    assert_eq!(wait(other).status, Some(0));
    served.finish();
}

/// In a mount namespace of its own there is a group of that name, whatever the machine has.
#[test]
fn where_there_is_a_group_jobserver_only_its_members_open_leases() {
    const GID: u32 = 61_777;
    let machine = Machine::new();
    let groups = fs::read_to_string("/etc/group").unwrap();
    let others: String =
        groups.lines().filter(|line| !line.starts_with("jobserver:")).map(|line| format!("{line}\n")).collect();
    machine.sandbox.write("with", &format!("{others}jobserver:x:{GID}:\n"));
    machine.sandbox.write("without", &others);
    for (name, mode, owner) in [("with", 0o660, GID), ("without", 0o666, 0)] {
        let mut wrapper = machine.sandbox.command("unshare");
        let script = format!("mount --bind {} /etc/group && exec \"$@\"", machine.sandbox.path(name).display());
        wrapper.args(["--mount", "sh", "-c", &script, "sh"]);
        let served = Served::under(&machine.sandbox, wrapper, &["-j2"]);
        let server = served.server.as_ref().unwrap().id().to_string();
        let run = |groups: &str| {
            let mut command = machine.sandbox.command("nsenter");
            command.args(["--mount", "--target", &server]).args(Machine::become_user(ONE, groups));
            command.arg(machine.jobserver()).args(["run", "-j2", "--style", "tracked"]);
            command
                .args(["--pool", text(&served.dir), "--", "sh", "-c"])
                .arg("echo $MAKEFLAGS")
                .env("TMPDIR", machine.home(ONE));
            wait(start(command))
        };
        served.until("it has the right owner", |_| {
            let socket = fs::metadata(served.dir.join("socket")).unwrap();
            (socket.mode() & 0o777, socket.uid(), socket.gid()) == (mode, 0, owner)
        });
        let shared = format!("fifo:{}/mnt/", served.dir.display());
        let member = run(&format!("--groups={GID}"));
        member.is_clean();
        assert!(member.out.contains(&shared), "{member:?}");
        let stranger = run("--clear-groups");
        if name == "with" {
            assert!(stranger.line().contains("Permission denied") && stranger.line().contains("-j2"), "{stranger:?}");
            assert!(stranger.status == Some(0) && stranger.out.contains("-j2"), "{stranger:?}");
            assert!(!stranger.out.contains(&shared), "{stranger:?}");
        } else {
            stranger.is_clean();
        }
        served.finish();
    }
}

#[test]
fn what_another_user_calls_a_build_steers_no_terminal() {
    let machine = Machine::new();
    let served = Served::new(&machine.sandbox, &["-j2"]);
    let mut build = start(machine.run(ONE, &served, &["--name", "\u{1b}[2Jx", "--", "sh", "-c", WAIT]));
    assert_eq!(line(&mut build), "ready");
    let mut command = machine.sandbox.command(jobserver());
    let output = command.args(["status", "--pool", text(&served.dir)]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("[2Jx") && !said.contains('\u{1b}'), "{said:?}");
    fs::write(machine.home(ONE).join("go"), "").unwrap();
    wait(build);
    served.finish();
}

#[test]
fn nobody_keeps_the_server_from_starting_again() {
    let machine = Machine::new();
    let mut served = Served::new(&machine.sandbox, &["-j2"]);
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
    // Who can open a folder can lock it.
    let probe = format!("! [ -r {0} ] && [ -x {0} ]", text(&served.dir));
    testkit::process::output(machine.command(ONE, &["bash", "-c", &probe]).stderr(Stdio::null()));
    served.start(&["-j2"]);
    served.finish();
}
