//! Traps in the tools: too old for the jobserver at hand, or told a width that takes them out of it.

use std::fs;

use testkit::clients;

use crate::sandbox::text;
use crate::seen::{Place, DOCTOR};

/// What doctor says about these words under `jobserver run` in this style.
#[track_caller]
fn asked(place: &Place, style: &str, words: &str) -> crate::seen::Seen {
    let _ = place.under_run(&["-j4", "--style", style], &format!("{DOCTOR} -- {words} >seen; true"));
    place.seen("seen")
}

#[test]
fn a_make_too_old_for_a_named_pipe() {
    let place = Place::with_old_make();
    let recipe = place.sandbox.write("recipe.mk", &format!("all:\n\t+@{DOCTOR} -- make >after\n"));
    let remedy = asked(&place, "fifo", "make -s -f recipe.mk").problem("make-too-old");
    assert_eq!(remedy, "jobserver run -- make -s -f recipe.mk");
    let outcome = place.under_run(&["-j4", "--style", "fifo"], "make -s -f recipe.mk 2>&1; true");
    assert!(outcome.out.contains("internal error: invalid --jobserver-auth string"), "{outcome:?}");
    place.under_run(&["-j4", "--style", "fifo"], &remedy).is_clean();
    place.seen("after").is_content().has("kind", "fifo");
    // One that only lies on PATH is a note.
    asked(&place, "fifo", "cat").note("make-too-old");
    asked(&place, "pipe", "make -s").is_joined();
    drop(recipe);
    let young = Place::new();
    asked(&young, "fifo", "make -s").is_joined();
}

#[test]
fn a_ninja_too_old_for_any_jobserver() {
    let place = Place::new();
    place.sandbox.script("bin/ninja", "#!/bin/sh\n[ \"$1\" = --version ] && echo 1.11.1 || echo \"$@\" >arguments\n");
    let remedy = asked(&place, "fifo", "ninja -C out").problem("ninja-too-old");
    assert_eq!(remedy, "jobserver exec -n 1..8 -- ninja -C out -j {}");
    place.under_run(&["-j4", "--style", "fifo"], &remedy).is_clean();
    // Its own slot and the three others.
    assert_eq!(fs::read_to_string(place.sandbox.path("arguments")).unwrap(), "-C out -j 4\n");
    asked(&place, "fifo", "make").note("ninja-too-old");
    // A build of PyPI, which says so: descriptors it knows.
    let kitwares = Place::new();
    kitwares.fake("ninja", "1.11.1.git.kitware.jobserver-1");
    let remedy = asked(&kitwares, "fifo", "ninja -C out").problem("ninja-too-old");
    assert_eq!(remedy, "jobserver run --style pipe -- ninja -C out");
    asked(&kitwares, "pipe", "ninja -C out").is_joined();
    let young = Place::new();
    young.link("ninja", &clients::ninja());
    asked(&young, "fifo", "ninja").is_joined();
}

#[test]
fn a_ninja_that_joins_named_pipes_only() {
    let place = Place::new();
    place.fake("ninja", "1.13.2");
    let remedy = asked(&place, "pipe", "ninja").problem("ninja-needs-fifo");
    assert_eq!(remedy, "jobserver run --style fifo -- ninja");
    let within = remedy.replace("ninja", &format!("sh -c '{DOCTOR} -- ninja >after'"));
    place.under_run(&["-j4", "--style", "pipe"], &within).is_clean();
    place.seen("after").is_joined().has("kind", "fifo");
    // The builds of PyPI take both.
    let kitwares = Place::new();
    kitwares.link("ninja", &clients::ninja());
    asked(&kitwares, "pipe", "ninja").is_joined();
}

#[test]
fn where_run_would_shut_ninja_out_it_is_said() {
    let place = Place::with_old_make();
    place.fake("ninja", "1.13.2");
    // make is found through a shim, or not at all.
    assert_eq!(place.doctor("-- ninja", &[]).note("no-jobserver"), "jobserver run -- ninja");
    let seen = place.doctor(&format!("-- {}", text(&place.sandbox.path("bin/make"))), &[]);
    assert!(seen.0["run"].as_str().unwrap().ends_with("ninja joins none of those"), "{seen:?}");
}

#[test]
fn below_a_shim_of_make_all_is_well() {
    let place = Place::with_old_make();
    place.link("ninja", &clients::ninja());
    for (recipe, words) in [("@", "make"), ("+@", "make"), ("@", "ninja"), ("+@", "ninja")] {
        place.sandbox.write("recipe.mk", &format!("all:\n\t{recipe}{DOCTOR} -- {words} >below\n"));
        place.under_run(&["-j4"], "make -s -f recipe.mk").is_clean();
        place.seen("below").is_joined().is_content().has("kind", "tracked");
    }
    place.under_run(&["-j4"], &format!("{DOCTOR} >below")).is_clean();
    place.seen("below").is_content().has("kind", "tracked");
}

