//! `cargo xtask each`: `jobserver each` beside `xargs -P` and GNU parallel.
//!
//! 2,000 items that do nothing measure what an item costs; 40 compiles measure what is left of that in real work. The
//! lanes of a round run right after each other and each round begins with another one, so that a machine that slows down
//! does so for all. Ratios are to GNU parallel, which does what `each` does: it keeps the outputs apart; `xargs` does not.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{ensure, Context as _, Result};
use serde_json::json;

use crate::context::Context;
use crate::pool::row::{self, lane, median, quantile, ratios, Row};
use crate::pool::stage::{quiet, Stage};
use crate::root;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Three rounds of each: for a first look.
    #[arg(long)]
    quick: bool,
    /// Write all that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

const LANES: [&str; 4] = ["GNU parallel", "xargs -P", "each, tracked pool", "each, in a make's jobserver"];
const BASE: usize = 0;

/// What one lane is to do with each item.
struct Work {
    title: &'static str,
    command: Vec<&'static str>,
    items: String,
}

pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    if !root::is_installed(context, "parallel") {
        root::install(context, &["parallel"], "the comparison")?;
    }
    let stage = Stage::new(context)?;
    let load = fs::read_to_string("/proc/loadavg")?.split(' ').next().unwrap_or_default().to_string();
    let rounds = if options.quick { 3 } else { 9 };
    let start = Instant::now();
    let dir = stage.folder("each")?;
    let mut all = Vec::new();
    for work in [trivial(), compiles(&dir)?] {
        let rows = measure(&stage, &dir, &work, rounds)?;
        println!("{}", row::table(work.title, &rows));
        all.extend(rows);
    }
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{processors} processors, load before {load}, {} s of measuring", start.elapsed().as_secs());
    if let Some(file) = &options.json {
        let rows: Vec<_> = all.iter().map(Row::to_json).collect();
        let all = json!({ "quick": options.quick, "processors": processors, "load": load, "rows": rows });
        fs::write(file, format!("{all:#}\n")).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn trivial() -> Work {
    let items = (1..=2000).map(|number| format!("{number}\n")).collect();
    Work { title: "2,000 x true, -j4, as a ratio to GNU parallel, interleaved", command: vec!["true"], items }
}

fn compiles(dir: &Path) -> Result<Work> {
    let mut text = String::from("#include <stdio.h>\n");
    for number in 0..40 {
        let body = "int sum = 0; for (int i = 0; i < n; i++) sum += i * i % 7; return sum;";
        writeln!(text, "int function_{number}(int n) {{ {body} }}")?;
    }
    let mut items = String::new();
    for number in 1..=40 {
        let file = dir.join(format!("unit{number}.c"));
        fs::write(&file, &text)?;
        writeln!(items, "{}", file.display())?;
    }
    let command = vec!["gcc", "-O1", "-c", "-o", "/dev/null"];
    Ok(Work { title: "40 compiles, -j4, as a ratio to GNU parallel, interleaved", command, items })
}

fn measure(stage: &Stage, dir: &Path, work: &Work, rounds: usize) -> Result<Vec<Row>> {
    let items = dir.join("items");
    fs::write(&items, &work.items)?;
    let mut walls = Vec::new();
    for round in 0..rounds {
        let mut times = vec![0.0; LANES.len()];
        for turn in 0..LANES.len() {
            let lane = (round + turn) % LANES.len();
            times[lane] = time(command(stage, lane, work).current_dir(dir), &items)?;
        }
        walls.push(times);
    }
    Ok((0..LANES.len()).filter(|&number| number != BASE).map(|number| compared(&walls, number)).collect())
}

fn command(stage: &Stage, lane: usize, work: &Work) -> Command {
    let mut command = match lane {
        0 => {
            let mut parallel = quiet(Path::new("parallel"));
            // Without the notice to cite it.
            parallel.args(["--will-cite", "-j4"]);
            parallel
        }
        1 => {
            let mut xargs = quiet(Path::new("xargs"));
            xargs.args(["-P4", "-n1", "-d\\n"]);
            xargs
        }
        2 => stage.jobserver(&["each", "-j4", "--no-pool", "--"]),
        _ => {
            let mut make = quiet(&stage.make);
            let words = work.command.join(" ");
            let each = stage.jobserver(&[]).get_program().to_string_lossy().into_owned();
            make.args(["-s", "-j4", "--eval", &format!("all: ; @{each} each -- {words} < items")]);
            make.args(["all"]);
            return make;
        }
    };
    command.args(&work.command);
    command
}

/// Seconds from start to end.
fn time(command: &mut Command, items: &Path) -> Result<f64> {
    let is_make = command.get_args().any(|word| word == "--eval");
    // Its recipe reads the items by itself.
    let input = if is_make { Stdio::null() } else { fs::File::open(items)?.into() };
    let start = Instant::now();
    let status = command.stdin(input).status().with_context(|| format!("{command:?}"))?;
    let wall = start.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?}: {status}");
    Ok(wall)
}

fn compared(rounds: &[Vec<f64>], number: usize) -> Row {
    let ratios = ratios(rounds, number, BASE);
    Row {
        name: LANES[number].to_string(),
        value: median(&ratios),
        unit: "",
        bounds: (None, (number != 1).then_some(1.0)),
        note: format!(
            "{:.0} ms against {:.0}; quartiles {:.3} {:.3}",
            1e3 * median(&lane(rounds, number)),
            1e3 * median(&lane(rounds, BASE)),
            quantile(&ratios, 0.25),
            quantile(&ratios, 0.75)
        ),
        rounds: rounds.iter().map(|round| json!([round[BASE], round[number]])).collect(),
    }
}
