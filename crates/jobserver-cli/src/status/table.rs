//! The status of a pool as a page for somebody who sees one for the first time: what the pool is, then a table of its
//! builds, each with the processes that use its slots.
//!
//! Columns that say the same of every build are left out where the page is narrow, so that the command stays readable.

use std::path::Path;

use jobserver_pool::control::{LeaseStatus, Status};

use super::lease::{processes, Process};
use super::words::{age, clip, command, count, left, plain, right, span, width, Users};

/// What it is written on.
pub(super) struct Page {
    pub(super) columns: usize,
    pub(super) colour: bool,
    /// Seconds since 1970.
    pub(super) now: f64,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// So wide a page has room for what is as usual, too.
const WIDE: usize = 100;
/// A narrower one has none for what was.
const NARROW: usize = 72;
/// What is left of names and users in a table.
const NAME_MOST: usize = 24;
/// Less of a command says nothing.
const COMMAND_LEAST: usize = 12;

impl Page {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

pub(super) fn write(status: &Status, directory: &Path, page: &Page, users: &mut Users) -> String {
    let mut text = String::new();
    for (name, words) in head(status, directory, page) {
        text += &format!("{}  {words}\n", page.paint(BOLD, &left(name, 9)));
    }
    text.push('\n');
    if status.leases.is_empty() {
        text += match status.held {
            0 => "No build is in it. `jobserver run -- make` starts one that is.\n",
            _ => "None of your builds is in it; others' are.\n",
        };
        return text;
    }
    text + &table(&status.leases, page, users)
}

fn head(status: &Status, directory: &Path, page: &Page) -> Vec<(&'static str, String)> {
    let place = plain(&directory.to_string_lossy());
    let served =
        if status.since > 0.0 { format!(", served for {}", age(page.now, status.since)) } else { String::new() };
    let in_use = page.paint(if status.held > 0 { GREEN } else { BOLD }, &format!("{} in use", status.held));
    let offered = match status.offered {
        0 => String::new(),
        offered => format!(", {offered} offered to builds that may take them"),
    };
    let mut lines = vec![("Pool", format!("{place}{served}"))];
    lines.push(("Slots", format!("{}: {in_use}{offered}, {} free", status.capacity, status.free)));
    if status.in_force < status.capacity {
        lines.push(("In force", page.paint(YELLOW, &format!("{}, {}", status.in_force, why_fewer(status)))));
    }
    if status.owed > 0 {
        let owed = format!("{} in use beyond the pool's width; what comes back first settles that", status.owed);
        lines.push(("Owed", page.paint(YELLOW, &owed)));
    }
    match status.waiting {
        0 => {}
        1 => lines.push(("Waiting", "1 build or process, for a slot".to_string())),
        many => lines.push(("Waiting", format!("{many} builds or processes, for a slot each"))),
    }
    lines.push(("Guarantee", guarantee(status).to_string()));
    lines.push(("So far", so_far(status)));
    lines
}

/// Why fewer slots are in force than were set.
pub(crate) fn why_fewer(status: &Status) -> String {
    match status.decided_by.as_str() {
        "load" => "as long as the machine's load is high".to_string(),
        "memory" => "as long as memory is short".to_string(),
        other => format!("decided by {}", plain(other)),
    }
}

fn guarantee(status: &Status) -> &'static str {
    let promise = if status.guarantee.is_empty() { &status.style } else { &status.guarantee };
    match promise.as_str() {
        "tracked" => "what a killed process held comes back at once (tracked)",
        _ => "what a killed process held comes back when its build ends (session)",
    }
}

fn so_far(status: &Status) -> String {
    let recovered = match status.recovered {
        0 => "no slot had to be recovered".to_string(),
        1 => "1 slot recovered from a process that ended with it".to_string(),
        many => format!("{many} slots recovered from processes that ended with them"),
    };
    match status.strays {
        0 => recovered,
        strays => format!("{recovered}; {} returned that nobody had taken", count(strays, "stray byte")),
    }
}

/// One column: its title, whether it is of numbers, and its cells.
struct Column {
    title: &'static str,
    is_number: bool,
    cells: Vec<String>,
}

/// One line of the table.
enum Row<'a> {
    Build(&'a LeaseStatus),
    Process(Process),
    Remark(String),
}

fn table(leases: &[LeaseStatus], page: &Page, users: &mut Users) -> String {
    let mut rows = Vec::new();
    for lease in leases {
        rows.push(Row::Build(lease));
        rows.extend(processes(lease).into_iter().map(Row::Process));
        rows.extend(lease.sharing.iter().map(|why| Row::Remark(format!("some share one endpoint: {}", plain(why)))));
    }
    let columns = columns(leases, &rows, page, users);
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| column.cells.iter().map(|cell| width(cell)).chain([column.title.len()]).max().unwrap_or(0))
        .collect();
    let before: usize = widths.iter().map(|width| width + 2).sum();
    let rest = page.columns.saturating_sub(before).max(COMMAND_LEAST);
    let line = |cell: &dyn Fn(&Column) -> String, last: &str| {
        let cells = columns.iter().zip(&widths).map(|(column, &width)| {
            let text = cell(column);
            let padded = if column.is_number { right(&text, width) } else { left(&text, width) };
            padded + "  "
        });
        let text: String = cells.chain([command(last, rest)]).collect();
        text.trim_end().to_string()
    };
    let mut text = page.paint(BOLD, &line(&|column| column.title.to_string(), "COMMAND")) + "\n";
    for (index, row) in rows.iter().enumerate() {
        let (last, code) = match row {
            Row::Build(lease) if lease.state == "running" => (lease.command.clone(), ""),
            Row::Build(lease) if page.columns >= WIDE => (lease.command.clone(), YELLOW),
            Row::Build(lease) => (format!("{}: {}", lease.state, lease.command), YELLOW),
            Row::Process(_) => (String::new(), DIM),
            Row::Remark(remark) => {
                text += &format!("  {}\n", page.paint(YELLOW, &clip(remark, page.columns.saturating_sub(2))));
                continue;
            }
        };
        let line = line(&|column| column.cells[index].clone(), &last);
        text += &if code.is_empty() { line } else { page.paint(code, &line) };
        text.push('\n');
    }
    text
}

