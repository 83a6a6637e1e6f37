//! Servers of another kind: killed ones, those of ordinary users, those for everyone, those in a pid namespace of
//! their own, those without FUSE.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use jobserver_pool::endpoint::{Endpoints, Event, Kind, Style};
use jobserver_pool::fuse::Reach;
use testkit::process::{me, output, role};

use crate::driver::{client, Pool};

const TOKENS: usize = 3;
const TAKE_ALL: &str = "exec 3<$JOBSERVER 4>$JOBSERVER; t=$(head -c 3 <&3); test \"$t\" = +++ && printf +++ >&4";

/// The server of the tests below; on its own it has nothing to do. It serves until its input ends.
#[test]
fn serve() {
    if role().is_none() {
        return;
    }
    let pool = Pool::start(TOKENS);
    println!("\nlease {}", pool.lease("build").display());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    let shared = pool.look(|books| books.accounts.values().any(|account| account.kind == Kind::Shared));
    println!("\nshared {shared}\nsharing {:?}", pool.look(|books| books.sharing.clone()));
    pool.finish();
}

fn spawn(server: &mut Command) -> (Child, BufReader<std::process::ChildStdout>, PathBuf) {
    let mut child = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let path = line(&mut said, "lease ");
    (child, said, PathBuf::from(path))
}

fn line(said: &mut impl BufRead, start: &str) -> String {
    let mut line = String::new();
    while !line.starts_with(start) {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the server ended without saying {start:?}");
    }
    line[start.len()..].trim().to_owned()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn the_next_server_clears_what_a_killed_one_left() {
    kill_one_and_start_the_next();
}

fn kill_one_and_start_the_next() {
    let (mut server, _said, path) = spawn(&mut me("servers::serve", "server"));
    output(client("sh", &path).args(["-c", TAKE_ALL]));
    // It holds a FIFO of the old server open all the time.
    let mut idle = client("sh", &path);
    idle.args(["-c", "exec 3<$JOBSERVER; echo open; head -c 9 <&3 >/dev/null"]);
    let mut idle = idle.stdout(Stdio::piped()).spawn().unwrap();
    line(&mut BufReader::new(idle.stdout.take().unwrap()), "open");
    server.kill().unwrap();
    server.wait().unwrap();
    let error = fs::symlink_metadata(&path).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NOTCONN.raw_os_error()), "{error}");
    let dir = path.ancestors().nth(2).unwrap().to_owned();
    let mut endpoints = Endpoints::start(&dir, Style::Tracked(Reach::Owner)).unwrap();
    assert_eq!(fs::read_dir(dir.join("f")).unwrap().count(), 0);
    endpoints.open_lease("build", rustix::process::geteuid().as_raw()).unwrap();
    drop(endpoints);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    // Nobody held the other end of its FIFO any more, so it has read the end.
    testkit::process::finish(idle);
    fs::remove_dir(&dir).unwrap();
    fs::remove_dir(dir.parent().unwrap()).unwrap();
}

/// With few descriptors most clients share the endpoint of their lease; nobody fails.
#[test]
fn a_server_without_descriptors_left_lets_clients_share() {
    let server = me("servers::serve", "server");
    let mut command = Command::new("prlimit");
    command.args(["--nofile=32", "--"]).arg(server.get_program()).args(server.get_args());
    command.env("JOBSERVER_TEST_ROLE", "server");
    let (server, said, path) = spawn(&mut command);
    let told = crowd(&path, 20, server, said);
    assert!(told.contains("os error 24"), "{told}");
}

/// So many clients that are all open before the first one ends; returns why some of them had to share.
fn crowd(path: &Path, count: usize, mut server: Child, mut said: impl BufRead) -> String {
    let script = "exec 3<$JOBSERVER 4>$JOBSERVER; echo open; read go; for i in 1 2 3; do \
                  t=$(dd bs=1 count=1 <&3 2>/dev/null); test \"$t\" = + && printf + >&4 || exit 1; done";
    let mut clients: Vec<Child> = Vec::new();
    for _ in 0..count {
        let mut client = client("sh", path);
        let mut client = client.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        line(&mut BufReader::new(client.stdout.as_mut().unwrap()), "open");
        clients.push(client);
    }
    for client in &mut clients {
        std::io::Write::write_all(client.stdin.as_mut().unwrap(), b"go\n").unwrap();
    }
    for client in clients {
        assert!(testkit::process::finish(client).status.success());
    }
    drop(server.stdin.take());
    assert_eq!(line(&mut said, "shared "), "true");
    let told = line(&mut said, "sharing ");
    std::io::copy(&mut said, &mut std::io::sink()).unwrap();
    assert!(server.wait().unwrap().success());
    told
}

