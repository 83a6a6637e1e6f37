//! What is heard at all times: who comes and who ends, also by a driver that wants to hear of nothing else.

use std::process::Stdio;
use std::time::Duration;

use jobserver_pool::endpoint::{Endpoints, Event, Hearing, Kind, Style};
use jobserver_pool::fuse::Reach;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::driver::client;

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(60);

/// Sleeps as a driver does that has no timer.
fn wake(endpoints: &Endpoints) {
    let bound = Timespec::try_from(BOUND).unwrap();
    let woken = rustix::event::poll(&mut [PollFd::from_borrowed_fd(endpoints.fd(), PollFlags::IN)], Some(&bound));
    assert_eq!(woken, Ok(1), "nothing has woken it");
}

/// Takes a nap: whatever has been told by now is over.
fn nap(endpoints: &mut Endpoints) {
    while endpoints.next().unwrap().is_some() {}
    endpoints.stir();
    endpoints.hear(Hearing::Nothing).unwrap();
}

#[test]
fn who_comes_and_who_ends_wakes_a_driver_that_hears_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let mut endpoints = Endpoints::start(&parent.path().join("pool"), Style::Tracked(Reach::Owner)).unwrap();
    let lease = endpoints.open_lease("build", rustix::process::geteuid().as_raw()).unwrap();
    let path = endpoints.path(lease).unwrap();
    for _ in 0..20 {
        nap(&mut endpoints);
        let mut child = client("sh", &path);
        child.args(["-c", "exec 3<$JOBSERVER 4>$JOBSERVER; head -c 1 <&3 >/dev/null; printf + >&4; read x; exit 0"]);
        let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
        // It waits in its first open until it is answered, and what it asks before that wakes as well.
        let first = loop {
            wake(&endpoints);
            let first = endpoints.next().unwrap();
            // From then on a driver has to listen.
            if endpoints.stir().asked {
                break first;
            }
            assert!(first.is_none(), "it has opened without having asked: {first:?}");
        };
        endpoints.hear(Hearing::All).unwrap();
        let first = first.unwrap_or_else(|| super::measure::next(&mut endpoints));
        let Event::Opened { endpoint, kind: Kind::Waiting, .. } = first else { panic!("{first:?}") };
        endpoints.offer(endpoint, 1).unwrap();
        let mut back = 0;
        while back == 0 {
            match super::measure::next(&mut endpoints) {
                Event::Stirred { returned, .. } => back += returned,
                other => panic!("{other:?}"),
            }
        }
        nap(&mut endpoints);
        drop(child.stdin.take());
        wake(&endpoints);
        loop {
            match endpoints.next().unwrap() {
                Some(Event::Gone { endpoint: gone }) if gone == endpoint => break,
                Some(Event::Changed { .. } | Event::Shut { .. } | Event::Stirred { .. }) => {}
                Some(other) => panic!("{other:?}"),
                None => wake(&endpoints),
            }
        }
        assert!(child.wait().unwrap().success());
    }
    drop(endpoints);
    assert_eq!(std::fs::read_dir(parent.path().join("pool")).unwrap().count(), 0);
}
