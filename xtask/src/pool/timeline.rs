//! What a recording costs a build: 2,000 jobs that do nothing, under `run` with and without `--timeline`.
//!
//! The lanes of one round run right after each other and each round begins with another one; `run` alone is there twice,
//! which shows what of a difference is noise. The time until the page is written is part of it.

use anyhow::Result;

use super::builds;
use super::cost::compared;
use super::processes::time;
use super::row::Row;
use super::stage::Stage;

const LANES: [&str; 4] = ["run", "run again", "run --timeline --trace", "the same, by looks into /proc"];

pub(crate) fn measure(stage: &Stage, quick: bool) -> Result<Vec<Row>> {
    let dir = builds::trivial(stage)?;
    let mut walls = Vec::new();
    for round in 0..if quick { 9 } else { 27 } {
        let mut times = vec![0.0; LANES.len()];
        for turn in 0..LANES.len() {
            let lane = (round + turn) % LANES.len();
            let mut run = stage.jobserver(&["run", "-j4", "--no-pool", "--style", "tracked"]);
            if lane >= 2 {
                run.arg("--timeline").arg(stage.path("cost.html")).arg("--trace").arg(stage.path("cost.json"));
            }
            if lane == 3 {
                run.env("JOBSERVER_TIMELINE", "looks");
            }
            times[lane] = time(run.arg("--").arg(&stage.make).arg("-s").current_dir(&dir))?;
        }
        walls.push(times);
    }
    let row = |number: usize| {
        let most = (number >= 2).then_some(1.02);
        compared(&format!("2,000 x /bin/true: {}", LANES[number]), &walls, number, most)
    };
    Ok((1..LANES.len()).map(row).collect())
}
