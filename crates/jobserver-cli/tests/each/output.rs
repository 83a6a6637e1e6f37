//! What is written, and in which order.

use std::process::Stdio;

use crate::each;
use crate::sandbox::{jobserver, Sandbox};

#[test]
fn the_output_of_an_item_is_one_block_however_long_it_is() {
    let sandbox = Sandbox::new();
    let script = "i=0; while [ $i -lt 2000 ]; do echo $1; i=$((i + 1)); done";
    let outcome = sandbox.finish(each(&sandbox, &["-j4", "--", "sh", "-c", script, "sh", ":::", "a", "b", "c", "d"]));
    outcome.is_clean();
    let mut blocks: Vec<&str> = outcome.out.lines().collect();
    assert_eq!(blocks.len(), 8000);
    blocks.dedup();
    blocks.sort_unstable();
    assert_eq!(blocks, ["a", "b", "c", "d"]);
}

#[test]
fn blocks_come_in_the_order_of_ends_or_of_items() {
    for (option, expected) in [("-j3", "c\nb\na\n"), ("-kj3", "a\nb\nc\n")] {
        let sandbox = Sandbox::new();
        // Each waits for the one after it.
        let script = "case $1 in a) n=b;; b) n=c;; c) n=;; esac; \
                      while [ -n \"$n\" ] && ! [ -e $n.done ]; do sleep 0.02; done; echo $1; \
                      sleep 0.3; touch $1.done";
        let outcome = sandbox.finish(each(&sandbox, &[option, "--", "sh", "-c", script, "sh", ":::", "a", "b", "c"]));
        outcome.is_clean();
        assert_eq!(outcome.out, expected);
    }
}

#[test]
fn the_line_of_a_failure_follows_what_the_command_said() {
    let sandbox = Sandbox::new();
    let script = "echo out; echo said >&2; exit $1";
    let outcome = sandbox.finish(each(&sandbox, &["-j1", "--", "sh", "-c", script, "sh", ":::", "0", "7"]));
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(1), "out\nout\n"));
    let expected = format!("said\nsaid\njobserver: sh -c {script} sh 7: exit status 7\n");
    assert_eq!(outcome.err, expected);
}

#[test]
fn nothing_is_lost_where_there_is_no_room_for_files() {
    let sandbox = Sandbox::new();
    let mut command = each(&sandbox, &["-j1", "--", "echo", ":::", "a", "b"]);
    command.env("TMPDIR", "/nonexistent").env("XDG_RUNTIME_DIR", sandbox.path("."));
    let outcome = sandbox.finish(command);
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "a\nb\n"), "{outcome:?}");
    assert_eq!(outcome.err.matches("no file to keep the output apart").count(), 1, "{outcome:?}");
}

/// Standard error as well: a person who looks at the file finds out why it is short.
#[test]
fn a_full_disk_under_standard_output_stops_it_and_is_said_once() {
    let sandbox = Sandbox::new();
    let mut command = each(&sandbox, &["-j1", "--", "sh", "-c", "echo $1; touch ran-$1", "sh", ":::", "a", "b", "c"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(125), 1), "{said}");
    assert!(said.starts_with("jobserver: the output can't be written: No space left on device"), "{said}");
    assert!(sandbox.path("ran-a").exists() && !sandbox.path("ran-c").exists());
}

/// Full from the start, and filled by what an item prints.
#[test]
fn a_full_disk_for_temporary_files_loses_nothing_silently() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("disk")).unwrap();
    let on_disk = |setup: &str, words: &str| {
        let mut command = sandbox.command("unshare");
        let mount = format!("mount -t tmpfs -o size=64k none disk && {setup}");
        let each = format!("TMPDIR=$PWD/disk exec {} each -j1 --no-pool -- {words}", jobserver());
        command.args(["--mount", "sh", "-c", &format!("{mount} && {each}")]).env("XDG_RUNTIME_DIR", sandbox.path("."));
        sandbox.finish(command)
    };
    let outcome = on_disk("! dd if=/dev/zero of=disk/full bs=4k 2>/dev/null", "echo ::: a b");
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), "a\nb\n"), "{outcome:?}");
    assert!(outcome.line().contains("no file to keep the output apart"), "{outcome:?}");
    let outcome = on_disk("true", "sh -c 'seq $1' sh ::: 3 100000");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.out.starts_with("1\n2\n3\n1\n2\n3\n"), "{}", outcome.err);
    let last = outcome.err.lines().last().unwrap();
    assert!(last.contains("exit status 1: there is no room left for what it prints: set TMPDIR"), "{outcome:?}");
}

#[test]
fn who_stops_reading_stops_it() {
    let sandbox = Sandbox::new();
    let script = format!("{{ yes | {} each -j2 -- echo; echo $? >status; }} | head -n 3", jobserver());
    let mut command = sandbox.command("sh");
    command.args(["-c", &script]);
    let outcome = sandbox.finish(command);
    assert_eq!((outcome.out.as_str(), outcome.err.as_str()), ("y\ny\ny\n", ""));
    assert_eq!(std::fs::read_to_string(sandbox.path("status")).unwrap(), "141\n");
}

#[test]
fn there_is_a_bar_on_a_terminal_and_none_anywhere_else() {
    let sandbox = Sandbox::new();
    for (option, has_bar) in [("-j2", true), ("-qj2", false)] {
        let words = format!("{} each {option} -- echo ::: item", jobserver());
        let mut command = sandbox.command("script");
        command.env("TERM", "xterm").args(["-qec", &words, "/dev/null"]).stdin(Stdio::null());
        let outcome = sandbox.finish(command);
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        assert!(outcome.out.contains("item"), "{outcome:?}");
        assert_eq!(outcome.out.contains(" of 1"), has_bar, "{outcome:?}");
        // Nothing coloured, whatever NO_COLOR says.
        assert!(!outcome.out.contains("\u{1b}[3"), "{outcome:?}");
    }
    sandbox.finish(each(&sandbox, &["-j2", "--", "true", ":::", "item"])).is_clean();
}
