//! The same for Perfetto and `chrome://tracing`: Trace Event JSON, times in microseconds since the command's start.
//!
//! A lane is a process of the trace, its rows are threads, each with a number that no other row has. Slots are counters of
//! a process of number 0, `slots`.

use serde_json::{json, Value};

use super::event::{Nanos, Slots};
use super::model::Model;

pub(crate) fn write(model: &Model, title: &str) -> Value {
    let mut events = vec![
        json!({ "ph": "M", "name": "process_name", "pid": 0, "tid": 0, "args": { "name": "slots" } }),
        json!({ "ph": "M", "name": "process_sort_index", "pid": 0, "tid": 0, "args": { "sort_index": -1 } }),
    ];
    for stand in &model.usage.stands {
        let mut sums = json!({ "in use": stand.in_use });
        if model.slots != Slots::Unknown {
            sums["free"] = stand.free.into();
        }
        events.push(json!({ "ph": "C", "name": "slots", "pid": 0, "tid": 0, "ts": at(model, stand.at), "args": sums }));
    }
    if let Some((span, what)) = &model.serial {
        events.push(json!({
            "ph": "X", "name": format!("serial step: {what}"), "cat": "serial", "pid": 0, "tid": 0,
            "ts": at(model, span.start), "dur": micros(span.length()), "args": {},
        }));
    }
    let mut row_number: u64 = 0;
    for (place, lane) in model.lanes.iter().enumerate() {
        let name = if lane.command.is_empty() { &lane.name } else { &lane.command };
        for (what, args) in
            [("process_name", json!({ "name": name })), ("process_sort_index", json!({ "sort_index": place }))]
        {
            events.push(json!({ "ph": "M", "name": what, "pid": lane.pid, "tid": row_number + 1, "args": args }));
        }
        let first = row_number + 1;
        // The lane's own life has a row too.
        for row in 0..=lane.rows {
            row_number += 1;
            let name = if row == 0 { lane.name.clone() } else { format!("job {row}") };
            let args = json!({ "name": name });
            events.push(json!({ "ph": "M", "name": "thread_name", "pid": lane.pid, "tid": row_number, "args": args }));
            let order = json!({ "sort_index": row });
            events.push(
                json!({ "ph": "M", "name": "thread_sort_index", "pid": lane.pid, "tid": row_number, "args": order }),
            );
        }
        events.push(json!({
            "ph": "X", "name": lane.name, "cat": "lane", "pid": lane.pid, "tid": first,
            "ts": at(model, lane.start), "dur": micros(lane.end - lane.start),
            "args": { "command": lane.command, "pid": lane.pid },
        }));
        for job in &lane.jobs {
            events.push(json!({
                "ph": "X", "name": job.name, "cat": if job.is_frame { "frame" } else { "job" },
                "pid": lane.pid, "tid": first + 1 + job.row as u64,
                "ts": at(model, job.start), "dur": micros(job.end - job.start),
                "args": { "command": job.command, "pid": job.pid },
            }));
        }
    }
    json!({
        "displayTimeUnit": "ms",
        "otherData": { "command": title, "width": model.width, "seconds": model.length as f64 / 1e9 },
        "traceEvents": events,
    })
}

fn at(model: &Model, time: Nanos) -> f64 {
    micros(time - model.begin)
}

fn micros(time: Nanos) -> f64 {
    time as f64 / 1e3
}
