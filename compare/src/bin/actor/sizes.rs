//! Pools of every size: made, and each token taken and given back.

use compare::either::Jobserver;
use compare::sys;

/// Makes a pool of `arguments[0]` tokens, takes one and gives it back `arguments[1]` times, then takes all and gives
/// all back, twice.
pub(crate) fn cycle<J: Jobserver>(arguments: &[&str]) -> String {
    let limit: usize = arguments[0].parse().unwrap();
    let times: usize = arguments[1].parse().unwrap();
    match J::new(limit) {
        Ok(client) => rounds(&client, limit, times),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

fn rounds<J: Jobserver>(client: &J, limit: usize, times: usize) -> String {
    assert_eq!(client.available().unwrap(), limit);
    for _ in 0..times {
        drop(client.acquire().unwrap());
    }
    for _ in 0..2 {
        for _ in 0..limit {
            client.acquire_raw().unwrap();
        }
        assert_eq!(client.available().unwrap(), 0);
        for _ in 0..limit {
            client.release_raw().unwrap();
        }
    }
    assert_eq!(client.available().unwrap(), limit);
    assert!(client.take_release_error().is_none());
    "all taken and given back".to_string()
}

/// Makes a pool of `arguments[0]` tokens and nothing else.
pub(crate) fn make<J: Jobserver>(arguments: &[&str]) -> String {
    match J::new(arguments[0].parse().unwrap()) {
        Ok(client) => format!("made, {} free", client.available().unwrap()),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

/// As [`cycle`], after opening so many pipes that the kernel gives this user only small ones.
pub(crate) fn quota<J: Jobserver>(arguments: &[&str]) -> String {
    sys::allow_files(8192).unwrap();
    // 16,384 pages (/proc/sys/fs/pipe-user-pages-soft) are 1,024 pipes of 16.
    let _pipes: Vec<_> = (0..1100).map(|_| sys::pipe().unwrap()).collect();
    cycle::<J>(arguments)
}

/// As [`cycle`], on a named pipe that our crate serves.
pub(crate) fn served(arguments: &[&str]) -> String {
    let limit: usize = arguments[0].parse().unwrap();
    let server = jobserver::Server::builder().slots(limit + 1).fifo().build();
    match server {
        Ok(server) => rounds(&server.client(), limit, arguments[1].parse().unwrap()),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}
