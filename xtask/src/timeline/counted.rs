//! The sums of a build, counted from its trace alone.

use std::collections::HashMap;
use std::fmt;

use anyhow::{ensure, Context as _, Result};
use serde_json::Value;

use super::browser::Dom;

/// Times in seconds.
pub(crate) struct Counted {
    seconds: f64,
    width: f64,
    jobs: HashMap<String, usize>,
    /// All jobs' times together.
    busy: f64,
    most: i64,
    used: f64,
    free: f64,
    full: f64,
    idle: f64,
    serial: f64,
    pub(crate) lanes: Vec<String>,
}

impl Counted {
    pub(crate) fn of(trace: &Value) -> Result<Counted> {
        let other = &trace["otherData"];
        let seconds = other["seconds"].as_f64().context("the trace has no length")?;
        let events = trace["traceEvents"].as_array().context("the trace has no events")?;
        let mut counted = Counted {
            seconds,
            width: other["width"].as_f64().context("the trace has no width")?,
            jobs: HashMap::new(),
            busy: 0.0,
            most: 0,
            used: 0.0,
            free: 0.0,
            full: 0.0,
            idle: 0.0,
            serial: 0.0,
            lanes: Vec::new(),
        };
        let mut turns = Vec::new();
        let mut counters = Vec::new();
        for event in events {
            let number = |name: &str| event[name].as_f64().with_context(|| format!("no {name}: {event}"));
            let name = event["name"].as_str().with_context(|| format!("no name: {event}"))?;
            match (event["ph"].as_str(), event["cat"].as_str()) {
                (Some("X"), Some("job")) => {
                    let (start, length) = (number("ts")?, number("dur")?);
                    *counted.jobs.entry(name.to_string()).or_default() += 1;
                    counted.busy += length / 1e6;
                    // In whole nanoseconds, so that one ends when the next starts.
                    turns.extend([((1e3 * start).round() as i64, 1), ((1e3 * (start + length)).round() as i64, -1)]);
                }
                (Some("X"), Some("lane")) => counted.lanes.push(name.to_string()),
                (Some("C"), _) => {
                    let sum = |name: &str| event["args"][name].as_f64().with_context(|| format!("{event}"));
                    counters.push((number("ts")? / 1e6, sum("in use")?, sum("free")?));
                }
                _ => {}
            }
        }
        turns.sort_unstable();
        let mut now = 0;
        for (_, change) in turns {
            now += change;
            counted.most = counted.most.max(now);
        }
        let mut stretch = 0.0;
        for (place, &(at, in_use, free)) in counters.iter().enumerate() {
            let length = counters.get(place + 1).map_or(seconds, |next| next.0) - at;
            counted.used += in_use * length;
            counted.free += free * length;
            *(if free > 0.0 { &mut counted.idle } else { &mut counted.full }) += length;
            stretch = if in_use <= 1.0 && free > 0.0 { stretch + length } else { 0.0 };
            counted.serial = counted.serial.max(stretch);
        }
        Ok(counted)
    }

    fn all(&self) -> usize {
        self.jobs.values().sum()
    }

    /// Jobs of this program.
    pub(crate) fn named(&self, name: &str) -> usize {
        self.jobs.get(name).copied().unwrap_or_default()
    }

    /// Fails unless the page says the same, in its text and in what it draws.
    pub(crate) fn compare(&self, dom: &Dom) -> Result<()> {
        // The data of the page is in microseconds: half a one for each time that was rounded.
        let rounded = 1e-6 * (self.all() as f64 + 100.0);
        let rounded_slots = self.width * 1e-6 * (dom.drawn("stands")? + 1.0);
        let pairs = [
            ("seconds", dom.fact("seconds")?, self.seconds, 1e-8),
            ("jobs", dom.fact("jobs")?, self.all() as f64, 0.0),
            ("jobs drawn", dom.drawn("jobs")?, self.all() as f64, 0.0),
            ("lanes drawn", dom.drawn("lanes")?, self.lanes.len() as f64, 0.0),
            ("jobs' time drawn", dom.drawn("busy")?, self.busy, rounded),
            ("jobs at once", dom.fact("most")?, self.most as f64, 0.0),
            ("slots", dom.fact("width")?, self.width, 0.0),
            ("average", dom.fact("average")?, self.used / self.seconds, 1e-6),
            ("slots' time drawn", dom.drawn("used")?, self.used, rounded_slots),
            ("free slots' time drawn", dom.drawn("free")?, self.free, rounded_slots),
            ("none free", dom.fact("full")?, self.full, 1e-6),
            ("none free, drawn", dom.drawn("full")?, self.full, rounded_slots),
            ("free", dom.fact("idle")?, self.idle, 1e-6),
            ("free, drawn", dom.drawn("idle")?, self.idle, rounded_slots),
            ("free slots' time", dom.fact("unused")?, self.free, 1e-6),
            ("serial step", dom.fact("serial")?, self.serial, 1e-6),
        ];
        for (what, page, trace, tolerance) in pairs {
            ensure!((page - trace).abs() <= tolerance, "{what}: the page says {page}, the events say {trace}");
        }
        Ok(())
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let average = self.used / self.seconds;
        write!(
            to,
            "{} jobs in {} lanes, {average:.2} of {} slots, {:.2} s",
            self.all(),
            self.lanes.len(),
            self.width,
            self.seconds
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trace() -> Value {
        let job = |at: f64, length: f64| json!({ "ph": "X", "cat": "job", "name": "cc", "ts": at, "dur": length });
        let slots = |at: f64, used: u32| json!({ "ph": "C", "name": "slots", "ts": at, "args": { "in use": used, "free": 2 - used } });
        json!({
            "otherData": { "seconds": 4.0, "width": 2 },
            "traceEvents": [
                { "ph": "X", "cat": "lane", "name": "make", "ts": 0.0, "dur": 4e6 },
                job(0.0, 1e6), job(1e6, 3e6), job(1e6, 1e6), slots(0.0, 1), slots(1e6, 2), slots(2e6, 1),
            ],
        })
    }

    const PAGE: &str = "<html data-drawn-lanes=\"1\" data-drawn-jobs=\"3\" data-drawn-busy=\"5\" data-drawn-stands=\"3\" \
        data-drawn-used=\"5\" data-drawn-free=\"3\" data-drawn-full=\"1\" data-drawn-idle=\"3\">\
        data-key=\"seconds\" data-value=\"4.0\" data-key=\"jobs\" data-value=\"3\" data-key=\"most\" data-value=\"2\" \
        data-key=\"width\" data-value=\"2\" data-key=\"average\" data-value=\"1.25\" data-key=\"full\" data-value=\"1\" \
        data-key=\"idle\" data-value=\"3\" data-key=\"unused\" data-value=\"3\" data-key=\"serial\" data-value=\"2\"";

    fn compare(page: &str) -> Result<()> {
        Counted::of(&trace())?.compare(&Dom { text: page.to_string(), complaints: Vec::new() })
    }

    #[test]
    fn a_page_that_says_what_the_events_say_passes() {
        compare(PAGE).unwrap();
    }

    #[test]
    fn each_number_that_differs_or_is_missing_is_an_error() {
        for (number, _) in PAGE.match_indices("=\"") {
            // It says only how exact the others are.
            if PAGE[..number].ends_with("stands") {
                continue;
            }
            let is_name = PAGE[..number].ends_with("data-key");
            let (before, after) = PAGE.split_at(number + 2);
            let other = if is_name { "no-" } else { "9" };
            assert!(compare(&format!("{before}{other}{after}")).is_err(), "{}", &after[..12.min(after.len())]);
        }
    }
}
