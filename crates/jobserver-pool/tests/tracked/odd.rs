//! Clients as no build tool is written, but as scripts are: each gets its tokens, and the books balance.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use testkit::process::output;

use crate::driver::{client, Books, Pool};

const TOKENS: usize = 3;

/// What the scripts use: the pool's path, ways to open it, to take one and to give one back.
const PRELUDE: &str = "
import os, sys, threading
P = os.environ['JOBSERVER']
R, W, RW, NB = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_NONBLOCK
def take(fd, n=1):
    for _ in range(n): assert len(os.read(fd, 1)) == 1
def give(fd, n=1): assert os.write(fd, b'+' * n) == n
";

fn python(pool: &Pool, script: &str) -> Command {
    let mut command = client("python3", &pool.dir.join("mnt/build"));
    command.arg("-c").arg(format!("{PRELUDE}{script}"));
    command
}

/// Runs a script alone with a pool.
fn alone(script: &str) -> Books {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    output(&mut python(&pool, script));
    pool.finish()
}

/// As `alone`, for one that gives back just what it took.
fn honest(script: &str) -> Books {
    let books = alone(script);
    assert_eq!(books.strays, 0, "{script}");
    books
}

#[test]
fn a_client_that_stats_first_is_served() {
    let script = "for _ in range(3): os.stat(P)\nr = os.open(P, R); os.stat(P); w = os.open(P, W); os.stat(P)\n";
    honest(&format!("{script}take(r, 3); give(w, 3); take(r, 3); give(w); give(w, 2)"));
}

#[test]
fn a_client_that_resolves_the_path_first_is_served() {
    honest(
        "p = os.path.realpath(P)\nr = os.open(p, R); w = os.open(p, W); take(r, 3); give(w, 3); take(r, 3); give(w, 3)",
    );
}

#[test]
fn a_client_with_one_read_write_open_is_served() {
    let books = honest("b = os.open(P, RW); take(b, 3); give(b, 3); take(b, 3); give(b, 3)");
    assert_eq!(books.opened, 1);
}

#[test]
fn a_client_that_opens_for_writing_first_is_served() {
    honest("w = os.open(P, W); r = os.open(P, R); take(r, 3); give(w, 3); take(r, 3); give(w, 3)");
}

#[test]
fn a_client_that_opens_for_each_step_is_served() {
    let script = "
for _ in range(50):
    r = os.open(P, R); take(r, 2); os.close(r)
    w = os.open(P, W); give(w, 2); os.close(w)
";
    assert_eq!(honest(script).opened, 1);
}

#[test]
fn threads_that_open_at_once_are_all_served() {
    let script = "
def work():
    start.wait()
    b = os.open(P, RW)
    for _ in range(5): take(b); give(b)
start = threading.Barrier(8)
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
";
    honest(script);
}

#[test]
fn threads_with_a_pair_each_are_all_served() {
    let script = "
def work():
    start.wait()
    r = os.open(P, R); w = os.open(P, W)
    for _ in range(5): take(r); give(w)
start = threading.Barrier(6)
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
";
    honest(script);
}

#[test]
fn ten_opens_of_one_process_are_all_served() {
    for how in ["[R, W] * 5", "[RW] * 10", "[R] * 5 + [W] * 5", "[W] * 5 + [R] * 5", "[R | NB] + [W, RW, R] * 3"] {
        let script = format!(
            "
fds = [(how & 3, os.open(P, how)) for how in {how}]
readers = [fd for how, fd in fds if how != W]
writers = [fd for how, fd in fds if how != R]
for fd in readers: os.set_blocking(fd, True)
for _ in range(2):
    for reader in readers: take(reader); give(writers[0])
    for writer in writers: take(readers[0]); give(writer)
"
        );
        honest(&script);
    }
}

#[test]
fn a_client_that_never_waits_is_served() {
    let script = "
import time
r = os.open(P, R | NB); w = os.open(P, W | NB)
got = 0
while got < 20:
    try: take(r); got += 1; give(w)
    except BlockingIOError: time.sleep(0.001)
";
    honest(script);
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).spawn().unwrap()
}

#[test]
fn who_opens_and_never_reads_keeps_nothing_from_others() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    let idle: Vec<Child> = (0..5).map(|_| spawn(&mut python(&pool, "r = os.open(P, R); sys.stdin.read()"))).collect();
    pool.wait("five idle clients", |books| books.accounts.len() == 5);
    output(&mut python(&pool, "r = os.open(P, R); w = os.open(P, W); take(r, 3); give(w, 3)"));
    for child in idle {
        testkit::process::finish(child);
    }
    assert_eq!(pool.finish().strays, 0);
}

#[test]
fn bytes_that_nobody_took_make_no_tokens() {
    let books = alone("w = os.open(P, W); give(w, 5)");
    assert_eq!((books.strays, books.taken), (5, 0));
    let books = alone("r = os.open(P, R); w = os.open(P, W); take(r); give(w, 4)");
    assert_eq!((books.strays, books.peak), (3, 1));
}

#[test]
fn a_shell_reads_with_dd_and_returns_with_printf() {
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let script = "set -e; for i in 1 2 3 4 5; do t=$(dd bs=1 count=1 if=$JOBSERVER 2>/dev/null); test \"$t\" = +; \
                  read go; printf + >$JOBSERVER; done";
    let mut shell = client("sh", &path);
    let mut shell = spawn(shell.args(["-c", script]));
    for round in 1..=5 {
        let has_ended =
            |books: &Books| books.taken == round && books.accounts.values().all(|account| account.held == 0);
        pool.wait("dd has ended", has_ended);
        shell.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }
    testkit::process::finish(shell);
    let books = pool.finish();
    // dd ended with the token, which was free from then on; so what printf wrote was one too many.
    assert_eq!((books.taken, books.strays), (5, 5));
}

