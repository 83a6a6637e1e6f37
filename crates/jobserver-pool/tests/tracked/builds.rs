//! Real builds: each ends well, reaches the width of the pool and no more, and leaves every token where it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::process::output;
use testkit::spans::Recorder;

use crate::driver::{client, Pool};

/// So many tokens, and one job more: each client has an implicit slot.
const TOKENS: usize = 3;

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

fn flat(job: &str, targets: usize) -> String {
    let names: Vec<String> = (0..targets).map(|number| format!("t{number}")).collect();
    format!("all: {0}\n{0}:\n\t@{job}\n", names.join(" "))
}

#[test]
fn make_uses_all_slots_and_gives_them_back() {
    let (pool, jobs) = (Pool::start(TOKENS), Recorder::with_meeting(TOKENS + 1));
    let path = pool.lease("build");
    write(jobs.path(), "Makefile", &flat(&format!("{} sleep 0.02", jobs.wrapper().display()), 24));
    output(client(testkit::clients::make_4_4(), &path).arg("-C").arg(jobs.path()));
    assert_eq!((jobs.spans().jobs(), jobs.spans().most_at_once()), (24, TOKENS + 1));
    let books = pool.finish();
    assert_eq!((books.opened, books.strays), (1, 0));
    assert!(books.taken >= TOKENS);
}

#[test]
fn recursive_makes_share_the_slots() {
    let (pool, jobs) = (Pool::start(TOKENS), Recorder::with_meeting(TOKENS + 1));
    let path = pool.lease("build");
    let sub = |number| format!("sub{number}:\n\t@$(MAKE) --no-print-directory -f sub.mk NAME=$@\n");
    let top: String = (0..4).map(sub).collect();
    write(jobs.path(), "Makefile", &format!("all: sub0 sub1 sub2 sub3\n{top}"));
    write(jobs.path(), "sub.mk", &flat(&format!("{} sleep 0.01", jobs.wrapper().display()), 8));
    output(client(testkit::clients::make_4_4(), &path).arg("-C").arg(jobs.path()));
    assert_eq!((jobs.spans().jobs(), jobs.spans().most_at_once()), (32, TOKENS + 1));
    let books = pool.finish();
    assert_eq!((books.opened, books.strays), (5, 0));
}

#[test]
fn make_that_executes_itself_anew_is_served_on() {
    let (pool, jobs) = (Pool::start(TOKENS), Recorder::with_meeting(TOKENS + 1));
    let path = pool.lease("build");
    let job = format!("{} sleep 0.01", jobs.wrapper().display());
    write(jobs.path(), "Makefile", &format!("{}include made.mk\nmade.mk:\n\techo >$@\n", flat(&job, 8)));
    output(client(testkit::clients::make_4_4(), &path).arg("-C").arg(jobs.path()));
    assert!(jobs.path().join("made.mk").exists());
    assert_eq!(jobs.spans().most_at_once(), TOKENS + 1);
    let books = pool.finish();
    // The same pid and start time: the same endpoint.
    assert_eq!((books.opened, books.strays), (1, 0));
}

fn ninja_file(jobs: &Recorder, targets: usize) {
    let mut text = format!("rule job\n  command = {} sleep 0.02\n", jobs.wrapper().display());
    for number in 0..targets {
        text += &format!("build t{number}: job\n");
    }
    write(jobs.path(), "build.ninja", &text);
}

#[test]
fn ninja_uses_all_slots_and_gives_them_back() {
    let (pool, jobs) = (Pool::start(TOKENS), Recorder::new());
    let path = pool.lease("build");
    ninja_file(&jobs, 24);
    let said = output(client(testkit::clients::ninja(), &path).arg("-C").arg(jobs.path()));
    assert!(!said.contains("warning"), "{said}");
    let spans = jobs.spans();
    assert_eq!(spans.jobs(), 24);
    assert!(spans.most_at_once() <= TOKENS + 1);
    let books = pool.finish();
    assert_eq!((books.opened, books.strays), (1, 0));
    assert!(books.taken > 0, "ninja never took a token");
}

#[test]
fn make_and_ninja_share_one_pool() {
    let pool = Pool::start(TOKENS);
    let (left, right) = (pool.lease("left"), pool.lease("right"));
    let (make, ninja) = (Recorder::new(), Recorder::new());
    write(make.path(), "Makefile", &flat(&format!("{} sleep 0.02", make.wrapper().display()), 24));
    ninja_file(&ninja, 24);
    let spawn = |command: &mut Command| command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let builds = [
        spawn(client(testkit::clients::make_4_4(), &left).arg("-C").arg(make.path())),
        spawn(client(testkit::clients::ninja(), &right).arg("-C").arg(ninja.path())),
    ];
    for build in builds {
        assert!(testkit::process::finish(build).status.success());
    }
    assert_eq!((make.spans().jobs(), ninja.spans().jobs()), (24, 24));
    let books = pool.finish();
    assert_eq!(books.strays, 0);
    assert!(books.peak <= TOKENS);
}

#[test]
fn cargo_rustc_and_a_build_script_share_the_slots() {
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let dir = tempfile::tempdir().unwrap();
    let package = "[package]\nname = 'NAME'\nversion = '0.0.0'\nedition = '2021'\n[lib]\npath = 'lib.rs'\n";
    let mut tail = String::from("[dependencies]\n");
    for name in ["a", "b", "c", "d", "e", "f"] {
        let member = dir.path().join(name);
        fs::create_dir(&member).unwrap();
        write(&member, "Cargo.toml", &package.replace("NAME", name));
        write(&member, "lib.rs", "pub fn f() -> Vec<String> { vec![format!(\"{:?}\", 7)] }\n");
        write(
            &member,
            "build.rs",
            "fn main() { assert!(std::env::var(\"CARGO_MAKEFLAGS\").unwrap().contains(\"fifo:\")); }",
        );
        tail += &format!("{name} = {{ path = '{name}' }}\n");
    }
    write(dir.path(), "Cargo.toml", &(package.replace("NAME", "top") + &tail + "[workspace]\n"));
    write(dir.path(), "lib.rs", "");
    let target = dir.path().join("target");
    let mut cargo = client("cargo", &path);
    output(cargo.args(["build", "--offline"]).current_dir(dir.path()).env("CARGO_TARGET_DIR", &target));
    let books = pool.finish();
    assert!(books.opened > 6, "cargo and a rustc for each crate");
    assert!(books.taken > 0);
    assert_eq!(books.strays, 0);
}

#[test]
fn the_library_is_a_client_like_any_other() {
    let pool = Pool::start(TOKENS);
    let path = pool.lease("build");
    let mut me = testkit::process::me("builds::take_and_return_through_the_library", "client");
    for (name, value) in client("x", &path).get_envs() {
        match value {
            Some(value) => me.env(name, value),
            None => me.env_remove(name),
        };
    }
    output(&mut me);
    let books = pool.finish();
    assert_eq!((books.opened, books.taken, books.strays), (1, 2 * TOKENS, 0));
}

/// The client of the test above; on its own it has nothing to do.
#[test]
fn take_and_return_through_the_library() {
    if testkit::process::role().is_none() {
        return;
    }
    // SAFETY: a fifo: no descriptor is taken over.
    let client = unsafe { jobserver::Client::from_env() }.unwrap();
    for _ in 0..2 {
        let tokens: Vec<_> = (0..TOKENS).map(|_| client.acquire().unwrap()).collect();
        drop(tokens);
    }
}
