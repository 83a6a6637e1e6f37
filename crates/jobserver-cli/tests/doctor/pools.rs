//! The pool that `run` would find, or why it doesn't.

use std::fs;
use std::os::unix::fs::chown;

use rustix::process::Signal;

use crate::sandbox::text;
use crate::seen::Place;
use crate::served::Served;

#[test]
fn a_pool_that_is_served_is_named_with_its_free_slots() {
    let place = Place::new();
    let runtime = place.sandbox.path("runtime");
    fs::create_dir(&runtime).unwrap();
    let served = Served::at(&place.sandbox, runtime.join("jobserver"), place.sandbox.command("env"), &["-j5"]);
    for (name, value) in [("JOBSERVER_POOL", &served.dir), ("XDG_RUNTIME_DIR", &runtime)] {
        let seen = place.doctor("", &[(name, text(value))]);
        let expected = format!(
            "takes a lease of the pool that is served at {} (5 of 5 slots free, no build)",
            served.dir.display()
        );
        assert_eq!(seen.0["run"], expected);
        assert_eq!(seen.notes(), ["no-jobserver"]);
        // A width from somebody's profile keeps every make out of it.
        let seen = place.doctor("", &[(name, text(value)), ("MAKEFLAGS", "-j3")]);
        assert_eq!(seen.problem("jobs-without-jobserver"), "unset MAKEFLAGS; jobserver run -j3 -- make");
        place.after("unset MAKEFLAGS", "", &[(name, text(value)), ("MAKEFLAGS", "-j3")]).note("no-jobserver");
    }
    served.finish();
}

#[test]
fn a_variable_that_leads_to_no_pool_or_to_one_that_was_killed() {
    let place = Place::new();
    let nowhere = place.sandbox.path("nowhere");
    let environment = [("JOBSERVER_POOL", text(&nowhere))];
    let remedy = place.doctor("", &environment).problem("pool-not-served");
    assert_eq!(remedy, "unset JOBSERVER_POOL");
    place.after(&remedy, "", &environment).note("no-jobserver");

    let mut served = Served::new(&place.sandbox, &["-j5"]);
    let dir = served.dir.clone();
    served.signal(Signal::KILL);
    served.server.take().unwrap().wait().unwrap();
    let environment = [("JOBSERVER_POOL", text(&dir))];
    let remedy = place.doctor("", &environment).problem("pool-not-served");
    assert_eq!(remedy, format!("jobserver serve --dir {} &", dir.display()));
    served.start(&["-j5"]);
    place.doctor("", &environment).note("no-jobserver");
    served.finish();
}

#[test]
fn a_pool_of_another_user_is_not_used() {
    let place = Place::new();
    let served = Served::new(&place.sandbox, &["-j5"]);
    // What root finds after `sudo -E`.
    chown(&served.dir, Some(65_534), Some(65_534)).unwrap();
    let environment = [("JOBSERVER_POOL", text(&served.dir))];
    let remedy = place.doctor("", &environment).problem("pool-of-another-user");
    place.after(&remedy, "", &environment).note("no-jobserver");
    chown(&served.dir, Some(0), Some(0)).unwrap();
    served.finish();
}
