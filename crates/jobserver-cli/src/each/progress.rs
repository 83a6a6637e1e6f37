//! How far it is, on a terminal; nothing anywhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// `total`: `None` if nobody knows yet.
    pub(super) fn new(total: Option<u64>, quiet: bool) -> Progress {
        // Hidden where standard error is no terminal. It has no colours, so NO_COLOR has nothing to take away.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            // As wide as there is room for: a line that is broken would not be taken away again.
            Some(_) => "[{wide_bar}] {pos} of {len}{msg}, {elapsed}",
            None => "{pos} done{msg}, {elapsed}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_secs(1));
        }
        Progress { bar }
    }

    /// One more has ended.
    pub(super) fn step(&self, running: usize, failures: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let failed = if failures > 0 { format!(", {failures} failed") } else { String::new() };
        self.bar.set_message(format!(", {running} running{failed}"));
        self.bar.inc(1);
    }

    /// Writes something else to the terminal.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.bar.is_hidden() {
            return write();
        }
        self.bar.suspend(write)
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
