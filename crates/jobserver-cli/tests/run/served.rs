//! A pool that is served for a test, looked at as a script would look at it.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};
use serde_json::Value;

use crate::sandbox::{text, Sandbox};

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(60);

pub(crate) struct Served<'a> {
    sandbox: &'a Sandbox,
    pub(crate) dir: PathBuf,
    pub(crate) server: Option<Child>,
}

impl<'a> Served<'a> {
    /// A pool of so many slots, that answers.
    pub(crate) fn new(sandbox: &'a Sandbox, arguments: &[&str]) -> Served<'a> {
        let mut served = Served { sandbox, dir: sandbox.path("shared"), server: None };
        served.start(arguments);
        served
    }

    /// The same, started by `wrapper`, which executes its further arguments in some surroundings.
    pub(crate) fn under(sandbox: &'a Sandbox, wrapper: Command, arguments: &[&str]) -> Served<'a> {
        Served::at(sandbox, sandbox.path("shared"), wrapper, arguments)
    }

    /// The same, in another directory.
    pub(crate) fn at(sandbox: &'a Sandbox, dir: PathBuf, wrapper: Command, arguments: &[&str]) -> Served<'a> {
        let mut served = Served { sandbox, dir, server: None };
        served.start_under(wrapper, arguments);
        served
    }

    /// Once more in the same place.
    pub(crate) fn start(&mut self, arguments: &[&str]) {
        self.start_under(self.sandbox.command("/usr/bin/env"), arguments);
    }

    fn start_under(&mut self, mut wrapper: Command, arguments: &[&str]) {
        let command = wrapper.arg(crate::sandbox::jobserver()).arg("serve").arg("--dir").arg(&self.dir);
        self.server = Some(command.args(arguments).stderr(Stdio::piped()).spawn().unwrap());
        let start = Instant::now();
        while UnixStream::connect(self.dir.join("socket")).is_err() {
            if let Some(status) = self.server.as_mut().unwrap().try_wait().unwrap() {
                let said = BufReader::new(self.server.as_mut().unwrap().stderr.take().unwrap());
                panic!("the server has ended, {status}: {:?}", said.lines().collect::<Vec<_>>());
            }
            assert!(start.elapsed() < BOUND, "no answer");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `jobserver run` on this pool.
    pub(crate) fn run(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.jobserver(&[]);
        command.arg("--pool").arg(&self.dir).args(arguments);
        command
    }

    pub(crate) fn status(&self) -> Value {
        let mut command = self.sandbox.command(crate::sandbox::jobserver());
        let output = command.args(["status", "--json", "--pool", text(&self.dir)]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let status: Value = serde_json::from_slice(&output.stdout).unwrap();
        let count = |name: &str| status[name].as_u64().unwrap();
        assert_eq!(
            count("in_force") + count("owed"),
            count("free") + count("offered") + count("held"),
            "not balanced: {status}"
        );
        status
    }

    /// Waits until the pool is as described.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let status = self.status();
            if holds(&status) {
                return status;
            }
            assert!(start.elapsed() < BOUND, "in vain: {what}: {status}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All slots are free, nothing was made or lost, and the server ends and leaves nothing.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        let status = self.until("all slots are free", |status| status["free"] == status["capacity"]);
        assert_eq!(status["leases"].as_array().map(Vec::len), Some(0), "{status}");
        self.signal(Signal::TERM);
        let status = self.server.take().unwrap().wait().unwrap();
        assert!(status.success(), "{status}");
        let left: Vec<_> = std::fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.server.as_ref().unwrap(), signal);
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // A test has failed: it leaves no mount all the same, unless the server is what has failed.
            send(server, Signal::TERM);
            let start = Instant::now();
            while matches!(server.try_wait(), Ok(None)) && start.elapsed() < BOUND {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

pub(crate) fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
}
