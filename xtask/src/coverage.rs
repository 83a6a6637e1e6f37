//! `cargo xtask coverage`: how many lines of the library its tests run, and which they don't.
//!
//! Tests start themselves as other processes, and those count as well: each process adds to a few files that all share
//! (`%4m`) when it ends by itself. One that is killed is lost, as are the documentation's examples. Only code counts:
//! what stands below `#[cfg(test)]` in a file, and files that are tests as a whole, would raise the figure. The compiler
//! instruments the crates of this workspace alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};
use serde_json::Value;
use xshell::cmd;

use crate::context::{write, Context};
use crate::root;

/// How often each line was run, of a file.
type Lines = BTreeMap<usize, u64>;

/// Prints a line for each file, and the sum.
pub(crate) fn run(context: &Context) -> Result<()> {
    let version = cmd!(context.sh, "rustc --version --verbose").quiet().read()?;
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")).context("rustc has no LLVM")?;
    let llvm = llvm.split('.').next().unwrap_or_default();
    // The tools read what the compiler's own LLVM wrote, and little else.
    let tool = |name: &str| PathBuf::from(format!("/usr/lib/llvm-{llvm}/bin/{name}"));
    if !tool("llvm-cov").exists() {
        root::install(context, &[&format!("llvm-{llvm}")], "reading the coverage")?;
    }
    let dir = context.scratch("coverage")?;
    let raw = dir.join("raw");
    if raw.exists() {
        fs::remove_dir_all(&raw).with_context(|| raw.display().to_string())?;
    }
    let wrapper = dir.join("rustc");
    write(&wrapper, "#!/bin/sh\nexec \"$@\" -Cinstrument-coverage\n")?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let cargo = |args: &[&str], tail: &[&str]| {
        let command = context.cargo(20, args).args(["--quiet", "-p", "jobserver"]).args(tail);
        let command = command.env("RUSTC_WORKSPACE_WRAPPER", &wrapper).env("CARGO_TARGET_DIR", dir.join("target"));
        command.env("LLVM_PROFILE_FILE", raw.join("%4m.profraw"))
    };
    let mut programs = BTreeSet::new();
    // The examples as programs, which a test runs: `cargo test` would make tests of them.
    for what in [&["build", "--examples"][..], &["test", "--no-run", "--lib", "--tests"]] {
        let built = cargo(what, &["--message-format=json-render-diagnostics"]).read()?;
        let said = built.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        programs.extend(said.filter_map(|said| said["executable"].as_str().map(str::to_string)));
    }
    cargo(&["test", "--lib", "--tests"], &[]).ignore_stdout().run()?;

    let merged = dir.join("merged.profdata");
    let parts: Vec<PathBuf> = context.sh.read_dir(&raw)?;
    let (profdata, cov) = (tool("llvm-profdata"), tool("llvm-cov"));
    cmd!(context.sh, "{profdata} merge --sparse -o {merged} {parts...}").quiet().run()?;
    let sources = context.root.join("crates/jobserver/src");
    // One by one: of an inline function that is in several programs the reader takes the first, run or not.
    let mut files = BTreeMap::new();
    for program in &programs {
        let report =
            cmd!(context.sh, "{cov} export --format=lcov --instr-profile={merged} {program} --sources {sources}");
        add(&mut files, &report.quiet().read()?);
    }
    print(&sources, &files)
}

fn print(sources: &Path, files: &BTreeMap<PathBuf, Lines>) -> Result<()> {
    let (mut all, mut run) = (0, 0);
    for (path, lines) in files {
        let Ok(name) = path.strip_prefix(sources) else { continue };
        if is_test(name) {
            continue;
        }
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let code = code(&text);
        let lines: Lines =
            lines.iter().filter(|(&line, _)| line <= code).map(|(&line, &count)| (line, count)).collect();
        if lines.is_empty() {
            continue;
        }
        let missed: Vec<usize> = lines.iter().filter(|(_, &count)| count == 0).map(|(&line, _)| line).collect();
        all += lines.len();
        run += lines.len() - missed.len();
        let percent = percent(lines.len() - missed.len(), lines.len());
        println!("{percent:5.1} %  {:4} lines  {}  {}", lines.len(), name.display(), ranges(&missed));
    }
    ensure!(all > 0, "no line of {} was found in the tests' programs", sources.display());
    println!("{:5.1} %  {all:4} lines of the library are run by its tests", percent(run, all));
    Ok(())
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// How many lines of a file come before its tests, which are its end.
fn code(text: &str) -> usize {
    let tests = text.lines().collect::<Vec<_>>();
    let begin = tests.windows(2).position(|lines| {
        lines[0].starts_with("#[cfg(")
            && lines[0].contains("test")
            && lines[1].starts_with("mod ")
            && lines[1].ends_with('{')
    });
    begin.unwrap_or(tests.len())
}

fn is_test(name: &Path) -> bool {
    name.components().any(|part| ["tests", "tests.rs", "model.rs"].iter().any(|test| part.as_os_str() == *test))
}

/// Adds what an lcov report says.
fn add(files: &mut BTreeMap<PathBuf, Lines>, report: &str) {
    let mut file = PathBuf::new();
    for line in report.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = PathBuf::from(path);
        } else if let Some((line, count)) = line.strip_prefix("DA:").and_then(|data| data.split_once(',')) {
            if let (Ok(line), Ok(count)) = (line.parse(), count.parse::<u64>()) {
                let known = files.entry(file.clone()).or_default().entry(line).or_default();
                *known = count.max(*known);
            }
        }
    }
}

/// `3-5 9`.
fn ranges(lines: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == line => *last = line,
            _ => ranges.push((line, line)),
        }
    }
    let show =
        |&(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(show).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_by_file_and_shown_as_ranges() {
        let mut files = BTreeMap::new();
        add(&mut files, "SF:/a.rs\nFN:1,f\nDA:1,5\nDA:2,0\nDA:3,0\nDA:4,0\nDA:7,0\nend_of_record\nSF:/b.rs\nDA:1,0\n");
        add(&mut files, "SF:/a.rs\nDA:1,0\nDA:4,1\nDA:7,0\n");
        assert_eq!(files.len(), 2);
        let missed: Vec<usize> = files[Path::new("/a.rs")].iter().filter(|(_, &n)| n == 0).map(|(&l, _)| l).collect();
        assert_eq!(ranges(&missed), "2-3 7");
    }

    #[test]
    fn tests_at_the_end_of_a_file_are_no_code() {
        assert_eq!(code("fn f() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(code("#[cfg(test)]\nmod model;\nfn f() {}\n"), 3);
    }
}
