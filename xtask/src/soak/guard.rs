//! Who sends the signals: one shell for all, so that it takes no longer than writing a line.
//!
//! It outlives us whatever ends us, and ends then what we have started: a build that is stopped would be there for ever,
//! and so would the pool's mount.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{ensure, Context as _, Result};

/// `send SIGNAL TARGET` and `limit BYTES PID` are answered by a status; `builds GROUP...` says what is to be killed at
/// the end, `server PID` what is to be terminated.
const SCRIPT: &str = r#"trap '' HUP INT QUIT TERM PIPE
while read -r word one two; do
	case $word in
	send) kill -s "$one" -- "$two" 2>/dev/null; echo $? ;;
	limit) prlimit --pid "$two" --as="$one" 2>/dev/null; echo $? ;;
	builds) builds="$one $two" ;;
	server) server=$one ;;
	esac
done
for group in $builds; do kill -s KILL -- "-$group" 2>/dev/null; done
[ -z "$server" ] || kill -s TERM "$server" 2>/dev/null
"#;

pub(super) struct Guard {
    shell: Child,
    asks: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Guard {
    pub(super) fn start(server: u32) -> Result<Guard> {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().context("setsid sh")?;
        let asks = shell.stdin.take();
        let answers = BufReader::new(shell.stdout.take().context("it was asked for")?);
        let mut guard = Guard { shell, asks, answers };
        guard.say(&format!("server {server}"))?;
        Ok(guard)
    }

    pub(super) fn pid(&self) -> u32 {
        self.shell.id()
    }

    /// Sends a signal to a process, or with a negative number to a group; false: there is none such.
    pub(super) fn send(&mut self, signal: &str, target: i64) -> Result<bool> {
        self.ask(&format!("send {signal} {target}"))
    }

    /// No more memory for a process than this.
    pub(super) fn limit(&mut self, pid: u32, bytes: u64) -> Result<bool> {
        self.ask(&format!("limit {bytes} {pid}"))
    }

    /// The groups that are killed should we end now.
    pub(super) fn builds(&mut self, groups: &[u32]) -> Result<()> {
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        self.say(&format!("builds {}", groups.join(" ")))
    }

    /// Nothing is to be ended any more.
    pub(super) fn dismiss(&mut self) -> Result<()> {
        self.builds(&[])?;
        self.say("server")
    }

    fn ask(&mut self, line: &str) -> Result<bool> {
        self.say(line)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(!answer.is_empty(), "the shell that sends the signals is gone");
        Ok(answer.trim_end() == "0")
    }

    fn say(&mut self, line: &str) -> Result<()> {
        let asks = self.asks.as_mut().context("it is open until the end")?;
        Ok(asks.write_all(format!("{line}\n").as_bytes())?)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.asks = None;
        let _ = self.shell.wait();
    }
}
