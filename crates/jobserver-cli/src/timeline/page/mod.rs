//! The page: one file with all that it needs in it, which asks nobody for anything.
//!
//! Names of commands are the build's own and may be hostile: the template escapes what it writes into text, and the data
//! is JSON without `<`, `>` and `&`, so nothing in it can end its element.

use std::fmt::Write as _;

use minijinja::{context, AutoEscape, Environment};
use serde::Serialize;

use super::event::{Commands, Nanos, Slots};
use super::model::Model;
use super::words::{part, summary, time};

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPTS: [&str; 3] = [include_str!("view.js"), include_str!("draw.js"), include_str!("hand.js")];

/// A number of the summary, for a person and for a script.
struct Fact {
    key: &'static str,
    label: &'static str,
    text: String,
    value: f64,
}

/// # Errors
///
/// None that a recording could cause.
pub(crate) fn write(model: &Model, title: &str, ended: &str, begun: u64) -> Result<String, minijinja::Error> {
    let data = serde_json::to_string(&data(model)).expect("plain numbers and text");
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page", TEMPLATE)?;
    let facts: Vec<_> =
        facts(model).into_iter().map(|Fact { key, label, text, value }| context! { key, label, text, value }).collect();
    environment.get_template("page")?.render(context! {
        title,
        ended,
        begun,
        summary => summary(model),
        facts,
        notes => notes(model),
        data => harmless(&data),
        style => STYLE,
        script => SCRIPTS.concat(),
        knows_slots => model.slots != Slots::Unknown,
    })
}

fn facts(model: &Model) -> Vec<Fact> {
    let usage = &model.usage;
    let seconds = |time: Nanos| time as f64 / 1e9;
    let fact = |key, label, text, value| Fact { key, label, text, value };
    let share = |key, label, nanos| fact(key, label, part(nanos, model.length), seconds(nanos));
    let mut facts = vec![
        fact("seconds", "time", time(model.length), seconds(model.length)),
        fact("jobs", "jobs", model.jobs.to_string(), model.jobs as f64),
        fact("most", "jobs at once, at most", model.most.to_string(), model.most as f64),
    ];
    let (serial, what) = model.serial.clone().unwrap_or_default();
    let serial_text =
        if what.is_empty() { "none".to_string() } else { format!("{}: {what}", part(serial.length(), model.length)) };
    let serial = fact("serial", "longest serial step", serial_text, seconds(serial.length()));
    if model.slots == Slots::Unknown {
        facts.push(fact("average", "jobs on average", format!("{:.2}", usage.average), usage.average));
        facts.push(serial);
        return facts;
    }
    facts.extend([
        fact("width", "slots", model.width.to_string(), model.width.into()),
        fact("average", "slots in use, on average", format!("{:.2}", usage.average), usage.average),
        serial,
        share("full", "no slot was free", usage.full),
        share("idle", "slots lay free", usage.idle),
        fact("unused", "unused time of slots", time(usage.idle_slots), seconds(usage.idle_slots)),
    ]);
    if usage.waiting > 0 {
        facts.push(share("waiting", "clients seemed to wait", usage.waiting));
    }
    facts
}

/// What is exact, and what is not.
fn notes(model: &Model) -> Vec<String> {
    let commands = match model.commands {
        Commands::Kernel => {
            let told = match model.lost {
                0 => "the kernel told each start and end, so all are here, and their times are exact.".to_string(),
                lost => format!(
                    "the kernel told starts and ends, exactly, but {lost} of its records came too fast to be kept. Those \
                     may be of other programs' processes too; if not, some commands are missing, and others were found \
                     later, with their times known less well."
                ),
            };
            format!(
                "Commands: {told} The whole command line is known of those that ran for some 25 ms (up to 100 ms where \
                 many are short); of shorter ones the name of the program."
            )
        }
        Commands::Looks(distance) => format!(
            "Commands: this system does not tell starts and ends of processes to this user, so they were looked for, \
             every {} at the most. Shorter ones are mostly missing, and when one ended is known to that distance.",
            time(distance)
        ),
    };
    let slots = match model.slots {
        Slots::Told => "Slots: told by the pool, which sees what is taken and returned up to 16 ms late.".to_string(),
        Slots::Counted => "Slots: counted in the pool's pipe, 50 times a second at the most.".to_string(),
        Slots::Unknown => "Slots: nobody told how many were in use or free, so jobs are counted in their place. The \
                           command ran in a jobserver that is not this program's."
            .to_string(),
    };
    vec![commands, slots]
}

/// JSON in which nothing can end the element that it stands in: those characters only occur in strings, where they may
/// be written by their numbers.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        let mut letters = rest[at..].chars();
        let letter = letters.next().unwrap_or_default();
        let _ = write!(text, "{}\\u{:04x}", &rest[..at], letter as u32);
        rest = letters.as_str();
    }
    text + rest
}

/// What is drawn, times in microseconds since the start.
#[derive(Serialize)]
struct Data<'a> {
    length: u64,
    width: u32,
    known: bool,
    /// When, in use, free, width, waiting.
    stands: Vec<(u64, u32, u32, u32, u32)>,
    serial: Option<(u64, u64, &'a str)>,
    lanes: Vec<LaneData<'a>>,
}

#[derive(Serialize)]
struct LaneData<'a> {
    pid: u32,
    name: &'a str,
    command: &'a str,
    rows: usize,
    start: u64,
    end: u64,
    /// Start, length, row, name, command, process, whether it is a frame.
    jobs: Vec<(u64, u64, usize, &'a str, &'a str, u32, u8)>,
}

fn data(model: &Model) -> Data<'_> {
    let micros = |time: Nanos| (time + 500) / 1000;
    let at = |time: Nanos| micros(time - model.begin);
    let stands = model.usage.stands.iter();
    let lanes = model.lanes.iter().map(|lane| {
        let jobs = lane.jobs.iter().map(|job| {
            let (start, length) = (at(job.start), micros(job.end - job.start));
            (start, length, job.row, &*job.name, &*job.command, job.pid, u8::from(job.is_frame))
        });
        LaneData {
            pid: lane.pid,
            name: &lane.name,
            command: &lane.command,
            rows: lane.rows,
            start: at(lane.start),
            end: at(lane.end),
            jobs: jobs.collect(),
        }
    });
    Data {
        length: micros(model.length),
        width: model.width,
        known: model.slots != Slots::Unknown,
        stands: stands.map(|stand| (at(stand.at), stand.in_use, stand.free, stand.width, stand.waiting)).collect(),
        serial: model.serial.as_ref().map(|(span, what)| (at(span.start), at(span.end), &**what)),
        lanes: lanes.collect(),
    }
}
