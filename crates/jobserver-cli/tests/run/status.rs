//! Exit statuses: those of the command, and those of `env` where there is none.

use crate::sandbox::Sandbox;

#[test]
fn the_status_is_the_commands_own() {
    let sandbox = Sandbox::new();
    for style in ["fifo", "pipe"] {
        for status in [0, 1, 7, 255] {
            let outcome = sandbox.run(&["--style", style, "--", "sh", "-c", &format!("exit {status}")]);
            assert_eq!((outcome.status, outcome.err.as_str()), (Some(status), ""));
        }
    }
}

#[test]
fn a_signal_that_ended_the_command_is_128_and_its_number() {
    let sandbox = Sandbox::new();
    for (signal, status) in [("TERM", 143), ("KILL", 137), ("INT", 130), ("PIPE", 141)] {
        let outcome = sandbox.run(&["--", "sh", "-c", &format!("kill -{signal} $$")]);
        assert_eq!((outcome.status, outcome.err.as_str()), (Some(status), ""), "{signal}");
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_be_executed_126() {
    let sandbox = Sandbox::new();
    let text = sandbox.write("text", "no program\n");
    for style in ["fifo", "pipe"] {
        for (command, status) in
            [("no-such-command", 127), ("./no/such/command", 127), (text.to_str().unwrap(), 126), ("/", 126)]
        {
            let outcome = sandbox.run(&["--style", style, "--", command]);
            assert_eq!(outcome.status, Some(status), "{command}");
            assert!(outcome.line().contains(command), "{outcome:?}");
        }
    }
}

#[test]
fn a_wrong_argument_is_125_and_says_what_is_wrong() {
    let sandbox = Sandbox::new();
    for (arguments, said) in [
        (&["-j0", "--", "true"][..], "invalid value '0' for '--jobs <N>': a pool has one slot at least"),
        (&["-jx", "--", "true"], "invalid value 'x' for '--jobs <N>': it is no number of jobs"),
        (&["-j", "-1", "--", "true"], "jobserver: "),
        (&["-j99999999999999999999", "--", "true"], "it is no number of jobs, or too large a one"),
        (&["--style", "x", "--", "true"], "invalid value 'x' for '--style <STYLE>'"),
        (&["--bogus", "--", "true"], "unexpected argument '--bogus'"),
        (&[], "<CMD>..."),
    ] {
        let outcome = sandbox.run(arguments);
        assert_eq!(outcome.status, Some(125), "{arguments:?}");
        assert!(outcome.err.starts_with("jobserver: ") && outcome.err.contains(said), "{outcome:?}");
        assert_eq!(outcome.out, "");
    }
}

#[test]
fn help_and_version_are_0_and_help_says_what_the_statuses_mean() {
    let sandbox = Sandbox::new();
    for (arguments, said) in [
        (&["--help"][..], "run "),
        (&["run", "--help"], "128+n"),
        (&["run", "-h"], "Example: jobserver run"),
        (&["--version"], concat!("jobserver ", env!("CARGO_PKG_VERSION"))),
    ] {
        let mut command = sandbox.command(crate::sandbox::jobserver());
        command.args(arguments);
        let outcome = sandbox.finish(command);
        outcome.is_clean();
        assert!(outcome.out.contains(said), "{outcome:?}");
    }
}

#[test]
fn a_script_without_an_interpreter_line_runs_as_in_a_shell() {
    let sandbox = Sandbox::new();
    sandbox.script("script", "echo \"$1\" $MAKEFLAGS; exit 5\n");
    for style in ["fifo", "pipe"] {
        for name in ["script", "./script"] {
            let mut command = sandbox.jobserver(&["-j3", "--style", style, "--", name, "a b"]);
            command.env("PATH", format!("{}:/usr/bin:/bin", sandbox.path("").display()));
            let outcome = sandbox.finish(command);
            assert_eq!((outcome.status, outcome.err.as_str()), (Some(5), ""), "{outcome:?}");
            assert!(outcome.out.starts_with("a b -j3 --jobserver"), "{outcome:?}");
        }
    }
}

#[test]
fn words_of_the_command_that_look_like_ours_are_the_commands() {
    let sandbox = Sandbox::new();
    for arguments in [&["-j2", "echo", "--help", "-j0"][..], &["-j2", "--", "echo", "--help", "-j0"]] {
        let outcome = sandbox.run(arguments);
        outcome.is_clean();
        assert_eq!(outcome.out, "--help -j0\n");
    }
}
