//! What holds of every recording, whatever happened in it.

use proptest::prelude::*;

use super::event::{Event, Nanos, Recording, Slots, Stand, What};
use super::lanes::{Job, Lane};
use super::model::{self, Model};
use super::samples::{event, process, recording, stand};
use super::{page, trace, words};

const HOSTILE: [&str; 5] =
    ["</script><img src=x onerror=alert(1)>", "<!--<script>", "a & \"b\" 'c'", "\u{2028}\u{2029}", "{{ title }}"];

/// Processes at random times, each started by one that came before it.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let name = prop::sample::select(vec!["make", "sh", "cc1", "ld", "cargo", HOSTILE[0]]);
    prop::collection::vec((0..12_u32, name, 0..100_u64, 0..60_u64), 0..40).prop_map(|made| {
        let mut events = process(10, 1, "make", (0, 100));
        for (number, (parent, name, start, length)) in made.into_iter().enumerate() {
            let parent = 10 + parent.min(number as u32);
            events.extend(process(11 + number as u32, parent, name, (start, start + length)));
        }
        events
    })
}

fn stands() -> impl Strategy<Value = Vec<Stand>> {
    prop::collection::vec((0..120_u64, 0..=4_u32), 0..20)
        .prop_map(|stands| stands.into_iter().map(|(at, in_use)| stand(at, in_use, 4 - in_use)).collect())
}

fn told() -> impl Strategy<Value = Recording> {
    (events(), stands()).prop_map(|(events, stands)| Recording { stands, slots: Slots::Told, ..recording(events) })
}

fn jobs(model: &Model) -> impl Iterator<Item = (&Lane, &Job)> {
    model.lanes.iter().flat_map(|lane| lane.jobs.iter().map(move |job| (lane, job)))
}

proptest! {
    #[test]
    fn no_two_jobs_of_a_row_run_at_once_and_none_outside_of_the_build(recording in told()) {
        let model = model::of(&recording);
        for lane in &model.lanes {
            for row in 0..lane.rows {
                let of_row: Vec<&Job> = lane.jobs.iter().filter(|job| job.row == row).collect();
                prop_assert!(!of_row.is_empty());
                prop_assert!(of_row.windows(2).all(|pair| pair[0].end <= pair[1].start), "{of_row:?}");
            }
            prop_assert!(lane.jobs.iter().all(|job| job.row < lane.rows && job.start <= job.end && job.end <= 100));
        }
    }

    #[test]
    fn a_process_is_in_one_place_at_the_most(recording in told()) {
        let model = model::of(&recording);
        let mut pids: Vec<u32> = jobs(&model).map(|(_, job)| job.pid).chain(model.lanes.iter().map(|lane| lane.pid)).collect();
        let all = pids.len();
        pids.sort_unstable();
        pids.dedup();
        prop_assert_eq!(pids.len(), all);
    }

    /// Counted once more, moment by moment.
    #[test]
    fn the_sums_are_those_of_all_moments(recording in told()) {
        let usage = model::of(&recording).usage;
        // Of several at one moment the last one that was heard counts.
        let mut sorted = recording.stands.clone();
        sorted.sort_by_key(|stand| stand.at);
        sorted.retain(|stand| stand.at < 100);
        let first = sorted.first().copied();
        let at = |moment: Nanos| sorted.iter().rfind(|stand| stand.at <= moment).copied().or(first);
        let all: Vec<Stand> = (0..100).filter_map(at).collect();
        let count = |is: fn(&Stand) -> bool| all.iter().filter(|stand| is(stand)).count() as Nanos;
        prop_assert_eq!(usage.full, count(|stand| stand.free == 0));
        prop_assert_eq!(usage.idle, count(|stand| stand.free > 0));
        prop_assert_eq!(usage.idle_slots, all.iter().map(|stand| Nanos::from(stand.free)).sum::<Nanos>());
        let used: u32 = all.iter().map(|stand| stand.in_use).sum();
        prop_assert!((usage.average - f64::from(used) / 100.0).abs() < 1e-9);
        let stretches = all.split(|stand| stand.in_use > 1);
        prop_assert_eq!(usage.serial.map_or(0, |span| span.length()), stretches.map(<[Stand]>::len).max().unwrap_or(0) as Nanos);
    }

    #[test]
    fn jobs_stand_for_slots_where_nobody_tells_of_those(events in events()) {
        let model = model::of(&recording(events));
        let of_jobs: Nanos = jobs(&model).filter(|(_, job)| !job.is_frame).map(|(_, job)| job.end - job.start).sum();
        prop_assert!((model.usage.average - of_jobs as f64 / 100.0).abs() < 1e-9);
        let most = model.usage.stands.iter().map(|stand| stand.in_use as usize).max().unwrap_or(0);
        // One that takes no time is at no moment.
        prop_assert!(most <= model.most, "{most} {}", model.most);
        prop_assert_eq!((model.usage.full, model.usage.idle), (0, 0));
    }

    #[test]
    fn the_trace_has_each_job_once_and_every_event_what_its_kind_needs(recording in told()) {
        let model = model::of(&recording);
        let trace = serde_json::to_value(trace::write(&model, "make")).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let mut rows = std::collections::HashMap::new();
        for event in events {
            prop_assert!(event["pid"].is_u64() && event["tid"].is_u64() && event["name"].is_string(), "{event}");
            match event["ph"].as_str().unwrap() {
                "X" => prop_assert!(event["ts"].as_f64() >= Some(0.0) && event["dur"].as_f64() >= Some(0.0), "{event}"),
                "C" => prop_assert!(event["ts"].is_f64() && event["args"]["in use"].is_u64(), "{event}"),
                "M" => prop_assert!(event["args"]["name"].is_string() || event["args"]["sort_index"].is_number(), "{event}"),
                other => prop_assert!(false, "{other}"),
            }
            let pid = rows.entry(event["tid"].clone()).or_insert(event["pid"].clone());
            prop_assert!(*pid == event["pid"], "a row is of one process: {event}");
        }
        let of_jobs = events.iter().filter(|event| event["cat"] == "job").count();
        prop_assert_eq!(of_jobs, model.jobs);
    }

    #[test]
    fn nothing_that_a_build_is_called_ends_an_element_of_the_page(
        recording in told(), title in prop::sample::select(HOSTILE.to_vec()), command in "\\PC{0,20}"
    ) {
        let mut recording = recording;
        let text = format!("{command}{title}");
        recording.events.push(event(1, 10, What::Command(text.clone())));
        let model = model::of(&recording);
        let page = page::write(&model, &text, &text, 0).unwrap();
        prop_assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
        prop_assert!(!page.contains("<img") && !page.contains("<!--"));
        let data = page.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        prop_assert_eq!(&data["lanes"][0]["command"], &text);
    }
}

