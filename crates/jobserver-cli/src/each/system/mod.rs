//! What `each` asks of the system beyond what std has: a look at standard input that can be ended, files read at a place,
//! the end of a command seen before it is reaped.
//!
//! | item | contract |
//! |---|---|
//! | `Bell`, `Rope`, `pair()` | pulling the rope ends every wait for input, now and later |
//! | `Bell::input()` | waits for a piece of standard input |
//! | `line(bytes)`, `item(bytes)` | a line without what belongs to its end; an item as an argument |
//! | `Pid`, `pid(&child)`, `send(pid, signal)` | passes a signal on to a command that is not reaped yet |
//! | `wait_unreaped(&mut child)` | waits for its end and leaves it as it is |
//! | `read_at(file, buffer, at)` | what a file has there, whatever its own position |
//! | `write_all(to, bytes)` | all of it, even if somebody has made standard output non-blocking |
//! | `has_room(file, bytes)`, `is_short(error)`, `is_the_items(error)`, `end(status)`, `BROKEN_PIPE` | what an answer means |

#[cfg(unix)]
#[path = "unix.rs"]
mod imp;
#[cfg(windows)]
#[path = "windows.rs"]
mod imp;

pub(super) use imp::*;

/// What came of a wait for standard input.
pub(super) enum Input {
    Bytes(Vec<u8>),
    End,
    /// Nothing yet, or the rope was pulled.
    Nothing,
}
