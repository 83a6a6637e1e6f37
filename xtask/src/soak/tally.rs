//! What is printed at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::plan::Signal;
use super::recovery::Recovery;
use super::watch::Watch;
use crate::pool::row::quantile;

/// The 99th percentile of recovery since the death that is asked for, in milliseconds.
const TARGET: f64 = 10.0;

#[derive(Default)]
pub(super) struct Tally {
    by_target: BTreeMap<&'static str, BTreeMap<Signal, usize>>,
    recoveries: BTreeMap<&'static str, Vec<Recovery>>,
    pub(super) builds: usize,
    pub(super) failed: usize,
    /// Makes that had to be killed since their own handlers of signals had stopped them.
    pub(super) stuck: usize,
    /// While nobody owed a slot.
    pub(super) most_jobs: usize,
    /// While a slot may have been owed: by a build that started with `--now`, or for a process that had waited to start.
    pub(super) most_with_now: usize,
}

impl Tally {
    pub(super) fn signal(&mut self, target: &'static str, signal: Signal) {
        *self.by_target.entry(target).or_default().entry(signal).or_default() += 1;
    }

    pub(super) fn recovery(&mut self, target: &'static str, recovery: Recovery) {
        self.recoveries.entry(target).or_default().push(recovery);
    }

    pub(super) fn signals(&self) -> usize {
        self.by_target.values().flat_map(BTreeMap::values).sum()
    }

    pub(super) fn report(&self, watch: &Watch, slots: usize) -> String {
        let mut text = format!("{:14}", "signals to");
        Signal::ALL.iter().for_each(|signal| text += &format!("{:>8}", signal.name()));
        text += "     all\n";
        let mut line = |name: &str, count: &dyn Fn(Signal) -> usize| {
            text += &format!("{name:14}");
            Signal::ALL.iter().for_each(|&signal| text += &format!("{:>8}", count(signal)));
            text += &format!("{:>8}\n", Signal::ALL.iter().map(|&signal| count(signal)).sum::<usize>());
        };
        for (target, counts) in &self.by_target {
            line(target, &|signal| counts.get(&signal).copied().unwrap_or_default());
        }
        line("all", &|signal| self.by_target.values().filter_map(|counts| counts.get(&signal)).sum());
        text += &format!("{} builds, of which {} did not succeed\n", self.builds, self.failed);
        if self.stuck > 0 {
            text += &format!("{} makes that their own handlers of signals had stopped were killed\n", self.stuck);
        }
        text += &format!(
            "{} tokens recovered, {} strays; {} statuses, all in balance\n",
            watch.recovered, watch.strays, watch.statuses
        );
        text += &format!(
            "of {slots} slots at most {} held, and {} owed besides; at most {} jobs at once, counted from outside, {} where a slot was owed\n",
            watch.most_held, watch.most_owed, self.most_jobs, self.most_with_now
        );
        text += "recovery, in ms            since the kill              since the death\n";
        text += "                  kills        p50     p99     max        p50     p99     max\n";
        let mut line = |name: &str, of: &mut dyn Iterator<Item = &Recovery>| {
            let of: Vec<&Recovery> = of.collect();
            let milliseconds = |time: fn(&Recovery) -> Duration| -> Vec<f64> {
                of.iter().map(|recovery| 1e3 * time(recovery).as_secs_f64()).collect()
            };
            let all = milliseconds(|recovery| recovery.since_kill);
            let since = milliseconds(|recovery| recovery.since_death);
            text += &format!("  {name:14}{:>7}", all.len());
            for times in [&all, &since] {
                let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| quantile(times, share));
                text += &format!("{p50:>11.2}{p99:>8.2}{max:>8.2}");
            }
            text += "\n";
            quantile(&since, 0.99)
        };
        for (target, of) in &self.recoveries {
            line(target, &mut of.iter());
        }
        let p99 = line("all", &mut self.recoveries.values().flatten());
        let verdict = if p99 < TARGET { "PASS" } else { "MISS" };
        text += &format!("p99 of recovery since the death below {TARGET} ms: {verdict}\n");
        text
    }
}
