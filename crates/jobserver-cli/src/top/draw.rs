//! The screen: what the pool is, its slots, its last minutes, its builds ([`builds`](super::builds)), and the machine.
//!
//! Pure: the same model gives the same screen. With little room, what answers "who is it?" stays: the slots and the
//! builds; the past and the empty lines go first.

use jobserver_pool::control::Status;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::Frame;

use super::builds;
use super::model::{Model, HISTORY, MARKS};
use crate::status::{age, clip, count, why_fewer, width};

/// A smaller screen shows nothing that helps.
const LEAST: Size = Size { width: 40, height: 8 };

/// More lines for the slots of a large pool than this are not worth it.
const SLOT_LINES_MOST: u16 = 4;

pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Told apart on black and on white; red is for trouble.
const COLOURS: [Color; MARKS] = [
    Color::Green,
    Color::Cyan,
    Color::Yellow,
    Color::Magenta,
    Color::LightBlue,
    Color::LightGreen,
    Color::LightCyan,
    Color::LightMagenta,
    Color::LightYellow,
    Color::Gray,
    Color::LightRed,
    // The last: on black it is hard to read.
    Color::Blue,
];

impl Model {
    /// Without colours, weight has to do.
    pub(super) fn tint(&self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    pub(super) fn tint_of(&self, mark: usize) -> Style {
        self.tint(COLOURS[mark % MARKS])
    }

    /// What stands for a slot of a build: a block in its colour, or its letter.
    pub(super) fn held(&self, mark: usize) -> char {
        if self.colour {
            '█'
        } else {
            letter(b'A', mark)
        }
    }

    /// One that is offered to it.
    pub(super) fn offered(&self, mark: usize) -> char {
        if self.colour {
            '▒'
        } else {
            letter(b'a', mark)
        }
    }
}

fn letter(first: u8, mark: usize) -> char {
    char::from(first + (mark % MARKS) as u8)
}

/// Where everything is, from the top down; what there is no room for has no lines.
struct Places {
    counts: Rect,
    slots: Rect,
    history: Option<Rect>,
    list: Rect,
    /// Whether there are empty lines between them.
    airy: bool,
}

fn places(area: Rect, model: &Model) -> Places {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let line = |y: u16, height: u16| Rect { y, height, ..inner };
    let airy = u16::from(area.height >= 20);
    let cells = model.status.as_ref().map_or(1, cells);
    let slot_lines = Cell::fitting(cells, inner.width, SLOT_LINES_MOST.min(area.height / 8)).lines;
    let past = match area.height {
        0..=15 => 0,
        16..=27 => 2,
        28..=44 => 4,
        _ => 6,
    };
    let counts = line(area.y + 1 + airy, 1);
    let slots = line(counts.bottom() + airy, slot_lines);
    let history = (past > 0).then(|| line(slots.bottom() + airy + airy, past));
    let above = history.map_or(slots.bottom(), |history| history.bottom());
    let top = above + airy;
    let list = line(top, area.bottom().saturating_sub(1).saturating_sub(top));
    Places { counts, slots, history, list, airy: airy > 0 }
}

/// How many lines of the list are seen at once.
pub(super) fn page(size: Size, model: &Model) -> usize {
    let area = Rect::new(0, 0, size.width, size.height);
    usize::from(places(area, model).list.height.saturating_sub(1))
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < LEAST.width || area.height < LEAST.height {
        let mut text = format!("too small: {}x{} at least", LEAST.width, LEAST.height);
        if width(&text) > area.width.into() {
            text = format!("{}x{} at least", LEAST.width, LEAST.height);
        }
        let text = clip(&text, area.width.into());
        let x = area.x + (area.width.saturating_sub(width(&text) as u16)) / 2;
        if area.height > 0 {
            buffer.set_string(x, area.y + area.height / 2, text, Style::new());
        }
        return;
    }
    let places = places(area, model);
    title(buffer, area, model);
    counts(buffer, places.counts, model);
    if let Some(status) = &model.status {
        slots(buffer, places.slots, model, status);
        if let Some(history) = places.history {
            past(buffer, history, places.airy, model, status);
        }
        builds::draw(buffer, places.list, model, status);
    }
    let seen = builds::seen(places.list, model);
    foot(buffer, Rect { y: area.bottom() - 1, height: 1, ..area }, model, seen);
}

/// Writes one line, the second part at the right end if there is room for both.
pub(super) fn line(buffer: &mut Buffer, at: Rect, left: Line<'_>, right: Line<'_>) {
    let (left_width, right_width) = (left.width() as u16, right.width() as u16);
    buffer.set_line(at.x, at.y, &left, at.width);
    if left_width + right_width + 2 <= at.width {
        buffer.set_line(at.right() - right_width, at.y, &right, right_width);
    }
}

fn title(buffer: &mut Buffer, area: Rect, model: &Model) {
    let bar =
        if model.colour { model.tint(Color::White).bg(Color::DarkGray) } else { BOLD.add_modifier(Modifier::REVERSED) };
    buffer.set_style(Rect { height: 1, ..area }, bar);
    let (served, promise) = match &model.status {
        Some(status) if model.gone.is_none() => (
            if status.since > 0.0 { format!("served for {}", age(model.now, status.since)) } else { String::new() },
            if status.style == "tracked" { "tracked  " } else { "untracked  " },
        ),
        _ => (String::new(), ""),
    };
    let right = Line::from(format!("{promise}{served}"));
    let inner = Rect { x: area.x + 1, width: area.width - 2, height: 1, ..area };
    let name = Span::styled("jobserver top  ", BOLD);
    let room = usize::from(inner.width).saturating_sub(name.width());
    line(buffer, inner, Line::from(vec![name, Span::raw(clip(&model.place, room))]), right);
}

fn counts(buffer: &mut Buffer, at: Rect, model: &Model) {
    if let Some((since, why)) = &model.gone {
        let style = model.tint(Color::LightRed).add_modifier(Modifier::BOLD);
        let text = format!("server gone for {}, waiting for it to come back: {why}", age(model.now, *since));
        return line(buffer, at, Line::from(Span::styled(clip(&text, at.width.into()), style)), Line::default());
    }
    let Some(status) = &model.status else { return };
    let mut words =
        vec![Span::styled(format!("{} of {}", status.held, status.capacity), BOLD), Span::raw(" slots in use")];
    let mut also = |number: u32, what: &str, style: Style| {
        if number > 0 {
            words.push(Span::styled(format!("   {number} {what}"), style));
        }
    };
    also(status.offered, "offered", Style::new());
    also(status.free, "free", Style::new());
    also(status.waiting, "waiting", model.tint(Color::Yellow));
    also(status.owed, "owed", model.tint(Color::Yellow));
    let few = if status.in_force < status.capacity {
        let text = format!("{} in force, {}", status.in_force, why_fewer(status));
        Line::from(Span::styled(text, model.tint(Color::LightRed)))
    } else {
        Line::from(Span::styled(format!("{} recovered   {}", status.recovered, count(status.strays, "stray")), DIM))
    };
    line(buffer, at, Line::from(words), few);
}

/// All that can be drawn of slots, those out of force too.
fn cells(status: &Status) -> usize {
    (status.free + status.offered + status.held).max(status.capacity) as usize
}

/// How a slot is drawn: so wide, with a gap after it; or several slots in one.
struct Cell {
    width: usize,
    gap: usize,
    slots: usize,
    lines: u16,
}

impl Cell {
    /// The largest with which so many slots fit.
    fn fitting(slots: usize, columns: u16, lines_most: u16) -> Cell {
        let columns = usize::from(columns);
        for (width, gap) in [(3, 1), (2, 1), (1, 1), (1, 0)] {
            let in_line = (columns + gap) / (width + gap);
            // Large ones only in one line: several lines of blocks look like more than they are.
            let lines = slots.div_ceil(in_line.max(1));
            if lines <= if width > 1 { 1 } else { usize::from(lines_most.max(1)) } {
                return Cell { width, gap, slots: 1, lines: lines.max(1) as u16 };
            }
        }
        let room = columns.max(1) * usize::from(lines_most.max(1));
        Cell { width: 1, gap: 0, slots: slots.div_ceil(room), lines: lines_most.max(1) }
    }
}

fn slots(buffer: &mut Buffer, at: Rect, model: &Model, status: &Status) {
    let cell = Cell::fitting(cells(status), at.width, at.height);
    let mut all: Vec<(char, Style)> = Vec::with_capacity(cells(status));
    let mut add = |count: u32, symbol: char, style: Style| all.extend((0..count).map(|_| (symbol, style)));
    for lease in &status.leases {
        let mark = model.mark_of(lease);
        add(lease.held, model.held(mark), model.tint_of(mark));
    }
    let shown = |of: fn(&jobserver_pool::control::LeaseStatus) -> u32| status.leases.iter().map(of).sum::<u32>();
    // Other users' builds are counted and not shown.
    add(status.held.saturating_sub(shown(|lease| lease.held)), if model.colour { '█' } else { '?' }, DIM);
    for lease in &status.leases {
        let mark = model.mark_of(lease);
        add(lease.offered, model.offered(mark), model.tint_of(mark).add_modifier(Modifier::DIM));
    }
    add(status.offered.saturating_sub(shown(|lease| lease.offered)), '▒', DIM);
    add(status.free, '□', DIM);
    let drawn = all.len();
    all.extend((drawn..cells(status)).map(|_| ('×', model.tint(Color::LightRed))));
    let in_line = (usize::from(at.width) + cell.gap) / (cell.width + cell.gap);
    let mut x = at.x;
    let mut y = at.y;
    for (index, chunk) in all.chunks(cell.slots).enumerate() {
        if index > 0 && index % in_line.max(1) == 0 {
            (x, y) = (at.x, y + 1);
        }
        if y >= at.bottom() {
            break;
        }
        let (symbol, style) = chunk[0];
        let style = if model.gone.is_some() { style.patch(DIM) } else { style };
        let text = match symbol {
            '□' if cell.width > 1 => format!("[{}]", " ".repeat(cell.width - 2)),
            _ => symbol.to_string().repeat(cell.width),
        };
        buffer.set_stringn(x, y, text, usize::from(at.right() - x), style);
        x += (cell.width + cell.gap) as u16;
    }
}

/// The last minutes, each column the mean of what was in use in its share of them.
fn past(buffer: &mut Buffer, at: Rect, airy: bool, model: &Model, status: &Status) {
    const LEVELS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let most = model.history.iter().flatten().copied().max().unwrap_or(0).max(status.capacity).max(1);
    let digits = most.to_string().len();
    let margin = digits as u16 + 2;
    buffer.set_string(at.x, at.y, format!("{most} ┤"), DIM);
    buffer.set_string(at.x, at.bottom() - 1, format!("{:>digits$} ┤", 0), DIM);
    if airy {
        buffer.set_string(at.x, at.y - 1, "in use, the last 3 minutes", DIM);
    }
    let columns = at.width.saturating_sub(margin);
    for column in 0..columns {
        // The latest sample is at the right end.
        let edge = |column: u16| usize::from(column) * HISTORY / usize::from(columns);
        let missing = HISTORY - model.history.len();
        let (from, to) = (edge(column), edge(column + 1).max(edge(column) + 1));
        let samples: Vec<u32> =
            (from.max(missing)..to).filter_map(|sample| *model.history.get(sample - missing)?).collect();
        if samples.is_empty() {
            continue;
        }
        let mean = f64::from(samples.iter().sum::<u32>()) / samples.len() as f64;
        let eighths = (mean / f64::from(most) * f64::from(at.height) * 8.0).ceil() as usize;
        for line in 0..at.height {
            let below = usize::from(at.height - 1 - line) * 8;
            let level = eighths.saturating_sub(below).min(8);
            buffer.set_string(at.x + margin + column, at.y + line, LEVELS[level], DIM);
        }
    }
}

fn foot(buffer: &mut Buffer, at: Rect, model: &Model, seen: Option<String>) {
    let style = if model.colour {
        model.tint(Color::White).bg(Color::DarkGray)
    } else {
        Style::new().add_modifier(Modifier::REVERSED)
    };
    buffer.set_style(at, style);
    let inner = Rect { x: at.x + 1, width: at.width - 2, ..at };
    let mut keys = Vec::new();
    for (key, what) in [("q", "quit"), ("p", "processes"), ("↑↓", "scroll")] {
        keys.extend([Span::styled(key, BOLD), Span::raw(format!(" {what}  "))]);
    }
    keys.extend(seen.map(Span::raw));
    let keys = Line::from(keys);
    let machine = model.machine;
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let load =
        machine.load.map(|load| (format!("load {load:.1} on {} CPUs", machine.processors), format!("load {load:.1}")));
    let memory = machine.memory.map(|(free, all)| {
        (format!("{:.1} of {:.1} GiB free", gib(free), gib(all)), format!("{:.1} GiB free", gib(free)))
    });
    let (long, short): (Vec<String>, Vec<String>) = load.into_iter().chain(memory).unzip();
    let room = usize::from(inner.width).saturating_sub(keys.width() + 2);
    let words = [long.join("   "), short.join("   ")].into_iter().find(|words| width(words) <= room);
    line(buffer, inner, keys, Line::from(words.unwrap_or_default()));
}
