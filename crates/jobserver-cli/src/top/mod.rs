//! `jobserver top`: who makes this machine busy, on a live screen.
//!
//! [`model`] is what is known, [`draw`] shows it and does nothing else. A thread asks the server, so that one that was
//! stopped does not stop the keys. The terminal is given back at every end: a key, a signal, an error, a panic.

mod builds;
mod draw;
mod model;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jobserver_pool::control::Status;
use jobserver_pool::lease;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::DefaultTerminal;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};

use crate::report::say;
use crate::status::{find, is_of_one_command, now, wants_colour};
use crate::{cli, exit};
use model::{Machine, Model};

/// How often the server is asked.
const REFRESH: Duration = Duration::from_millis(500);
/// How long a signal may wait to be seen.
const LOOK: Duration = Duration::from_millis(100);
/// How long it may take to give the terminal back after that.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why it is over.
enum End {
    Asked,
    Signal(usize),
    /// The pool of one command, which has ended.
    Pool,
}

pub(crate) fn run(args: &cli::Top) -> u8 {
    if !io::stdout().is_terminal() {
        say("top needs a terminal to draw on: `jobserver status` writes to files and pipes");
        return exit::OURS;
    }
    let Some(directory) = find(args.pool.as_deref(), "top") else { return exit::OURS };
    let first = match lease::status(&directory) {
        Ok(status) => status,
        Err(error) => {
            say(format_args!("{error}: `jobserver serve` serves a pool, --pool DIR names another one"));
            return exit::OURS;
        }
    };
    let mut model = Model::new(&directory, wants_colour());
    model.machine = Machine::now();
    model.update(Ok(first), now());
    match watch(&directory, &mut model) {
        Ok(End::Asked) => 0,
        Ok(End::Signal(signal)) => exit::of_signal(i32::try_from(signal).ok()),
        Ok(End::Pool) => {
            say(format_args!("the pool at {} is gone: its build has ended", directory.display()));
            0
        }
        Err(error) => {
            say(format_args!("the terminal can't be used: {error}"));
            exit::OURS
        }
    }
}

fn watch(directory: &Path, model: &mut Model) -> io::Result<End> {
    let signal = Arc::new(AtomicUsize::new(0));
    let _heard = hear(Arc::clone(&signal))?;
    // The thread ends with the first.
    let (_stop, updates) = ask(directory.to_path_buf())?;
    let mut screen = Screen::open()?;
    loop {
        screen.terminal.draw(|frame| draw::draw(frame, model))?;
        let changed = loop {
            match signal.load(Ordering::Relaxed) {
                0 => {}
                signal => return Ok(End::Signal(signal)),
            }
            if let Some(update) = updates.try_iter().last() {
                if update.is_err() && is_of_one_command(directory) && !directory.exists() {
                    return Ok(End::Pool);
                }
                model.machine = Machine::now();
                model.update(update, now());
                break Some(Key::Nothing);
            }
            if hung_up()? {
                return Ok(End::Signal(SIGHUP as usize));
            }
            if event::poll(Duration::ZERO)? {
                break key(&event::read()?);
            }
        };
        let page = draw::page(screen.terminal.size()?, model);
        match changed {
            None => return Ok(End::Asked),
            Some(Key::Nothing) => {}
            Some(Key::Processes) => model.toggle_processes(page),
            Some(Key::Scroll(lines)) => model.scroll(lines, page),
            Some(Key::Page(pages)) => model.scroll(pages.saturating_mul(page as isize), page),
            Some(Key::Suspend) => {
                drop(screen);
                signal_hook::low_level::emulate_default_handler(SIGTSTP)?;
                screen = Screen::open()?;
            }
        }
        // Fewer rows than a moment ago, or a smaller screen.
        model.scroll(0, page);
    }
}

/// Waits for a key, for as long as [`LOOK`], and tells whether there will be none any more: crossterm reads the end of a
/// terminal that was closed again and again, and never comes back.
fn hung_up() -> io::Result<bool> {
    let stdin = io::stdin();
    let stdout = io::stdout();
    let keys = if stdin.is_terminal() { stdin.as_fd() } else { stdout.as_fd() };
    let mut terminal = [PollFd::from_borrowed_fd(keys, PollFlags::IN)];
    match poll(&mut terminal, Some(&Timespec { tv_sec: 0, tv_nsec: LOOK.subsec_nanos().into() })) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(terminal[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)),
        Err(error) => Err(error.into()),
    }
}

/// Notes the first signal that wants the end. If that is not seen in time, because the terminal takes nothing more, the
/// thread itself ends the process; unless the sender was dropped, since then all is done.
fn hear(signal: Arc<AtomicUsize>) -> io::Result<Sender<()>> {
    let (heard, seen) = channel::<()>();
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    let body = move || {
        let Some(number) = signals.forever().next() else { return };
        signal.store(number as usize, Ordering::Relaxed);
        if seen.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = ratatui::crossterm::terminal::disable_raw_mode();
            std::process::exit(exit::of_signal(Some(number)).into());
        }
    };
    thread::Builder::new().name("signals".to_string()).spawn(body)?;
    Ok(heard)
}

enum Key {
    Nothing,
    Processes,
    Scroll(isize),
    Page(isize),
    Suspend,
}

/// What a key asks for; `None`: the end.
fn key(event: &Event) -> Option<Key> {
    let &Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, .. }) = event else {
        // A resize is one more drawing.
        return Some(Key::Nothing);
    };
    Some(match code {
        KeyCode::Char('c' | 'd') if modifiers == KeyModifiers::CONTROL => return None,
        KeyCode::Char('z') if modifiers == KeyModifiers::CONTROL => Key::Suspend,
        // What a terminal says of itself may look like a letter with Alt.
        KeyCode::Char(_) if modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => Key::Nothing,
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => return None,
        KeyCode::Char('p' | 'P') => Key::Processes,
        KeyCode::Up | KeyCode::Char('k') => Key::Scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => Key::Scroll(1),
        KeyCode::PageUp => Key::Page(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Key::Page(1),
        KeyCode::Home | KeyCode::Char('g') => Key::Scroll(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => Key::Scroll(isize::MAX),
        _ => Key::Nothing,
    })
}

/// Asks the server again and again, until the sender is dropped.
fn ask(directory: PathBuf) -> io::Result<(Sender<()>, Receiver<io::Result<Status>>)> {
    let (stop, stopped) = channel::<()>();
    let (sender, updates) = channel();
    let body = move || {
        while stopped.recv_timeout(REFRESH) == Err(RecvTimeoutError::Timeout) {
            if sender.send(lease::status(&directory)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("ask".to_string()).spawn(body)?;
    Ok((stop, updates))
}

/// The terminal while it is ours.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// A panic gives it back as well, before it says what it is.
    fn open() -> io::Result<Screen> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Screen { terminal }),
            Err(error) => {
                let _ = ratatui::try_restore();
                Err(error)
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
        // It may be gone: then there is nothing to give back.
        let _ = ratatui::try_restore();
    }
}
