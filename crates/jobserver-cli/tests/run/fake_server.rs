//! A server that says less than it should: the build goes on all the same.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use serde_json::Value;
use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{start, text, wait, Sandbox};
use crate::slots::{flat, meeting};

/// So many slots the build is to have.
const WIDTH: usize = 3;

/// Answers what one runner asks with these lines, and returns what it asked once it has hung up.
fn serve(dir: &Path, replies: Vec<String>) -> thread::JoinHandle<Value> {
    fs::create_dir(dir).unwrap();
    // It is looked for before the wait begins.
    fs::write(dir.join("lease"), "").unwrap();
    let listener = UnixListener::bind(dir.join("socket")).unwrap();
    thread::spawn(move || {
        let mut runner = BufReader::new(listener.accept().unwrap().0);
        let mut asked = String::new();
        runner.read_line(&mut asked).unwrap();
        for reply in replies {
            runner.get_mut().write_all(format!("{reply}\n").as_bytes()).unwrap();
        }
        runner.read_to_end(&mut Vec::new()).unwrap();
        serde_json::from_str(&asked).unwrap()
    })
}

#[test]
fn pipes_that_never_come_cost_seconds_and_not_the_build() {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    let dir = sandbox.path("fake");
    let opened = format!(
        r#"{{"reply":"opened","version":1,"path":"{}/lease","style":"tracked","capacity":9,"server":1}}"#,
        dir.display()
    );
    let server = serve(&dir, vec![opened, r#"{"reply":"granted"}"#.to_string()]);
    sandbox.write("Makefile", &flat(&meeting(&sandbox, &recorder, "all", WIDTH)));
    let make = clients::make_4_3();
    // Killed, if it never ends.
    let outcome = wait(start(sandbox.jobserver(&["-j3", "--pool", text(&dir), "--", text(&make), "-s"])));
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.line().contains("its pipes don't come") && outcome.line().contains("-j3"), "{outcome:?}");
    let spans = recorder.spans();
    assert_eq!((spans.jobs(), spans.most_at_once()), (12, WIDTH));
    let asked = server.join().unwrap();
    assert_eq!((&asked["request"], &asked["pipes"]), (&Value::from("open"), &Value::from(true)), "{asked}");
}
