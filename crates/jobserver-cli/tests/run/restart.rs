//! What a server that is started again takes over, and from whom: a lease from who runs its command, an account from who has
//! its pipe. And what builds do that can't be taken over.

use std::fs;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jobserver_pool::control::{Open, Reply, Request};
use jobserver_pool::process::OWN;
use rustix::fs::{mkfifoat, Mode, OFlags, CWD};
use rustix::process::Signal;
use serde_json::Value;
use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{start, text, wait, Sandbox};
use crate::served::{send, Served};
use crate::slots::flat;
use crate::speaker::{Given, Speaker};
use crate::users::WAIT;

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(60);

fn resume(path: &Path, pid: u32) -> Request {
    Request::Resume { open: Open::default(), path: text(path).to_string(), pid }
}

#[track_caller]
fn is_refused(answer: &Reply) {
    assert!(matches!(answer, Reply::Error { .. }), "{answer:?}");
}

fn kill(served: &mut Served<'_>) {
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
}

fn held(status: &Value) -> u64 {
    status["held"].as_u64().unwrap()
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < BOUND, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_lease_that_its_runner_has_brought_back_is_nobody_elses_to_resume() {
    let sandbox = Sandbox::new();
    let mut served = Served::new(&sandbox, &["-j2"]);
    let script = format!("path=${{MAKEFLAGS##*fifo:}}; echo $path >path; exec 3<$path 4>$path; head -c 1 <&3; {WAIT}");
    // It has one token beside its own slot: nothing is free, and nothing goes to and fro.
    let mut build = start(served.run(&["--style", "tracked", "--", "sh", "-c", &script]));
    if build.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).is_err() {
        panic!("it has ended: {:?}", wait(build));
    }
    let command = served.until("it has all", |status| held(status) == 2)["leases"][0]["command_pid"].as_u64().unwrap();
    let path = fs::read_to_string(sandbox.path("path")).unwrap();
    kill(&mut served);
    served.start(&["-j2"]);
    let before = served.until("it is taken over", |status| held(status) == 2);
    let mut own = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    // The command itself, one of somebody else, whoever asks, and what that one has started.
    for pid in [command as u32, 1, std::process::id(), own.id()] {
        let mut other = Speaker::new(&served);
        is_refused(&other.ask(&resume(Path::new(path.trim()), pid), Vec::new()));
        let after = served.status();
        assert_eq!(after["leases"], before["leases"], "while {pid} is told to be its command");
        drop(other);
        assert_eq!(served.status()["leases"], before["leases"], "after {pid} was told to be its command");
    }
    drop(own.stdin.take());
    own.wait().unwrap();
    sandbox.write("go", "");
    assert_eq!(wait(build).status, Some(0));
    served.finish();
}

/// A pipe that looks like one of the pool's, in a folder of whoever made it, with so many tokens in it.
fn forged(folder: &Path, name: &str, tokens: usize) -> OwnedFd {
    let path = folder.join(name);
    let _ = fs::remove_file(&path);
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
    let file = rustix::fs::open(&path, OWN | OFlags::CLOEXEC, Mode::empty()).unwrap();
    assert_eq!(rustix::io::write(&file, &vec![b'+'; tokens][..]), Ok(tokens));
    file
}

/// A client with two tokens, which it returns when its input ends.
fn holder(path: &Path) -> Child {
    let script = "exec 3<$1 4>$1; head -c 2 <&3 >/dev/null; echo ready; read x; printf ++ >&4";
    let mut client = Command::new("sh");
    client.args(["-c", script, "sh"]).arg(path);
    testkit::process::start_ready(client.stdin(Stdio::piped()))
}

