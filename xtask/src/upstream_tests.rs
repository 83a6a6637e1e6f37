//! `cargo xtask upstream-tests`: the five test files of 0.1.35, unmodified, against the library.
//!
//! They run with make 4.3 and with make 4.4.1, whose fifo and pipe styles `client` tries by itself. A file that runs
//! fewer tests than it holds counts as failed: a test that is skipped proves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{ensure, Context as _, Result};
use testkit::clients::{self, MAKE_4_3, MAKE_4_4};

use crate::context::{write, Context};
use crate::upstream::{self, Upstream};

/// The test files of 0.1.35. `client` prints a line for each of its tests and runs them in each style that make has;
/// the two that print nothing are one test each, judged by their exit status.
pub(crate) const FILES: [File; 5] = [
    File { name: "client", tests: 7, report: Report::LinePerTest },
    File { name: "client-of-myself", tests: 1, report: Report::ExitStatus },
    File { name: "helper", tests: 3, report: Report::Harness },
    File { name: "make-as-a-client", tests: 1, report: Report::ExitStatus },
    File { name: "server", tests: 8, report: Report::Harness },
];

pub(crate) struct File {
    pub(crate) name: &'static str,
    tests: usize,
    report: Report,
}

#[derive(Clone, Copy)]
enum Report {
    Harness,
    LinePerTest,
    ExitStatus,
}

/// What a file reported, in one style of make.
#[derive(Debug, PartialEq)]
struct Counts {
    passed: usize,
    failed: usize,
}

/// Runs all of them and prints a table.
pub(crate) fn run(context: &Context) -> Result<()> {
    crate::clients::run(context)?;
    let (upstream, package) = package(context)?;
    let build = ["test", "--quiet", "--tests", "--no-run"];
    context.cargo_in(&package, 10, &build).run()?;

    let mut table = Table::new();
    for (program, styles) in [(&MAKE_4_3, &["pipe"][..]), (&MAKE_4_4, &["fifo", "pipe"][..])] {
        for file in &FILES {
            same_bytes(&upstream, &package, file.name)?;
            let output = run_file(context, &package, program, file.name)?;
            table.add(file, program.folder.trim_start_matches("make-"), styles, &output);
        }
    }
    table.finish()
}

/// Upstream's package, and ours that has its tests.
pub(crate) fn package(context: &Context) -> Result<(Upstream, PathBuf)> {
    let upstream = upstream::fetch(context)?;
    let package = generate(context, &upstream)?;
    context.uses_the_library(&package)?;
    Ok((upstream, package))
}

/// How the files have fared: a line for each.
pub(crate) struct Table {
    lines: String,
    passed: usize,
    expected: usize,
    wrong: usize,
}

impl Table {
    pub(crate) fn new() -> Table {
        let lines = String::from("make   style     file              passed  failed\n");
        Table { lines, passed: 0, expected: 0, wrong: 0 }
    }

    /// One file, with one make, in each of its styles.
    pub(crate) fn add(&mut self, file: &File, make: &str, styles: &[&str], output: &Output) {
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &String::from_utf8_lossy(&output.stderr);
        let mut good = output.status.success();
        for (style, counts) in count(file, styles, good, &text) {
            self.lines += &format!("{make:<6} {style:<9} {:<17} ", file.name);
            self.lines += &format!("{:>6} {:>7}\n", counts.passed, counts.failed);
            self.passed += counts.passed;
            self.expected += file.tests;
            good &= counts.passed == file.tests && counts.failed == 0;
        }
        if !good {
            self.wrong += 1;
            println!("{} with make {make}:\n{text}", file.name);
        }
    }

    /// Prints it.
    pub(crate) fn finish(self) -> Result<()> {
        println!("{}{} of {} tests of {} passed", self.lines, self.passed, self.expected, upstream::VERSION);
        let wrong = self.wrong;
        ensure!(wrong == 0, "{wrong} runs of upstream's test files failed, or ran fewer tests than the files hold");
        Ok(())
    }
}

/// A package with the tests of upstream that depends on the library.
fn generate(context: &Context, upstream: &Upstream) -> Result<PathBuf> {
    let package = context.scratch("upstream-tests")?;
    let published = fs::read_to_string(upstream.source.join("Cargo.toml"))?;
    let manifest = format!(
        "[package]\nname = \"upstream-tests\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
         [dependencies]\njobserver = {{ path = {:?} }}\n\n{}",
        context.library,
        test_sections(&published)
    );
    write(&package.join("Cargo.toml"), manifest)?;
    write(&package.join("src/lib.rs"), "")?;
    for file in &FILES {
        let relative = format!("tests/{}.rs", file.name);
        write(&package.join(&relative), fs::read(upstream.source.join(&relative))?)?;
    }
    Ok(package)
}

