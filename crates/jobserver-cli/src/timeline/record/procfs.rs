//! What `/proc` says of a process.

use std::fs::{self, File};
use std::io::Read;

use rustix::param::clock_ticks_per_second;
use rustix::time::{clock_gettime, ClockId, Timespec};

use crate::timeline::event::Nanos;

/// Bytes of a command line that are kept.
const COMMAND_MOST: u64 = 400;

/// One process at this moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: String,
    /// In ticks since the machine started: two processes of one number differ in it.
    pub(super) ticks: u64,
    /// It has ended, and its parent has not looked yet.
    pub(super) is_over: bool,
}

/// `None`: it is gone.
pub(super) fn look(pid: u32) -> Option<Seen> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(stat: &str) -> Option<Seen> {
    // The name may have anything in it, brackets too.
    let (begin, end) = (stat.find('(')?, stat.rfind(')')?);
    let mut fields = stat.get(end + 2..)?.split(' ');
    let is_over = matches!(fields.next()?, "Z" | "X");
    let ticks = fields.nth(18)?.parse().ok()?;
    Some(Seen { name: stat.get(begin + 1..end)?.to_string(), ticks, is_over })
}

/// The command line, words with blanks between them; `None`: it is gone, or has none any more.
pub(super) fn command(pid: u32) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(COMMAND_MOST).read_to_end(&mut bytes).ok()?;
    let words = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let words = words.trim_end();
    let more = if bytes.len() as u64 == COMMAND_MOST { "…" } else { "" };
    (!words.is_empty()).then(|| format!("{words}{more}"))
}

/// The children of all threads of a process; none where the kernel has no such list.
pub(super) fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// When a process started that has these ticks: within one of them, 10 ms.
pub(super) fn start(ticks: u64) -> Nanos {
    let since_start = ticks * (1_000_000_000 / clock_ticks_per_second());
    // The ticks count on while the machine sleeps, the clock of everything else here does not.
    let slept = nanos(clock_gettime(ClockId::Boottime)).saturating_sub(now());
    since_start.saturating_sub(slept)
}

pub(crate) fn now() -> Nanos {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// How long this thread has computed.
pub(super) fn spent() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

fn nanos(time: Timespec) -> Nanos {
    time.tv_sec as Nanos * 1_000_000_000 + time.tv_nsec as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_brackets_and_blanks_in_it() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        let seen = parse(&format!("12 (a) b (c) S {rest}")).unwrap();
        assert_eq!(seen, Seen { name: "a) b (c".to_string(), ticks: 4711, is_over: false });
        assert!(parse(&format!("12 (x) Z {rest}")).unwrap().is_over);
        assert_eq!(parse("12 (x"), None);
    }

    #[test]
    fn this_process_is_there_and_has_started() {
        let me = std::process::id();
        assert!(!look(me).unwrap().is_over);
        assert!(start(look(me).unwrap().ticks) <= now());
        assert!(command(me).unwrap().contains("jobserver"));
    }
}
