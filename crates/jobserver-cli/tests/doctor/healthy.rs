//! Where all is well doctor says so, says how many tokens there are, and leaves them there.

use std::fs;

use testkit::clients;

use crate::sandbox::{text, Sandbox};
use crate::seen::{Place, DOCTOR};
use crate::served::Served;

#[test]
fn under_make_with_a_plus_nothing_is_wrong_and_all_tokens_lie_there() {
    for (make, style, kind) in [
        (clients::make_4_3(), "", "pipe"),
        (clients::make_4_4(), "", "fifo"),
        (clients::make_4_4(), "--jobserver-style=pipe", "pipe"),
    ] {
        let place = Place::with(make);
        // The second time all of them are still there, and make would say if some were missing.
        place.makefile(&format!("\t+@{DOCTOR} >first && {DOCTOR} -- make >second"));
        let outcome = place.done(place.sh(&format!("make -j4 {style}")));
        outcome.is_clean();
        for file in ["first", "second"] {
            let seen = place.seen(file);
            seen.is_joined().has("kind", kind).has("pool", 4).has("available", 3);
        }
        place.seen("first").has("command", serde_json::Value::Null);
        assert!(place.seen("second").0["does"].as_str().unwrap().starts_with("joins (make 4."));
    }
}

#[test]
fn under_run_nothing_is_wrong_in_any_style() {
    for style in ["tracked", "fifo", "pipe"] {
        let place = Place::new();
        place.under_run(&["-j4", "--style", style], &format!("{DOCTOR} >first; {DOCTOR} >second")).is_clean();
        for file in ["first", "second"] {
            place.seen(file).is_joined().has("kind", style).has("pool", 4).has("available", 3);
        }
    }
}

#[test]
fn in_a_served_pool_nothing_is_wrong_and_its_slots_are_counted() {
    for style in ["tracked", "fifo"] {
        let place = Place::new();
        let served = Served::new(&place.sandbox, &["-j5", "--style", style]);
        place.under_run(&["--pool", text(&served.dir)], &format!("{DOCTOR} >first; {DOCTOR} >second")).is_clean();
        for file in ["first", "second"] {
            place.seen(file).is_joined().has("kind", style).has("pool", 5).has("available", 4);
        }
        served.finish();
    }
}

#[test]
fn a_build_script_of_cargo_finds_cargos_own_jobserver() {
    let place = Place::new();
    fs::create_dir(place.sandbox.path("src")).unwrap();
    place
        .sandbox
        .write("Cargo.toml", "[package]\nname = \"it\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n");
    place.sandbox.write("src/lib.rs", "");
    let seen = place.sandbox.path("seen");
    place.sandbox.write(
        "build.rs",
        &format!(
            "fn main() {{ let file = std::fs::File::create({:?}).unwrap(); assert!(std::process::Command::new({:?})\
             .args([\"doctor\", \"--json\"]).stdout(file).status().unwrap().success()); }}",
            text(&seen),
            crate::sandbox::jobserver(),
        ),
    );
    let mut cargo = place.sandbox.command(env!("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "-j3"]).env("CARGO_TARGET_DIR", place.sandbox.path("target"));
    let outcome = place.done(cargo);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let seen = place.seen("seen");
    seen.is_content().has("variable", "CARGO_MAKEFLAGS");
    assert!(seen.0["available"].is_u64(), "{}", seen.0);
}

#[test]
fn the_command_that_is_asked_about_is_not_run() {
    let place = Place::new();
    let seen = place.doctor("-- touch made", &[]);
    seen.is_content().has("command", serde_json::json!(["touch", "made"]));
    assert!(!place.sandbox.path("made").exists());
}

#[test]
fn a_person_reads_which_jobserver_counts_and_that_nothing_is_wrong() {
    let place = Place::new();
    let outcome = place.under_run(&["-j4", "--style", "fifo"], "jobserver doctor");
    let lines: Vec<&str> = outcome.out.lines().collect();
    assert!(lines[0].starts_with("CARGO_MAKEFLAGS counts here: fifo:/"), "{outcome:?}");
    assert!(outcome.out.contains("3 of 3 tokens lie"), "{outcome:?}");
    assert_eq!(lines.last(), Some(&"Nothing is wrong."), "{outcome:?}");
}

#[test]
fn an_output_that_is_closed_is_our_failure() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(crate::sandbox::jobserver());
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let outcome = command.arg("doctor").stdout(full).output().unwrap();
    assert_eq!(outcome.status.code(), Some(125));
}
