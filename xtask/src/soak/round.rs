//! One round: builds start, signals meet them, all end, and the pool is whole again.

use std::fs;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context as _, Result};

use super::builds::Kind;
use super::plan::{Aim, Plan, Shot, Signal, WIDTH};
use super::recovery::Killed;
use super::tree::{self, Process};
use super::watch::Client;
use super::{Soak, SLOTS};

/// So long may a build live after the last signal: it has a few seconds of work.
const BOUND: Duration = Duration::from_secs(60);
/// Who uses a processor for so long does nothing else.
const LOOP: Duration = Duration::from_secs(2);
/// Between two looks.
const GLANCE: Duration = Duration::from_millis(10);
/// Between two questions whether tokens are back.
const BETWEEN: Duration = Duration::from_micros(100);
/// A recovery that takes so long is shown.
const SLOW: Duration = Duration::from_secs(1);
/// A runner is left alone until it has certainly told the server what it runs.
const SETTLED: Duration = Duration::from_millis(200);

struct Build {
    kind: Kind,
    /// Which start it was, and in which place.
    start: usize,
    place: usize,
    runner: Child,
    ended: bool,
    /// None of its processes is there any more: its session may be another's by now.
    gone: bool,
    /// Whether it started without a slot.
    now: bool,
    /// What the runner has started, and when it was first seen.
    command: Option<(u32, Instant)>,
    /// Its jobs are no measure of its tokens: a make 4.3 has those by a pipe of a runner that was killed, when they were
    /// recovered already, or one of its clients has no memory.
    loose: bool,
}

struct Round<'s, 'a> {
    soak: &'s mut Soak<'a>,
    plan: &'s Plan,
    builds: Vec<Build>,
    stopped: Vec<(Instant, Process)>,
    /// How often a process was stopped: one that waited to start is let go by that, in a slot that is owed.
    stops: usize,
    /// How often any signal met a client: the slot of one that waited to start is owed as well, until another job of its
    /// parent ends.
    hits: usize,
    /// What was owed in the last status.
    told: usize,
    look: Vec<Process>,
}

pub(super) fn run(soak: &mut Soak, plan: &Plan) -> Result<()> {
    let mut round =
        Round { soak, plan, builds: Vec::new(), stopped: Vec::new(), stops: 0, hits: 0, told: 0, look: Vec::new() };
    let done = round.all();
    if done.is_err() {
        round.explain();
    }
    done
}

impl Round<'_, '_> {
    fn all(&mut self) -> Result<()> {
        for shot in &self.plan.shots {
            let due = Instant::now() + shot.pause;
            while Instant::now() < due {
                self.fill()?;
                self.glance()?;
                thread::sleep(GLANCE.min(due.saturating_duration_since(Instant::now())));
            }
            self.shoot(shot)?;
        }
        if self.plan.cut {
            for index in 0..self.builds.len() {
                self.shoot_build(index, Signal::Kill)?;
            }
        }
        let mut last = Instant::now();
        while !self.look.is_empty() || self.builds.iter().any(|build| !build.ended) {
            if !self.stopped.is_empty() {
                last = Instant::now();
            }
            if last.elapsed() > BOUND {
                ensure!(self.end_stuck_makes()?, "a build lives {BOUND:?} after the last signal");
                last = Instant::now();
            }
            thread::sleep(GLANCE);
            self.glance()?;
        }
        self.rest()
    }

    /// Ends each make that its own handler of signals has stopped.
    fn end_stuck_makes(&mut self) -> Result<bool> {
        let before = self.look.clone();
        thread::sleep(LOOP);
        self.glance()?;
        let stuck: Vec<Process> = self.look.iter().filter(|make| make.is_stuck_make(&before)).cloned().collect();
        for make in &stuck {
            let make_says = tree::describe(std::slice::from_ref(make));
            println!("stopped by its own handler of signals, and killed: {make_says}");
            self.soak.guard.send("KILL", i64::from(make.pid))?;
        }
        self.soak.tally.stuck += stuck.len();
        Ok(!stuck.is_empty())
    }

    /// Starts builds where there is room.
    fn fill(&mut self) -> Result<()> {
        for place in 0..WIDTH {
            if self.builds.iter().any(|build| build.place == place && !build.ended) {
                continue;
            }
            let last = self.plan.builds.len() - 1;
            let start = self.plan.builds[self.builds.len().min(last)];
            let mut command = self.soak.works.command(self.soak.served, start, place)?;
            let runner = command.spawn().with_context(|| format!("{command:?}"))?;
            self.builds.push(Build {
                kind: start.kind,
                start: self.soak.works.last(),
                place,
                runner,
                ended: false,
                gone: false,
                now: start.now,
                command: None,
                loose: false,
            });
            let sessions = self.sessions();
            self.soak.guard.builds(&sessions)?;
            self.soak.tally.builds += 1;
        }
        Ok(())
    }

    fn sessions(&self) -> Vec<u32> {
        self.builds.iter().filter(|build| !build.gone).map(|build| build.runner.id()).collect()
    }

