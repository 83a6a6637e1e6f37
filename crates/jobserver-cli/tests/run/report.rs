//! Lines at the end: lost tokens and strays. Nothing else is ever said there.

use crate::sandbox::Sandbox;

const OPEN: &str = "exec 3<>${MAKEFLAGS##*fifo:};";

#[test]
fn a_token_that_was_read_and_not_returned_is_reported() {
    let sandbox = Sandbox::new();
    let eat = format!("{OPEN} dd bs=1 count=1 <&3 >eaten 2>log");
    let outcome = sandbox.run(&["-j4", "--style", "fifo", "--", "sh", "-c", &eat]);
    assert_eq!(outcome.status, Some(0));
    assert!(outcome.line().starts_with("jobserver: 1 of 3 tokens did not come back: "), "{outcome:?}");
}

#[test]
fn tokens_that_nobody_took_are_reported() {
    let sandbox = Sandbox::new();
    let add = format!("{OPEN} printf ++ >&3; exit 4");
    let outcome = sandbox.run(&["-j4", "--style", "fifo", "--", "sh", "-c", &add]);
    assert_eq!(outcome.status, Some(4));
    assert!(outcome.line().starts_with("jobserver: 2 tokens came back that nobody had taken: "), "{outcome:?}");
}

#[test]
fn a_pool_of_one_slot_has_no_token_to_lose() {
    let sandbox = Sandbox::new();
    for style in ["fifo", "pipe"] {
        sandbox.run(&["-j1", "--style", style, "--", "true"]).is_clean();
    }
    let add = format!("{OPEN} printf + >&3");
    let outcome = sandbox.run(&["-j1", "--style", "fifo", "--", "sh", "-c", &add]);
    assert!(outcome.line().starts_with("jobserver: 1 token came back that nobody had taken: "), "{outcome:?}");
}

#[test]
fn a_closed_standard_error_is_no_failure() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("sh");
    let eat = format!("{OPEN} dd bs=1 count=1 <&3 >eaten 2>log");
    command.args(["-c", "exec \"$0\" run -j4 --style fifo -- sh -c \"$1\" 2>&-", crate::sandbox::jobserver(), &eat]);
    sandbox.finish(command).is_clean();
}
