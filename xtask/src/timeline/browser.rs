//! Chromium without a window.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{ensure, Context as _, Result};

use crate::context::Context;
use crate::root;

pub(crate) struct Browser {
    /// Its own, so that it meets no other one.
    profile: std::path::PathBuf,
}

/// A page after its script has run.
pub(crate) struct Dom {
    pub(crate) text: String,
    /// What its script did wrong, as the browser's console has it.
    pub(crate) complaints: Vec<String>,
}

impl Browser {
    pub(crate) fn find(context: &Context) -> Result<Browser> {
        if Command::new("chromium").arg("--version").output().is_err() {
            root::install(context, &["chromium"], "the page of a timeline")?;
        }
        let profile = std::env::temp_dir().join(format!("jobserver-browser-{}", std::process::id()));
        Ok(Browser { profile })
    }

    pub(crate) fn open(&self, page: &Path) -> Result<Dom> {
        let output = self.command(page, &["--dump-dom", "--enable-logging=stderr"]).output()?;
        ensure!(output.status.success(), "chromium: {}", output.status);
        let said = String::from_utf8_lossy(&output.stderr);
        let complaints = said.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_string).collect();
        Ok(Dom { text: String::from_utf8(output.stdout)?, complaints })
    }

    pub(crate) fn picture(&self, page: &Path, file: &Path, width: u32, dark: bool) -> Result<()> {
        let (shot, size) = (format!("--screenshot={}", file.display()), format!("--window-size={width},1400"));
        let mut args = vec![shot.as_str(), size.as_str(), "--hide-scrollbars"];
        if dark {
            args.push("--blink-settings=preferredColorScheme=0");
        }
        let status = self.command(page, &args).stderr(std::process::Stdio::null()).status()?;
        ensure!(status.success() && file.exists(), "chromium made no picture: {status}");
        Ok(())
    }

    fn command(&self, page: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10s", "120s", "chromium", "--headless", "--disable-gpu", "--disable-quic"]);
        // Its sandbox needs more than a container has; the page is ours.
        command.args(["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-sync"]);
        command.args(["--disable-component-update", "--disable-dev-shm-usage"]);
        command.arg(format!("--user-data-dir={}", self.profile.display())).args(args);
        command.arg(format!("file://{}", page.display()));
        command
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.profile);
    }
}

impl Dom {
    /// A number that the page's template wrote.
    pub(crate) fn fact(&self, key: &str) -> Result<f64> {
        self.attribute(&format!("data-key=\"{key}\" data-value=\""))
    }

    /// A number that the page's script counted while it drew.
    pub(crate) fn drawn(&self, key: &str) -> Result<f64> {
        self.attribute(&format!(" data-drawn-{key}=\""))
    }

    fn attribute(&self, before: &str) -> Result<f64> {
        let rest = self.text.split_once(before).with_context(|| format!("the page has no {before}"))?.1;
        let value = rest.split('"').next().unwrap_or_default();
        value.parse().with_context(|| format!("{before}{value}"))
    }
}