fn columns(leases: &[LeaseStatus], rows: &[Row<'_>], page: &Page, users: &mut Users) -> Vec<Column> {
    let digits = leases.iter().map(|lease| lease.held.to_string().len()).max().unwrap_or(1);
    let name_most = NAME_MOST.min(page.columns / 6).max(8);
    let nothing = |_: &Process| String::new();
    let name = Column::of(
        "NAME",
        rows,
        |lease| clip(&plain(&lease.name), name_most),
        |process| format!("  {}", clip(&process.name, name_most)),
    );
    let pid = Column::of(
        "PID",
        rows,
        |lease| lease.pid.to_string(),
        |process| process.pid.map_or(String::new(), |pid| pid.to_string()),
    );
    let user = Column::of("USER", rows, |lease| clip(users.name(lease.uid), (page.columns / 10).max(6)), nothing);
    let held = |lease: &LeaseStatus| {
        let cap = lease.cap.map_or(String::new(), |cap| format!(" of {cap}"));
        right(&lease.held.to_string(), digits) + &cap
    };
    let held = Column::of("HELD", rows, held, |process| right(&process.held.to_string(), digits));
    let mut columns = vec![name, pid.of_numbers(), user, held];
    let wide = page.columns >= WIDE;
    if wide || leases.iter().any(|lease| lease.floor != 1) {
        columns.push(Column::of("FLOOR", rows, |lease| lease.floor.to_string(), nothing).of_numbers());
    }
    if leases.iter().any(|lease| lease.weight != 1) {
        columns.push(Column::of("WEIGHT", rows, |lease| lease.weight.to_string(), nothing).of_numbers());
    }
    if page.columns >= NARROW {
        columns.push(Column::of("PEAK", rows, |lease| lease.peak.to_string(), nothing).of_numbers());
        columns.push(Column::of("WAITED", rows, |lease| span(lease.waited), nothing).of_numbers());
    }
    let ages = |since| age(page.now, since);
    columns.push(Column::of("AGE", rows, |lease| ages(lease.since), |process| ages(process.since)).of_numbers());
    if wide {
        columns.push(Column::of("STATE", rows, |lease| plain(&lease.state), nothing));
    }
    columns
}

impl Column {
    fn of(
        title: &'static str,
        rows: &[Row<'_>],
        mut build: impl FnMut(&LeaseStatus) -> String,
        process: impl Fn(&Process) -> String,
    ) -> Column {
        let cells = rows.iter().map(|row| match row {
            Row::Build(lease) => build(lease),
            Row::Process(of) => process(of),
            Row::Remark(_) => String::new(),
        });
        Column { title, is_number: false, cells: cells.collect() }
    }

    fn of_numbers(self) -> Column {
        Column { is_number: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        let lease = json!({"name": "kernel", "pid": 4700, "uid": 4_000_000_000u32, "command": "make -C linux all", "command_pid": 4711,
            "since": 1000.0, "state": "running", "floor": 1, "cap": 8, "weight": 1, "held": 4, "offered": 1, "peak": 5, "waited": 1.23,
            "endpoints": [{"pid": 4711, "command": "make", "held": 1, "offered": 1, "since": 1001.0},
                {"pid": 4720, "command": "cc\u{1b}[2J", "held": 2, "offered": 0, "since": 1170.0}]});
        let other = json!({"name": "構築\r\u{1b}]0;x\u{7}", "pid": 4800, "uid": 4_000_000_000u32, "command": "x".repeat(500), "since": 1190.0,
            "state": "waiting", "floor": 1, "cap": null, "weight": 2, "held": 0, "offered": 0, "endpoints": []});
        let pool = json!({"version": 1, "style": "tracked", "guarantee": "tracked", "capacity": 8, "in_force": 6, "decided_by": "memory",
            "free": 3, "offered": 1, "held": 4, "owed": 0, "recovered": 3, "strays": 1, "waiting": 1, "since": 900.0,
            "leases": [lease, other]});
        serde_json::from_value(pool).unwrap()
    }

    fn page(columns: usize) -> String {
        write(
            &status(),
            Path::new("/run/jobserver"),
            &Page { columns, colour: false, now: 1200.0 },
            &mut Users::default(),
        )
    }

    #[test]
    fn a_stranger_reads_what_the_pool_is_and_who_has_its_slots() {
        let text = page(100);
        for said in [
            "Slots      8: 4 in use, 1 offered to builds that may take them, 3 free\n",
            "In force   6, as long as memory is short\n",
            "Guarantee  what a killed process held comes back at once (tracked)\n",
            "So far     3 slots recovered from processes that ended with them; 1 stray byte returned that nobody had taken\n",
        ] {
            assert!(text.contains(said), "{said}{text}");
        }
        let words: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let line = |first: &str| words.iter().find(|line| line.first() == Some(&first)).unwrap().clone();
        assert_eq!(line("kernel")[1..10], ["4700", "4000000000", "4", "of", "8", "1", "1", "5", "1.2s"]);
        // The slot of the command is with its process, so the processes add up to what the build holds.
        assert_eq!(line("make"), ["make", "4711", "2", "3min"]);
        assert!(text.contains("cc\u{fffd}[2J     4720"), "{text}");
    }

    #[test]
    fn nothing_steers_the_terminal_and_no_row_is_wider_than_the_page() {
        for columns in [80, 100, 200] {
            let text = page(columns);
            assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}");
            let table = text.split("\n\n").nth(1).unwrap();
            assert!(table.lines().all(|line| width(line) <= columns), "{columns}:\n{text}");
        }
    }

    #[test]
    fn colours_change_no_letter() {
        let page_of = |colour| Page { columns: 100, colour, now: 1200.0 };
        let painted = write(&status(), Path::new("/run/jobserver"), &page_of(true), &mut Users::default());
        let mut bare = painted.clone();
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m"] {
            bare = bare.replace(code, "");
        }
        assert!(painted != bare);
        assert_eq!(bare, page(100));
    }
}
