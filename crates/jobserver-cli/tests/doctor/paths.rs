//! Traps behind `fifo:PATH`: paths where there is nothing, something else, or nobody.

use std::fs;
use std::os::unix::fs::{chown, PermissionsExt};
use std::path::Path;

use rustix::process::Signal;

use crate::sandbox::text;
use crate::seen::{Place, Seen, DOCTOR};
use crate::served::Served;

fn flags(path: &Path) -> String {
    format!(" -j4 --jobserver-auth=fifo:{}", path.display())
}

#[track_caller]
fn on_path(place: &Place, path: &Path, words: &str) -> Seen {
    place.doctor(words, &[("MAKEFLAGS", &flags(path))])
}

fn fifo(place: &Place, name: &str) -> std::path::PathBuf {
    let path = place.sandbox.path(name);
    testkit::process::output(std::process::Command::new("mkfifo").arg("-m").arg("666").arg(&path));
    path
}

#[test]
fn a_pool_that_has_ended_and_is_left_in_the_variables() {
    let place = Place::new();
    let gone = place.under_run(&["-j4", "--style", "fifo"], "echo \"$MAKEFLAGS\"").out;
    let environment = [("MAKEFLAGS", gone.trim_end()), ("CARGO_MAKEFLAGS", gone.trim_end())];
    let seen = place.doctor("", &environment);
    let remedy = seen.has("available", serde_json::Value::Null).problem("fifo-missing");
    place.after(&remedy, "", &environment).note("no-jobserver");
    // With a command the remedy gives it a pool again.
    place.makefile(&format!("\t+@{DOCTOR} >after"));
    let remedy = place.doctor("-- make -j4", &environment).problem("fifo-missing");
    assert_eq!(remedy, "unset CARGO_MAKEFLAGS MAKEFLAGS; jobserver run -- make");
    let mut pasted = place.sh(&remedy);
    pasted.envs(environment);
    place.done(pasted).is_clean();
    place.seen("after").is_joined();
}

#[test]
fn a_named_pipe_that_nobody_serves() {
    let place = Place::new();
    // What a server leaves that is killed.
    let script = "echo \"$MAKEFLAGS\"; kill -9 $PPID";
    let killed = place.done(place.sh(&format!("jobserver run -j4 --style fifo -- sh -c '{script}'"))).out;
    let path = killed.trim_end().rsplit_once("fifo:").unwrap().1.to_string();
    assert!(Path::new(&path).exists());
    let seen = place.doctor("", &[("MAKEFLAGS", killed.trim_end())]);
    let remedy = seen.problem("fifo-unserved");
    place.after(&remedy, "", &[("MAKEFLAGS", killed.trim_end())]).note("no-jobserver");
    // As soon as somebody has it open it is none.
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    on_path(&place, Path::new(&path), "").is_content().has("available", 0);
    drop(file);
    fs::remove_dir_all(Path::new(&path).parent().unwrap()).unwrap();
}

#[test]
fn a_make_that_hangs_at_a_named_pipe_nobody_serves_is_no_server_and_goes_on_hanging() {
    let place = Place::new();
    let path = fifo(&place, "fifo");
    place.makefile("\t@touch made");
    for inside in ["", "unshare --pid --fork --mount-proc"] {
        let script = format!(
            "make & make=$!; while [ $(cat /proc/$make/wchan) != wait_for_partner ]; do sleep 0.02; done
            {DOCTOR} >seen; cat /proc/$make/wchan; kill $make"
        );
        let mut command = place.command("sh");
        command.args(["-c", &format!("exec {inside} sh -c '{script}'")]).env("MAKEFLAGS", flags(&path));
        let outcome = place.done(command);
        assert!(outcome.out.starts_with("wait_for_partner"), "{outcome:?}");
        place.seen("seen").problem("fifo-unserved");
    }
    assert!(!place.sandbox.path("made").exists());
}

#[test]
fn a_server_that_can_not_be_seen_is_a_server_all_the_same() {
    let place = Place::new();
    // Of another pid namespace, as from inside a container.
    let inside = format!("unshare --pid --fork --mount-proc sh -c '{DOCTOR}' >seen");
    place.under_run(&["-j4", "--style", "fifo"], &inside).is_clean();
    place.seen("seen").is_content().has("kind", "fifo").has("available", serde_json::Value::Null);
}