/// The sections of a manifest that say which tests there are and what they need.
fn test_sections(manifest: &str) -> String {
    let mut kept = String::new();
    let mut keep = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = line == "[[test]]" || line.contains("dev-dependencies");
        }
        if keep {
            kept += line;
            kept += "\n";
        }
    }
    kept
}

pub(crate) fn same_bytes(upstream: &Upstream, package: &Path, name: &str) -> Result<()> {
    let relative = format!("tests/{name}.rs");
    let published = fs::read(upstream.source.join(&relative)).with_context(|| relative.clone())?;
    let ours = fs::read(package.join(&relative)).with_context(|| relative.clone())?;
    ensure!(published == ours, "{relative} is not what was published");
    Ok(())
}

fn run_file(context: &Context, package: &Path, program: &clients::Program, name: &str) -> Result<Output> {
    let test = context.cargo_in(package, 5, &["test", "--quiet", "--test", name]).env("MAKE", program.path());
    // With `CI` set `client` refuses a make without styles; make 4.3 has none.
    let test = if program.folder == MAKE_4_3.folder { test.env_remove("CI") } else { test.env("CI", "1") };
    Ok(test.quiet().ignore_status().output()?)
}

/// The counts of a file: a row for each style of make where it matters. Only `client` depends on it; in the other files
/// make is a client of ours.
fn count<'a>(file: &File, styles: &[&'a str], succeeded: bool, output: &str) -> Vec<(&'a str, Counts)> {
    match file.report {
        Report::ExitStatus => {
            let (passed, failed) = if succeeded { (1, 0) } else { (0, 1) };
            vec![("-", Counts { passed, failed })]
        }
        Report::Harness => {
            let result = output.lines().find(|line| line.starts_with("test result:"));
            let words: Vec<&str> = result.unwrap_or_default().split([' ', ';']).collect();
            let number_before = |word| {
                let at = words.iter().position(|part| *part == word)?;
                words.get(at.checked_sub(1)?)?.parse().ok()
            };
            let passed = number_before("passed").unwrap_or(0);
            let failed = number_before("failed").unwrap_or(0);
            vec![("-", Counts { passed, failed })]
        }
        Report::LinePerTest => {
            let of_style = |style: &'a str| {
                // A make that has one style only gets no flag, and its lines do not name it.
                let name = if styles.len() > 1 { style } else { "" };
                let lines = || output.lines().filter(|line| line.starts_with("test ") && line.contains(name));
                let passed = lines().filter(|line| line.ends_with(" ... ok")).count();
                let failed = lines().filter(|line| line.ends_with(" ... FAIL")).count();
                (style, Counts { passed, failed })
            };
            styles.iter().copied().map(of_style).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(report: Report, styles: &[&'static str], succeeded: bool, output: &str) -> Vec<(usize, usize)> {
        let file = File { name: "file", tests: 1, report };
        let rows = count(&file, styles, succeeded, output);
        rows.into_iter().map(|(_, counts)| (counts.passed, counts.failed)).collect()
    }

    #[test]
    fn a_report_of_the_test_harness_is_counted_and_none_is_no_test() {
        let output = "\nrunning 8 tests\n....\ntest result: FAILED. 7 passed; 1 failed; 0 ignored; 0 measured\n";
        assert_eq!(counts(Report::Harness, &["pipe"], false, output), [(7, 1)]);
        assert_eq!(counts(Report::Harness, &["pipe"], true, ""), [(0, 0)]);
    }

    #[test]
    fn lines_of_one_style_are_counted_apart_from_the_other() {
        let output = "test a --jobserver-style=fifo ... ok\ntest a --jobserver-style=pipe ... FAIL\ntest result: ok\n";
        assert_eq!(counts(Report::LinePerTest, &["fifo", "pipe"], false, output), [(1, 0), (0, 1)]);
        assert_eq!(counts(Report::LinePerTest, &["pipe"], true, "test a  ... ok\n"), [(1, 0)]);
    }

    #[test]
    fn a_file_that_prints_nothing_is_judged_by_its_exit_status() {
        assert_eq!(counts(Report::ExitStatus, &["fifo", "pipe"], true, ""), [(1, 0)]);
        assert_eq!(counts(Report::ExitStatus, &["fifo", "pipe"], false, ""), [(0, 1)]);
    }

    #[test]
    fn sections_of_tests_are_kept_and_others_are_not() {
        let manifest = "[package]\nname = \"x\"\n\n[[test]]\nname = \"t\"\n\n[dependencies.libc]\nversion = \"1\"\n\n\
                        [dev-dependencies.tempfile]\nversion = \"3\"\n";
        let kept = test_sections(manifest);
        assert!(kept.contains("name = \"t\"") && kept.contains("tempfile"));
        assert!(!kept.contains("libc") && !kept.contains("name = \"x\""));
    }
}
