//! What the command finds in its environment, and what it inherits.

use testkit::clients;

use crate::sandbox::{text, Sandbox};

#[test]
fn the_users_makeflags_arrive_in_make() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo 'V is $(V), flags are $(firstword $(MAKEFLAGS))'\n");
    for make in [clients::make_4_3(), clients::make_4_4()] {
        let mut command = sandbox.jobserver(&["-j2", "--", text(&make)]);
        command.env("MAKEFLAGS", "k -- V=1");
        let outcome = sandbox.finish(command);
        outcome.is_clean();
        assert_eq!(outcome.out, "V is 1, flags are k\n");
    }
}

#[test]
fn every_variable_names_the_same_pool() {
    let sandbox = Sandbox::new();
    for (style, auth) in [("fifo", "--jobserver-auth=fifo:/"), ("pipe", "--jobserver-auth=")] {
        let mut command = sandbox.jobserver(&[
            "-j3",
            "--style",
            style,
            "--",
            "sh",
            "-c",
            "echo $MAKEFLAGS; echo $CARGO_MAKEFLAGS; env",
        ]);
        command.env("MFLAGS", "-j99").env("GNUMAKEFLAGS", "-k").env("MAKELEVEL", "5");
        let outcome = sandbox.finish(command);
        outcome.is_clean();
        let lines: Vec<&str> = outcome.out.lines().collect();
        let named = |line: &str| line.split(' ').find(|word| word.starts_with(auth)).map(String::from);
        assert!(lines[0].starts_with("-j3 "), "{outcome:?}");
        assert!(named(lines[0]).is_some() && named(lines[0]) == named(lines[1]), "{outcome:?}");
        assert!(!outcome.out.contains("-j99"), "{outcome:?}");
        assert!(lines.contains(&"GNUMAKEFLAGS=-k") && lines.contains(&"MAKELEVEL=5"), "{outcome:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn roots_pools_lie_in_memory_unless_it_is_said_where() {
    use std::path::Path;
    let sandbox = Sandbox::new();
    let place = if rustix::process::geteuid().is_root() { "/dev/shm" } else { "/tmp" };
    for style in ["fifo", "tracked"] {
        let mut command = sandbox.jobserver(&["-j3", "--style", style, "--", "sh", "-c", "echo ${MAKEFLAGS##*fifo:}"]);
        command.env_remove("TMPDIR");
        let outcome = sandbox.finish(command);
        outcome.is_clean();
        let path = Path::new(outcome.out.trim_end());
        let folder = path.ancestors().find(|folder| folder.parent() == Some(Path::new(place)));
        let folder = folder.unwrap_or_else(|| panic!("not in {place}: {outcome:?}"));
        assert!(!folder.exists(), "{} is left", folder.display());
        let outcome = sandbox.run(&["-j3", "--style", style, "--", "sh", "-c", "echo ${MAKEFLAGS##*fifo:}"]);
        outcome.is_clean();
        assert!(outcome.out.starts_with(text(&sandbox.path("jobserver-"))), "{outcome:?}");
    }
}

#[test]
fn auto_gives_an_old_make_descriptors_and_all_others_a_path() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo '$(MAKEFLAGS)' | grep -c fifo: || true\n");
    for (make, fifos) in [(clients::make_4_3(), "0\n"), (clients::make_4_4(), "1\n")] {
        let outcome = sandbox.run(&["-j2", "--", text(&make)]);
        outcome.is_clean();
        assert_eq!(outcome.out, fifos, "{}", make.display());
        // The make on PATH decides for commands that are none themselves; a pool in the environment does not disturb.
        let mut command = sandbox.jobserver(&["-j2", "--", "sh", "-c", "echo \"$MAKEFLAGS\""]);
        let folder = make.parent().unwrap().display();
        command.env("PATH", format!("{folder}:/usr/bin:/bin")).env("MAKEFLAGS", "-k --no-such-option=");
        let outcome = sandbox.finish(command);
        outcome.is_clean();
        let last = outcome.out.split("--jobserver-auth=").last().unwrap();
        assert!(last.starts_with("fifo:/"), "{outcome:?}");
        // What make sees of it.
        let auth = jobserver::MakeFlags::parse(outcome.out.trim_end_matches('\n').as_ref()).jobserver().map(Into::into);
        let auth: std::ffi::OsString = auth.unwrap();
        assert_eq!(auth.to_string_lossy().starts_with("fifo:"), fifos == "1\n", "{outcome:?}");
    }
    // No make at all: named pipe.
    let empty = sandbox.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut command = sandbox.jobserver(&["-j2", "--", "/bin/sh", "-c", "echo $MAKEFLAGS"]);
    command.env("PATH", empty);
    let outcome = sandbox.finish(command);
    outcome.is_clean();
    assert!(outcome.out.contains("fifo:"), "{outcome:?}");
}

#[test]
fn the_command_inherits_signals_as_a_plainly_started_one_does() {
    let sandbox = Sandbox::new();
    let script = "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status";
    for ignored in ["", "HUP", "INT QUIT", "USR1 CHLD"] {
        let shell = |rest: &str| {
            let trap = if ignored.is_empty() { String::new() } else { format!("trap '' {ignored}; ") };
            let mut command = sandbox.command("sh");
            command.args(["-c", &format!("{trap}exec {rest} sh -c \"{script}\"")]);
            sandbox.finish(command)
        };
        let plain = shell("env");
        plain.is_clean();
        for style in ["fifo", "pipe"] {
            let ours = shell(&format!("{} run --style {style} --", crate::sandbox::jobserver()));
            ours.is_clean();
            // SIGCHLD (bit 16) is ours to wait with; a shell sets it anew anyway.
            assert_eq!(without_chld(&ours.out), without_chld(&plain.out), "{ignored:?} {style}");
        }
    }
}

fn without_chld(masks: &str) -> Vec<u64> {
    let mask = |line: &str| u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
    masks.lines().map(|line| mask(line) & !(1 << 16)).collect()
}

#[test]
fn standard_streams_are_the_commands() {
    let sandbox = Sandbox::new();
    let input = sandbox.write("input", "from outside\n");
    let mut command = sandbox.jobserver(&["-j2", "--", "sh", "-c", "cat; echo to err >&2"]);
    let output = command.stdin(std::fs::File::open(input).unwrap()).output().unwrap();
    assert_eq!(output.stdout, b"from outside\n");
    assert_eq!(output.stderr, b"to err\n");
}

#[test]
fn a_command_gets_no_descriptor_but_those_of_its_pool() {
    let sandbox = Sandbox::new();
    // `ls` has its own listing open as well.
    let script = "set -- $(ls /proc/self/fd); echo $#";
    let count = |arguments: &[&str]| {
        let outcome = sandbox.run(&[arguments, &["--", "sh", "-c", script]].concat());
        outcome.is_clean();
        outcome.out.trim().parse::<i32>().unwrap()
    };
    let mut plain = sandbox.command("sh");
    plain.args(["-c", script]);
    let plain: i32 = sandbox.finish(plain).out.trim().parse().unwrap();
    assert_eq!(count(&["--style", "fifo"]), plain);
    assert_eq!(count(&["--style", "pipe"]), plain + 2);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_may_be_as_long_as_an_argument() {
    let sandbox = Sandbox::new();
    // Each character takes six in the protocol.
    let name = "\u{1}".repeat(120_000);
    sandbox.run(&["-j2", "--style", "tracked", "--name", &name, "--", "true"]).is_clean();
}
