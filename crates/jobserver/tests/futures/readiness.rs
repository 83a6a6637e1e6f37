//! The descriptor for event loops: readable while there is a token, our own, and with no flag of anybody else's changed.

use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use jobserver::{Auth, Client, MakeFlags, Server};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use testkit::{process, procfs};

use super::clients;

const O_NONBLOCK: u32 = 0o4000;

/// Whether a loop that begins to watch it now is told that it is readable.
fn is_readable(client: &Client) -> bool {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(2);
    poll.registry().register(&mut SourceFd(&client.as_raw_fd()), Token(0), Interest::READABLE).unwrap();
    poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
    let told = events.iter().any(|event| event.is_readable());
    told
}

#[test]
fn the_descriptor_is_readable_while_there_is_a_token() {
    for client in clients(2) {
        assert!(is_readable(&client));
        let first = client.try_acquire().unwrap().unwrap();
        assert!(is_readable(&client), "one is left");
        let second = client.acquire().unwrap();
        assert!(!is_readable(&client));
        assert!(client.try_acquire().unwrap().is_none());
        drop(first);
        assert!(is_readable(&client));
        drop(second);
        assert_eq!(client.available().unwrap(), 2, "looking takes nothing");
    }
}

#[test]
fn a_loop_that_tries_before_each_wait_is_woken_by_every_token() {
    for client in clients(0) {
        let mut poll = Poll::new().unwrap();
        let mut events = Events::with_capacity(2);
        poll.registry().register(&mut SourceFd(&client.as_raw_fd()), Token(0), Interest::READABLE).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..2_000).for_each(|_| client.release_raw().unwrap()));
            let mut taken = 0;
            while taken < 2_000 {
                match client.try_acquire().unwrap() {
                    Some(token) => {
                        token.drop_without_releasing();
                        taken += 1;
                    }
                    None => {
                        poll.poll(&mut events, Some(Duration::from_secs(60))).unwrap();
                        assert!(!events.is_empty(), "a token lies there and the loop sleeps");
                    }
                }
            }
        });
        assert_eq!(client.available().unwrap(), 0);
    }
}

#[test]
fn the_descriptor_is_one_for_all_clones_and_never_blocks() {
    for client in clients(1) {
        let number = client.as_fd().as_raw_fd();
        assert_eq!(client.clone().as_raw_fd(), number);
        assert_ne!(procfs::fd_flags(std::process::id(), number) & O_NONBLOCK, 0);
        drop(client.acquire_timeout(Duration::from_secs(60)).unwrap().unwrap());
        assert_eq!(client.as_raw_fd(), number);
    }
}

#[test]
fn the_flags_of_inherited_descriptors_stay_as_they_are() {
    const NAME: &str = "readiness::the_flags_of_inherited_descriptors_stay_as_they_are";
    if process::role().is_none() {
        let server = Server::builder().slots(2).pipe().build().unwrap();
        let mut child = process::me(NAME, "inherits");
        server.join_make(&mut child).unwrap();
        process::output(&mut child);
        let balance = server.balance().unwrap();
        assert_eq!((balance.missing(), balance.strays()), (0, 0));
        return;
    }
    let flags = MakeFlags::parse(&std::env::var_os("MAKEFLAGS").unwrap());
    let auth = flags.jobserver().and_then(|auth| Auth::parse(auth).ok());
    let Some(Auth::Pipe { read, write }) = auth else { panic!("not a pipe: {flags:?}") };
    let inherited = || [read, write].map(|number| procfs::fd_flags(std::process::id(), number));
    let before = inherited();
    let client = Client::connect().unwrap();
    assert!(is_readable(&client));
    assert!(![read, write].contains(&client.as_raw_fd()));
    assert_ne!(procfs::fd_flags(std::process::id(), client.as_raw_fd()) & O_NONBLOCK, 0);
    drop(super::block_on(client.acquire_async()).unwrap());
    assert_eq!(inherited(), before);
}
