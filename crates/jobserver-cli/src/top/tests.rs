//! Screens of all sizes, of pools of all kinds.

use std::io;
use std::path::Path;

use jobserver_pool::control::Status;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::style::Color;
use ratatui::Terminal;
use serde_json::{json, Value};

use super::draw::{draw, page};
use super::model::{Machine, Model, Row, HISTORY};
use crate::status::width;

const SIZES: [(u16, u16); 7] = [(80, 24), (200, 60), (40, 8), (41, 9), (30, 5), (15, 5), (120, 16)];

fn lease(number: u32) -> Value {
    let name = match number % 4 {
        0 => format!("build-{number}"),
        1 => format!("構築{number} сборка 🚀"),
        2 => format!("evil\u{1b}[2J\u{7}\r\n\u{202e}{number}"),
        _ => "x".repeat(300),
    };
    let process =
        |pid: u32, held: u32| json!({"pid": pid, "command": "cc\u{1b}c", "held": held, "offered": 0, "since": 1150.0});
    json!({"name": name, "pid": 1000 + number, "uid": 4_000_000_000u32 + number % 2, "command": format!("/usr/bin/make -C /src/{number}\u{9b}1m"),
        "command_pid": 2000 + number, "since": 1000.0 + f64::from(number), "state": if number % 5 == 4 { "waiting" } else { "running" },
        "floor": 1, "cap": if number % 3 == 0 { Some(6) } else { None }, "weight": 1 + number % 2, "held": number % 4, "offered": number % 2,
        "peak": 4, "waited": 1.5, "endpoints": [process(2000 + number, 0), process(3000 + number, number % 4)]})
}

/// A balanced pool with so many builds.
fn status(leases: u32) -> Status {
    let leases: Vec<Value> = (0..leases).map(lease).collect();
    let sum = |what: &str| leases.iter().map(|lease| lease[what].as_u64().unwrap()).sum::<u64>();
    let (held, offered) = (sum("held"), sum("offered"));
    let status = json!({"version": 1, "style": "tracked", "guarantee": "tracked", "decided_by": "person", "capacity": held + offered + 3,
        "in_force": held + offered + 3, "free": 3, "offered": offered, "held": held, "owed": 0, "recovered": 2, "strays": 1, "waiting": 2,
        "since": 900.0, "leases": leases});
    serde_json::from_value(status).unwrap()
}

fn model(leases: u32, colour: bool) -> Model {
    let mut model = Model::new(Path::new("/run/job\u{1b}server"), colour);
    model.machine = Machine { load: Some(3.5), processors: 2, memory: Some((5 << 30, 8 << 30)) };
    model.update(Ok(status(leases)), 1200.0);
    model
}

fn screen(model: &Model, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> Vec<String> {
    let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| row(y).trim_end().to_string()).collect()
}

#[test]
fn every_screen_can_be_drawn_and_nothing_in_it_steers_the_terminal() {
    for size in SIZES {
        for leases in [0, 1, 12, 400] {
            for colour in [true, false] {
                let mut model = model(leases, colour);
                for answers in 0..3 {
                    let lines = text(&screen(&model, size));
                    let all = lines.concat();
                    assert!(!all.chars().any(|letter| letter.is_control() || letter == '\u{202e}'), "{all:?}");
                    if size == (30, 5) {
                        assert_eq!(lines[2].trim(), "too small: 40x8 at least");
                    } else if size == (15, 5) {
                        assert_eq!(lines[2].trim(), "40x8 at least");
                    } else {
                        assert!(lines[0].starts_with(" jobserver top  /run/job\u{fffd}server"), "{lines:#?}");
                        assert!(lines.last().unwrap().contains("q quit"), "{lines:#?}");
                    }
                    match answers {
                        0 => model.update(Err(io::Error::other("no\u{1b}body")), 1201.0),
                        _ => model.toggle_processes(page(Size::new(size.0, size.1), &model)),
                    }
                }
            }
        }
    }
}

#[test]
fn who_holds_most_is_on_top_with_the_processes_that_do() {
    let lines = text(&screen(&model(12, true), (80, 24)));
    let counts = lines.iter().find(|line| line.contains("slots in use")).unwrap();
    assert!(counts.contains("18 of 27 slots in use   6 offered   3 free   2 waiting"), "{lines:#?}");
    let model = model(12, true);
    let held: Vec<u32> = model
        .rows()
        .iter()
        .filter_map(|row| if let Row::Build(lease) = row { Some(lease.held) } else { None })
        .collect();
    assert_eq!(held, [3, 3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0]);
    let heading = lines.iter().position(|line| line.contains("BUILD")).unwrap();
    assert!(lines[heading + 1].contains("xxx") && lines[heading + 2].contains("3003 cc"), "{lines:#?}");
    let seen = format!("↑↓ scroll  1-{} of {}", 22 - heading, model.rows().len());
    assert!(lines[23].contains(&seen), "{lines:#?}");
}

#[test]
fn each_build_has_a_colour_of_its_own_or_a_letter_and_a_slot_is_a_block_of_it() {
    let model = model(12, true);
    let buffer = screen(&model, (80, 24));
    let row = (0..24).find(|&y| buffer[(1, y)].symbol() == "█").unwrap();
    let blocks = |symbol: &str| (0..80).filter(|&x| buffer[(x, row)].symbol() == symbol).count();
    assert_eq!((blocks("█"), blocks("▒"), blocks("□")), (18, 6, 3));
    let colours: std::collections::HashSet<Color> =
        (0..80).filter(|&x| buffer[(x, row)].symbol() == "█").map(|x| buffer[(x, row)].fg).collect();
    assert_eq!(colours.len(), 9);
    let model = self::model(12, false);
    let buffer = screen(&model, (80, 24));
    assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    let lines = text(&buffer);
    assert!(lines.iter().any(|line| line.replace(' ', "") == "BCCDDDFGGHHHJKKLLLbdfhjl□□□"), "{lines:#?}");
}

