//! The server: what it puts into the file system, what its commands get, and what its balance says.
#![cfg(unix)]

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::process::Command;

use jobserver::{Client, Server};
use testkit::spans::Recorder;
use testkit::{clients, process};

#[test]
fn a_fifo_is_private_and_removed_on_drop_and_when_a_panic_unwinds() {
    let server = Server::builder().slots(3).fifo().build().unwrap();
    let path = server.path().unwrap().to_path_buf();
    let metadata = path.metadata().unwrap();
    assert!(metadata.file_type().is_fifo());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let folder = path.parent().unwrap().to_path_buf();
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    let client = server.client();
    drop(server);
    assert!(!folder.exists());
    assert_eq!(client.available().unwrap(), 2, "a client outlives the name");

    let mut folder = None;
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let server = Server::builder().slots(3).fifo().build().unwrap();
        folder = server.path().map(Path::to_path_buf);
        panic!("on purpose");
    }));
    assert!(unwound.is_err());
    assert!(!folder.unwrap().parent().unwrap().exists());
}

#[test]
fn the_folder_can_be_chosen_and_a_bad_one_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let server = Server::builder().slots(2).fifo().directory(parent.path()).build().unwrap();
    assert!(server.path().unwrap().starts_with(parent.path()));
    for (bad, why) in [("/nowhere/at/all", "/nowhere/at/all"), ("/tmp/a b", "characters"), ("here", "absolute")] {
        let error = Server::builder().slots(2).fifo().directory(bad).build().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains(bad), "{error}");
    }
}

#[test]
fn impossible_numbers_of_slots_are_errors_that_name_the_limit() {
    for builder in [Server::builder().fifo(), Server::builder().pipe()] {
        assert!(builder.clone().slots(0).build().unwrap_err().to_string().contains("one slot"));
        let error = builder.clone().slots(2_000_000).build().unwrap_err().to_string();
        assert!(error.contains("1999999") && error.contains("limit"), "{error}");
        let server = builder.slots(1).build().unwrap();
        assert_eq!((server.balance().unwrap().tokens, server.balance().unwrap().free), (0, 0));
    }
}

#[test]
fn the_balance_tells_missing_tokens_and_strays() {
    let server = Server::builder().slots(4).fifo().build().unwrap();
    let client = server.client();
    let token = client.acquire().unwrap();
    assert_eq!(server.balance().unwrap().missing(), 1);
    drop(token);
    client.release_raw().unwrap();
    let balance = server.balance().unwrap();
    assert_eq!((balance.missing(), balance.strays(), balance.tokens, balance.free), (0, 1, 3, 4));
}

#[test]
fn a_client_that_is_killed_is_seen_in_the_balance() {
    const NAME: &str = "a_client_that_is_killed_is_seen_in_the_balance";
    if process::role().is_some() {
        let client = Client::connect().unwrap();
        client.acquire().unwrap().drop_without_releasing();
        std::process::abort();
    }
    let server = Server::builder().slots(4).fifo().build().unwrap();
    let mut child = process::me(NAME, "die");
    server.join_make(&mut child).unwrap();
    assert!(!process::finish(child.spawn().unwrap()).status.success());
    assert_eq!(server.balance().unwrap().missing(), 1);
}

/// A makefile with a sub-make: 8 jobs here and 8 below.
fn tree(recorder: &Recorder) {
    let job = format!("\t@{} sleep 0.05\n", recorder.wrapper().display());
    let names = |prefix: &str| (0..8).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>().join(" ");
    let makefile = format!(
        "all: {0} sub\nsub:\n\t@$(MAKE) -f {2} below\nbelow: {1}\n{0} {1}:\n{job}.PHONY: all sub below {0} {1}\n",
        names("t"),
        names("b"),
        recorder.path().join("Makefile").display()
    );
    std::fs::write(recorder.path().join("Makefile"), makefile).unwrap();
}

#[test]
fn make_of_either_age_uses_every_slot_and_never_more() {
    let (old, new) = (clients::make_4_3(), clients::make_4_4());
    for (make, builder) in
        [(&old, Server::builder().pipe()), (&new, Server::builder().pipe()), (&new, Server::builder().fifo())]
    {
        for slots in [1, 2, 4] {
            let recorder = Recorder::with_meeting(slots);
            tree(&recorder);
            let server = builder.clone().slots(slots).build().unwrap();
            let mut command = Command::new(make);
            process::without_jobserver(&mut command);
            server.join_make(&mut command).unwrap();
            let child = command.current_dir(recorder.path()).stderr(std::process::Stdio::piped()).spawn().unwrap();
            let output = process::finish(child);
            assert!(output.status.success());
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "make has nothing to warn of");
            assert_eq!(recorder.spans().jobs(), 16);
            assert_eq!(recorder.spans().most_at_once(), slots, "{} with {slots} slots", make.display());
            let balance = server.balance().unwrap();
            assert_eq!((balance.missing(), balance.strays()), (0, 0));
        }
    }
}

#[test]
fn ninja_joins_a_fifo() {
    let recorder = Recorder::with_meeting(3);
    let mut text = format!("rule job\n  command = {} sleep 0.05\n", recorder.wrapper().display());
    for n in 0..12 {
        text += &format!("build t{n}: job\n");
    }
    std::fs::write(recorder.path().join("build.ninja"), text).unwrap();
    let server = Server::builder().slots(3).fifo().build().unwrap();
    let mut command = Command::new(clients::ninja());
    process::without_jobserver(&mut command);
    server.join_make(&mut command).unwrap();
    process::output(command.current_dir(recorder.path()));
    assert_eq!(recorder.spans().jobs(), 12);
    assert_eq!(recorder.spans().most_at_once(), 3);
    assert_eq!(server.balance().unwrap().missing(), 0);
}

#[test]
fn the_users_makeflags_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Makefile"), "all:\n\t@echo \"[$(V)][$(MAKEFLAGS)]\"\n\tfalse\n").unwrap();
    for make in [clients::make_4_3(), clients::make_4_4()] {
        let server = Server::builder().slots(2).pipe().build().unwrap();
        let mut command = Command::new(make);
        process::without_jobserver(&mut command);
        // -i goes on after the error; V is a variable; the old auth and the old -j are not ours.
        command.env("MAKEFLAGS", "i -j9 --jobserver-auth=97,98 -- V=one\\ two").env("MFLAGS", "-stale");
        server.join_make(&mut command).unwrap();
        let said = process::output(command.current_dir(dir.path()));
        assert!(said.contains("[one two]"), "{said}");
        assert!(!said.contains("97,98") && !said.contains("j9"), "{said}");
        assert_eq!(server.balance().unwrap().missing(), 0);
    }
}
