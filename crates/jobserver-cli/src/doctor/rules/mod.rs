//! The rules: each looks at a [`Situation`] and says what it finds, pure and apart from the others.
//!
//! A rule speaks only of what matters to the one who asks: with a command in hand, what its tool does not read or does
//! not do is left out or is a note.

mod channel;
mod machine;
mod pool;
mod tools;
mod variables;

use super::finding::{Finding, Severity};
use super::situation::Situation;

/// Problems first, each group in the order of the way that a build takes.
pub(crate) fn all(situation: &Situation) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [variables::rules, channel::rules, tools::rules, pool::rules, machine::rules]
        .map(|rules| rules(situation))
        .concat();
    findings.sort_by_key(|finding| finding.severity != Severity::Problem);
    // Two variables in the same trap, with one way out.
    let mut kept: Vec<Finding> = Vec::new();
    for finding in findings {
        if !kept.iter().any(|other| (other.code, &other.remedy) == (finding.code, &finding.remedy)) {
            kept.push(finding);
        }
    }
    kept
}
