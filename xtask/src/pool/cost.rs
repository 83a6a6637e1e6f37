//! What a build takes longer under `run`, and what the server uses of the processor.
//!
//! The lanes of one round run right after each other, each round begins with another; make alone runs twice, which
//! shows what of a difference is noise.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::builds;
use super::processes::{spend, Spent};
use super::row::{lane, median, quantile, ratios, Row};
use super::stage::{quiet, Served, Stage};

const LANES: [&str; 5] =
    ["make -j4", "make -j4 again", "run --style fifo", "run --style tracked", "run in a served pool"];
const TRACKED: usize = 3;
const SERVED: usize = 4;

pub(crate) fn measure(stage: &Stage, quick: bool) -> Result<Vec<Row>> {
    let rounds = if quick { 3 } else { 9 };
    let mut rows = of(stage, "20 x 20 jobs of 20 ms, recursive", &builds::recursive(stage)?, rounds)?;
    // A second each, and noise of some percent: more of them.
    rows.extend(of(stage, "2,000 x /bin/true", &builds::trivial(stage)?, 3 * rounds)?);
    Ok(rows)
}

fn of(stage: &Stage, build: &str, dir: &Path, rounds: usize) -> Result<Vec<Row>> {
    let served = Served::start(stage, 4)?;
    let mut walls = Vec::new();
    let mut tracked = Vec::new();
    for round in 0..rounds {
        let mut times = vec![0.0; LANES.len()];
        for turn in 0..LANES.len() {
            let lane = (round + turn) % LANES.len();
            let spent = spend(command(stage, &served, lane).current_dir(dir))?;
            times[lane] = spent.wall;
            if lane == TRACKED {
                tracked.push(spent);
            }
        }
        walls.push(times);
    }
    served.finish()?;
    let mut rows = Vec::new();
    for (number, name) in LANES.iter().enumerate().skip(1) {
        let most = (number >= TRACKED).then_some(1.03);
        rows.push(compared(&format!("{build}: {name}"), &walls, number, most));
    }
    rows.extend(server(build, &tracked));
    Ok(rows)
}

fn command(stage: &Stage, served: &Served, lane: usize) -> Command {
    let style = match lane {
        0 | 1 => {
            let mut make = quiet(&stage.make);
            make.args(["-s", "-j4"]);
            return make;
        }
        SERVED => {
            let mut run = served.run();
            run.arg(&stage.make).arg("-s");
            return run;
        }
        TRACKED => "tracked",
        _ => "fifo",
    };
    let mut run = stage.jobserver(&["run", "-j4", "--no-pool", "--style", style, "--"]);
    run.arg(&stage.make).arg("-s");
    run
}

/// A lane against the first, round by round.
pub(crate) fn compared(name: &str, rounds: &[Vec<f64>], number: usize, most: Option<f64>) -> Row {
    let ratios = ratios(rounds, number, 0);
    let (ours, base) = (median(&lane(rounds, number)), median(&lane(rounds, 0)));
    Row {
        name: name.to_string(),
        value: median(&ratios),
        unit: "",
        bounds: (None, most),
        note: format!(
            "{:.0} ms against {:.0}; quartiles {:.3} {:.3}",
            1e3 * ours,
            1e3 * base,
            quantile(&ratios, 0.25),
            quantile(&ratios, 0.75)
        ),
        rounds: rounds.iter().map(|round| json!([round[0], round[number]])).collect(),
    }
}

/// Of all that the build uses, where its jobs use next to nothing; and of the time it takes.
pub(crate) fn server(build: &str, tracked: &[Spent]) -> [Row; 2] {
    let pool = |spent: &Spent| spent.threads.get("pool").copied().unwrap_or(f64::NAN);
    let own = |spent: &Spent| spent.threads.values().sum::<f64>();
    let of_build: Vec<f64> = tracked.iter().map(|spent| 100.0 * pool(spent) / (spent.tree - own(spent))).collect();
    let of_wall: Vec<f64> = tracked.iter().map(|spent| 100.0 * pool(spent) / spent.wall).collect();
    let pools: Vec<f64> = tracked.iter().map(|spent| 1e3 * pool(spent)).collect();
    let others: Vec<f64> = tracked.iter().map(|spent| 1e3 * (own(spent) - pool(spent))).collect();
    let row = |of: &str, values: &[f64], bounds, note: String| Row {
        name: format!("{build}: server, of the build's {of}"),
        value: median(values),
        unit: "%",
        bounds,
        note,
        rounds: tracked
            .iter()
            .map(|spent| json!({ "wall": spent.wall, "tree": spent.tree, "threads": spent.threads }))
            .collect(),
    };
    let trees: Vec<f64> = tracked.iter().map(|spent| 1e3 * (spent.tree - own(spent))).collect();
    let processor =
        format!("{:.0} ms of {:.0}; other threads of run {:.0} ms", median(&pools), median(&trees), median(&others));
    [
        row("processor time", &of_build, (None, Some(2.0)), processor),
        row("wall time", &of_wall, (None, None), String::new()),
    ]
}
