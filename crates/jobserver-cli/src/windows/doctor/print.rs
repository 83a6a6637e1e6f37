//! What doctor prints: a page for a person, or one JSON object with the names that it has on other systems.

use std::fmt::Write as _;

use serde_json::json;

use super::look::{Channel, Situation};
use super::rules::Finding;

/// Longer lines are hard to read; remedies are never broken.
const WIDTH: usize = 96;

pub(super) fn for_people(situation: &Situation, findings: &[Finding]) -> String {
    let mut text = wrapped(&headline(situation), "", "");
    text += &wrapped(of_run(situation), "", "  ");
    for tool in situation.tools.iter().filter(|tool| tool.emulation().is_none()) {
        let _ = writeln!(text, "{} is {} {}", tool.path.display(), tool.name, tool.number());
    }
    for finding in findings {
        let severity = if finding.is_problem { "problem" } else { "note" };
        let _ = writeln!(text);
        text += &wrapped(&format!("{severity}: {}", finding.what), "", "  ");
        text += &wrapped(&format!("why: {}", finding.why), "  ", "    ");
        let _ = writeln!(text, "  remedy: {}", finding.remedy);
    }
    if !findings.iter().any(|finding| finding.is_problem) {
        text += "\nNothing is wrong.\n";
    }
    plain(&text)
}

fn headline(situation: &Situation) -> String {
    match situation.counting() {
        None => "No jobserver counts here: none of CARGO_MAKEFLAGS, MAKEFLAGS and MFLAGS names one".to_string(),
        Some((variable, text, Channel::Joinable)) => format!("{} counts here: {text}, a semaphore", variable.name),
        Some((variable, text, _)) => format!("{} counts here: {text}, which can't be joined", variable.name),
    }
}

fn of_run(situation: &Situation) -> &'static str {
    match (situation.joinable(), situation.counting()) {
        (Some(_), _) => "`jobserver run` joins it, and with -j N it takes N at most from it",
        (None, None) => "`jobserver run` makes a pool for its command, a semaphore of its own",
        (None, Some(_)) => {
            "`jobserver run` makes a pool for its command, of one slot until that is mended or -j N is given"
        }
    }
}

pub(super) fn json(situation: &Situation, findings: &[Finding]) -> String {
    let counting = situation.counting();
    let words = situation.command.iter().map(|word| word.to_string_lossy());
    let of_finding = |finding: &Finding| {
        json!({
            "code": finding.code,
            "severity": if finding.is_problem { "problem" } else { "note" },
            "what": finding.what,
            "why": finding.why,
            "remedy": finding.remedy,
        })
    };
    let object = json!({
        "version": 1,
        "command": (!situation.command.is_empty()).then(|| words.collect::<Vec<_>>()),
        "variable": counting.map(|(variable, _, _)| variable.name),
        "auth": counting.map(|(_, text, _)| text),
        "kind": situation.joinable().map(|_| "semaphore"),
        // Not to be had without a trace.
        "pool": null,
        "available": null,
        "run": of_run(situation),
        "findings": findings.iter().map(of_finding).collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

/// Lines of some width, the first after `first`, the others after `other`.
fn wrapped(text: &str, first: &str, other: &str) -> String {
    let mut all = String::new();
    let mut line = first.to_string();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(all, "{line}");
            line = other.to_string();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line += word;
        is_empty = false;
    }
    let _ = writeln!(all, "{line}");
    all
}

/// Nothing in a variable steers the terminal of whoever looks.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() && letter != '\n' { '\u{fffd}' } else { letter }).collect()
}
