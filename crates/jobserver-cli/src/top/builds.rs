//! The list of builds: who holds most is on top, with the processes that hold something below.
//!
//! Which columns there are depends on how wide the screen is: the name and what it holds always, then what tells builds
//! apart, and on wide screens what steers them.

use jobserver_pool::control::{LeaseStatus, Status};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::draw::{BOLD, DIM};
use super::model::{Model, Row};
use crate::status::{age, clip, command, left, plain, right, span, width, Process};

/// What a column shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Name,
    Bar,
    Held,
    Pid,
    Peak,
    Floor,
    Weight,
    Waited,
    Age,
    User,
}

/// The columns before the command, with their widths: no wider than what is in them.
fn columns(screen: u16, model: &Model, status: &Status, rows: &[Row<'_>]) -> Vec<(What, usize)> {
    let screen = usize::from(screen);
    let most =
        |of: &mut dyn Iterator<Item = usize>, least: usize, most: usize| of.max().unwrap_or(0).min(most).max(least);
    let has_pids = screen >= PIDS;
    let names = &mut rows.iter().map(|row| match row {
        Row::Build(lease) => width(&plain(&lease.name)),
        Row::Process(process) => width(&label(process, has_pids)),
        Row::Idle(_) => 0,
    });
    let held = &mut status.leases.iter().map(|lease| held_of(lease, status).len());
    let users = &mut model.users.known().values().map(|name| width(name));
    let several_users = model.users.known().len() > 1;
    let mut columns = vec![(What::Name, most(names, 8, (screen / 5).max(14)))];
    let mut add = |from, what, columns_of: usize| {
        if screen >= from {
            columns.push((what, columns_of));
        }
    };
    add(60, What::Bar, bar_width(screen, status));
    add(0, What::Held, most(held, 4, 16));
    add(PIDS, What::Pid, 7);
    add(72, What::Peak, 4);
    add(120, What::Floor, 5);
    add(120, What::Weight, 6);
    add(72, What::Waited, 6);
    add(50, What::Age, 5);
    add(if several_users { 72 } else { 120 }, What::User, most(users, 4, screen / 8));
    columns
}

/// Such a screen has a column for pids.
const PIDS: usize = 100;

/// A process, with its pid where there is no column for that.
fn label(process: &Process, has_pids: bool) -> String {
    match process.pid.filter(|_| !has_pids) {
        Some(pid) => format!("  {pid} {}", process.name),
        None => format!("  {}", process.name),
    }
}

fn held_of(lease: &LeaseStatus, status: &Status) -> String {
    let digits = status.leases.iter().map(|lease| lease.held.to_string().len()).max().unwrap_or(1);
    let cap = lease.cap.map_or(String::new(), |cap| format!(" of {cap}"));
    right(&lease.held.to_string(), digits) + &cap
}

/// One, two or three blocks for each slot of the pool, or as much as may be.
fn bar_width(screen: usize, status: &Status) -> usize {
    let most = (screen / 6).clamp(8, 48);
    let capacity = status.capacity.max(1) as usize;
    if capacity > most {
        most
    } else {
        (capacity * (most / capacity).min(3)).max(5)
    }
}

pub(super) fn draw(buffer: &mut Buffer, at: Rect, model: &Model, status: &Status) {
    if at.height == 0 {
        return;
    }
    let rows = model.rows();
    let columns = columns(at.width, model, status, &rows);
    let page = usize::from(at.height) - 1;
    let top = model.top.min(rows.len().saturating_sub(page));
    heading(buffer, Rect { height: 1, ..at }, &columns);
    if rows.is_empty() {
        let text = match status.held {
            0 => "No build is in the pool. `jobserver run -- make` starts one that is.",
            _ => "None of your builds is in the pool; others' are.",
        };
        if page > 0 {
            buffer.set_stringn(at.x, at.y + 1, text, at.width.into(), DIM);
        }
    }
    let digits = status.leases.iter().map(|lease| lease.held.to_string().len()).max().unwrap_or(1);
    for (row, y) in rows.iter().skip(top).zip(at.y + 1..at.bottom()) {
        let at = Rect { y, height: 1, ..at };
        let mut line = match row {
            Row::Build(lease) => build(at.width, model, status, &columns, lease),
            Row::Process(process) => of_process(model, &columns, digits, process),
            Row::Idle(count) => {
                Line::styled(format!("    and {count} that hold{} nothing", if *count == 1 { "s" } else { "" }), DIM)
            }
        };
        if model.gone.is_some() {
            line = line.patch_style(DIM);
        }
        buffer.set_line(at.x, at.y, &line, at.width);
    }
}

fn heading(buffer: &mut Buffer, at: Rect, columns: &[(What, usize)]) {
    let mut text = "  ".to_string();
    for &(what, width) in columns {
        text += &match what {
            What::Name => left("BUILD", width),
            What::Bar => left("SLOTS", width),
            What::Held => left("HELD", width),
            What::Pid => right("PID", width),
            What::Peak => right("PEAK", width),
            What::Floor => right("FLOOR", width),
            What::Weight => right("WEIGHT", width),
            What::Waited => right("WAITED", width),
            What::Age => right("AGE", width),
            What::User => left("USER", width),
        };
        text += "  ";
    }
    text += "COMMAND";
    let style = BOLD.add_modifier(Modifier::UNDERLINED);
    buffer.set_style(at, style);
    buffer.set_stringn(at.x, at.y, text, at.width.into(), style);
}

/// Which rows are seen, where there are more: `1-12 of 40`.
pub(super) fn seen(at: Rect, model: &Model) -> Option<String> {
    let (rows, page) = (model.rows().len(), usize::from(at.height).saturating_sub(1));
    let top = model.top.min(rows.saturating_sub(page));
    (rows > page).then(|| format!("{}-{} of {rows}", top + 1, top + page))
}

fn build(width: u16, model: &Model, status: &Status, columns: &[(What, usize)], lease: &LeaseStatus) -> Line<'static> {
    let mark = model.mark_of(lease);
    let tint = model.tint_of(mark);
    let symbol = if model.colour { '■' } else { model.held(mark) };
    let mut spans = vec![Span::styled(format!("{symbol} "), tint)];
    for &(what, width) in columns {
        let text = match what {
            What::Name => {
                spans.push(Span::styled(
                    left(&clip(&plain(&lease.name), width), width),
                    tint.add_modifier(Modifier::BOLD),
                ));
                spans.push(Span::raw("  "));
                continue;
            }
            What::Bar => {
                bar(&mut spans, width, model, status, lease);
                spans.push(Span::raw("  "));
                continue;
            }
            What::Held => left(&held_of(lease, status), width),
            What::Pid => right(&lease.pid.to_string(), width),
            What::Peak => right(&lease.peak.to_string(), width),
            What::Floor => right(&lease.floor.to_string(), width),
            What::Weight => right(&lease.weight.to_string(), width),
            What::Waited => right(&span(lease.waited), width),
            What::Age => right(&age(model.now, lease.since), width),
            What::User => {
                let name = model.users.known().get(&lease.uid).map_or("?", String::as_str);
                left(&clip(name, width), width)
            }
        };
        spans.push(Span::raw(text + "  "));
    }
    let state = match lease.state.as_str() {
        "waiting" => "waits for a first slot: ",
        "ended" => "ended, left this behind: ",
        _ => "",
    };
    let used: usize = spans.iter().map(Span::width).sum();
    let rest = usize::from(width).saturating_sub(used);
    spans.push(Span::styled(clip(state, rest), model.tint(Color::Yellow)));
    spans.push(Span::raw(command(&lease.command, rest.saturating_sub(state.len()))));
    Line::from(spans)
}

