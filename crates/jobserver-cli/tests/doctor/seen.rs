//! A place with the tools that a test wants on PATH, and what doctor said there.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::clients;

use crate::sandbox::{jobserver, text, Outcome, Sandbox};

/// What doctor writes as JSON, into a file of this name: recipes and shells say other things as well.
pub(crate) const DOCTOR: &str = "jobserver doctor --json";

pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
}

impl Place {
    /// `make` is this one; there is no other, and no ninja.
    pub(crate) fn with(make: PathBuf) -> Place {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("bin")).unwrap();
        let place = Place { sandbox };
        place.link("make", &make);
        place.link("jobserver", Path::new(jobserver()));
        place
    }

    /// With make 4.4.1, which joins whatever there is.
    pub(crate) fn new() -> Place {
        Place::with(clients::make_4_4())
    }

    pub(crate) fn with_old_make() -> Place {
        Place::with(clients::make_4_3())
    }

    pub(crate) fn link(&self, name: &str, program: &Path) {
        symlink(program, self.sandbox.path("bin").join(name)).unwrap();
    }

    /// A tool that does nothing but say this version.
    pub(crate) fn fake(&self, name: &str, version: &str) {
        self.sandbox.script(&format!("bin/{name}"), &format!("#!/bin/sh\necho '{version}'\n"));
    }

    pub(crate) fn makefile(&self, recipe: &str) {
        self.sandbox.write("Makefile", &format!("all:\n{recipe}\n"));
    }

    /// A program in the sandbox, with its tools first on PATH.
    pub(crate) fn command(&self, program: &str) -> Command {
        // What PATH would find, since the search uses that of this process.
        let own = self.sandbox.path("bin").join(program);
        let mut command = if own.exists() { self.sandbox.command(own) } else { self.sandbox.command(program) };
        command.env("PATH", format!("{}:/usr/bin:/bin", text(&self.sandbox.path("bin"))));
        command
    }

    pub(crate) fn sh(&self, script: &str) -> Command {
        let mut command = self.command("sh");
        command.args(["-c", script]);
        command
    }

    /// A shell under `jobserver run`: nothing may be lost, and nothing is said.
    #[track_caller]
    pub(crate) fn under_run(&self, options: &[&str], script: &str) -> Outcome {
        let mut command = self.command("jobserver");
        command.arg("run").args(options).args(["--", "sh", "-c", script]);
        let outcome = self.sandbox.finish(command);
        assert!(outcome.err.is_empty(), "{outcome:?}");
        outcome
    }

    /// To its end, whatever its status.
    pub(crate) fn done(&self, mut command: Command) -> Outcome {
        command.output().unwrap().into()
    }

    /// What doctor says here, given these words and this environment.
    #[track_caller]
    pub(crate) fn doctor(&self, words: &str, environment: &[(&str, &str)]) -> Seen {
        let mut command = self.sh(&format!("{DOCTOR} {words} >seen"));
        command.envs(environment.iter().copied());
        let outcome = self.done(command);
        assert!(outcome.err.is_empty(), "{outcome:?}");
        let seen = self.seen("seen");
        assert_eq!(outcome.status, Some(i32::from(!seen.problems().is_empty())), "{outcome:?}");
        seen
    }

    /// A remedy is pasted into a shell with this environment, which doctor then looks at.
    #[track_caller]
    pub(crate) fn after(&self, remedy: &str, words: &str, environment: &[(&str, &str)]) -> Seen {
        let mut command = self.sh(&format!("{remedy}\n{DOCTOR} {words} >after"));
        command.envs(environment.iter().copied());
        let outcome = self.done(command);
        assert!(outcome.err.is_empty(), "{remedy}: {outcome:?}");
        self.seen("after")
    }

    /// What doctor wrote into this file.
    #[track_caller]
    pub(crate) fn seen(&self, file: &str) -> Seen {
        let text = fs::read_to_string(self.sandbox.path(file)).unwrap();
        Seen(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }
}

#[derive(Debug)]
pub(crate) struct Seen(pub(crate) Value);

impl Seen {
    fn of_severity(&self, severity: &str) -> Vec<String> {
        let findings = self.0["findings"].as_array().unwrap().iter();
        let those = findings.filter(|finding| finding["severity"] == severity);
        those.map(|finding| finding["code"].as_str().unwrap().to_string()).collect()
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.of_severity("problem")
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.of_severity("note")
    }

    /// That this is the only problem; its remedy.
    #[track_caller]
    pub(crate) fn problem(&self, code: &str) -> String {
        assert_eq!(self.problems(), [code], "{}", self.0);
        self.finding(code)["remedy"].as_str().unwrap().to_string()
    }

    /// That this is noted, and nothing is wrong; its remedy.
    #[track_caller]
    pub(crate) fn note(&self, code: &str) -> String {
        assert!(self.problems().is_empty(), "{}", self.0);
        assert!(self.notes().iter().any(|note| note == code), "no {code}: {}", self.0);
        self.finding(code)["remedy"].as_str().unwrap().to_string()
    }

    #[track_caller]
    pub(crate) fn finding(&self, code: &str) -> &Value {
        let findings = self.0["findings"].as_array().unwrap();
        findings.iter().find(|finding| finding["code"] == code).unwrap_or_else(|| panic!("no {code}: {}", self.0))
    }

    /// That a jobserver counts here, can be joined, and nothing is to be said; but for a pool that is empty at that moment,
    /// as one within another is at first.
    #[track_caller]
    pub(crate) fn is_joined(&self) -> &Seen {
        let said = self.0["findings"].as_array().unwrap().iter().filter(|finding| finding["code"] != "pool-empty");
        assert_eq!(said.count(), 0, "{}", self.0);
        assert!(self.0["auth"].is_string() && self.0["available"].is_u64(), "{}", self.0);
        self
    }

    /// That nothing is wrong.
    #[track_caller]
    pub(crate) fn is_content(&self) -> &Seen {
        assert_eq!(self.problems(), Vec::<String>::new(), "{}", self.0);
        self
    }

    #[track_caller]
    pub(crate) fn has(&self, field: &str, value: impl Into<Value>) -> &Seen {
        assert_eq!(self.0[field], value.into(), "{field}: {}", self.0);
        self
    }
}
