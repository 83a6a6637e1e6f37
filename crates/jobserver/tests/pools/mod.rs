//! Pools of every kind that the system has, for tests of what holds in each.
#![allow(dead_code)]

use jobserver::{Client, Server};

/// Clients of pools in which `tokens` lie, and in which nine may lie at least.
#[cfg(unix)]
pub(crate) fn clients(tokens: usize) -> Vec<Client> {
    vec![Client::new(tokens).unwrap(), server(tokens + 1).client()]
}

#[cfg(not(unix))]
pub(crate) fn clients(tokens: usize) -> Vec<Client> {
    // A semaphore holds no more than it was made with.
    let client = Client::new(tokens.max(9)).unwrap();
    (tokens..9).for_each(|_| client.acquire_raw().unwrap());
    vec![client]
}

/// A server that children reach without inheriting anything.
pub(crate) fn server(slots: usize) -> Server {
    let builder = Server::builder().slots(slots);
    if cfg!(unix) { builder.fifo() } else { builder }.build().unwrap()
}
