//! `cargo xtask pool-clients`: every real client in one served pool of six slots, alone and in pairs.
//!
//! The clients are unchanged: make 4.4.1 and 4.3, ninja, cargo with rustc and `cc`, jobslot, two in Python, and with
//! `--all` gcc 14's `-flto=jobserver`; all pairs are for `--all` too, else those of make, ninja and jobslot. A build has to come to the right result, its jobs are counted from outside
//! ([`testkit::spans`]), and after each round every slot is free, with no byte too many and none that had to be fetched
//! from the dead. Alone, the first jobs wait until as many run as the client can have: no limit is shown by a build
//! that never reached it. In pairs, the first jobs of each build wait for the other's. One server goes through all
//! rounds, so that what one build did wrong meets the next.
//!
//! It refuses a client that says anything: a make that left the pool, or a gcc that found none, warns and builds.

mod builds;
mod cargo;
mod jobslot;
mod kinds;
mod lto;

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context as _, Result};
use testkit::spans::Recorder;

use self::builds::Build;
use self::kinds::{Kind, Tools};
use crate::context::Context;
use crate::pool::stage::{Served, Stage};
use crate::soak::watch::Watch;

const SLOTS: usize = 6;
/// Nothing healthy takes that long to end once its command has.
const BOUND: Duration = Duration::from_secs(60);
/// Between two looks at the accounts.
const BETWEEN: Duration = Duration::from_millis(10);

/// Alone, then in pairs.
pub(crate) fn run(context: &Context, all: bool) -> Result<()> {
    crate::clients::run(context)?;
    let stage = Stage::new(context)?;
    let mut tools = Tools::new(context, &stage)?;
    if all {
        tools.trixie = Some(crate::clients::trixie(context)?);
    }
    let served = Served::start(&stage, SLOTS)?;
    let start = Instant::now();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let accounts = scope.spawn(|| follow_accounts(&served, &done));
        let rounds = rounds(&tools, &served, all);
        done.store(true, Ordering::Relaxed);
        accounts.join().expect("it does not panic").and(rounds)
    })?;
    served.finish()?;
    println!("all clients, alone and in pairs: {} s", start.elapsed().as_secs());
    Ok(())
}

/// They balance at any moment, and nobody owes a slot: nobody starts without one here.
fn follow_accounts(served: &Served, done: &AtomicBool) -> Result<()> {
    let mut watch = Watch::connect(&served.dir)?;
    while !done.load(Ordering::Relaxed) {
        let status = watch.status()?;
        ensure!(watch.most_owed == 0, "a token has come from nowhere: {status}");
        thread::sleep(BETWEEN);
    }
    Ok(())
}

fn rounds(tools: &Tools, served: &Served, all: bool) -> Result<()> {
    let mut kinds = Kind::ALL.to_vec();
    kinds.retain(|kind| all || *kind != Kind::Lto);
    for &kind in &kinds {
        alone(tools, served, kind, "first").with_context(|| format!("{} alone", kind.name()))?;
    }
    alone(tools, served, Kind::Cargo, "second").context("cargo with the library alone")?;
    // It would be make once more; and who takes a second to begin is paired with `--all` alone.
    kinds.retain(|kind| *kind != Kind::KeepGoing && (all || kind.begins_at_once()));
    for (index, &first) in kinds.iter().enumerate() {
        for &second in &kinds[index..] {
            let names = || format!("{} and {} at once", first.name(), second.name());
            pair(tools, served, [first, second]).with_context(names)?;
        }
    }
    Ok(())
}

/// The name decides which package cargo builds.
fn alone(tools: &Tools, served: &Served, kind: Kind, name: &str) -> Result<()> {
    let start = Instant::now();
    // Nothing but the end of a job makes ninja look for a token, so its jobs can't wait for one another.
    let (meeting, reached) = if kind == Kind::Ninja { (1, 2) } else { (SLOTS, SLOTS) };
    let recorder = Recorder::with_meeting(meeting);
    let build = Build::new(tools, kind, name, None, &[&recorder])?;
    // Of cargo's jobs, those that cc draws the tokens for.
    let of_cc = Recorder::with_meeting(2);
    build.start_with(tools, served, &[("RECORD_C", &of_cc.wrapper())])?.finish()?;
    let (spans, of_cc) = (recorder.spans(), of_cc.spans());
    let (jobs, most) = (spans.jobs(), spans.most_at_once());
    println!("{}: {jobs} jobs, {most} at once, {:.1} s", kind.name(), start.elapsed().as_secs_f64());
    ensure!(jobs == build.jobs(), "{jobs} jobs ran, not {}", build.jobs());
    ensure!(most <= SLOTS, "{most} jobs ran at once in a pool of {SLOTS}");
    ensure!(most >= reached, "{most} jobs ran at once: it should have had {reached} slots");
    ensure!(kind != Kind::Cargo || of_cc.most_at_once() > 1, "cc compiled one file at a time");
    is_whole(served)
}

fn pair(tools: &Tools, served: &Served, mut kinds: [Kind; 2]) -> Result<()> {
    let start = Instant::now();
    kinds.sort_by_key(|kind| Reverse(kind.slowness()));
    let (both, one, two) = (Recorder::new(), Recorder::new(), Recorder::new());
    let first = Build::new(tools, kinds[0], "first", Some("second"), &[&both, &one])?;
    let second = Build::new(tools, kinds[1], "second", Some("first"), &[&both, &two])?;
    let mut first_started = first.start(tools, served)?;
    if kinds[0].slowness() > kinds[1].slowness() {
        // Most of the other's jobs would be done before.
        first_started.wait_for_jobs()?;
    }
    let second_started = second.start(tools, served)?;
    first_started.finish()?;
    second_started.finish()?;
    let (jobs, most) = (both.spans().jobs(), both.spans().most_at_once());
    let (one, two) = (one.spans().most_at_once(), two.spans().most_at_once());
    let names = kinds.map(Kind::name).join(" and ");
    println!("{names}: {jobs} jobs, {most} at once ({one} and {two}), {:.1} s", start.elapsed().as_secs_f64());
    let should = first.jobs() + second.jobs();
    ensure!(jobs == should, "{jobs} jobs ran, not {should}");
    ensure!(most <= SLOTS, "{most} jobs ran at once in a pool of {SLOTS}");
    ensure!(one > 1 && two > 1, "{one} and {two} jobs ran at once: one build never had a second slot");
    is_whole(served)
}

/// Waits until the builds' leases are closed. Then every slot must be free, and none had to be recovered.
fn is_whole(served: &Served) -> Result<()> {
    let start = Instant::now();
    let status = loop {
        let status = served.status()?;
        if status["leases"].as_array().is_some_and(Vec::is_empty) {
            break status;
        }
        ensure!(start.elapsed() < BOUND, "a build has ended, its lease has not: {status}");
        thread::sleep(Duration::from_millis(5));
    };
    let count = |name: &str| status[name].as_u64();
    let nothing = ["held", "offered", "owed", "strays", "recovered"].into_iter().all(|name| count(name) == Some(0));
    ensure!(nothing && count("free") == Some(SLOTS as u64), "not every slot is back as it should be: {status}");
    Ok(())
}
