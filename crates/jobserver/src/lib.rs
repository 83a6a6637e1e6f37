//! The GNU make jobserver: one pool of job slots for make, ninja, cargo, rustc, gcc, clang and your program.
//!
//! A program that starts several jobs under `make -j4` should not start four of its own: it takes a token from make's
//! pool for each job beyond its first. This crate joins such a pool, makes one for child processes, and keeps the
//! count right.
//!
//! It is a drop-in for `jobserver` 0.1.35 and later: the same names, the same results, fewer traps.
//!
//! # Join a pool
//!
//! ```no_run
//! use jobserver::Client;
//!
//! let client = Client::connect()?; // the error says what is wrong and how to mend it
//! # Ok::<(), jobserver::ConnectError>(())
//! ```
//!
//! # Run jobs
//!
//! The first job of a process is free: it runs in the slot that whoever started the process has paid for. Each
//! further one takes a token and gives it back when the job ends.
//!
//! ```
//! use jobserver::Client;
//!
//! # let client = Client::new(2)?;
//! std::thread::scope(|scope| -> std::io::Result<()> {
//!     for job in ["a.c", "b.c"] {
//!         let token = client.acquire()?; // waits for its turn
//!         scope.spawn(move || {
//!             println!("compiling {job}");
//!             drop(token);
//!         });
//!     }
//!     println!("compiling c.c, in the slot of our own");
//!     Ok(())
//! })?;
//! # std::io::Result::Ok(())
//! ```
//!
//! [`Slots`] does this bookkeeping for you, also where there is no jobserver. A program that can't block awaits
//! [`Client::acquire_async`], or watches the client's descriptor in a loop of its own.
//!
//! # Serve a pool
//!
//! ```
//! # #[cfg(unix)] {
//! use std::process::Command;
//! use jobserver::Server;
//!
//! let server = Server::builder().slots(4).fifo().build()?;
//! let mut build = Command::new("make");
//! server.join_make(&mut build)?; // MAKEFLAGS keeps what the user has in it
//! # let mut build = Command::new("true");
//! build.status()?;
//! assert_eq!(server.balance()?.missing(), 0);
//! # }
//! # std::io::Result::Ok(())
//! ```
//!
//! # What to know
//!
//! - **Deadlock**: who holds tokens and waits for more can wait for ever. Take a token when there is a job for it and
//!   give it back when that job ends; never hold one while waiting for a lock or for another token.
//! - **Lost tokens**: a process that is killed returns nothing. One that ends by Ctrl-C does, if it has called
//!   [`return_tokens_on_exit`]. [`Server::balance`] tells afterwards.
//! - **`make` before 4.4** hands its pool only to recipes that begin with `+` or contain `$(MAKE)`;
//!   [`Client::connect`] says so when that is the reason.
//! - **Not every pool is on a pipe**: on Windows it is a semaphore, which MSYS2's and Cygwin's make don't have.
//! - A pool of N slots has N-1 tokens, since each participant owns one slot from birth; see [`Server`].
//!
//! # Platforms
//!
//! | | a pool is | `try_acquire` | joined by children |
//! |---|---|---|---|
//! | Linux | a pipe or FIFO | never blocks | inherited descriptors, or a path |
//! | macOS, the BSDs, other Unix | a pipe or FIFO | may block in a pool that was inherited as descriptors, if another process is quicker | the same |
//! | Windows | a named semaphore | never blocks | its name |
//! | elsewhere (wasm) | a counter in the process | never blocks | not at all |
//!
//! The protocol is that of the [GNU make manual, "Sharing Job Slots with GNU
//! make"](https://www.gnu.org/software/make/manual/html_node/Job-Slots.html).

// `#[inline]` in this crate is about the clean build of a program that depends on it, seldom about speed. The compiler
// makes machine code here for every function that is neither generic nor `#[inline]`, whether somebody calls it or not.
// What programs written for 0.1 don't reach is left to the dependents that use it: each such function has the attribute,
// and so has what only these call, and their trait implementations other than derived ones.
#![deny(unsafe_code)]
#![doc(html_root_url = "https://docs.rs/jobserver/0.1")]

#[cfg(all(doctest, unix))]
#[doc = include_str!("../../../README.md")]
mod readme {}

mod auth;
mod batch;
mod children;
mod client;
mod env;
mod error;
#[cfg(feature = "async")]
mod future;
mod helper;
mod makeflags;
#[cfg(any(unix, windows))]
mod readiness;
mod server;
#[cfg(feature = "slots")]
mod slots;
#[cfg_attr(not(feature = "exit"), path = "terminate/off.rs")]
mod terminate;
mod token;
mod transport;
mod waiting;

pub use auth::{Auth, ParseAuthError};
pub use batch::Batch;
pub use children::{keep_out, Join};
pub use client::Client;
pub use env::{ConnectError, FromEnv};
pub use error::{FromEnvError, FromEnvErrorKind};
#[cfg(feature = "async")]
pub use future::Acquiring;
pub use helper::HelperThread;
pub use makeflags::{Jobs, MakeFlags, UnwritableAuth};
pub use server::{Balance, Server, ServerBuilder};
#[cfg(feature = "slots")]
pub use slots::{Slot, Slots};
#[cfg(feature = "exit")]
pub use terminate::return_tokens_on_exit;
pub use token::Acquired;
pub use waiting::Canceller;
