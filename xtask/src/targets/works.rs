//! Uses what needs one process and one thread, and checks what docs/platforms.md says of a target without other
//! processes. Run by `cargo xtask check-targets` where it can be: elsewhere its compiling is all that is known.

use std::io::ErrorKind;
use std::process::Command;
use std::time::{Duration, Instant};

use jobserver::{Auth, Canceller, Client, ConnectError, Join, MakeFlags, Server, Slots};

fn main() {
    pool_of_three();
    waits_that_end();
    slots();
    text();
    if cfg!(target_family = "wasm") {
        alone();
    }
    println!("all of it works");
}

fn pool_of_three() {
    let client = Client::new(3).unwrap();
    let token = client.acquire().unwrap();
    let batch = client.acquire_up_to(8).unwrap();
    assert_eq!((batch.len(), client.available().unwrap()), (2, 0));
    assert!(client.try_acquire().unwrap().is_none());
    batch.release().unwrap();
    assert_eq!(client.try_acquire_many(1).unwrap().len(), 1);
    drop(token);
    let byte = client.acquire().unwrap().into_raw();
    assert_eq!(client.available().unwrap(), 2);
    drop(client.from_raw(byte));
    client.release_raw().unwrap();
    assert_eq!(client.available().unwrap(), 4);
    client.acquire_raw().unwrap();
    assert_eq!(client.available().unwrap(), 3);
}

fn waits_that_end() {
    let client = Client::new(0).unwrap();
    let wait = Duration::from_millis(30);
    let start = Instant::now();
    assert!(client.acquire_timeout(wait).unwrap().is_none());
    assert!(client.acquire_deadline(start + 2 * wait).unwrap().is_none());
    assert!(start.elapsed() >= 2 * wait);
    let canceller = Canceller::new().unwrap();
    canceller.cancel();
    assert!(client.acquire_unless(&canceller, None).unwrap().is_none());
}

fn slots() {
    let slots = Slots::within(2);
    let first = slots.acquire().unwrap();
    let second = slots.try_acquire().unwrap().expect("two slots");
    assert!(slots.try_acquire().unwrap().is_none());
    first.release().unwrap();
    drop(second);
    assert!(slots.acquire_timeout(Duration::from_millis(1)).unwrap().is_some());
}

fn text() {
    let flags = MakeFlags::parse("ks -j3 --jobserver-auth=fifo:/tmp/pipe".as_ref());
    let auth = Auth::parse(flags.jobserver().unwrap()).unwrap();
    assert_eq!(auth, Auth::Fifo("/tmp/pipe".into()));
    let again = MakeFlags::parse("k".as_ref()).with_jobserver(&auth, Some(3)).unwrap();
    let again = MakeFlags::parse(&again);
    assert_eq!(Auth::parse(again.jobserver().unwrap()).unwrap(), auth);
}

/// Nothing pretends where there are no other processes and no threads.
fn alone() {
    let client = Client::new(1).unwrap();
    let mut command = Command::new("make");
    assert_eq!(client.join_make(&mut command, None).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(client.join(&mut command, Join::Path, None).unwrap_err().kind(), ErrorKind::Unsupported);
    for builder in [Server::builder().fifo(), Server::builder().pipe()] {
        assert_eq!(builder.slots(2).build().unwrap_err().kind(), ErrorKind::Unsupported);
    }
    let server = Server::builder().slots(3).build().unwrap();
    assert_eq!((server.client().available().unwrap(), server.path()), (2, None));
    assert_eq!(server.balance().unwrap().missing(), 0);
    assert!(Client::connect_to(&Auth::Fifo("/tmp/pipe".into())).is_err());
    let none: Result<Client, ConnectError> = Client::connect();
    assert!(none.is_err());
    jobserver::return_tokens_on_exit().unwrap();
    let helper = client.into_helper_thread(|token| drop(token));
    assert_eq!(helper.unwrap_err().kind(), ErrorKind::Unsupported);
}
