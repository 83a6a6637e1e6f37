//! `cargo xtask bench`: the library beside 0.1.35, as ratios of one run.
//!
//! The measuring program is `compare/src/bin/bench`. This builds it in a package of its own with a second copy of
//! 0.1.35 under another name, the control, runs it, adds what a dependent pays ([`dependent`]), and makes the tables
//! ([`table`], docs/benchmarks.md). The copy is made from the registry's package each time and never committed.

mod dependent;
mod row;
mod table;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{ensure, Context as _, Result};
use serde_json::json;

use self::row::Row;
use crate::context::{write, Context};
use crate::upstream::{self, Upstream, VERSION};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A tenth of the rounds: within a minute, for a first look.
    #[arg(long)]
    quick: bool,
    /// Write all that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Put the table of README.md anew.
    #[arg(long)]
    readme: bool,
    /// Fail if something that must be shown was not.
    #[arg(long)]
    check: bool,
}

/// Builds, measures, and prints.
pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let upstream = upstream::fetch(context)?;
    let program = build(context, &upstream)?;
    let start = Instant::now();
    let mut rows = measure(&program, options.quick)?;
    rows.extend(dependent::measure(context, options.quick)?);
    println!("{}", table::terminal(&rows));
    let (shown, asked) = table::count(&rows);
    println!("{shown} of {asked} shown, {} s of measuring", start.elapsed().as_secs());
    if let Some(file) = &options.json {
        let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
        let all = json!({ "upstream": VERSION, "quick": options.quick, "processors": processors(), "rows": rows });
        fs::write(file, format!("{all:#}\n")).with_context(|| file.display().to_string())?;
    }
    if options.readme {
        let path = context.root.join("README.md");
        let text = fs::read_to_string(&path)?;
        write(&path, table::replace(&text, &table::readme(&rows, processors()))?)?;
    }
    ensure!(!options.check || shown == asked, "{} of {asked} were not shown", asked - shown);
    Ok(())
}

/// The measuring program, with everything that it compares.
fn build(context: &Context, upstream: &Upstream) -> Result<PathBuf> {
    let package = context.scratch("bench")?;
    copy(&upstream.source.join("src"), &package.join("upstream_again/src"))?;
    let again = format!(
        "[package]\nname = \"upstream_again\"\nversion = \"{VERSION}\"\nedition = \"2021\"\n\n\
         [dependencies]\nlibc = \"0.2.171\"\n"
    );
    write(&package.join("upstream_again/Cargo.toml"), again)?;
    let compare = context.root.join("compare");
    let manifest = format!(
        "[package]\nname = \"bench\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [features]\ndefault = [\"again\"]\nagain = []\n\n\
         [[bin]]\nname = \"bench\"\npath = {:?}\n\n\
         [dependencies]\njobserver = {{ path = {:?} }}\n\
         upstream = {{ package = \"jobserver\", version = \"={VERSION}\" }}\n\
         upstream_again = {{ path = \"upstream_again\" }}\ncompare = {{ path = {compare:?} }}\nlibc = \"0.2.171\"\n",
        compare.join("src/bin/bench/main.rs"),
        context.library,
    );
    write(&package.join("Cargo.toml"), manifest)?;
    context.cargo_in(&package, 10, &["build", "--release", "--quiet"]).run()?;
    Ok(package.join("target/release/bench"))
}

/// Its rows, as they come.
fn measure(program: &Path, quick: bool) -> Result<Vec<Row>> {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10s", "10m"]).arg(program).args(quick.then_some("--quick"));
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let mut rows = Vec::new();
    for line in lines {
        let row = Row::parse(&line?)?;
        eprintln!("measured: {}", row.name);
        rows.push(row);
    }
    let status = child.wait()?;
    ensure!(status.success(), "{}: {status}", program.display());
    Ok(rows)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        ensure!(entry.file_type()?.is_file(), "{} is no file", entry.path().display());
        write(&to.join(entry.file_name()), fs::read(entry.path())?)?;
    }
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
