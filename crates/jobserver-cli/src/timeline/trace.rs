//! The same for Perfetto and `chrome://tracing`: Trace Event JSON, times in microseconds since the command's start.
//!
//! A lane is a process of the trace, its rows are threads, each with a number that no other row has. Slots are counters of
//! a process of number 0, `slots`.

use std::borrow::Cow;

use serde::Serialize;

use super::event::{Nanos, Slots};
use super::model::Model;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace<'a> {
    display_time_unit: &'static str,
    other_data: About<'a>,
    trace_events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct About<'a> {
    command: &'a str,
    width: u32,
    seconds: f64,
}

/// Borrowed from the model: the build's end waits until this is written.
#[derive(Serialize)]
struct Event<'a> {
    ph: char,
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    pid: u32,
    tid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    args: Args<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Args<'a> {
    Nothing {},
    Name {
        name: Cow<'a, str>,
    },
    Order {
        sort_index: i64,
    },
    Sums {
        #[serde(rename = "in use")]
        in_use: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        free: Option<u32>,
    },
    Process {
        command: &'a str,
        pid: u32,
    },
}

pub(crate) fn write<'a>(model: &'a Model, title: &'a str) -> Trace<'a> {
    let mut events = vec![name("process_name", (0, 0), "slots".into()), order("process_sort_index", (0, 0), -1)];
    for stand in &model.usage.stands {
        let free = (model.slots != Slots::Unknown).then_some(stand.free);
        events.push(Event {
            ts: Some(at(model, stand.at)),
            ..event('C', "slots".into(), (0, 0), Args::Sums { in_use: stand.in_use, free })
        });
    }
    if let Some((span, what)) = &model.serial {
        events.push(Event {
            cat: Some("serial"),
            ts: Some(at(model, span.start)),
            dur: Some(micros(span.length())),
            ..event('X', format!("serial step: {what}").into(), (0, 0), Args::Nothing {})
        });
    }
    let mut row_number: u64 = 0;
    for (place, lane) in model.lanes.iter().enumerate() {
        let first = row_number + 1;
        let title = if lane.command.is_empty() { &lane.name } else { &lane.command };
        events.push(name("process_name", (lane.pid, first), title.into()));
        events.push(order("process_sort_index", (lane.pid, first), place as i64));
        // The lane's own life has a row too.
        for row in 0..=lane.rows {
            row_number += 1;
            let title = if row == 0 { (&lane.name).into() } else { format!("job {row}").into() };
            events.push(name("thread_name", (lane.pid, row_number), title));
            events.push(order("thread_sort_index", (lane.pid, row_number), row as i64));
        }
        let span = |cat, title: &'a str, (start, end): (Nanos, Nanos), tid, (command, pid)| Event {
            cat: Some(cat),
            ts: Some(at(model, start)),
            dur: Some(micros(end - start)),
            ..event('X', title.into(), (lane.pid, tid), Args::Process { command, pid })
        };
        events.push(span("lane", &lane.name, (lane.start, lane.end), first, (&lane.command, lane.pid)));
        for job in &lane.jobs {
            let (cat, tid) = (if job.is_frame { "frame" } else { "job" }, first + 1 + job.row as u64);
            events.push(span(cat, &job.name, (job.start, job.end), tid, (&job.command, job.pid)));
        }
    }
    Trace {
        display_time_unit: "ms",
        other_data: About { command: title, width: model.width, seconds: model.length as f64 / 1e9 },
        trace_events: events,
    }
}

fn event<'a>(ph: char, name: Cow<'a, str>, (pid, tid): (u32, u64), args: Args<'a>) -> Event<'a> {
    Event { ph, name, cat: None, pid, tid, ts: None, dur: None, args }
}

/// What a process or a thread of the trace is called.
fn name<'a>(what: &'static str, whose: (u32, u64), name: Cow<'a, str>) -> Event<'a> {
    event('M', what.into(), whose, Args::Name { name })
}

/// And where it stands.
fn order(what: &'static str, whose: (u32, u64), sort_index: i64) -> Event<'static> {
    event('M', what.into(), whose, Args::Order { sort_index })
}

fn at(model: &Model, time: Nanos) -> f64 {
    micros(time - model.begin)
}

fn micros(time: Nanos) -> f64 {
    time as f64 / 1e3
}
