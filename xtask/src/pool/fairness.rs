//! Who gets the slots: builds that begin half a second apart, and the jobs that each finished while all of them ran.

use std::thread;
use std::time::Duration;

use anyhow::{ensure, Result};
use serde_json::json;

use super::builds::{Flat, Tool};
use super::processes::{uptime, wait};
use super::row::{median, Row};
use super::stage::{Served, Stage};

const SLOTS: usize = 6;
/// Between the starts of two builds.
const APART: Duration = Duration::from_millis(500);

/// The builds that run at once, in the order in which they start.
const PAIRS: [[Tool; 2]; 6] = [
    [Tool::Make, Tool::Make],
    [Tool::Make, Tool::Ninja],
    [Tool::Ninja, Tool::Make],
    [Tool::Make, Tool::Cargo],
    [Tool::Cargo, Tool::Make],
    [Tool::Layers, Tool::Make],
];

/// How long a job lasts, how many the last build has, how many more each earlier one, and how uneven it may get.
struct Case {
    each: Duration,
    jobs: usize,
    more: usize,
    bounds: (f64, f64),
}

const CASES: [Case; 2] = [
    Case { each: Duration::from_millis(50), jobs: 180, more: 40, bounds: (0.8, 1.25) },
    Case { each: Duration::from_millis(500), jobs: 42, more: 4, bounds: (0.67, 1.5) },
];

const LEAST: &str = ", least part of its share";
const WEIGHTS: &str = " by weights of 2:1";

/// What one run showed: jobs that each build finished while all ran, and how much of the slots' time they used then.
struct Shown {
    finished: Vec<usize>,
    used: f64,
}

pub(crate) fn measure(stage: &Stage, quick: bool) -> Result<Vec<Row>> {
    let rounds = if quick { 1 } else { 5 };
    let mut rows = Vec::new();
    for case in &CASES {
        for pair in PAIRS.iter().filter(|pair| stage.wants(&name(case, *pair, ""))) {
            let shown = runs(stage, case, pair, 1, rounds)?;
            rows.push(row(case, pair, "", &shown, &first_to_second(&shown), case.bounds));
        }
        let three = [Tool::Make; 3];
        if !stage.wants(&name(case, &three, LEAST)) {
            continue;
        }
        let shown = runs(stage, case, &three, 1, rounds)?;
        let least: Vec<f64> = shown
            .iter()
            .map(|run| {
                let all: usize = run.finished.iter().sum();
                let least = run.finished.iter().min().copied().unwrap_or_default();
                (least * run.finished.len()) as f64 / all as f64
            })
            .collect();
        rows.push(row(case, &three, LEAST, &shown, &least, (0.7, 1.0)));
    }
    let case = &CASES[0];
    let two = [Tool::Make; 2];
    if stage.wants(&name(case, &two, WEIGHTS)) {
        let shown = runs(stage, case, &two, 2, rounds)?;
        rows.push(row(case, &two, WEIGHTS, &shown, &first_to_second(&shown), (1.6, 2.5)));
    }
    Ok(rows)
}

fn first_to_second(shown: &[Shown]) -> Vec<f64> {
    shown.iter().map(|run| run.finished[0] as f64 / run.finished[1] as f64).collect()
}

fn name(case: &Case, tools: &[Tool], kind: &str) -> String {
    let names: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
    format!("{} ms, {}{kind}", case.each.as_millis(), names.join(":"))
}

fn row(case: &Case, tools: &[Tool], kind: &str, shown: &[Shown], values: &[f64], bounds: (f64, f64)) -> Row {
    let finished = |run: &Shown| run.finished.iter().map(usize::to_string).collect::<Vec<_>>().join(":");
    let all: Vec<String> = shown.iter().map(finished).collect();
    let used = median(&shown.iter().map(|run| run.used).collect::<Vec<_>>());
    Row {
        name: name(case, tools, kind),
        value: median(values),
        unit: "",
        bounds: (Some(bounds.0), Some(bounds.1)),
        note: format!("{}; {:.0} % of the slots' time used", all.join(" "), 100.0 * used),
        rounds: shown.iter().map(|run| json!({ "finished": run.finished, "used": run.used })).collect(),
    }
}

/// The first build has this weight, all others 1.
fn runs(stage: &Stage, case: &Case, tools: &[Tool], weight: u32, rounds: usize) -> Result<Vec<Shown>> {
    let mut builds = Vec::new();
    for (number, &tool) in tools.iter().enumerate() {
        // An earlier one has done some before the last begins, and neither is to end long before the other.
        let jobs = case.jobs + (tools.len() - 1 - number) * case.more;
        builds.push(Flat::new(stage, &format!("build{number}"), tool, jobs, case.each)?);
    }
    builds[0].weight = weight;
    (0..rounds).map(|_| one(stage, case, &builds)).collect()
}

fn one(stage: &Stage, case: &Case, builds: &[Flat]) -> Result<Shown> {
    let served = Served::start(stage, SLOTS)?;
    let mut waiting = Vec::new();
    let mut began = 0.0;
    for build in builds {
        if !waiting.is_empty() {
            thread::sleep(APART);
        }
        began = uptime()?;
        let mut child = build.start(stage, &served)?.spawn()?;
        waiting.push(thread::spawn(move || -> Result<f64> {
            let status = wait(&mut child)?;
            ensure!(status.success(), "a build: {status}");
            uptime()
        }));
    }
    let mut ended = f64::INFINITY;
    for build in waiting {
        ended = ended.min(build.join().expect("a wait does not panic")?);
    }
    served.finish()?;
    let mut finished = Vec::new();
    for build in builds {
        finished.push(build.ends()?.iter().filter(|end| (began..=ended).contains(end)).count());
    }
    let busy = finished.iter().sum::<usize>() as f64 * case.each.as_secs_f64();
    Ok(Shown { finished, used: busy / (SLOTS as f64 * (ended - began)) })
}
