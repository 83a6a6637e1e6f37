//! What a child gets, whatever has become of the client and its numbers in the meantime.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use compare::either::Jobserver;
use compare::pools::{READ, WRITE};
use compare::sys;
use testkit::procfs;

use crate::Child;

/// What this process was handed: how many descriptors above standard error, of what kind the two are that
/// CARGO_MAKEFLAGS names, and how many tokens lie there.
pub(crate) fn look() -> String {
    let fds = open_files();
    let flags = std::env::var("CARGO_MAKEFLAGS").unwrap_or_default();
    let named = match named(&flags) {
        Some((read, write)) => {
            let free = sys::readable(read).map_or("?".to_string(), |count| count.to_string());
            format!("{} and {}, {free} free", kind(&fds, read), kind(&fds, write))
        }
        None => "nothing".to_string(),
    };
    let extra = fds.iter().filter(|(number, _)| *number > 2).count();
    format!("{extra} descriptors; named: {named}")
}

fn open_files() -> Vec<(i32, String)> {
    let mut fds = procfs::fds(std::process::id());
    // The listing's own.
    fds.retain(|(_, target)| !target.starts_with("/proc/"));
    fds
}

fn kind(fds: &[(i32, String)], number: i32) -> &str {
    let target = fds.iter().find(|(fd, _)| *fd == number).map(|(_, target)| target.as_str());
    match target {
        None => "closed",
        Some("/dev/null") => "/dev/null",
        Some(target) if target.starts_with("pipe:") => "pipe",
        Some(target) if target.starts_with('/') => "file",
        Some(_) => "other",
    }
}

pub(crate) fn named(flags: &str) -> Option<(i32, i32)> {
    let auth = flags.split_once("--jobserver-auth=")?.1;
    let (read, write) = auth.split_once(',')?;
    Some((read.parse().ok()?, write.parse().ok()?))
}

fn looker<J: Jobserver>() -> Child {
    Child::new(J::WHICH.name(), "look")
}

/// The client is dropped before the child starts.
pub(crate) fn drop_first<J: Jobserver>() -> String {
    let client = J::new(3).unwrap();
    let mut child = looker::<J>();
    client.configure(&mut child.command);
    drop(client);
    child.run()
}

/// And its numbers are given to other files.
pub(crate) fn reuse<J: Jobserver>() -> String {
    let client = J::new(3).unwrap();
    let mut child = looker::<J>();
    client.configure(&mut child.command);
    drop(client);
    let _others: Vec<File> = (0..16).map(|_| secret()).collect();
    child.run()
}

/// The numbers of an inherited pool are given to other files after joining.
pub(crate) fn reuse_inherited<J: Jobserver>() -> String {
    let client = J::from_env(true).client.unwrap();
    sys::close(READ);
    sys::close(WRITE);
    let secret = secret();
    let _others = [sys::duplicate_at(&secret, READ).unwrap(), sys::duplicate_at(&secret, WRITE).unwrap()];
    let mut child = looker::<J>();
    client.configure(&mut child.command);
    child.run()
}

fn secret() -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"not for the child").unwrap();
    file
}

/// The process has no standard streams, so that its pool gets their numbers.
pub(crate) fn closed_stdio<J: Jobserver>() -> String {
    for number in 0..3 {
        sys::close(number);
    }
    let client = J::new(3).unwrap();
    let mut child = looker::<J>();
    client.configure(&mut child.command);
    child.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    child.run()
}

/// The same process, or one that joins the pool of the environment, prints a line, not knowing that nobody listens.
pub(crate) fn print<J: Jobserver>() -> String {
    for number in 0..3 {
        sys::close(number);
    }
    let client = J::from_env(true).client.unwrap_or_else(|_| J::new(3).unwrap());
    println!("0123456789");
    format!("{} of 3 tokens free", client.available().unwrap())
}

/// What children get that are configured, and that are not, of a pool of our own (`own`) or of the environment's.
pub(crate) fn children<J: Jobserver>(arguments: &[&str]) -> String {
    let client = match arguments {
        ["own"] => J::new(3).unwrap(),
        _ => J::from_env(true).client.unwrap(),
    };
    let mut configured = looker::<J>();
    client.configure(&mut configured.command);
    let other = looker::<J>();
    format!("configured: {}; other: {}", configured.run(), without_pool(other).run())
}

fn without_pool(mut child: Child) -> Child {
    child.command.env_remove("CARGO_MAKEFLAGS").env_remove("MAKEFLAGS");
    child
}

/// Eight threads start 25 children each at the same time, every second one configured.
pub(crate) fn storm<J: Jobserver>() -> String {
    let client = J::new(3).unwrap();
    let seen: BTreeSet<String> = std::thread::scope(|scope| {
        let starter = || {
            let mut seen = BTreeSet::new();
            for round in 0..25 {
                let mut child = looker::<J>();
                if round % 2 == 0 {
                    client.configure(&mut child.command);
                    seen.insert(format!("configured: {}", child.run()));
                } else {
                    seen.insert(format!("other: {}", without_pool(child).run()));
                }
            }
            seen
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(starter)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    Vec::from_iter(seen).join("; ")
}

/// How often starting one configured child forks this process, large as it may be: with a pool of its own (`own`), one
/// on a named pipe that our crate serves (`served`), or the environment's.
pub(crate) fn forks<J: Jobserver>(arguments: &[&str]) -> String {
    sys::count_forks();
    let mut command = Command::new("true");
    // Kept until the end: 0.1.35 needs its client at the spawn.
    let mut client = None;
    match arguments {
        ["own"] => client.insert(J::new(3).unwrap()).configure(&mut command),
        ["served"] => {
            let server = jobserver::Server::builder().slots(4).fifo().build().unwrap();
            server.join_make(&mut command).unwrap();
        }
        _ => client.insert(J::from_env(true).client.unwrap()).configure(&mut command),
    }
    assert!(command.status().unwrap().success());
    format!("{} forks", sys::forks())
}
