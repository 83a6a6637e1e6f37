//! Clients that are killed: what they held is back, whatever they were doing.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use testkit::chance::Chance;
use testkit::process::output;

use crate::driver::{client, Pool};

const TOKENS: usize = 3;

/// Busy clients of every kind; each would run for much longer than it is left alive.
fn kinds(pool: &Pool, dir: &std::path::Path) -> Vec<Command> {
    let path = pool.dir.join("mnt/build");
    let targets: Vec<String> = (0..400).map(|number| format!("t{number}")).collect();
    let makefile = format!("all: {0}\n{0}:\n\t@sleep 0.003\nsub:\n\t@+$(MAKE) all\n", targets.join(" "));
    fs::write(dir.join("Makefile"), makefile).unwrap();
    let mut text = String::from("rule job\n  command = sleep 0.003\n");
    text.extend(targets.iter().map(|target| format!("build {target}: job\n")));
    fs::write(dir.join("build.ninja"), text).unwrap();
    let mut make = client(testkit::clients::make_4_4(), &path);
    make.arg("-C").arg(dir);
    let mut recursive = client(testkit::clients::make_4_4(), &path);
    recursive.arg("-C").arg(dir).arg("sub");
    let mut ninja = client(testkit::clients::ninja(), &path);
    ninja.arg("-C").arg(dir);
    let python = |script: &str| {
        let mut command = client("python3", &path);
        command.args(["-c", &format!("import os\nP = os.environ['JOBSERVER']\n{script}")]);
        command
    };
    let holder = python("r = os.open(P, 0); w = os.open(P, 1)\nwhile True: os.read(r, 1)");
    let both = python("b = os.open(P, 2)\nwhile True: os.read(b, 1); os.write(b, b'+')");
    let opener = python("while True: os.close(os.open(P, 0))");
    let mut shell = client("sh", &path);
    shell
        .args(["-c", "exec 3<>$JOBSERVER; while :; do dd bs=1 count=1 <&3 2>/dev/null >/dev/null; printf + >&3; done"]);
    vec![make, recursive, ninja, holder, both, opener, shell]
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap()
}

/// Kills the client and all that it has started: the group is its own.
fn kill(child: &mut Child) {
    let group = rustix::process::Pid::from_child(child);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    child.wait().unwrap();
}

#[test]
fn what_killed_clients_held_comes_back() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    let dir = tempfile::tempdir().unwrap();
    let mut chance = Chance(0x5eed);
    let (mut times, mut held) = (Vec::new(), 0);
    for round in 0..56 {
        let mut kinds = kinds(&pool, dir.path());
        let index = round % kinds.len();
        let mut child = start(&mut kinds[index]);
        thread::sleep(Duration::from_micros(chance.below(60_000)));
        held += pool.look(super::driver::Books::held);
        let killed = Instant::now();
        kill(&mut child);
        pool.wait("all tokens back", |books| {
            books.held() == 0 && books.accounts.values().all(|account| account.process.is_none())
        });
        times.push(killed.elapsed());
    }
    times.sort();
    println!("56 kills, {held} held: back in {:?} (p50), {:?} (max)", times[28], times[55]);
    assert!(held > 0);
    let books = pool.finish();
    assert!(books.peak <= TOKENS);
}

#[test]
fn a_waiting_client_gets_what_a_killed_one_held() {
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let script = "import os\nr = os.open(os.environ['JOBSERVER'], 0)\nfor _ in range(3): os.read(r, 1)\nos.read(r, 1)";
    for _ in 0..10 {
        let mut holder = start(client("python3", &path).args(["-c", script]));
        pool.wait("all held by one", |books| books.held() == TOKENS);
        let waiting =
            client("sh", &path).args(["-c", "dd bs=1 count=1 <$JOBSERVER 2>/dev/null"]).stdout(Stdio::null()).spawn();
        pool.wait("another that waits", |books| books.accounts.len() == 2);
        kill(&mut holder);
        assert!(testkit::process::finish(waiting.unwrap()).status.success());
    }
    assert_eq!(pool.finish().strays, 0);
}

#[test]
fn a_stopped_client_keeps_what_it_holds_until_it_goes_on() {
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let script =
        "import os, signal\nr = os.open(os.environ['JOBSERVER'], 0)\nw = os.open(os.environ['JOBSERVER'], 1)\n\
                  for _ in range(3): os.read(r, 1)\nos.kill(os.getpid(), signal.SIGSTOP)\nos.write(w, b'+++')";
    let child = client("python3", &path).args(["-c", script]).spawn().unwrap();
    pool.wait("all held", |books| books.held() == TOKENS);
    while testkit::procfs::state(child.id()) != 'T' {
        thread::yield_now();
    }
    assert_eq!(pool.look(super::driver::Books::held), TOKENS);
    output(Command::new("kill").args(["-CONT", &child.id().to_string()]));
    assert!(testkit::process::finish(child).status.success());
    assert_eq!(pool.finish().strays, 0);
}