#[test]
fn a_path_that_is_no_named_pipe() {
    let place = Place::new();
    let file = place.sandbox.write("file", "tokens\n");
    for (path, is) in
        [(file.as_path(), "a plain file"), (Path::new("/tmp"), "a folder"), (Path::new("/dev/null"), "/dev/null")]
    {
        let seen = on_path(&place, path, "");
        let remedy = seen.problem("not-a-fifo");
        assert!(seen.finding("not-a-fifo")["what"].as_str().unwrap().contains(is), "{seen:?}");
        place.after(&remedy, "", &[("MAKEFLAGS", &flags(path))]).note("no-jobserver");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "tokens\n");
}

/// `nobody`.
const USER: u32 = 65_534;

#[test]
fn a_named_pipe_of_another_user_or_one_that_may_not_be_opened() {
    let place = Place::new();
    // Where tests are built may be closed to others.
    fs::remove_file(place.sandbox.path("bin/jobserver")).unwrap();
    fs::copy(crate::sandbox::jobserver(), place.sandbox.path("bin/jobserver")).unwrap();
    fs::remove_file(place.sandbox.path("bin/make")).unwrap();
    fs::copy(testkit::clients::make_4_4(), place.sandbox.path("bin/make")).unwrap();
    fs::set_permissions(place.sandbox.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    let path = fifo(&place, "fifo");
    let _server = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let as_user = |script: &str| {
        let mut command = place.command("setpriv");
        command.args([format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".into()]);
        command.args(["sh", "-c", script]).env("MAKEFLAGS", flags(&path));
        place.done(command)
    };
    for (owner, mode, remedy) in
        [(0, 0o600, "unset MAKEFLAGS".to_string()), (USER, 0o200, format!("chmod u+rw {}", text(&path)))]
    {
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let outcome = as_user(DOCTOR);
        let seen = Seen(serde_json::from_str(&outcome.out).unwrap());
        assert_eq!(seen.problem("fifo-forbidden"), remedy);
        let outcome = as_user(&format!("{remedy}; {DOCTOR}"));
        Seen(serde_json::from_str(&outcome.out).unwrap()).is_content();
    }
}

#[test]
fn a_path_that_clients_read_differently() {
    let place = Place::new();
    for (name, written) in [("a b", "a\\ b"), ("a$b", "a$$b"), ("a;b", "a;b")] {
        let path = fifo(&place, name);
        let _server = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let flags = format!(" -j4 --jobserver-auth=fifo:{}", place.sandbox.path(written).display());
        let seen = place.doctor("", &[("MAKEFLAGS", &flags)]);
        let remedy = seen.problem("path-misread");
        assert_eq!(remedy, "unset MAKEFLAGS; jobserver run -- make");
        place.makefile(&format!("\t+@{DOCTOR} >after"));
        let mut pasted = place.sh(&remedy);
        pasted.env("MAKEFLAGS", &flags);
        place.done(pasted).is_clean();
        place.seen("after").is_joined();
    }
    fifo(&place, "relative");
    let _server = fs::OpenOptions::new().read(true).write(true).open(place.sandbox.path("relative")).unwrap();
    on_path(&place, Path::new("relative"), "").problem("path-misread");
}

#[test]
fn make_itself_falls_into_it_with_a_blank_in_tmpdir() {
    let place = Place::new();
    fs::create_dir(place.sandbox.path("a b")).unwrap();
    place.makefile(&format!("\t+@{DOCTOR} >seen; true"));
    let mut make = place.sh("make -j4");
    make.env("TMPDIR", place.sandbox.path("a b"));
    place.done(make);
    let seen = place.seen("seen");
    assert!(seen.problems().contains(&"path-misread".to_string()), "{seen:?}");
}

#[test]
fn a_pool_whose_server_is_gone_while_a_build_runs() {
    let place = Place::new();
    let mut served = Served::new(&place.sandbox, &["-j3", "--style", "tracked"]);
    let script =
        format!("echo ready; while ! [ -e go ]; do sleep 0.02; done; {DOCTOR} >seen; echo \"$MAKEFLAGS\" >flags");
    let mut run = place.command("jobserver");
    run.args(["run", "--pool", text(&served.dir), "--", "sh", "-c", &script]);
    let build = place.sandbox.start(run);
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
    place.sandbox.write("go", "");
    assert!(testkit::process::finish(build).status.success());
    let seen = place.seen("seen");
    let remedy = seen.problem("pool-server-gone");
    assert!(remedy.starts_with("unset CARGO_MAKEFLAGS MAKEFLAGS"), "{remedy}");
    let flags = fs::read_to_string(place.sandbox.path("flags")).unwrap();
    place.after(&remedy, "", &[("MAKEFLAGS", flags.trim_end())]).note("no-jobserver");
    served.start(&["-j3"]);
    served.finish();
}
