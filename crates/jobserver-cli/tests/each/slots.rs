//! How many items run at once, counted from outside.

use rustix::process::Signal;
use testkit::clients;
use testkit::spans::Recorder;

use crate::each;
use crate::sandbox::{jobserver, start, text, wait, Sandbox};
use crate::served::{send, Served};

const ITEMS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];

/// `-- JOB {} ::: ...`, with a recorded job that takes a moment.
fn recorded(recorder: &Recorder) -> Vec<String> {
    let wrapper = text(&recorder.wrapper()).to_string();
    ["--", &wrapper, "sh", "-c", "sleep 0.05", "{}", ":::"].iter().chain(&ITEMS).map(|word| word.to_string()).collect()
}

fn words(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

#[test]
fn alone_as_many_run_as_were_stated() {
    for (jobs, most) in [("-j1", 1), ("-j3", 3)] {
        let sandbox = Sandbox::new();
        let recorder = Recorder::with_meeting(most);
        let recorded = recorded(&recorder);
        sandbox.finish(each(&sandbox, &[&[jobs], &words(&recorded)[..]].concat())).is_clean();
        assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (8, most));
    }
}

#[test]
fn under_make_the_tokens_are_makes_and_all_go_back() {
    for make in [clients::make_4_3(), clients::make_4_4()] {
        for (options, most) in [("", 3), ("-j2", 2), ("-j9", 3)] {
            let sandbox = Sandbox::new();
            let recorder = Recorder::with_meeting(most);
            let job = format!("{} sh -c 'sleep 0.05' {{}}", text(&recorder.wrapper()));
            let recipe = format!("+{} each {options} -- {job} ::: {}", jobserver(), ITEMS.join(" "));
            sandbox.write("Makefile", &format!("all: ; {recipe}\n"));
            let mut command = sandbox.command(&make);
            command.args(["-s", "-j3"]);
            sandbox.finish(command).is_clean();
            assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (8, most), "{options}");
        }
    }
}

#[test]
fn beside_recipes_of_the_same_make_no_more_run_than_make_may() {
    for make in [clients::make_4_3(), clients::make_4_4()] {
        let sandbox = Sandbox::new();
        let recorder = Recorder::new();
        let wrapper = recorder.wrapper();
        let recipe = format!("+{} each -- {} sleep 0.05 {{}} ::: 0 0 0 0 0 0", jobserver(), text(&wrapper));
        let recipe = recipe.replace("sleep 0.05 {}", "sh -c 'sleep 0.05' {}");
        let text = format!("all: a b 1 2 3 4 5 6\na b: ; {recipe}\n1 2 3 4 5 6: ; {} sleep 0.05\n", text(&wrapper));
        sandbox.write("Makefile", &text);
        let mut command = sandbox.command(&make);
        command.args(["-s", "-j4"]);
        sandbox.finish(command).is_clean();
        assert_eq!(recorder.spans().jobs(), 18);
        assert!(recorder.spans().most_at_once() <= 4, "{:?}", recorder.spans());
    }
}

#[test]
fn under_run_the_slots_are_those_of_run() {
    for style in ["tracked", "fifo", "pipe"] {
        let sandbox = Sandbox::new();
        let recorder = Recorder::with_meeting(3);
        let recorded = recorded(&recorder);
        let each = ["-j3", "--style", style, "--", jobserver(), "each"];
        sandbox.run(&[&each[..], &words(&recorded)].concat()).is_clean();
        assert_eq!((recorder.spans().jobs(), recorder.spans().most_at_once()), (8, 3), "{style}");
    }
}

#[test]
fn makes_below_it_share_its_slots() {
    let sandbox = Sandbox::new();
    let recorder = Recorder::new();
    sandbox.write("Makefile", &format!("all: 1 2 3 4\n1 2 3 4: ; @{} sleep 0.05\n", text(&recorder.wrapper())));
    for make in [clients::make_4_3(), clients::make_4_4()] {
        let path = text(&make).to_string();
        sandbox.finish(each(&sandbox, &["-j3", "--", &path, "-s", "X={}", ":::", "1", "2", "3", "4"])).is_clean();
    }
    assert_eq!(recorder.spans().jobs(), 32);
    assert!(recorder.spans().most_at_once() <= 3, "{:?}", recorder.spans());
}

#[test]
fn beside_another_build_no_more_run_than_the_pool_has() {
    for style in ["tracked", "fifo"] {
        let sandbox = Sandbox::new();
        let served = Served::new(&sandbox, &["-j4", "--style", style]);
        let recorder = Recorder::new();
        sandbox.write(
            "Makefile",
            &format!("all: $(addprefix j,1 2 3 4 5 6 7 8)\nj%: ; @{} sleep 0.05\n", text(&recorder.wrapper())),
        );
        let recorded = recorded(&recorder);
        let mut command = each(&sandbox, &words(&recorded));
        command.env("JOBSERVER_POOL", &served.dir);
        let make = clients::make_4_4();
        for child in [start(command), start(served.run(&["--", text(&make), "-s"]))] {
            wait(child).is_clean();
        }
        assert_eq!(recorder.spans().jobs(), 16);
        assert!(recorder.spans().most_at_once() <= 4, "{style}: {:?}", recorder.spans());
        assert_eq!(served.status()["strays"], 0);
        served.finish();
    }
}

#[test]
fn all_its_slots_are_free_when_it_is_killed() {
    let sandbox = Sandbox::new();
    let served = Served::new(&sandbox, &["-j4"]);
    let script = "while ! [ -e go ]; do sleep 0.02; done";
    let items = ["--", "sh", "-c", script, "sh", ":::"];
    let mut command = each(&sandbox, &[&items[..], &ITEMS].concat());
    command.env("JOBSERVER_POOL", &served.dir);
    let mut child = start(command);
    let status = served.until("all slots are in use", |status| status["held"] == 4);
    assert_eq!(status["leases"][0]["name"], "sh", "{status}");
    send(&child, Signal::KILL);
    child.wait().unwrap();
    served.until("all are back", |status| status["held"] == 0);
    sandbox.write("go", "");
    served.finish();
}