/// A lease of our own in which a client holds two tokens, under a server that was killed and started again: who speaks for
/// it, which server it was, the client, and what was given for that.
/// `pipes`: one for each way, which it has where another build wants slots, or one for both.
fn held_by_a_client(served: &mut Served<'_>, pipes: usize) -> (Speaker, u64, Child, Given) {
    let mut other = Speaker::new(served);
    let mut wanting = (pipes == 2).then(|| {
        let Reply::Opened { path, .. } = other.ask(&Request::Open(Open::default()), Vec::new()) else { panic!() };
        let script = "exec 3<>$1; head -c 1 <&3 >/dev/null; echo ready; read x";
        let mut client = Command::new("sh");
        let client = testkit::process::start_ready(client.args(["-c", script, "sh", &path]).stdin(Stdio::piped()));
        // The pool knows that it takes what it gets.
        served.until("it has a token", |status| held(status) == 2);
        client
    });
    let mut first = Speaker::new(served);
    let Reply::Opened { path, server, .. } = first.ask(&Request::Open(Open::default()), Vec::new()) else { panic!() };
    let child = holder(Path::new(&path));
    let given = first.client();
    assert_eq!(given.descriptors.len(), pipes);
    first.0.send(&Request::Command { pid: child.id() }, Vec::new()).unwrap();
    served.until("it has them", |status| {
        let is_it = |lease: &Value| lease["held"] == 3 && lease["command_pid"].is_u64();
        status["leases"].as_array().unwrap().iter().any(is_it)
    });
    if let Some(client) = &mut wanting {
        drop(client.stdin.take());
        client.wait().unwrap();
        let clients = |lease: &Value| lease["endpoints"].as_array().unwrap().len();
        served.until("its token is another's", |status| {
            status["leases"].as_array().unwrap().iter().map(clients).sum::<usize>() == 1
        });
    }
    kill(served);
    served.start(&["-j4"]);
    let mut speaker = Speaker::new(served);
    let answer = speaker.ask(&resume(Path::new(&path), child.id()), Vec::new());
    assert!(matches!(answer, Reply::Opened { .. }), "{answer:?}");
    (speaker, server, child, given)
}

#[test]
fn a_forged_pipe_gives_no_account_and_the_real_one_does() {
    [1, 2].into_iter().for_each(forge);
}

fn forge(pipes: usize) {
    let sandbox = Sandbox::new();
    let mut served = Served::new(&sandbox, &["-j5"]);
    let (mut speaker, server, mut child, given) = held_by_a_client(&mut served, pipes);
    let Given { endpoint, kind, descriptors } = given;
    let name = fs::read_link(format!("/proc/self/fd/{}", descriptors[0].as_raw_fd())).unwrap();
    let name = name.file_name().unwrap().to_str().unwrap().trim_end_matches(" (deleted)").to_string();
    fs::create_dir(sandbox.path("f")).unwrap();
    let pid = child.id();
    let adopt = |endpoint| Request::Adopt { server, endpoint, pid, kind };
    let only_its_slot = |what: &str| {
        let status = served.status();
        assert_eq!((status["leases"][0]["held"].as_u64(), status["capacity"].as_u64()), (Some(1), Some(4)), "{what}");
    };
    only_its_slot("it was resumed");
    for tokens in [0, 1, 3, 4] {
        for (one, number) in [(false, endpoint), (true, endpoint), (true, endpoint + 1), (true, u64::MAX)] {
            let mut pipes = vec![forged(&sandbox.path("f"), &name, tokens)];
            if !one {
                pipes.push(forged(&sandbox.path("f"), "returns", 0));
            }
            let answer = speaker.ask(&adopt(number), pipes);
            assert!(matches!(answer, Reply::Done), "{tokens} in {number}: {answer:?}");
            only_its_slot(&format!("{tokens} in {number}"));
        }
    }
    // No pipe of the pool's at all.
    let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(sandbox.path("x")).unwrap();
    let (_reader, writer) = rustix::pipe::pipe().unwrap();
    for descriptors in [vec![file.into()], vec![writer], vec![UnixStream::pair().unwrap().0.into()]] {
        is_refused(&speaker.ask(&adopt(endpoint), descriptors));
        only_its_slot("no pipe");
    }
    // Who has the real one gets what its client has.
    assert!(matches!(speaker.ask(&adopt(endpoint), descriptors), Reply::Done));
    assert_eq!(served.status()["leases"][0]["held"], 3);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    drop(speaker);
    let status = served.until("all is back", |status| status["leases"].as_array().unwrap().is_empty());
    assert_eq!(status["strays"], 0, "{status}");
    served.finish();
}