#[test]
fn a_mark_stays_with_its_build() {
    let mut model = model(12, true);
    let mark = |model: &Model, pid: u32| {
        let status = model.status.as_ref().unwrap();
        status.leases.iter().find(|lease| lease.pid == pid).map(|lease| model.mark_of(lease))
    };
    let before = mark(&model, 1007);
    let mut fewer = status(12);
    fewer.leases.drain(..6);
    model.update(Ok(fewer), 1201.0);
    assert_eq!(mark(&model, 1007), before);
}

#[test]
fn the_list_scrolls_to_its_last_row_and_no_further() {
    let mut model = model(400, true);
    let page = page(Size::new(80, 24), &model);
    model.scroll(isize::MAX, page);
    let lines = text(&screen(&model, (80, 24)));
    let rows = model.rows().len();
    assert!(lines[23].contains(&format!("↑↓ scroll  {}-{rows} of {rows}", rows - page + 1)), "{lines:#?}");
    model.scroll(-1, page);
    assert_eq!(model.top, rows - page - 1);
    model.scroll(isize::MIN, page);
    assert_eq!(model.top, 0);
    model.scroll(isize::MAX, page);
    model.update(Ok(status(1)), 1201.0);
    model.scroll(0, page);
    assert_eq!(model.top, 0);
}

#[test]
fn a_server_that_is_gone_is_said_until_it_is_back() {
    let mut model = model(1, true);
    model.update(Err(io::Error::other("no pool answers")), 1210.0);
    model.update(Err(io::Error::other("no pool answers")), 1215.0);
    let said = |model: &Model| {
        text(&screen(model, (80, 24))).concat().contains("server gone for 5s, waiting for it to come back")
    };
    assert!(said(&model));
    model.update(Ok(status(1)), 1216.0);
    assert!(!said(&model));
}

#[test]
fn the_past_is_bounded_and_ends_now() {
    let mut model = model(0, true);
    let mut busy = status(0);
    (busy.held, busy.free) = (3, 0);
    for _ in 0..2 * HISTORY {
        model.update(Ok(busy.clone()), 1300.0);
    }
    assert_eq!(model.history.len(), HISTORY);
    let lines = text(&screen(&model, (80, 24)));
    let caption = lines.iter().position(|line| line.contains("the last 3 minutes")).unwrap();
    for line in &lines[caption + 1..caption + 3] {
        assert!(line.ends_with(&"█".repeat(75)) && width(line) == 79, "{lines:#?}");
    }
}

#[test]
fn builds_of_other_users_are_counted_and_not_described() {
    let mut model = model(0, true);
    let mut others = status(0);
    (others.held, others.free) = (2, 1);
    model.update(Ok(others), 1201.0);
    let lines = text(&screen(&model, (80, 24)));
    assert!(lines.iter().any(|line| line == " ███ ███ [ ]"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("None of your builds is in the pool")), "{lines:#?}");
}

#[test]
fn a_build_whose_command_alone_holds_something_has_one_row() {
    let mut status = status(1);
    let lease = &mut status.leases[0];
    lease.held = 3;
    lease.endpoints.retain(|client| client.pid == lease.command_pid);
    lease.endpoints[0].held = 2;
    let mut model = model(0, true);
    model.update(Ok(status.clone()), 1200.0);
    assert!(matches!(model.rows()[..], [Row::Build(_)]), "{:?}", text(&screen(&model, (80, 24))));
    // Of another process it has to be said which one it is.
    status.leases[0].endpoints[0].pid = Some(77);
    model.update(Ok(status), 1200.0);
    assert_eq!(model.rows().len(), 3);
}

/// The same test once more, on a terminal, with a fault of ours.
#[test]
fn a_panic_gives_the_terminal_back_before_it_says_what_it_is() {
    const INSIDE: &str = "JOBSERVER_TEST_PANICS";
    if std::env::var_os(INSIDE).is_some() {
        let _screen = super::Screen::open().unwrap();
        panic!("a fault of ours");
    }
    let folder = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().to_string();
    let again = format!("{} --exact {name} --nocapture", std::env::current_exe().unwrap().display());
    let script = std::process::Command::new("script")
        .args(["-qc", &format!("stty -g >before; {again}; stty -g >after"), "/dev/null"])
        .env(INSIDE, "1")
        .env("TERM", "xterm-256color")
        .current_dir(folder.path())
        .stdin(std::process::Stdio::null())
        .output()
        .expect("`script` is missing: `apt-get install bsdutils` (or util-linux) gets it");
    let shown = String::from_utf8_lossy(&script.stdout).into_owned();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("before"), read("after"), "{shown:?}");
    let at = |what: &str| shown.find(what).unwrap_or_else(|| panic!("{what:?} in {shown:?}"));
    assert!(at("\u{1b}[?1049h") < at("\u{1b}[?1049l") && at("\u{1b}[?1049l") < at("a fault of ours"), "{shown:?}");
    assert!(shown.rfind("\u{1b}[?25h") >= shown.rfind("\u{1b}[?25l"), "the cursor is hidden: {shown:?}");
}