#[test]
fn one_that_returns_for_another_of_its_lease_settles_its_account() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    let holder = spawn(&mut python(&pool, "r = os.open(P, R); take(r, 2); sys.stdin.read()"));
    pool.wait("two held", |books| books.held() == 2);
    output(client("sh", &pool.dir.join("mnt/build")).args(["-c", "printf ++ >$JOBSERVER"]));
    pool.wait("none held", |books| books.held() == 0);
    testkit::process::finish(holder);
    assert_eq!(pool.finish().strays, 0);
}

#[test]
fn one_that_executes_itself_anew_keeps_what_it_holds() {
    let script = "
r = os.open(P, R); w = os.open(P, W)
if 'AGAIN' in os.environ:
    take(r); give(w, 3); take(r, 3); give(w, 3)
else:
    take(r, 2)
    os.environ['AGAIN'] = '1'
    os.execv(sys.executable, [sys.executable] + sys.orig_argv[1:])
";
    let books = honest(script);
    assert_eq!((books.opened, books.peak), (1, 3));
}

#[test]
fn a_child_that_inherits_is_served_after_its_parent() {
    for opens in ["r = w = os.open(P, RW)", "r = os.open(P, R); w = os.open(P, W)"] {
        let pool = Pool::start(TOKENS);
        pool.lease("build");
        let script = format!(
            "
{opens}
take(r)
if os.fork() == 0:
    os.close(1); os.close(2); sys.stdin.readline()
    take(r, 3); give(w, 3); sys.stdin.read()
    os._exit(0)
"
        );
        let mut child = python(&pool, &script).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        assert!(child.wait().unwrap().success());
        pool.wait("the child in its parent's place", |books| books.opened == 2 && books.accounts.len() == 1);
        // What the parent held came back when it ended, else the child would wait for ever.
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        pool.wait("all taken and returned", |books| books.taken >= 3 && books.held() == 0);
        drop(stdin);
        assert_eq!(pool.finish().strays, 0, "{opens}");
    }
}

#[test]
fn a_child_that_inherited_may_close_it_and_live_on() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    let script = "
b = os.open(P, RW); take(b, 2)
go, alive = os.pipe()
if os.fork() == 0:
    os.close(1); os.close(2); os.close(alive); os.read(go, 1)
    sys.stdin.readline(); os.close(b); sys.stdin.read(); os._exit(0)
";
    let mut child = python(&pool, script).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    assert!(child.wait().unwrap().success());
    pool.wait("the child in its parent's place", |books| books.opened == 2 && books.accounts.len() == 1);
    std::io::Write::write_all(&mut stdin, b"\n").unwrap();
    pool.wait("the child has closed it", |books| books.accounts.is_empty());
    drop(stdin);
    assert_eq!(pool.finish().strays, 0);
}

#[test]
fn one_process_in_two_leases_has_an_endpoint_in_each() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    pool.lease("other");
    let script = "
Q = os.path.dirname(P) + '/other'
a = os.open(P, RW); b = os.open(Q, RW); take(a); take(b); give(a); give(b)
assert sorted(os.listdir(os.path.dirname(P))) == ['build', 'other']
";
    output(&mut python(&pool, script));
    let books = pool.finish();
    assert_eq!((books.opened, books.strays), (2, 0));
}

#[test]
fn a_closed_lease_is_not_found_and_its_processes_are_served_on() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    let script = "
b = os.open(P, RW); take(b); print('in', flush=True); sys.stdin.readline()
try: os.open(P, RW); sys.exit(1)
except FileNotFoundError: pass
give(b); take(b, 3); give(b, 3)
";
    let child = spawn(&mut python(&pool, script));
    pool.wait("one held", |books| books.held() == 1);
    pool.order(|endpoints, books| {
        let lease = books.accounts.values().next().unwrap().lease;
        endpoints.close_lease(lease);
        assert_eq!(endpoints.path(lease), None);
    });
    assert!(testkit::process::finish(child).status.success());
    assert_eq!(pool.finish().strays, 0);
}

#[test]
fn a_hundred_clients_at_once_are_all_served() {
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let script = "exec 3<$JOBSERVER 4>$JOBSERVER; for i in 1 2 3; do \
                  dd bs=1 count=1 <&3 2>/dev/null >/dev/null; printf + >&4; done";
    let children: Vec<Child> = (0..100).map(|_| spawn(client("sh", &path).args(["-c", script]))).collect();
    for child in children {
        assert!(testkit::process::finish(child).status.success());
    }
    let books = pool.finish();
    assert_eq!((books.opened, books.taken, books.strays), (100, 300, 0));
    assert!(books.peak <= TOKENS);
}

#[test]
fn a_client_that_drowns_the_server_in_events_loses_nothing() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    let script = "b = os.open(P, RW); take(b, 3); sys.stdin.readline()\nfor _ in range(20_000): give(b); take(b)\n\
                  print('done', flush=True); sys.stdin.readline(); give(b, 3)";
    let mut child = python(&pool, script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    pool.wait("three held", |books| books.held() == 3);
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // The server sleeps while more happens than the kernel keeps for it.
    pool.order(move |_, _| {
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        std::io::Read::read_exact(&mut stdout, &mut [0; 5]).unwrap();
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
    });
    assert!(testkit::process::finish(child).status.success());
    let books = pool.finish();
    assert_eq!((books.peak, books.strays), (3, 0));
}
