//! What the user asked for and will regret is named once, at the start: a `-jN` of the command's own, a style that its
//! make can't use.

use testkit::clients;

use crate::sandbox::{text, Sandbox};

#[test]
fn an_explicit_width_is_named_and_the_command_runs_all_the_same() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @echo done\n");
    sandbox.write("build.ninja", "rule r\n command = echo done\nbuild all: r\n");
    let (old, new, ninja) = (clients::make_4_3(), clients::make_4_4(), clients::ninja());
    for (command, option) in [
        (vec![text(&old), "-j8"], "`make -j8` leaves the pool: "),
        (vec![text(&new), "--jobs", "8"], "`make -j8` leaves the pool: "),
        (vec![text(&ninja), "-j", "8"], "`ninja -j8` leaves the pool: "),
    ] {
        let outcome = sandbox.run(&[&["-j2", "--"], &command[..]].concat());
        assert_eq!(outcome.status, Some(0), "{outcome:?}");
        assert!(outcome.out.contains("done"), "{outcome:?}");
        let ours: Vec<&str> = outcome.err.lines().filter(|line| line.starts_with("jobserver: ")).collect();
        assert_eq!(ours.len(), 1, "{outcome:?}");
        assert!(ours[0].contains(option), "{outcome:?}");
    }
}

#[test]
fn no_width_is_seen_where_there_is_none() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", "all: ; @:\n");
    let make = clients::make_4_4();
    sandbox.run(&["-j2", "--", text(&make), "-k", "V=-j8"]).is_clean();
}

#[test]
fn a_named_pipe_for_an_old_make_is_named_before_make_stops() {
    let sandbox = Sandbox::new();
    let make = clients::make_4_3();
    let outcome = sandbox.run(&["-j2", "--style", "fifo", "--", text(&make)]);
    assert_eq!(outcome.status, Some(2), "{outcome:?}");
    let first = outcome.err.lines().next().unwrap();
    assert!(first.starts_with("jobserver: ") && first.ends_with("leave out --style fifo"), "{outcome:?}");
}