/// A mount that is taken away in the end.
struct Disk(tempfile::TempDir);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn on_a_full_disk_clients_share() {
    assert!(is_root(), "only root can mount a small disk: run the tests as root");
    let disk = Disk(tempfile::tempdir().unwrap());
    output(Command::new("mount").args(["-t", "tmpfs", "-o", "nr_inodes=10", "tmpfs"]).arg(disk.0.path()));
    let (server, said, path) = spawn(me("servers::serve", "server").env("TMPDIR", disk.0.path()));
    let told = crowd(&path, 10, server, said);
    assert!(told.contains("No space left"), "{told}");
}

/// What a runner keeps open outlives the server, and the next one takes it over.
#[test]
fn the_next_server_adopts_what_was_kept_open() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("pool");
    let uid = rustix::process::geteuid().as_raw();
    let start = || {
        let began = std::time::Instant::now();
        let mut endpoints = loop {
            match Endpoints::start(&dir, Style::Tracked(Reach::Owner)) {
                Ok(endpoints) => break endpoints,
                // Another test may be between fork and exec, with a copy of the first one's lock.
                Err(error) => assert!(began.elapsed() < std::time::Duration::from_secs(60), "{error}"),
            }
        };
        let lease = endpoints.open_lease("build", uid).unwrap();
        (endpoints, lease)
    };
    let wait = super::measure::next;
    let (mut first, lease) = start();
    let script = "exec 3<$JOBSERVER 4>$JOBSERVER; echo open; t=$(head -c 2 <&3); printf ++ >&4; read x";
    let mut command = client("sh", &first.path(lease).unwrap());
    let mut child = command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let Event::Opened { endpoint, kind: Kind::Waiting, .. } = wait(&mut first) else { panic!("not opened") };
    first.offer(endpoint, 1).unwrap();
    assert!(matches!(wait(&mut first), Event::Stirred { taken: 1, .. }));
    let kept = first.descriptors(endpoint).unwrap();
    drop(first);
    let (mut second, lease) = start();
    let (endpoint, lying) = second.adopt(lease, child.id(), Kind::Waiting, kept).unwrap();
    assert_eq!(lying, 0);
    assert!(matches!(wait(&mut second), Event::Opened { .. }));
    second.offer(endpoint, 1).unwrap();
    let mut sum = (0, 0);
    while sum != (1, 2) {
        match wait(&mut second) {
            Event::Stirred { taken, returned, left: 0, .. } => sum = (sum.0 + taken, sum.1 + returned),
            other => panic!("{other:?}"),
        }
    }
    drop(child.stdin.take());
    assert!(matches!(wait(&mut second), Event::Gone { .. }));
    child.wait().unwrap();
}

#[test]
fn who_has_opened_is_served_on_when_the_mount_is_taken_away() {
    assert!(is_root(), "only root can unmount directly: run the tests as root");
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let script = format!("exec 5<$JOBSERVER 6>$JOBSERVER; echo open; read x; {}", TAKE_ALL.replace("$JOBSERVER", "&5"));
    let script = script.replace("3<&5 4>&5", "3<&5 4>&6");
    let mut command = client("sh", &path);
    let mut child = command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    line(&mut BufReader::new(child.stdout.as_mut().unwrap()), "open");
    output(Command::new("umount").arg("--lazy").arg(pool.dir.join("mnt")));
    pool.wait("the server knows", |books| books.unmounted);
    assert!(testkit::process::finish(child).status.success());
    assert_eq!(pool.finish().strays, 0);
}

#[test]
fn a_second_server_in_the_same_place_is_refused() {
    let pool = Pool::start(TOKENS);
    let error = Endpoints::start(&pool.dir, Style::Tracked(Reach::Owner)).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    pool.lease("build");
    output(client("sh", &pool.dir.join("mnt/build")).args(["-c", TAKE_ALL]));
    pool.finish();
}

#[test]
fn names_that_are_taken_or_unreadable_are_refused() {
    let pool = Pool::start(TOKENS);
    pool.lease("build");
    for name in ["build", "", "a b", "..", "a/b"] {
        assert!(pool.order(move |endpoints, _| endpoints.open_lease(name, 0).is_err()), "{name:?}");
    }
    pool.finish();
}

#[test]
fn without_fuse_one_fifo_serves_a_whole_lease() {
    let pool = Pool::with_style(TOKENS, Style::Fifo(Reach::Owner));
    let path = pool.lease("build");
    let jobs = testkit::spans::Recorder::new();
    let targets: String = (0..16).map(|number| format!(" t{number}")).collect();
    let makefile = format!("all:{targets}\n{targets}:\n\t@{} sleep 0.01\n", jobs.wrapper().display());
    fs::write(jobs.path().join("Makefile"), makefile).unwrap();
    output(client(testkit::clients::make_4_4(), &path).arg("-C").arg(jobs.path()));
    assert_eq!(jobs.spans().jobs(), 16);
    assert!(jobs.spans().most_at_once() <= TOKENS + 1);
    let books = pool.finish();
    assert_eq!((books.opened, books.strays), (1, 0));
}

