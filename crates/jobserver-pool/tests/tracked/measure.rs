//! How long things take, printed with `--nocapture`; asserted is only that they happen.

use std::process::Stdio;
use std::time::{Duration, Instant};

use jobserver_pool::endpoint::{Endpoints, Event, Style};
use jobserver_pool::fuse::Reach;
use rustix::event::{PollFd, PollFlags, Timespec};

use crate::driver::client;

const ROUNDS: usize = 500;

/// The next event that matters; a minute without one is a panic.
pub fn next(endpoints: &mut Endpoints) -> Event {
    let bound = Timespec { tv_sec: 60, tv_nsec: 0 };
    loop {
        match endpoints.next().unwrap() {
            // Of no matter here: it has got its second FIFO.
            Some(Event::Changed { .. }) => continue,
            Some(event) => return event,
            None => {}
        }
        let fd = endpoints.fd();
        let ready = rustix::event::poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&bound)).unwrap();
        assert!(ready > 0, "nothing happens");
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{what}: p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100));
}

#[test]
fn an_offer_is_seen_taken_and_returned() {
    let dir = tempfile::tempdir().unwrap();
    let mut endpoints = Endpoints::start(&dir.path().join("pool"), Style::Tracked(Reach::Owner)).unwrap();
    let lease = endpoints.open_lease("build", rustix::process::geteuid().as_raw()).unwrap();
    let script = "import os\nr = os.open(os.environ['JOBSERVER'], 0)\nw = os.open(os.environ['JOBSERVER'], 1)\n\
                  while True: os.write(w, os.read(r, 1))";
    let path = endpoints.path(lease).unwrap();
    let mut child = client("python3", &path).args(["-c", script]).stdin(Stdio::null()).spawn().unwrap();
    let Event::Opened { endpoint, .. } = next(&mut endpoints) else { panic!("an unknown client") };
    let (mut taken_after, mut returned_after) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        endpoints.offer(endpoint, 1).unwrap();
        let mut is_back = false;
        while !is_back {
            match next(&mut endpoints) {
                Event::Stirred { taken: 1, returned: 0, left: 0, .. } => taken_after.push(start.elapsed()),
                Event::Stirred { taken: 0, returned: 1, left: 0, .. } => is_back = true,
                other => panic!("{other:?}"),
            }
        }
        returned_after.push(start.elapsed());
    }
    assert_eq!(taken_after.len(), ROUNDS);
    print("offer to taken", taken_after);
    print("offer to returned", returned_after);
    child.kill().unwrap();
    child.wait().unwrap();
    while !matches!(next(&mut endpoints), Event::Gone { .. }) {}
    let mut recovered_after = Vec::new();
    for _ in 0..50 {
        // Small, so that little time goes into ending it.
        let mut holder = client("sh", &path);
        holder
            .args(["-c", "exec 3<$JOBSERVER 4>$JOBSERVER; echo; read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = holder.spawn().unwrap();
        let Event::Opened { endpoint, .. } = next(&mut endpoints) else { panic!("an unknown client") };
        endpoints.offer(endpoint, 1).unwrap();
        let mut said = holder.stdout.take().unwrap();
        while rustix::event::poll(&mut [PollFd::new(&said, PollFlags::IN)], Some(&Timespec::default())).unwrap() == 0 {
            assert!(matches!(endpoints.next().unwrap(), None | Some(Event::Changed { .. })));
        }
        std::io::Read::read_exact(&mut said, &mut [0]).unwrap();
        assert!(matches!(endpoints.next().unwrap(), None | Some(Event::Changed { .. })));
        let start = Instant::now();
        holder.kill().unwrap();
        while !matches!(next(&mut endpoints), Event::Gone { .. }) {}
        recovered_after.push(start.elapsed());
        holder.wait().unwrap();
    }
    print("kill to gone", recovered_after);
}