    /// Looks at everything, and lets go on what was stopped for long enough.
    fn glance(&mut self) -> Result<()> {
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut self.stopped).into_iter().partition(|(at, _)| *at <= now);
        self.stopped = later;
        let due: Vec<(Instant, Process)> = due;
        for (_, process) in due.iter().filter(|(_, process)| process.is_there()) {
            self.soak.guard.send("CONT", i64::from(process.pid))?;
        }
        let after = tree::of(&self.sessions());
        let before = std::mem::replace(&mut self.look, after);
        for build in self.builds.iter_mut().filter(|build| !build.gone) {
            let runner = build.runner.id();
            // One look may miss a process that was started while it was taken.
            let is_seen = before.iter().chain(&self.look).any(|process| process.session == runner);
            build.gone = build.ended && !is_seen;
            let command = self.look.iter().find(|process| process.parent == runner).map(|process| (process.pid, now));
            build.command = build.command.or(command);
            if !build.ended {
                if let Some(status) = build.runner.try_wait()? {
                    build.ended = true;
                    self.soak.tally.failed += usize::from(!status.success());
                }
            }
        }
        let counted = self.builds.iter().filter(|build| !build.loose && !build.gone);
        let commands: Vec<u32> = counted.filter_map(|build| build.command).map(|(pid, _)| pid).collect();
        let jobs = tree::jobs_at_once(&before, &self.look, &commands);
        let told = match self.plan.watched {
            true => self.soak.watch.status()?.number("owed") as usize,
            false => self.stops,
        };
        // The looks were taken between that status and the one before.
        let told = told.max(std::mem::replace(&mut self.told, told));
        let mut owed = self.builds.iter().filter(|build| build.now && !build.gone).count().max(told);
        if jobs > SLOTS + owed && !self.plan.watched {
            owed = owed.max(self.hits.min(self.soak.watch.status()?.number("owed") as usize));
        }
        let tally = &mut self.soak.tally;
        let most = if owed == 0 { &mut tally.most_jobs } else { &mut tally.most_with_now };
        *most = jobs.max(*most);
        ensure!(
            jobs <= SLOTS + owed,
            "{jobs} jobs at once on {SLOTS} slots, and {owed} owed at most: {:#?}",
            self.look
        );
        Ok(())
    }

    fn shoot(&mut self, shot: &Shot) -> Result<()> {
        self.look = tree::of(&self.sessions());
        if shot.aim == Aim::Build {
            let live: Vec<usize> = (0..self.builds.len()).filter(|&index| !self.builds[index].ended).collect();
            let index = live.get(shot.pick as usize % live.len().max(1));
            // A stopped group would need a list of its own of who is to go on.
            let signal = if [Signal::Stop, Signal::Memory].contains(&shot.signal) { Signal::Kill } else { shot.signal };
            return index.map_or(Ok(()), |&index| self.shoot_build(index, signal));
        }
        let Some(target) = self.target(shot)? else { return Ok(()) };
        let build = self.builds.iter_mut().find(|build| !build.gone && build.runner.id() == target.session);
        let build = build.context("a process of no build")?;
        let name = name(&target, build);
        // A cargo that may start no thread panics: it gives its tokens back, and waits for the compilers that it has started.
        let may_give_up = shot.signal == Signal::Memory && target.is_client();
        build.loose |= may_give_up || target.is_runner() && build.kind == Kind::OldMake;
        if !target.is_there() {
            return Ok(());
        }
        self.hits += usize::from(target.is_client());
        let dies = target.dies_of(shot.signal);
        let pid = i64::from(target.pid);
        match shot.signal {
            Signal::Memory => {
                let Some(bytes) = target.memory() else { return Ok(()) };
                if self.soak.guard.limit(target.pid, bytes)? {
                    self.soak.tally.signal(name, shot.signal);
                }
            }
            Signal::Stop => {
                if self.soak.guard.send("STOP", pid)? {
                    self.soak.tally.signal(name, shot.signal);
                    self.stops += 1;
                    self.stopped.push((Instant::now() + shot.stopped, target));
                }
            }
            signal => {
                let dying: Vec<Process> = dies.then_some(target).into_iter().collect();
                self.send(signal, name, pid, &dying)?;
            }
        }
        Ok(())
    }

    fn shoot_build(&mut self, index: usize, signal: Signal) -> Result<()> {
        let build = &mut self.builds[index];
        if build.ended {
            return Ok(());
        }
        build.loose |= build.kind == Kind::OldMake;
        let group = build.runner.id();
        let members: Vec<Process> = match signal {
            Signal::Kill => tree::of(&[group]),
            _ => Vec::new(),
        };
        self.send(signal, "whole build", -i64::from(group), &members)
    }

    /// `dying`: those that certainly end by it at once.
    fn send(&mut self, signal: Signal, name: &'static str, target: i64, dying: &[Process]) -> Result<()> {
        let mut holders = Vec::new();
        let mut recovered = 0;
        if self.plan.watched {
            let status = self.soak.watch.status()?;
            recovered = status.number("recovered");
            let is_dying = |client: &Client| dying.iter().any(|process| process.pid == client.pid);
            holders = status.clients().filter(|client| is_dying(client) && client.held > 0).collect();
        }
        let start = Instant::now();
        if !self.soak.guard.send(signal.name(), target)? {
            return Ok(());
        }
        self.soak.tally.signal(name, signal);
        if holders.is_empty() {
            return Ok(());
        }
        let (mut killed, mut was_slow) = (Killed::new(start, holders), false);
        loop {
            let status = self.soak.watch.status()?;
            if let Some(recovery) = killed.recovered(&status) {
                // Else they had returned them in the meantime.
                if status.number("recovered") > recovered {
                    self.soak.tally.recovery(name, recovery);
                }
                return Ok(());
            }
            let time = start.elapsed();
            ensure!(
                time < BOUND,
                "what process {target} held was not recovered {BOUND:?} after {}: {status}",
                signal.name()
            );
            if time > SLOW && !was_slow {
                was_slow = true;
                let slow: Vec<Process> = dying.iter().filter(|process| process.is_there()).cloned().collect();
                println!("not recovered after {SLOW:?}: {status}\n{}", tree::describe(&slow));
            }
            // At our priority we would keep the processor from those who are dying.
            thread::sleep(BETWEEN);
            killed.look();
        }
    }

    fn target(&mut self, shot: &Shot) -> Result<Option<Process>> {
        let mut holders = Vec::new();
        if shot.aim == Aim::Holder && self.plan.watched {
            let status = self.soak.watch.status()?;
            holders = status.clients().filter(|client| client.held > 0).map(|client| client.pid).collect();
        }
        let is_settled = |runner: &Process| {
            let of_it = self.builds.iter().filter(|build| !build.gone && build.runner.id() == runner.pid);
            of_it.filter_map(|build| build.command).any(|(_, seen)| seen.elapsed() > SETTLED)
        };
        let is_aimed_at = |process: &&Process| match shot.aim {
            Aim::Runner => process.is_runner() && is_settled(process),
            Aim::Job => !process.is_runner() && !process.is_client(),
            // The runner holds what a make 4.3 has.
            Aim::Holder => holders.contains(&process.pid) && !process.is_runner(),
            Aim::Client | Aim::Build => process.is_client(),
        };
        let mut found: Vec<&Process> = self.look.iter().filter(is_aimed_at).collect();
        if found.is_empty() {
            found = self.look.iter().filter(|process| process.is_client()).collect();
        }
        found.sort_by_key(|process| (process.start, process.pid));
        Ok(found.get(shot.pick as usize % found.len().max(1)).map(|&process| process.clone()))
    }

    /// No process is left. The pool must be whole without having been asked, so what is waited for is seen in the file
    /// system, and the first status is the one that counts.
    fn rest(&mut self) -> Result<()> {
        let fifos = self.soak.served.dir.join("f");
        let start = Instant::now();
        while fs::read_dir(&fifos)?.next().is_some() {
            if start.elapsed() > BOUND {
                let status = self.soak.watch.status()?;
                bail!("all builds have ended, and there are FIFOs of theirs {BOUND:?} later: {status}");
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.soak.watch.status()?.check_rest()?;
        let links = fs::read_dir(self.soak.served.dir.join("mnt"))?.count();
        ensure!(links == 0, "{links} leases are still to be seen in the mount");
        for build in &self.builds {
            let said = fs::read_to_string(self.soak.works.said(build.start))?;
            ensure!(!said.contains("panicked at crates/jobserver"), "{said}");
            self.soak.works.clear(build.start)?;
        }
        self.soak.guard.builds(&[])
    }

    /// All that helps to find out what went wrong.
    fn explain(&mut self) {
        let processes = tree::of(&self.sessions());
        eprintln!("{} processes are left\n{}", processes.len(), tree::describe(&processes));
        match self.soak.watch.status() {
            Ok(status) => eprintln!("the pool: {status}"),
            Err(error) => eprintln!("the pool has no status: {error:#}"),
        }
        for build in &self.builds {
            let said = fs::read_to_string(self.soak.works.said(build.start)).unwrap_or_default();
            let (session, ended) = (build.runner.id(), if build.ended { ", ended" } else { "" });
            let last: Vec<&str> = said.lines().rev().take(8).collect();
            eprintln!("build {session}, {:?}{ended}, said at last, the latest first: {last:#?}", build.kind);
        }
    }
}

impl Drop for Round<'_, '_> {
    fn drop(&mut self) {
        // Only where something went wrong is there anybody. Who is killed may just have started another one.
        for _ in 0..100 {
            for process in tree::of(&self.sessions()) {
                let _ = self.soak.guard.send("KILL", i64::from(process.pid));
            }
        }
        for build in &mut self.builds {
            let _ = build.runner.wait();
        }
    }
}

fn name(process: &Process, build: &Build) -> &'static str {
    let is_command = build.command.is_some_and(|(pid, _)| pid == process.pid);
    match process.name.as_str() {
        _ if process.is_runner() => "runner",
        "make" if build.kind == Kind::OldMake => "make 4.3",
        "make" if is_command => "make 4.4.1",
        "make" => "sub-make",
        "ninja" => "ninja",
        "cargo" => "cargo",
        "rustc" => "rustc",
        "slots" => "library",
        _ => "job",
    }
}
