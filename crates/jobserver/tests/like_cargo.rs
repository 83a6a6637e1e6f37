//! The calls that cargo makes: a pool of its own, one token of it taken for itself (or all drained), and `configure`
//! for many children at once, of which each is a client in turn.

use std::path::Path;
#[cfg(unix)]
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use jobserver::Client;
#[cfg(unix)]
use testkit::clients;
use testkit::process;
use testkit::spans::{self, Recorder};

#[test]
fn a_pool_can_be_drained_and_filled_again() {
    let client = Client::new(8).unwrap();
    for _ in 0..8 {
        client.acquire_raw().unwrap();
    }
    assert!(client.try_acquire().unwrap().is_none());
    for _ in 0..8 {
        client.release_raw().unwrap();
    }
    assert_eq!(client.available().unwrap(), 8);
}

#[test]
fn forty_children_started_at_once_share_one_pool() {
    const NAME: &str = "forty_children_started_at_once_share_one_pool";
    if let Some(folder) = process::role() {
        // SAFETY: nothing in this process has opened a file yet.
        let client = unsafe { Client::from_env() }.expect("configured");
        for _ in 0..3 {
            let token = client.acquire().unwrap();
            spans::job(Path::new(&folder), 4, || thread::sleep(Duration::from_millis(10)));
            token.release().unwrap();
        }
        return;
    }
    let recorder = Recorder::new();
    let client = Client::new(4).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let children: Vec<_> = (0..10)
                    .map(|_| {
                        let mut child = process::me(NAME, recorder.path().to_str().unwrap());
                        client.configure(&mut child);
                        child.stdout(Stdio::null()).spawn().unwrap()
                    })
                    .collect();
                for child in children {
                    assert!(process::finish(child).status.success());
                }
            });
        }
    });
    let spans = recorder.spans();
    assert_eq!(spans.jobs(), 120);
    assert_eq!(spans.most_at_once(), 4);
    assert_eq!(client.available().unwrap(), 4);
}

#[cfg(unix)]
#[test]
fn a_build_scripts_make_joins_the_pool_of_cargo() {
    for make in [clients::make_4_3(), clients::make_4_4()] {
        let recorder = Recorder::with_meeting(3);
        let job = format!("\t@{} sleep 0.05\n", recorder.wrapper().display());
        let targets: Vec<String> = (0..12).map(|n| format!("t{n}")).collect();
        let makefile = format!("all: {0}\n{0}:\n{job}", targets.join(" "));
        std::fs::write(recorder.path().join("Makefile"), makefile).unwrap();
        let client = Client::new(3).unwrap();
        // cargo holds one token for the job that runs the build script, and make owns that slot.
        let token = client.acquire().unwrap();
        let mut command = Command::new(&make);
        process::without_jobserver(&mut command);
        client.configure_make(&mut command);
        process::output(command.current_dir(recorder.path()));
        drop(token);
        assert_eq!(recorder.spans().jobs(), 12);
        assert_eq!(recorder.spans().most_at_once(), 3, "{}", make.display());
        assert_eq!(client.available().unwrap(), 3);
    }
}
