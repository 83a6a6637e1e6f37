//! A real make whose jobs last until they are let go, one by one or all.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::clients;
use testkit::spans::Recorder;

use crate::sandbox::{text, Outcome, Sandbox};
use crate::served::Served;

/// Nothing healthy takes that long.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Asks again and again; a test fails if it is in vain for too long.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < BOUND, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Jobs that can be counted and ended.
pub(crate) struct Build<'a> {
    sandbox: &'a Sandbox,
    pub(crate) recorder: Recorder,
    pub(crate) child: Child,
}

impl<'a> Build<'a> {
    /// A make of so many jobs, called `name`, in a served pool.
    pub(crate) fn start(served: &Served<'_>, sandbox: &'a Sandbox, name: &str, jobs: usize) -> Build<'a> {
        let recorder = Recorder::new();
        let makefile = Build::write(sandbox, &recorder, jobs);
        let mut command = served.run(&["--name", name, "--", text(&clients::make_4_4()), "-s", "-f", &makefile]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Build { sandbox, recorder, child }
    }

    fn write(sandbox: &Sandbox, recorder: &Recorder, jobs: usize) -> String {
        for folder in ["running", "done"] {
            fs::create_dir_all(sandbox.path(folder)).unwrap();
        }
        let job = sandbox.script(
            "job",
            "#!/bin/sh\n: >running/$1\nwhile ! [ -e done/$1 ] && ! [ -e done/all ]; do sleep 0.02; done\nrm running/$1\n",
        );
        let job = format!("{} {} $*", recorder.wrapper().display(), job.display());
        let makefile = format!("all: $(addprefix j,$(shell seq {jobs}))\nj%: ; @{job}\n");
        text(&sandbox.write("jobs.mk", &makefile)).to_string()
    }

    /// The jobs that run now, as their own files say.
    pub(crate) fn running(&self) -> Vec<String> {
        let entries = fs::read_dir(self.sandbox.path("running")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Waits until so many run.
    #[track_caller]
    pub(crate) fn until_running(&self, jobs: usize) -> Vec<String> {
        until(&format!("{jobs} jobs run"), || Some(self.running()).filter(|running| running.len() == jobs))
    }

    pub(crate) fn end(&self, job: &str) {
        fs::write(self.sandbox.path("done").join(job), "").unwrap();
    }

    /// Lets all jobs end, and the build.
    #[track_caller]
    pub(crate) fn finish(self) -> Recorder {
        self.end("all");
        Outcome::from(self.child.wait_with_output().unwrap()).is_clean();
        self.recorder
    }
}

/// `jobserver` with these arguments for this pool, to its end.
pub(crate) fn ask(sandbox: &Sandbox, served: &Served<'_>, arguments: &[&str]) -> Outcome {
    let mut command = sandbox.command(crate::sandbox::jobserver());
    output(command.args(arguments).arg("--pool").arg(&served.dir))
}

pub(crate) fn output(command: &mut Command) -> Outcome {
    command.stdin(Stdio::null()).output().unwrap().into()
}
