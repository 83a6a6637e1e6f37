//! The calls that rustc makes: `from_env_ext(true)` with an answer for each kind of error, `release_raw` of the
//! implicit slot before the first `acquire_raw` (rustc_data_structures::jobserver), and the helper thread
//! (rustc_codegen_ssa::back::write).
#![cfg(unix)]

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::sync::mpsc;

use jobserver::{Client, FromEnvErrorKind, Server};
use testkit::{clients, process};

/// What rustc would do, printed by the child of a test.
fn connect_as_rustc_does() {
    // SAFETY: nothing in this process has opened a file yet.
    let found = unsafe { Client::from_env_ext(true) };
    let variable = found.var.as_ref().map_or("none", |(name, _)| name);
    let answer = match found.client.as_ref().map_err(|error| error.kind()) {
        Ok(_) => "joined",
        Err(FromEnvErrorKind::NoEnvVar) => "default: NoEnvVar",
        Err(FromEnvErrorKind::NoJobserver) => "default: NoJobserver",
        Err(FromEnvErrorKind::NegativeFd) => "default: NegativeFd",
        Err(FromEnvErrorKind::Unsupported) => "default: Unsupported",
        Err(FromEnvErrorKind::CannotParse) => "warning: CannotParse",
        Err(FromEnvErrorKind::CannotOpenPath) => "warning: CannotOpenPath",
        Err(FromEnvErrorKind::CannotOpenFd) => "warning: CannotOpenFd",
        Err(FromEnvErrorKind::NotAPipe) => "warning: NotAPipe",
        Err(kind) => panic!("a new kind: {kind:?}"),
    };
    println!("[{answer} by {variable}]");
}

fn answer(said: &str) -> &str {
    said.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_else(|| panic!("no answer in {said:?}"))
}

#[test]
fn each_kind_of_error_is_told_apart() {
    const NAME: &str = "each_kind_of_error_is_told_apart";
    if process::role().is_some() {
        return connect_as_rustc_does();
    }
    let plain_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(plain_file.path(), "not a token").unwrap();
    let fifo = Server::builder().slots(1).fifo().build().unwrap();
    let fifo_flags = format!("-j2 --jobserver-auth=fifo:{}", fifo.path().unwrap().display());
    let file_flags = format!("-j2 --jobserver-auth=fifo:{}", plain_file.path().display());
    for (flags, expected) in [
        (None, "default: NoEnvVar by none"),
        (Some(""), "default: NoJobserver by MAKEFLAGS"),
        (Some("k"), "default: NoJobserver by MAKEFLAGS"),
        (Some(" -j2 -- X=--jobserver-auth=3,4"), "default: NoJobserver by MAKEFLAGS"),
        (Some(" -j2 --jobserver-auth=-2,-2"), "default: NegativeFd by MAKEFLAGS"),
        (Some(" -j2 --jobserver-auth=nonsense"), "warning: CannotParse by MAKEFLAGS"),
        (Some(" -j2 --jobserver-auth=3,x"), "warning: CannotParse by MAKEFLAGS"),
        (Some(" -j2 --jobserver-auth=fifo:/nowhere/at/all"), "warning: CannotOpenPath by MAKEFLAGS"),
        (Some(&file_flags), "warning: CannotOpenPath by MAKEFLAGS"),
        (Some(" -j2 --jobserver-auth=998,999"), "warning: CannotOpenFd by MAKEFLAGS"),
        (Some(" -j2 --jobserver-auth=0,999"), "warning: NotAPipe by MAKEFLAGS"),
        (Some(&fifo_flags), "joined by MAKEFLAGS"),
    ] {
        let mut child = process::me(NAME, "rustc");
        // Descriptor 0 is the plain file.
        child.stdin(fs::File::open(plain_file.path()).unwrap());
        if let Some(flags) = flags {
            child.env("MAKEFLAGS", flags);
        }
        assert_eq!(answer(&process::output(&mut child)), expected, "{flags:?}");
    }
    assert_eq!(fs::read_to_string(plain_file.path()).unwrap(), "not a token");
    assert_eq!(fifo.balance().unwrap().missing(), 0);
}

#[test]
fn under_make_the_answer_depends_on_the_plus_and_the_style() {
    const NAME: &str = "under_make_the_answer_depends_on_the_plus_and_the_style";
    if process::role().is_some() {
        return connect_as_rustc_does();
    }
    let dir = tempfile::tempdir().unwrap();
    let me = std::env::current_exe().unwrap();
    let recipe = format!("{} {NAME} --exact --nocapture --quiet", me.display());
    fs::write(dir.path().join("Makefile"), format!("plus:\n\t@+{recipe}\nbare:\n\t@{recipe}\n")).unwrap();
    let (old, new) = (clients::make_4_3(), clients::make_4_4());
    for (make, style, goal, expected) in [
        (&old, None, "plus", "joined by MAKEFLAGS"),
        (&old, None, "bare", "warning: CannotOpenFd by MAKEFLAGS"),
        (&new, Some("pipe"), "plus", "joined by MAKEFLAGS"),
        (&new, Some("pipe"), "bare", "default: NegativeFd by MAKEFLAGS"),
        (&new, Some("fifo"), "plus", "joined by MAKEFLAGS"),
        (&new, Some("fifo"), "bare", "joined by MAKEFLAGS"),
    ] {
        let mut command = Command::new(make);
        process::without_jobserver(&mut command);
        command.current_dir(dir.path()).args(["-j2", goal]).env("JOBSERVER_TEST_ROLE", "rustc");
        command.args(style.map(|style| format!("--jobserver-style={style}")));
        assert_eq!(answer(&process::output(&mut command)), expected, "{style:?} {goal}");
    }
}

#[test]
fn the_implicit_slot_can_be_released_before_the_first_acquire() {
    for client in [Client::new(1).unwrap(), Server::builder().slots(2).fifo().build().unwrap().client()] {
        client.release_raw().unwrap();
        assert_eq!(client.available().unwrap(), 2);
        client.acquire_raw().unwrap();
        assert_eq!(client.available().unwrap(), 1);
    }
}

#[test]
fn the_helper_thread_sends_each_requested_token_into_a_channel() {
    let client = Client::new(3).unwrap();
    let (tx, rx) = mpsc::channel();
    let helper = client.clone().into_helper_thread(move |token| drop(tx.send(token))).unwrap();
    for _ in 0..3 {
        helper.request_token();
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(rx.recv().unwrap().unwrap());
    }
    assert_eq!(client.available().unwrap(), 0);
    helper.request_token();
    held.pop();
    held.push(rx.recv().unwrap().unwrap());
    drop(helper);
    drop(held);
    assert_eq!(client.available().unwrap(), 3);
}

#[test]
fn every_kind_has_a_name_of_its_own() {
    let kinds = [
        FromEnvErrorKind::NoEnvVar,
        FromEnvErrorKind::NoJobserver,
        FromEnvErrorKind::CannotParse,
        FromEnvErrorKind::CannotOpenPath,
        FromEnvErrorKind::CannotOpenFd,
        FromEnvErrorKind::NegativeFd,
        FromEnvErrorKind::NotAPipe,
        FromEnvErrorKind::Unsupported,
    ];
    let names: HashSet<String> = kinds.iter().map(|kind| format!("{kind:?}")).collect();
    assert_eq!(names.len(), 8);
}