/// Clients whose pid the server can't see share one endpoint.
#[test]
fn clients_from_outside_of_the_servers_pid_namespace_share_an_endpoint() {
    let server = me("servers::serve", "server");
    let mut command = Command::new("unshare");
    if !is_root() {
        panic!("only root can make a pid namespace whose mount others see: run the tests as root");
    }
    command.args(["--pid", "--fork", "--kill-child", "--"]).arg(server.get_program()).args(server.get_args());
    command.env("JOBSERVER_TEST_ROLE", "server");
    let (mut server, mut said, path) = spawn(&mut command);
    for _ in 0..3 {
        output(client("sh", &path).args(["-c", TAKE_ALL]));
    }
    drop(server.stdin.take());
    assert_eq!(line(&mut said, "shared "), "true");
    std::io::copy(&mut said, &mut std::io::sink()).unwrap();
    assert!(server.wait().unwrap().success());
}

/// `CMD` as user `uid`.
fn as_user(uid: u32, path: &Path, script: &str) -> Command {
    let mut command = client("setpriv", path);
    let id = uid.to_string();
    command.args([&format!("--reuid={id}"), &format!("--regid={id}"), "--clear-groups", "sh", "-c", script]);
    command
}

#[test]
fn each_user_sees_and_opens_only_his_own_leases() {
    assert!(is_root(), "only root can serve every user: run the tests as root");
    let pool = Pool::with_style(TOKENS, Style::Tracked(Reach::Everyone));
    fs::set_permissions(pool.dir.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, uid) in [("one", 65533), ("two", 65534)] {
        pool.order(move |endpoints, _| endpoints.open_lease(name, uid).map(drop).unwrap());
    }
    let mount = pool.dir.join("mnt");
    let seen = output(&mut as_user(65533, &mount, "ls $JOBSERVER"));
    assert_eq!(seen, "one\n");
    output(&mut as_user(65533, &mount.join("one"), TAKE_ALL));
    output(&mut as_user(65534, &mount.join("two"), TAKE_ALL));
    let missing = "test ! -L $JOBSERVER && test ! -e $JOBSERVER && ! cat <$JOBSERVER 2>/dev/null";
    output(&mut as_user(65533, &mount.join("two"), missing));
    // Root sees all, as does sudo in a build.
    assert_eq!(output(Command::new("ls").arg(&mount)), "one\ntwo\n");
    output(client("sh", &mount.join("two")).args(["-c", TAKE_ALL]));
    // A FIFO that is open belongs to who opened it, and nobody else can list or open any.
    let mut holder = as_user(65534, &mount.join("two"), "exec 3<>$JOBSERVER; head -c 1 <&3; cat <&0");
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    pool.wait("one held", |books| books.held() == 1);
    let files: Vec<PathBuf> = fs::read_dir(pool.dir.join("f")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let owned = |path: &&PathBuf| fs::metadata(path).unwrap().uid() == 65534;
    assert_eq!(files.iter().filter(owned).count(), 2, "that of the lease and that of the client");
    assert!(files.iter().all(|path| fs::metadata(path).unwrap().mode() & 0o777 == 0o600));
    let probe =
        format!("! ls {0}/f 2>/dev/null && for f in {0}/f/*; do ! test -r $f || exit 1; done", pool.dir.display());
    output(&mut as_user(65533, &mount, &probe));
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    pool.finish();
}

#[test]
fn an_ordinary_user_mounts_through_the_helper() {
    let script = "/usr/bin/fusermount3 --version";
    output(
        Command::new("sh")
            .args(["-c", &format!("{script} >/dev/null || {{ echo apt-get install fuse3 >&2; exit 1; }}")]),
    );
    if !is_root() {
        // Then all other tests have come this way.
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // The user may not be able to reach the place where tests are built.
    let program = dir.path().join("serve");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let node = dir.path().join("device");
    // A private /dev/fuse that everybody may open, as desktops have it.
    let script = format!(
        "mknod {node} c 10 229 && chmod 666 {node} && mount --bind {node} /dev/fuse && \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups {program} servers::play_the_user --exact --nocapture",
        node = node.display(),
        program = program.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env("JOBSERVER_TEST_ROLE", "user").env("TMPDIR", dir.path());
    let said = output(&mut command);
    assert!(said.contains("played to the end"), "{said}");
}

/// The user of the test above; on its own it has nothing to do.
#[test]
fn play_the_user() {
    if role().is_none() {
        return;
    }
    assert!(!is_root());
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(table.lines().any(|line| line.contains(" fuse.jobserver ") && line.contains("user_id=65534")), "{table}");
    output(client("sh", &path).args(["-c", TAKE_ALL]));
    pool.finish();
    // Here it is the helper that takes the mount of a killed server away.
    kill_one_and_start_the_next();
    println!("played to the end");
}
