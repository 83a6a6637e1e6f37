//! `top` on a terminal of its own (`script` of util-linux makes one): what it shows, and that the terminal is given back
//! at every end.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{kill_process, Pid, Signal};

use crate::build::{output, until, Build};
use crate::sandbox::{jobserver, Sandbox};
use crate::served::Served;

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// A terminal of 80x24 in which `top` runs.
struct Terminal<'a> {
    sandbox: &'a Sandbox,
    script: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl<'a> Terminal<'a> {
    fn open(sandbox: &'a Sandbox, pool: &str) -> Terminal<'a> {
        let top = format!("echo $$ >pid; exec {} top --pool {pool} 2>said", jobserver());
        let inside = format!("stty rows 24 cols 80; stty -g >before; sh -c '{top}'; echo $? >status; stty -g >after");
        sandbox.write("inside", &inside);
        let mut command = sandbox.command("script");
        command.args(["-q", "-e", "-c", "sh inside", "/dev/null"]).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut script = script.expect("`script` is missing: `apt-get install bsdutils` (or util-linux) gets it");
        let (keys, mut out) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = out.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Terminal { sandbox, script, keys, shown, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until a word has been drawn. Words only: what is blank on the screen is not written.
    #[track_caller]
    fn until_shown(&self, word: &str) {
        until(&format!("{word} on the screen"), || self.text().contains(word).then_some(()));
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(self.sandbox.path("pid")).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for the end: the terminal is as it was, and this is the exit status and what was said after it.
    #[track_caller]
    fn close(mut self) -> (String, String) {
        until("top has ended", || self.script.try_wait().unwrap());
        drop(self.keys);
        self.reader.join().unwrap();
        let shown = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
        let read = |name: &str| fs::read_to_string(self.sandbox.path(name)).unwrap();
        assert_eq!(read("before"), read("after"), "the terminal's settings");
        let (enter, leave) = (shown.rfind(ENTER).unwrap(), shown.rfind(LEAVE).unwrap());
        assert!(enter < leave, "the screen is not given back: {shown:?}");
        assert!(shown.rfind("\u{1b}[?25h") > shown.rfind("\u{1b}[?25l"), "the cursor is hidden: {shown:?}");
        (read("status").trim().to_string(), read("said"))
    }
}

#[test]
fn it_shows_who_is_busy_and_q_escape_and_control_c_quit_it() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    let build = Build::start(&served, &sandbox, "kernel", 8);
    build.until_running(4);
    for key in ["q", "\u{1b}", "\u{3}"] {
        let mut terminal = Terminal::open(&sandbox, "shared");
        terminal.until_shown("kernel");
        terminal.until_shown("slots");
        // All keys that do something else.
        terminal.press("pp\u{1b}[A\u{1b}[B\u{1b}[5~\u{1b}[6~x");
        terminal.press(key);
        assert_eq!(terminal.close(), ("0".to_string(), String::new()), "{key:?}");
    }
    build.finish();
    served.finish();
}

#[test]
fn a_signal_ends_it_with_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j2"]);
    for (signal, status) in [(Signal::TERM, "143"), (Signal::INT, "130"), (Signal::HUP, "129")] {
        let terminal = Terminal::open(&sandbox, "shared");
        terminal.until_shown("slots");
        terminal.signal(signal);
        assert_eq!(terminal.close(), (status.to_string(), String::new()));
    }
    served.finish();
}

#[test]
fn it_ends_with_its_terminal() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j2"]);
    let mut terminal = Terminal::open(&sandbox, "shared");
    terminal.until_shown("slots");
    let pid = fs::read_to_string(sandbox.path("pid")).unwrap();
    terminal.script.kill().unwrap();
    terminal.script.wait().unwrap();
    let process = format!("/proc/{}/stat", pid.trim());
    // Gone, or a zombie that nobody has waited for yet.
    until("top has ended", || fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z ")).then_some(()));
    served.finish();
}

#[test]
fn a_server_that_dies_is_said_and_waited_for() {
    let sandbox = Sandbox::new();
    let mut served = Served::new(&sandbox, &["-j2"]);
    let mut terminal = Terminal::open(&sandbox, "shared");
    terminal.until_shown("slots");
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
    terminal.until_shown("gone");
    terminal.shown.lock().unwrap().clear();
    served.start(&["-j7"]);
    // Only what changes is written; what the machine has free stays as it was.
    terminal.until_shown("free");
    terminal.press("q");
    until("top has ended", || terminal.script.try_wait().unwrap());
    // What was cleared had the beginning.
    terminal.shown.lock().unwrap().splice(0..0, ENTER.bytes());
    assert_eq!(terminal.close(), ("0".to_string(), String::new()));
    served.finish();
}

#[test]
fn with_the_build_whose_pool_it_is_it_ends_and_says_so() {
    let sandbox = Sandbox::new();
    let script = "echo ready; while ! [ -e go ]; do sleep 0.02; done";
    let build = sandbox.start(sandbox.jobserver(&["-j2", "--style", "tracked", "--", "sh", "-c", script]));
    let pool = sandbox.pools().pop().unwrap();
    let terminal = Terminal::open(&sandbox, pool.to_str().unwrap());
    terminal.until_shown("slots");
    sandbox.write("go", "");
    assert!(sandbox.wait(build).status == Some(0));
    let (status, said) = terminal.close();
    assert_eq!(status, "0");
    assert!(said.starts_with("jobserver: the pool at ") && said.ends_with(" is gone: its build has ended\n"), "{said}");
}

#[test]
fn without_a_terminal_or_a_pool_it_says_so_and_draws_nothing() {
    let sandbox = Sandbox::new();
    let outcome = output(sandbox.command(jobserver()).args(["top", "--pool", "nowhere"]));
    assert_eq!((outcome.status, outcome.out.as_str()), (Some(125), ""));
    assert!(outcome.line().contains("top needs a terminal"), "{outcome:?}");
    let inside = format!("{} top --pool nowhere", jobserver());
    let mut command: Command = sandbox.command("script");
    let outcome = output(command.args(["-q", "-e", "-c", &inside, "/dev/null"]));
    assert_eq!(outcome.status, Some(125), "{outcome:?}");
    assert!(outcome.out.contains("no pool answers at nowhere/socket") && !outcome.out.contains(ENTER), "{outcome:?}");
}
