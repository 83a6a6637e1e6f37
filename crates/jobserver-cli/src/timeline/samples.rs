//! Recordings for tests.

use super::event::{Commands, Event, Nanos, Recording, Slots, Stand, What};

pub(crate) fn event(at: Nanos, pid: u32, what: What) -> Event {
    Event { at, pid, what }
}

/// Of process 10, which process 1 has started, from 0 to 100.
pub(crate) fn recording(events: Vec<Event>) -> Recording {
    Recording {
        begin: 0,
        end: 100,
        root: 10,
        events,
        stands: Vec::new(),
        clients: Default::default(),
        commands: Commands::Kernel,
        slots: Slots::Unknown,
        lost: 0,
    }
}

/// A process that executes a program of that name from its first moment on.
pub(crate) fn process(pid: u32, parent: u32, name: &str, (start, end): (Nanos, Nanos)) -> Vec<Event> {
    vec![
        event(start, pid, What::Start { parent }),
        event(start, pid, What::Program(name.to_string())),
        event(end, pid, What::End),
    ]
}

pub(crate) fn stand(at: Nanos, in_use: u32, free: u32) -> Stand {
    Stand { at, in_use, free, width: in_use + free, waiting: 0 }
}
