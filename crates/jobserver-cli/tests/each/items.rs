//! Which items there are, and what the commands make of them.

use crate::sandbox::Sandbox;
use crate::{each, fed};

#[test]
fn an_item_goes_to_every_place_or_to_the_end() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.finish(each(&sandbox, &["-k", "--", "echo", "{}", "a{}b{}", ":::", "1", "two words", "{}"]));
    outcome.is_clean();
    assert_eq!(outcome.out, "1 a1b1\ntwo words atwo wordsbtwo words\n{} a{}b{}\n");
    let outcome = sandbox.finish(each(&sandbox, &["-k", "echo", "x", ":::", "1", "2"]));
    outcome.is_clean();
    assert_eq!(outcome.out, "x 1\nx 2\n");
}

#[test]
fn lines_of_standard_input_are_items_and_empty_ones_are_none() {
    let sandbox = Sandbox::new();
    let outcome = fed(&sandbox, &["-k", "--", "printf", "<%s>\\n"], b"one\n\ntwo words\n  three\xff");
    outcome.is_clean();
    assert_eq!(outcome.out, "<one>\n<two words>\n<  three\u{fffd}>\n");
}

#[test]
fn names_with_newlines_end_with_a_nul_byte() {
    let sandbox = Sandbox::new();
    let outcome = fed(&sandbox, &["-k0", "--", "printf", "<%s>"], b"one\ntwo\0three\0");
    outcome.is_clean();
    assert_eq!(outcome.out, "<one\ntwo><three>");
}

#[test]
fn no_items_run_nothing() {
    let sandbox = Sandbox::new();
    for outcome in [sandbox.finish(each(&sandbox, &["false", ":::"])), fed(&sandbox, &["false"], b"")] {
        outcome.is_clean();
        assert_eq!(outcome.out, "");
    }
}

#[test]
fn one_item_is_enough_and_two_thousand_are_not_too_many() {
    let sandbox = Sandbox::new();
    for (count, jobs) in [(1, "-j4"), (2000, "-j4"), (600, "-j300")] {
        let input: String = (1..=count).map(|number| format!("{number}\n")).collect();
        let outcome = fed(&sandbox, &["-k", jobs, "--", "echo"], input.as_bytes());
        outcome.is_clean();
        assert_eq!(outcome.out, input);
    }
}

#[test]
fn items_are_read_as_they_come_and_the_commands_have_no_input() {
    let sandbox = Sandbox::new();
    // The writer goes on only when the first item was run.
    let writer = "echo a; while ! [ -e a.done ]; do sleep 0.02; done; echo b";
    let script =
        format!("{{ {writer}; }} | {} each -- sh -c 'cat; echo $1; touch $1.done' sh", crate::sandbox::jobserver());
    let mut command = sandbox.command("sh");
    command.args(["-c", &script]);
    let outcome = sandbox.finish(command);
    outcome.is_clean();
    assert_eq!(outcome.out, "a\nb\n");
}

#[test]
fn a_command_line_that_makes_no_sense_is_125() {
    let sandbox = Sandbox::new();
    for wrong in [&[":::", "a"][..], &["echo", ":::", "a", ":::", "b"], &["-j0", "echo", ":::", "a"], &[]] {
        let outcome = sandbox.finish(each(&sandbox, wrong));
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(125), ""), "{wrong:?}: {outcome:?}");
    }
}
