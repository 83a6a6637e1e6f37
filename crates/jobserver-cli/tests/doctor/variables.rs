//! Traps in the text of the variables.

use testkit::clients;

use crate::seen::{Place, DOCTOR};

/// Does in a shell what the remedy in the file `seen` says.
const PASTE: &str = r#"eval "$(sed 's/.*"remedy":"\([^"]*\)".*/\1/' seen)""#;

/// Runs `script` under a fresh pool of four, in a shell whose `$auth` is what the pool is named by.
#[track_caller]
fn in_a_pool(place: &Place, script: &str) {
    place.under_run(&["-j4", "--style", "fifo"], &format!("auth=${{MAKEFLAGS##*-auth=}}; {script}")).is_clean();
}

/// In a pool whose variables `set` has spoilt: the only problem is this, and the remedy leaves none.
#[track_caller]
fn is_mended(place: &Place, set: &str, code: &str) -> String {
    in_a_pool(place, &format!("{set}; {DOCTOR} >seen; true"));
    let remedy = place.seen("seen").problem(code);
    // Its path is of a pool that is gone: the same again, in one that is there.
    in_a_pool(place, &format!("{set}; {DOCTOR} >seen; {PASTE}; {DOCTOR} >after"));
    place.seen("after").is_joined().has("available", 3);
    remedy
}

#[test]
fn a_stale_cargo_makeflags_that_hides_a_good_makeflags() {
    let place = Place::new();
    let gone = place.under_run(&["--style", "fifo"], "echo $CARGO_MAKEFLAGS").out;
    let remedy = is_mended(&place, &format!("export CARGO_MAKEFLAGS='{}'", gone.trim()), "stale-cargo-makeflags");
    assert_eq!(remedy, "unset CARGO_MAKEFLAGS");
    place.seen("seen").has("variable", "MAKEFLAGS");
}

#[test]
fn a_cargo_makeflags_that_names_no_jobserver() {
    let place = Place::new();
    let remedy = is_mended(&place, "export CARGO_MAKEFLAGS=-j4", "cargo-makeflags-without-auth");
    assert_eq!(remedy, "unset CARGO_MAKEFLAGS");
}

#[test]
fn two_jobservers_that_differ_are_worth_a_note() {
    let place = Place::new();
    place.makefile(&format!("\t+@{DOCTOR} >seen"));
    // As cargo does to its build scripts: it takes only the one variable for its own.
    let script = "export CARGO_MAKEFLAGS; unset MAKEFLAGS MFLAGS; exec make -j3";
    in_a_pool(&place, script);
    place.seen("seen").note("two-jobservers");
}

#[test]
fn fds_that_name_a_path_and_ninja_drops_the_jobserver() {
    let place = Place::new();
    place.link("ninja", &clients::ninja());
    place.sandbox.write("build.ninja", "rule t\n command = true\nbuild a: t\n");
    is_mended(
        &place,
        "unset CARGO_MAKEFLAGS; export MAKEFLAGS=\" -j4 --jobserver-fds=$auth --jobserver-auth=$auth\"; ninja a >ninja 2>&1",
        "fds-with-fifo",
    );
    let ninja = std::fs::read_to_string(place.sandbox.path("ninja")).unwrap();
    assert!(ninja.contains("Invalid file descriptor pair"), "{ninja}");
}

#[test]
fn a_dry_run_of_make_that_ninja_takes_for_its_own() {
    let place = Place::new();
    place.link("ninja", &clients::ninja());
    place.sandbox.write("build.ninja", "rule t\n command = true\nbuild a: t\n");
    place.sandbox.write(
        "recipe",
        &format!("{DOCTOR} >seen; ninja -v a >before; {PASTE}; {DOCTOR} >after; ninja -v a >behind; true"),
    );
    place.makefile("\t+@. ./recipe");
    assert_eq!(place.done(place.sh("make -n -j4")).status, Some(0));
    let remedy = place.seen("seen").problem("dry-run-flag");
    assert!(remedy.starts_with("export MAKEFLAGS=' -j4 --jobserver-auth=fifo:"), "{remedy}");
    place.seen("after").is_joined().has("pool", 4).has("available", 3);
    let joined = |file| std::fs::read_to_string(place.sandbox.path(file)).unwrap().contains("Jobserver mode detected");
    assert_eq!((joined("before"), joined("behind")), (false, true));
}