#[test]
fn a_gcc_too_old_for_a_named_pipe() {
    let place = Place::new();
    place.fake("gcc", "gcc (Debian 12.2.0-14+deb12u1) 12.2.0");
    let remedy = asked(&place, "fifo", "gcc -flto=jobserver a.o").problem("gcc-too-old");
    assert_eq!(remedy, "jobserver run --style pipe -- gcc -flto=jobserver a.o");
    let within =
        remedy.replace("gcc -flto=jobserver a.o", &format!("sh -c '{DOCTOR} -- gcc -flto=jobserver a.o >after'"));
    place.under_run(&["-j4", "--style", "fifo"], &within).is_clean();
    place.seen("after").is_joined().has("kind", "pipe");
    asked(&place, "pipe", "gcc -flto=auto a.o").is_joined();
    asked(&place, "fifo", "gcc -c a.c").is_joined();
    let young = Place::new();
    young.fake("gcc", "gcc (GCC) 14.2.0");
    asked(&young, "fifo", "gcc -flto=jobserver a.o").is_joined();
}

#[test]
fn a_width_in_the_arguments_leaves_the_pool_and_the_remedy_is_the_command_without() {
    let place = Place::new();
    place.link("ninja", &clients::ninja());
    place.fake("cmake", "cmake version 3.25.1");
    for (words, stays) in [
        ("make -j8 all", "make all"),
        ("make -kj 8", "make -k"),
        ("ninja -C out -j8", "ninja -C out"),
        ("cmake --build out -j8 --target x", "cmake --build out --target x"),
        ("cmake --build out --parallel", "cmake --build out"),
        ("cmake --build out -- -j8", "cmake --build out --"),
    ] {
        let remedy = asked(&place, "fifo", words).problem("command-leaves-pool");
        assert_eq!(remedy, stays, "{words}");
        asked(&place, "fifo", &remedy).is_joined();
    }
    // make says it itself.
    place.makefile("\t@true");
    let outcome = place.under_run(&["-j4", "--style", "fifo"], "make -j8 2>&1");
    assert!(outcome.out.contains("forced in submake"), "{outcome:?}");
    // Without a jobserver there is none to leave.
    place.doctor("-- make -j8", &[]).note("no-jobserver");
}

#[test]
fn cargo_stays_in_the_pool_whatever_its_width() {
    let place = Place::new();
    place.fake("cargo", "cargo 1.95.0");
    let seen = asked(&place, "fifo", "cargo build -j8");
    assert_eq!(seen.is_joined().0["does"], "joins, and its -j is a limit within the pool");
    // Unless a CARGO_MAKEFLAGS without one is in the way.
    let script = format!("export CARGO_MAKEFLAGS=-j; {DOCTOR} -- cargo build >seen; true");
    place.under_run(&["-j4", "--style", "fifo"], &script).is_clean();
    let seen = place.seen("seen");
    assert_eq!(seen.problem("cargo-makeflags-without-auth"), "unset CARGO_MAKEFLAGS");
    seen.has("variable", serde_json::Value::Null)
        .has("does", "is in no pool, and makes one of its own, as wide as there are processors");
}

#[test]
fn samurai_joins_no_jobserver() {
    let place = Place::new();
    place.fake("samu", "1.9.0");
    let remedy = asked(&place, "fifo", "samu -j8 all").problem("samurai-joins-none");
    assert_eq!(remedy, "jobserver exec -n 1..8 -- samu all -j {}");
}

#[test]
fn a_width_in_the_environment_of_cmake_leaves_the_pool() {
    let place = Place::new();
    place.fake("cmake", "cmake version 3.25.1");
    let set = "export CMAKE_BUILD_PARALLEL_LEVEL=8";
    let script = format!("{set}; {DOCTOR} -- cmake --build out >seen; true");
    place.under_run(&["-j4", "--style", "fifo"], &script).is_clean();
    let remedy = place.seen("seen").problem("cmake-parallel-level");
    let script = format!("{set}; {remedy}; {DOCTOR} -- cmake --build out >after");
    place.under_run(&["-j4", "--style", "fifo"], &script).is_clean();
    place.seen("after").is_joined();
}

#[test]
fn a_command_that_is_not_there() {
    let place = Place::new();
    let remedy = asked(&place, "fifo", "no-such-tool").problem("command-not-found");
    assert_eq!(place.done(place.sh(&format!("{remedy}; true"))).status, Some(0));
}

#[test]
fn a_tool_that_hangs_when_asked_for_its_version_holds_nobody_up() {
    let place = Place::new();
    place.sandbox.script("bin/ninja", "#!/bin/sh\nexec sleep 1000\n");
    place.doctor("-- ninja", &[]).is_content();
}
