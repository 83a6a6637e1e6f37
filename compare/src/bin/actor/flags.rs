//! What another process sees of a description that it shares with a client.

use std::fs;
use std::process::{Child as Process, Command, Stdio};

use compare::either::Jobserver;
use compare::sys;
use testkit::procfs;

use crate::configure::named;
use crate::Child;

/// Holds what it was given, until its standard input ends.
pub(crate) fn keep(result: &str) -> String {
    fs::write(result, "ready").unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    "ended".to_string()
}

/// Joins the pool of the environment and does all there is to do, while process `arguments[0]` shares its descriptors:
/// says after which step the flags of one of them were others, if after any.
pub(crate) fn use_everything<J: Jobserver>(arguments: &[&str]) -> String {
    let keeper: u32 = arguments[0].parse().unwrap();
    let client = J::from_env(true).client.unwrap();
    Watch::of(keeper).all_steps(client)
}

/// As above; the other process is a child that was configured before.
pub(crate) fn flags_of_a_child<J: Jobserver>() -> String {
    let joined = J::from_env(true).client;
    let client = joined.unwrap_or_else(|_| J::new(3).unwrap());
    let mut child = Child::new(J::WHICH.name(), "keep");
    client.configure(&mut child.command);
    let mut keeper = child.command.stdin(Stdio::piped()).spawn().unwrap();
    while fs::read_to_string(&child.result).unwrap().is_empty() {
        assert!(keeper.try_wait().unwrap().is_none(), "the child died");
        std::thread::yield_now();
    }
    let said = Watch::of(keeper.id()).all_steps(client);
    end(keeper);
    said
}

/// Makes a pool in a process without `/proc`, as in many a chroot, uses it, and lets a child show what it got.
pub(crate) fn without_proc<J: Jobserver>() -> String {
    // Asks /proc for its own path.
    let mut child = Child::new(J::WHICH.name(), "show-flags");
    if let Err(error) = sys::hide_proc() {
        return format!("no mount namespace of its own: {error}; run the tests as root or allow user namespaces");
    }
    let client = J::new(3).unwrap();
    let tried = client.try_acquire().map(|token| token.is_some()).map_err(|error| error.kind());
    client.configure(&mut child.command);
    format!("try_acquire: {tried:?}; {}", child.run())
}

/// Whether the two descriptors of the pool block, as this process got them.
pub(crate) fn show_flags() -> String {
    let flags = std::env::var("CARGO_MAKEFLAGS").unwrap();
    let (read, write) = named(&flags).unwrap();
    let [read, write] = [read, write].map(|fd| if sys::blocks(fd).unwrap() { "blocks" } else { "doesn't block" });
    format!("reading {read}, writing {write}")
}

fn end(mut keeper: Process) {
    drop(keeper.stdin.take());
    assert!(keeper.wait().unwrap().success());
}

struct Watch {
    keeper: u32,
    before: Vec<(i32, u32)>,
}

impl Watch {
    fn of(keeper: u32) -> Watch {
        Watch { keeper, before: flags(keeper) }
    }

    fn all_steps<J: Jobserver>(&self, client: J) -> String {
        self.steps(client).err().unwrap_or_else(|| "unchanged".to_string())
    }

    fn steps<J: Jobserver>(&self, client: J) -> Result<(), String> {
        self.look("joining")?;
        // 0.1.35 has none in a pool of its own.
        if let Ok(Some(token)) = client.try_acquire() {
            drop(token);
        }
        self.look("try_acquire")?;
        let tokens: Vec<_> = (0..client.available().unwrap()).map(|_| client.acquire().unwrap()).collect();
        let _ = client.try_acquire();
        self.look("acquire")?;
        drop(tokens);
        self.look("release")?;
        let mut command = Command::new("true");
        client.configure(&mut command);
        assert!(command.status().unwrap().success());
        self.look("configure")?;
        if let Ok(client) = J::connect() {
            drop(client.try_acquire().unwrap());
            self.look("connect")?;
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let helper = client.clone().helper(move |token| sender.send(token).unwrap()).unwrap();
        J::request(&helper);
        drop(receiver.recv().unwrap().unwrap());
        drop(helper);
        self.look("helper thread")?;
        drop(client);
        self.look("drop")
    }

    fn look(&self, step: &str) -> Result<(), String> {
        let after = flags(self.keeper);
        if after == self.before {
            return Ok(());
        }
        let nonblock =
            |list: &[(i32, u32)]| list.iter().filter(|(_, flags)| flags & libc::O_NONBLOCK as u32 != 0).count();
        let (old, new) = (nonblock(&self.before), nonblock(&after));
        Err(format!("after {step}: O_NONBLOCK on {new} of {} descriptors, on {old} before", after.len()))
    }
}

/// Numbers and flags of all pipes and FIFOs of the keeper but its standard streams.
fn flags(pid: u32) -> Vec<(i32, u32)> {
    let fds = procfs::fds(pid);
    let pools = fds.iter().filter(|(number, target)| *number > 2 && is_pool(target));
    pools.map(|(number, _)| (*number, procfs::fd_flags(pid, *number))).collect()
}

fn is_pool(target: &str) -> bool {
    target.starts_with("pipe:") || target.ends_with("/fifo")
}