/// What a build holds of what it could hold. All bars have the same scale, so that they can be compared.
fn bar(spans: &mut Vec<Span<'static>>, width: usize, model: &Model, status: &Status, lease: &LeaseStatus) {
    let mark = model.mark_of(lease);
    let capacity = status.capacity.max(1) as usize;
    let scaled = |count: u32| match width / capacity {
        // Something is never drawn as nothing.
        0 => (count as usize * width).div_ceil(capacity),
        blocks => count as usize * blocks.min(3),
    };
    let held = scaled(lease.held).min(width);
    let offered = scaled(lease.offered).min(width - held);
    let could = scaled(lease.cap.unwrap_or(u32::MAX).min(status.capacity)).min(width);
    let rest = could.saturating_sub(held + offered);
    let text = |symbol: char, count: usize| symbol.to_string().repeat(count);
    let tint = model.tint_of(mark);
    spans.push(Span::styled(text(model.held(mark), held), tint));
    spans.push(Span::styled(text(model.offered(mark), offered), tint.add_modifier(Modifier::DIM)));
    spans.push(Span::styled(text('·', rest), DIM));
    spans.push(Span::raw(" ".repeat(width - held - offered - rest)));
}

fn of_process(model: &Model, columns: &[(What, usize)], digits: usize, process: &Process) -> Line<'static> {
    let pid = process.pid.map_or(String::new(), |pid| pid.to_string());
    let has_pids = columns.iter().any(|column| column.0 == What::Pid);
    let mut text = "  ".to_string();
    for &(what, width) in columns {
        text += &match what {
            What::Name => left(&clip(&label(process, has_pids), width), width),
            What::Held => left(&right(&process.held.to_string(), digits), width),
            What::Pid => right(&pid, width),
            What::Age => right(&age(model.now, process.since), width),
            _ => " ".repeat(width),
        };
        text += "  ";
    }
    Line::styled(text, Style::new().add_modifier(Modifier::DIM))
}