#[test]
fn a_serial_step_is_called_by_what_worked_in_it() {
    let mut events = process(10, 1, "make", (0, 100));
    events.extend(process(11, 10, "gcc", (20, 90)));
    events.extend(process(12, 11, "collect2", (21, 90)));
    events.extend(process(13, 12, "ld", (25, 89)));
    let stands = vec![stand(0, 4, 0), stand(20, 1, 3), stand(90, 3, 1)];
    let model = model::of(&Recording { stands, slots: Slots::Told, ..recording(events) });
    let (span, what) = model.serial.clone().unwrap();
    assert_eq!((span.start, span.end, what.as_str()), (20, 90, "ld"));
    assert_eq!((model.jobs, model.lanes.len()), (1, 1));
    assert_eq!(words::summary(&model), "1.8 of 4 slots on average; 0 µs lost to one serial step: ld.");
}

#[test]
fn a_shell_is_called_by_what_it_runs_and_a_wrapper_of_a_make_is_a_frame() {
    let mut events = process(10, 1, "make", (0, 100));
    events.extend(process(11, 10, "sh", (0, 40)));
    events.extend(process(12, 11, "cc1", (5, 40)));
    events.extend(process(13, 10, "sh", (0, 90)));
    events.extend(process(14, 13, "make", (1, 90)));
    events.extend(process(16, 10, "wrap", (50, 60)));
    events.push(event(51, 16, What::Command("/bin/sh ./wrap cc".to_string())));
    events.extend(process(17, 16, "cc", (52, 60)));
    events.extend(process(15, 14, "ld", (2, 80)));
    let model = model::of(&recording(events));
    let seen: Vec<_> = jobs(&model).map(|(lane, job)| (lane.pid, job.name.as_str(), job.is_frame)).collect();
    assert_eq!(seen, [(10, "cc1", false), (10, "make", true), (10, "cc", false), (14, "ld", false)]);
    assert_eq!((model.jobs, model.most), (3, 2));
}