/// In the style `fifo` there is nothing by which a build could be known again: it has its pipe, and the new server its own.
/// An old make's two pipes are an account that can be handed over.
#[test]
fn in_the_style_fifo_builds_outlive_their_server_and_a_new_one_serves_new_builds() {
    for (make, taken_over) in [(clients::make_4_4(), 1), (clients::make_4_3(), 4)] {
        for again in [false, true] {
            let sandbox = Sandbox::new();
            let recorder = Recorder::new();
            let mut served = Served::new(&sandbox, &["-j4", "--style", "fifo"]);
            assert_eq!(served.status()["style"], "fifo");
            let job = format!(
                "{} sh -c ': >begun.$@; while ! [ -e go ]; do sleep 0.02; done; : >built.$@'",
                recorder.wrapper().display()
            );
            sandbox.write("Makefile", &format!("all: $(addprefix j,$(shell seq 12))\nj%: ; @{job}\n"));
            sandbox.write("other.mk", &flat("echo built"));
            let build = start(served.run(&["--", text(&make), "-s"]));
            until("four jobs run", || (1..=4).all(|number| sandbox.path(&format!("begun.j{number}")).exists()));
            served.until("it holds all", |status| held(status) == 4);
            kill(&mut served);
            if again {
                served.start(&["-j4", "--style", "fifo"]);
                served.until("as much of it as can be is counted", |status| held(status) == taken_over);
            }
            sandbox.write("go", "");
            wait(build).is_clean();
            let built = (1..=12).filter(|number| sandbox.path(&format!("built.j{number}")).exists()).count();
            let spans = recorder.spans();
            assert_eq!((built, spans.jobs(), spans.most_at_once()), (12, 12, 4), "{} {again}", make.display());
            if !again {
                served.start(&["-j4", "--style", "fifo"]);
            }
            for make in [clients::make_4_4(), clients::make_4_3()] {
                let outcome = wait(start(served.run(&["--", text(&make), "-s", "-f", "other.mk"])));
                outcome.is_clean();
                assert_eq!(outcome.out, "built\n".repeat(12));
            }
            let left = fs::read_dir(served.dir.join("f")).unwrap().map(|entry| entry.unwrap().file_type().unwrap());
            assert!(left.into_iter().all(|kind| kind.is_fifo()));
            served.finish();
        }
    }
}

/// It joins whatever is there, or warns and runs one job at a time: the old pipe is there until a new server removes it, and
/// that one's pipes have numbers as well.
#[test]
fn in_the_style_fifo_a_make_that_starts_after_the_servers_death_ends_as_it_would_have() {
    for again in [false, true] {
        let sandbox = Sandbox::new();
        let make = clients::make_4_4();
        sandbox.write("Makefile", &format!("all:\n\t@{WAIT}\n\t@$(MAKE) -s --no-print-directory -f sub.mk\n"));
        sandbox.write("sub.mk", &flat("echo built"));
        let mut served = Served::new(&sandbox, &["-j4", "--style", "fifo"]);
        let mut build = start(served.run(&["--", text(&make), "-s"]));
        build.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        kill(&mut served);
        if again {
            served.start(&["-j4", "--style", "fifo"]);
        }
        sandbox.write("go", "");
        let outcome = wait(build);
        assert_eq!((outcome.status, outcome.out), (Some(0), "built\n".repeat(12)), "{}", outcome.err);
        assert!(outcome.err.is_empty() || outcome.err.contains("-j1"), "{}", outcome.err);
        if !again {
            served.start(&["-j4", "--style", "fifo"]);
        }
        served.finish();
    }
}

/// Neither its client nor its lease stays for ever.
#[test]
fn a_pipe_with_more_tokens_than_there_are_slots_is_refused_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    let mut served = Served::new(&sandbox, &["-j5"]);
    let (mut speaker, server, mut child, Given { endpoint, kind, descriptors }) = held_by_a_client(&mut served, 2);
    let pid = child.id();
    for tokens in [5, 4096] {
        let pipe = forged(&sandbox.path(""), "forged", tokens);
        is_refused(&speaker.ask(&Request::Adopt { server, endpoint, pid, kind }, vec![pipe]));
        let status = served.status();
        assert_eq!((held(&status), status["capacity"].as_u64()), (1, Some(4)), "{status}");
        assert_eq!(status["leases"][0]["endpoints"].as_array().map(Vec::len), Some(0), "{status}");
    }
    let answer = speaker.ask(&Request::Adopt { server, endpoint, pid, kind }, descriptors);
    assert!(matches!(answer, Reply::Done), "{answer:?}");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    drop(speaker);
    served.until("the lease is gone", |status| status["leases"].as_array().unwrap().is_empty());
    served.finish();
}

