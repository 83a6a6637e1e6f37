//! Signals reach the command, each of them once, and nothing is left behind by them.

use std::process::Child;

use rustix::process::{kill_process, Pid, Signal};

use crate::sandbox::{jobserver, Sandbox};

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}

#[test]
fn a_signal_ends_the_command_and_we_clean_up_after_it() {
    let sandbox = Sandbox::new();
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)] {
        for style in ["fifo", "pipe"] {
            let command = sandbox.jobserver(&["-j3", "--style", style, "--", "sh", "-c", "echo ready; exec sleep 60"]);
            let child = sandbox.start(command);
            assert_eq!(sandbox.pools().len(), usize::from(style == "fifo"));
            send(&child, signal);
            let outcome = sandbox.wait(child);
            assert_eq!((outcome.status, outcome.err.as_str()), (Some(status), ""), "{signal:?}");
        }
    }
}

#[test]
fn a_signal_that_the_command_catches_is_its_own_affair() {
    let sandbox = Sandbox::new();
    for (signal, name) in [(Signal::USR1, "USR1"), (Signal::USR2, "USR2"), (Signal::TERM, "TERM"), (Signal::INT, "INT")]
    {
        let script =
            format!("trap 'echo caught; exit 3' {name}; echo ready; for i in $(seq 3000); do sleep 0.02; done");
        let child = sandbox.start(sandbox.jobserver(&["-j3", "--", "sh", "-c", &script]));
        send(&child, signal);
        let outcome = sandbox.wait(child);
        assert_eq!((outcome.status, outcome.out.as_str(), outcome.err.as_str()), (Some(3), "caught\n", ""), "{name}");
    }
}

#[test]
fn we_outlive_a_signal_that_the_command_survives() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo caught' TERM; echo ready; while ! [ -e go ]; do sleep 0.02; done; exit 6";
    let mut child = sandbox.start(sandbox.jobserver(&["-j3", "--style", "fifo", "--", "sh", "-c", script]));
    send(&child, Signal::TERM);
    let mut caught = [0; 7];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut caught).unwrap();
    assert_eq!(sandbox.pools().len(), 1);
    sandbox.write("go", "");
    let outcome = sandbox.wait(child);
    assert_eq!((outcome.status, outcome.err.as_str()), (Some(6), ""));
}

/// The terminal sends Ctrl-C to the command as well. That no second one comes from us is seen by a USR1 sent later: had
/// there been a second SIGINT, it would have been passed on before.
#[test]
fn ctrl_c_reaches_the_command_once() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "command.py",
        "import signal, sys\n\
         count = 0\n\
         def interrupt(*_):\n\
         \x20   global count\n\
         \x20   count += 1\n\
         \x20   print('interrupted', flush=True)\n\
         def tell(*_):\n\
         \x20   print('count', count, flush=True)\n\
         \x20   sys.exit(9)\n\
         signal.signal(signal.SIGINT, interrupt)\n\
         signal.signal(signal.SIGUSR1, tell)\n\
         print('ready', flush=True)\n\
         while True: signal.pause()\n",
    );
    sandbox.write(
        "terminal.py",
        "import os, pty, signal, sys\n\
         pid, terminal = pty.fork()\n\
         if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n\
         text = b''\n\
         def expect(word):\n\
         \x20   global text\n\
         \x20   while word not in text: text += os.read(terminal, 1000)\n\
         expect(b'ready')\n\
         os.write(terminal, b'\\x03')\n\
         expect(b'interrupted')\n\
         os.kill(pid, signal.SIGUSR1)\n\
         expect(b'count ')\n\
         status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n\
         try:\n\
         \x20   while True: text += os.read(terminal, 1000)\n\
         except OSError: pass\n\
         print(text.decode().replace('\\r', ''), end='')\n\
         sys.exit(status)\n",
    );
    let mut command = sandbox.command("python3");
    command.args(["terminal.py", jobserver(), "run", "-j2", "--", "python3", "command.py"]);
    let outcome = sandbox.finish(command);
    assert_eq!(outcome.status, Some(9), "{outcome:?}");
    assert!(outcome.out.contains("count 1\n") && !outcome.out.contains("count 2"), "{outcome:?}");
}

/// A terminal that goes away tells the leader of its session alone.
#[test]
fn a_hang_up_of_the_terminal_reaches_the_command() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "terminal.py",
        "import os, pty, sys\n\
         pid, terminal = pty.fork()\n\
         if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n\
         text = b''\n\
         while b'ready' not in text: text += os.read(terminal, 1000)\n\
         os.close(terminal)\n\
         sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n",
    );
    let script = "trap 'echo hung up >heard; exit 8' HUP; echo ready; for i in $(seq 3000); do sleep 0.02; done";
    let mut command = sandbox.command("python3");
    command.args(["terminal.py", jobserver(), "run", "-j2", "--style", "fifo", "--", "sh", "-c", script]);
    let outcome = sandbox.finish(command);
    assert_eq!(outcome.status, Some(8), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(sandbox.path("heard")).unwrap(), "hung up\n");
}
