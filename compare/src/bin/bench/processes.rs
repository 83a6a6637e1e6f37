//! Processes that sleep in `acquire`, and one token for one of them: how long until it has it, how many were woken for
//! it, and how long the one who released it was held up. With and without an earlier `try_acquire` in each.
//!
//! The processes of all lanes sleep at the same time, each lane's at a FIFO of its own. A round begins when everyone
//! sleeps: what one lane woke in vain is back to sleep before the next lane's token comes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use compare::pools::Fifo;

use crate::rounds::{self, Lane, Must, Row};
use crate::subject::{lanes, Again, Ours, Pool, Raw, Subject, Upstream};
use crate::sys;

/// Tokens a round whose times count; one more before them warms up what looking at all the processes has cooled.
const TOKENS: usize = 4;
/// Time for whoever was woken in vain to fall asleep again.
const PAUSE: Duration = Duration::from_millis(1);

/// What the releaser does in the pause.
#[derive(Clone, Copy, PartialEq)]
enum Releaser {
    /// It sleeps, as one does who waits for its job to end.
    Sleeps,
    /// It computes, so that its processor is awake.
    Works,
}

/// All rows of this file.
pub(crate) fn run(rounds: usize) {
    for tried in [false, true] {
        for processes in [2, 8, 32] {
            let shown = tried && processes == 32;
            let must = |most| if shown { Must::Ratio(most) } else { Must::Noise };
            let name = format!("{processes} processes wait{}", if tried { ", each after a try" } else { "" });
            let rows = [
                Row::us(format!("{name}: until one has the token"), must(0.6)),
                Row::us(format!("{name}: the release call"), must(0.15)),
                Row::number(format!("{name}: wake-ups a token"), "", must(0.05)),
            ];
            let rows = rows.map(|row| if shown { row.headline() } else { row });
            rounds::run(rounds, &rows, lanes!(all: sleepers(processes, tried, Releaser::Sleeps)));
        }
    }
    for processes in [2, 32] {
        let name = format!("{processes} processes wait, each after a try, for one who works on");
        let rows = [
            Row::us(format!("{name}: until one has the token"), Must::Nothing),
            Row::us(format!("{name}: the release call"), Must::Nothing),
            Row::number(format!("{name}: wake-ups a token"), "", Must::Noise),
        ];
        rounds::run(rounds.div_ceil(2), &rows, lanes!(all: sleepers(processes, true, Releaser::Works)));
    }
}

/// The body of a process that waits: `bench wait LANE PATH TRIED`.
pub(crate) fn wait(arguments: &[&str]) -> ! {
    sys::end_with_parent();
    let [lane, path, tried] = arguments else { panic!("bench wait LANE PATH TRIED") };
    let pool = Pool::Fifo(path.as_ref());
    let tried = *tried == "true";
    match *lane {
        "ours" => wait_in::<Ours>(pool, tried),
        "base" => wait_in::<Upstream>(pool, tried),
        "again" => wait_in::<Again>(pool, tried),
        _ => wait_in::<Raw>(pool, tried),
    }
}

fn wait_in<S: Subject>(pool: Pool<'_>, tried: bool) -> ! {
    let client = S::join(pool);
    if tried {
        assert!(client.try_acquire().is_none());
    }
    let mut stdout = std::io::stdout().lock();
    let mut report = |time: u64| {
        stdout.write_all(&time.to_ne_bytes()).unwrap();
        stdout.flush().unwrap();
    };
    report(0);
    loop {
        let token = client.acquire();
        let time = sys::now();
        S::forget(token);
        report(time);
    }
}

fn sleepers<S: Subject>(processes: usize, tried: bool, releaser: Releaser) -> Lane<'static> {
    let (reports, report) = compare::sys::pipe().unwrap();
    let fifo = Fifo::new(0);
    let waiters =
        Waiters { children: (0..processes).map(|_| start(S::LANE, &fifo, tried, &report)).collect(), reports };
    let client = S::join(Pool::Fifo(fifo.path()));
    for _ in 0..processes {
        waiters.report();
    }
    waiters.settle();
    Lane::new(S::LANE, move || {
        let _keep = &fifo;
        let before = waiters.settle();
        let mut latency = Vec::new();
        let mut release = Vec::new();
        for token in 0..=TOKENS {
            let start = sys::now();
            client.release_raw();
            let held_up = sys::now() - start;
            let waited = waiters.report() - start;
            if token > 0 {
                release.push(held_up as f64);
                latency.push(waited as f64);
            }
            match releaser {
                Releaser::Sleeps => std::thread::sleep(PAUSE),
                Releaser::Works => sys::work(PAUSE.as_nanos() as u64),
            }
        }
        let woken = (waiters.settle() - before) as f64 / (TOKENS + 1) as f64;
        vec![median(latency), median(release), woken]
    })
}

fn start(lane: &str, fifo: &Fifo, tried: bool, report: &File) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["wait", lane]).arg(fifo.path()).arg(tried.to_string());
    command.stdin(Stdio::null()).stdout(report.try_clone().unwrap()).spawn().unwrap()
}

struct Waiters {
    children: Vec<Child>,
    reports: File,
}

impl Waiters {
    /// When somebody got a token.
    fn report(&self) -> u64 {
        let mut time = [0; 8];
        (&self.reports).read_exact(&mut time).unwrap();
        u64::from_ne_bytes(time)
    }

    /// Waits until all are asleep, and returns how often they went to sleep.
    fn settle(&self) -> u64 {
        loop {
            let asleep: Option<u64> = self.children.iter().map(|child| naps(child.id())).sum();
            if let Some(count) = asleep {
                return count;
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Waiters {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often the process went to sleep by itself; `None` while it is awake.
fn naps(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let asleep = field("State:").is_some_and(|state| state.starts_with('S'));
    asleep.then(|| field("voluntary_ctxt_switches:").unwrap().parse().unwrap())
}

fn median(mut sample: Vec<f64>) -> f64 {
    sample.sort_by(f64::total_cmp);
    sample[sample.len() / 2]
}