#[test]
fn a_lease_is_nobody_elses_to_resume_before_its_runner_comes_back() {
    let sandbox = Sandbox::new();
    let mut served = Served::new(&sandbox, &["-j2"]);
    let script = format!("path=${{MAKEFLAGS##*fifo:}}; echo $path >path; exec 3<$path 4>$path; head -c 1 <&3; {WAIT}");
    let mut build = start(served.run(&["--style", "tracked", "--", "sh", "-c", &script]));
    build.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
    let before = served.until("the server knows its command", |status| {
        held(status) == 2 && status["leases"][0]["command_pid"].is_u64()
    });
    let command = before["leases"][0]["command_pid"].as_u64().unwrap() as u32;
    let path = fs::read_to_string(sandbox.path("path")).unwrap();
    // It comes back when it is let go on.
    send(&build, Signal::STOP);
    kill(&mut served);
    served.start(&["-j2"]);
    let mut own = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let mut others = Vec::new();
    for pid in [command, 1, std::process::id(), own.id()] {
        let mut other = Speaker::new(&served);
        is_refused(&other.ask(&resume(Path::new(path.trim()), pid), Vec::new()));
        let status = served.status();
        assert_eq!((held(&status), status["leases"].as_array().map(Vec::len)), (0, Some(0)), "{pid}: {status}");
        others.push(other);
    }
    send(&build, Signal::CONT);
    let after = served.until("it is taken over", |status| held(status) == 2);
    assert_eq!(after["leases"][0]["command_pid"], command, "{after}");
    assert_eq!(after["owed"], 0, "{after}");
    drop((others, own.stdin.take()));
    own.wait().unwrap();
    sandbox.write("go", "");
    assert_eq!(wait(build).status, Some(0));
    served.finish();
}

/// A filesystem in memory; it goes with the test.
struct Disk(PathBuf);

impl Disk {
    fn new(path: PathBuf) -> Disk {
        fs::create_dir(&path).unwrap();
        testkit::process::output(Command::new("mount").args(["-t", "tmpfs", "-o", "inode64", "none"]).arg(&path));
        Disk(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Whoever may mount a filesystem of his own has pipes there of any inode.
#[test]
fn a_forged_pipe_with_the_same_inode_elsewhere_gives_no_account() {
    assert!(rustix::process::geteuid().is_root(), "only root can mount a filesystem: run the tests as root");
    let sandbox = Sandbox::new();
    let pool = Disk::new(sandbox.path("pool"));
    let other = Disk::new(sandbox.path("other"));
    let mut served = Served::at(&sandbox, pool.0.join("pool"), sandbox.command("env"), &["-j5"]);
    let (mut speaker, server, mut child, Given { endpoint, kind, descriptors }) = held_by_a_client(&mut served, 2);
    let pid = child.id();
    let inode = rustix::fs::fstat(&descriptors[0]).unwrap().st_ino;
    // A filesystem in memory counts its inodes.
    let mut pipe = (0..).map(|name| forged(&other.0, &format!("{name}"), 0));
    let forged = pipe.find(|pipe| rustix::fs::fstat(pipe).unwrap().st_ino >= inode).unwrap();
    assert_eq!(rustix::fs::fstat(&forged).unwrap().st_ino, inode);
    let answer = speaker.ask(&Request::Adopt { server, endpoint, pid, kind }, vec![forged]);
    assert!(matches!(answer, Reply::Done), "{answer:?}");
    assert_eq!(held(&served.status()), 1, "it has got the account of another pipe");
    let answer = speaker.ask(&Request::Adopt { server, endpoint, pid, kind }, descriptors);
    assert!(matches!(answer, Reply::Done), "{answer:?}");
    assert_eq!(held(&served.status()), 3);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    drop(speaker);
    served.until("the lease is gone", |status| status["leases"].as_array().unwrap().is_empty());
    served.finish();
}
