//! `jobserver run` where it isn't written yet: it says so, and starts nothing.

use crate::{cli, exit, report};

pub(crate) fn run(_: &cli::Run) -> exit::Code {
    report::say("run: this platform is not supported yet: use a Unix system, or the library, which is");
    exit::OURS
}
