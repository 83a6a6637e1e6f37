//! Child processes of a test that must not hang it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for any healthy child on a busy machine; a child that takes longer hangs.
const BOUND: Duration = Duration::from_secs(120);

/// This very test binary, to run nothing but the test `name`, with `role` in the variable `JOBSERVER_TEST_ROLE`: the
/// other process of a test stands in the test itself, behind [`role`].
pub fn me(name: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--quiet"]).env("JOBSERVER_TEST_ROLE", role);
    without_jobserver(&mut command);
    command
}

/// The role that [`me`] gave this process, if it is not the test itself.
pub fn role() -> Option<String> {
    std::env::var("JOBSERVER_TEST_ROLE").ok()
}

/// Takes out of the environment what would join the child to a jobserver of whoever runs the tests.
pub fn without_jobserver(command: &mut Command) {
    let flags = ["CARGO_MAKEFLAGS", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS", "MAKELEVEL"];
    for name in flags.into_iter().chain(["JOBSERVER_FIFO", "JOBSERVER_SHIM"]) {
        command.env_remove(name);
    }
}

/// Starts a process that says [`ready`] on its standard output, and waits for that.
pub fn start_ready(command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("ready\n") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "{command:?} ended before it was ready");
    }
    child
}

/// Said by a process once it is what its role says: [`start_ready`].
pub fn ready() {
    let mut output = std::io::stdout();
    writeln!(output, "\nready").unwrap();
    output.flush().unwrap();
}

/// Runs a command that must succeed and returns what it printed on standard output.
pub fn output(command: &mut Command) -> String {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let output = finish(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

#[cfg(unix)]
fn kill(pid: u32) -> Command {
    let mut command = Command::new("kill");
    command.args(["-9", &pid.to_string()]);
    command
}

#[cfg(not(unix))]
fn kill(pid: u32) -> Command {
    let mut command = Command::new("taskkill");
    command.args(["/F", "/PID", &pid.to_string()]);
    command
}

/// Waits for a child; one that hangs is killed, and the test fails.
pub fn finish(mut child: Child) -> Output {
    let (pid, start) = (child.id(), Instant::now());
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if ended.recv_timeout(BOUND).is_err() {
            // The child is not reaped before `done` is sent, so the number is still its own.
            let _ = kill(pid).status();
        }
    });
    let stdin = child.stdin.take();
    drop(stdin);
    // A grandchild that keeps standard output open would hold this up beyond the child's end; the bound covers it.
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    watchdog.join().unwrap();
    assert!(start.elapsed() < BOUND, "process {pid} hung and was killed after {BOUND:?}");
    output
}
