//! What `run` does where FUSE can't be had.

use std::path::Path;

use testkit::clients;

use crate::sandbox::{jobserver, Sandbox};

/// What the recipe of a make finds: a link for each process, or one pipe for all.
const LOOK: &str = "all: ; @path=$${MAKEFLAGS##*fifo:}; path=$${path%% *}; \
                    if [ -L $$path ]; then echo link; elif [ -p $$path ]; then echo pipe; fi\n";

#[test]
fn without_fuse_run_goes_on_with_one_pipe_and_says_so_only_to_who_asked_for_more() {
    let sandbox = Sandbox::new();
    sandbox.write("Makefile", LOOK);
    let make = clients::make_4_4();
    let run = |setup: &str, style: &str| {
        let mut command = sandbox.command("unshare");
        command.args(["--mount", "sh", "-c", &format!("{setup}exec \"$@\""), "sh", jobserver(), "run", "-j3"]);
        command.args(["--style", style, "--"]).arg(&make).arg("-s");
        sandbox.finish(command)
    };
    let without = "mount --bind /dev/null /dev/fuse && ";
    for (setup, style, found, said) in [
        ("", "auto", "link\n", false),
        ("", "tracked", "link\n", false),
        (without, "auto", "pipe\n", false),
        (without, "fifo", "pipe\n", false),
        (without, "tracked", "pipe\n", true),
    ] {
        let outcome = run(setup, style);
        assert_eq!((outcome.status, outcome.out.as_str()), (Some(0), found), "{style}: {outcome:?}");
        if said {
            assert!(outcome.line().contains("one named pipe for all"), "{outcome:?}");
        } else {
            outcome.is_clean();
        }
    }
    assert!(Path::new("/dev/fuse").exists());
}
