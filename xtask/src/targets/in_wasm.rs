//! What the library offers where a pool is a counter in the process: run by `cargo xtask check-targets`.

use jobserver::{Auth, Client, MakeFlags, Slots};
use std::time::Duration;

fn main() {
    let client = Client::new(2).unwrap();
    let (one, two) = (client.acquire().unwrap(), client.try_acquire().unwrap());
    assert!(two.is_some());
    assert!(client.try_acquire().unwrap().is_none());
    assert!(client.acquire_timeout(Duration::from_millis(1)).unwrap().is_none());
    assert_eq!(client.available().unwrap(), 0);
    drop((one, two));
    assert_eq!(client.acquire_up_to(5).unwrap().len(), 2);
    assert_eq!(client.available().unwrap(), 2);
    let raw = client.acquire().unwrap().into_raw();
    drop(raw);

    // There is none to join, and the error says so; text is read as everywhere.
    let error = Client::connect().unwrap_err();
    println!("{error}");
    let flags = MakeFlags::parse("-j --jobserver-auth=fifo:/tmp/f".as_ref());
    assert_eq!(Auth::parse(flags.jobserver().unwrap()).unwrap().to_string(), "fifo:/tmp/f");
    println!("all is well");
}
