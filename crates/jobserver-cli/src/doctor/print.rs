//! What doctor prints: a page for a person, or one JSON object.

use std::fmt::Write as _;

use jobserver::Auth;
use serde_json::{json, Value};

use super::channel::Channel;
use super::finding::{plain, Finding, Severity};
use super::outlook;
use super::situation::{Named, Situation};
use super::tools::Tool;

/// Longer lines are hard to read; remedies are never broken.
const WIDTH: usize = 96;

pub(crate) fn for_people(situation: &Situation, findings: &[Finding]) -> String {
    let mut text = wrapped(&headline(situation), "", "");
    if let (Some(subject), Some(does)) = (&situation.subject, outlook::of_command(situation)) {
        text += &wrapped(&format!("`{}` {does}", outlook::shown(subject)), "", "  ");
    }
    text += &wrapped(&format!("`jobserver run` {}", outlook::of_run(situation)), "", "  ");
    for finding in findings {
        let _ = writeln!(text);
        text += &wrapped(&format!("{}: {}", finding.severity.name(), finding.what), "", "  ");
        text += &wrapped(&format!("why: {}", finding.why), "  ", "    ");
        let _ = writeln!(text, "  remedy: {}", plain(&finding.remedy));
    }
    if !findings.iter().any(|finding| finding.severity == Severity::Problem) {
        text += "\nNothing is wrong.\n";
    }
    text
}

fn headline(situation: &Situation) -> String {
    let whom = match &situation.subject {
        Some(subject) if subject.tool != Tool::Other => {
            format!("for {}", plain(&subject.words[0].to_string_lossy()))
        }
        _ => "here".to_string(),
    };
    let Some((at, variable)) = situation.counts else {
        let set = situation.looked_at().iter().find_map(|name| situation.variable(name));
        if let (Tool::Cargo, Some(hiding)) = (situation.tool(), set) {
            return format!("No jobserver counts {whom}: {} is set and names none", hiding.name);
        }
        return match situation.looked_at() {
            [] => format!("No jobserver counts {whom}: it looks at no variable"),
            names => {
                let last = names.len() - 1;
                match &names[..last] {
                    [] => format!("No jobserver counts {whom}: {} names none", names[last]),
                    first => {
                        format!(
                            "No jobserver counts {whom}: none of {} and {} names one",
                            first.join(", "),
                            names[last]
                        )
                    }
                }
            }
        };
    };
    let named = &situation.named[at];
    let text = plain(&named.text.to_string_lossy());
    let Some(reached) = named.channel.reached() else {
        return format!("{variable} counts {whom}: {text}, which can't be joined");
    };
    let what = match (&reached.pool, named.is_path()) {
        (Some(pool), _) if pool.is_tracked => "a pool in which every process is known",
        (Some(_), _) => "a pool of named pipes",
        (None, true) => "a named pipe",
        (None, false) => "inherited descriptors",
    };
    let counts = match (reached.available, &reached.pool, named.tokens()) {
        (None, _, _) => "how many tokens lie there can't be told from here".to_string(),
        (Some(free), Some(pool), _) => format!("{free} of {} slots are free", pool.slots),
        (Some(free), None, Some(tokens)) => format!("{free} of {tokens} tokens lie there"),
        (Some(1), None, None) => "1 token lies there".to_string(),
        (Some(free), None, None) => format!("{free} tokens lie there"),
    };
    format!("{variable} counts {whom}: {text}, {what}; {counts}")
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

/// One object in one line.
pub(crate) fn json(situation: &Situation, findings: &[Finding]) -> String {
    let counting = situation.counting_one();
    let command = situation.subject.as_ref().map(|subject| {
        let words = subject.words.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>()
    });
    let object = json!({
        "version": 1,
        "command": command,
        "variable": situation.counts.map(|(_, name)| name),
        "auth": counting.map(|named| named.text.to_string_lossy()),
        "kind": counting.and_then(kind),
        "pool": counting.and_then(slots),
        "available": counting.and_then(available),
        "does": outlook::of_command(situation),
        "run": outlook::of_run(situation),
        "findings": findings.iter().map(of_finding).collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

fn of_finding(finding: &Finding) -> Value {
    json!({
        "code": finding.code,
        "severity": finding.severity.name(),
        "what": finding.what,
        "why": finding.why,
        "remedy": finding.remedy,
    })
}

fn kind(named: &Named) -> Option<&'static str> {
    let is_tracked =
        named.channel.reached().and_then(|reached| reached.pool.as_ref()).is_some_and(|pool| pool.is_tracked);
    match (&named.auth, &named.channel) {
        _ if is_tracked => Some("tracked"),
        (_, Channel::Disabled) => Some("disabled"),
        (Ok(Auth::Fifo(_)), _) => Some("fifo"),
        (Ok(Auth::Pipe { .. }), _) => Some("pipe"),
        (Ok(_), _) => Some("semaphore"),
        (Err(_), _) => None,
    }
}

/// The first slot, which is no token, included.
fn slots(named: &Named) -> Option<usize> {
    let ours = named.channel.reached()?.pool.as_ref().map(|pool| pool.slots);
    ours.or_else(|| named.tokens().map(|tokens| tokens + 1))
}

fn available(named: &Named) -> Option<usize> {
    named.channel.reached()?.available
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words() {
        let text = "word ".repeat(60);
        let lines = wrapped(text.trim_end(), "  ", "    ");
        assert!(lines.lines().all(|line| line.len() <= WIDTH), "{lines}");
        assert_eq!(lines.split_whitespace().count(), 60);
        assert_eq!(wrapped("a b", "", ""), "a b\n");
    }
}