#[test]
fn auths_that_differ() {
    let place = Place::new();
    is_mended(
        &place,
        "unset CARGO_MAKEFLAGS; export MAKEFLAGS=\" -j4 --jobserver-auth=8,9 --jobserver-auth=$auth\"",
        "several-auths",
    );
}

#[test]
fn an_auth_that_only_make_does_not_see() {
    let place = Place::new();
    // make's own doing, from an innocent argument.
    place.makefile(&format!("\t+@{DOCTOR} >seen; true"));
    place.done(place.sh("make -j4 V=--jobserver-auth=8,9"));
    place.seen("seen").problem("auth-after-variables");
    let set = "unset CARGO_MAKEFLAGS; export MAKEFLAGS=\"$MAKEFLAGS -- V=--jobserver-auth=8,9\"";
    is_mended(&place, set, "auth-after-variables");
    // None before it: not brought to light, since nobody vouches for it.
    let seen = place.doctor("", &[("MAKEFLAGS", " -- --jobserver-auth=fifo:/gone")]);
    seen.has("variable", serde_json::Value::Null);
    let remedy = seen.problem("auth-after-variables");
    place.after(&remedy, "", &[("MAKEFLAGS", " -- --jobserver-auth=fifo:/gone")]).note("no-jobserver");
}

#[test]
fn bytes_that_are_no_text() {
    let place = Place::new();
    place.makefile(&format!("\t+@{DOCTOR} >seen; true"));
    place.done(place.sh("make -j4 V=\"$(printf '\\377')\""));
    place.seen("seen").problem("makeflags-not-utf8");
    let set = "unset CARGO_MAKEFLAGS; export MAKEFLAGS=\"$MAKEFLAGS -- V=$(printf '\\377')\"";
    is_mended(&place, set, "makeflags-not-utf8");
}

#[test]
fn a_width_without_a_jobserver_is_worth_a_note() {
    for name in ["MAKEFLAGS", "GNUMAKEFLAGS"] {
        let place = Place::new();
        let seen = place.doctor("", &[(name, "-j3")]);
        seen.has("variable", serde_json::Value::Null);
        let remedy = seen.note("jobs-without-jobserver");
        assert_eq!(remedy, format!("unset {name}; jobserver run -j3 -- make"));
        place.makefile(&format!("\t+@{DOCTOR} >after"));
        let mut pasted = place.sh(&remedy);
        pasted.env(name, "-j3");
        place.done(pasted).is_clean();
        place.seen("after").is_joined().has("pool", 3);
    }
    // Beside an auth it is harmless.
    in_a_pool(&Place::new(), DOCTOR);
}

#[test]
fn a_jobserver_in_gnumakeflags_that_make_alone_reads() {
    let place = Place::new();
    let set = "export GNUMAKEFLAGS=\"$MAKEFLAGS\"; unset MAKEFLAGS MFLAGS CARGO_MAKEFLAGS";
    is_mended(&place, set, "gnumakeflags-auth");
    // For make itself it counts.
    in_a_pool(&place, &format!("{set}; {DOCTOR} -- make >seen; true"));
    place.seen("seen").has("variable", "GNUMAKEFLAGS");
    // Where MAKEFLAGS names one as well it does nothing.
    in_a_pool(&place, &format!("export GNUMAKEFLAGS=--jobserver-auth=fifo:/gone; {DOCTOR} >seen"));
    place.seen("seen").note("gnumakeflags-ignored");
}

#[test]
fn a_jobserver_in_mflags_alone() {
    let place = Place::new();
    is_mended(&place, "export MFLAGS=\"$MAKEFLAGS\"; unset MAKEFLAGS CARGO_MAKEFLAGS", "mflags-only");
}

#[test]
fn a_make_without_jobs_is_worth_a_note() {
    let place = Place::new();
    place.makefile(&format!("\t+@{DOCTOR} >seen"));
    place.done(place.sh("make")).is_clean();
    let remedy = place.seen("seen").note("make-without-jobs");
    place.done(place.sh(&remedy)).is_clean();
    place.seen("seen").is_joined();
}
