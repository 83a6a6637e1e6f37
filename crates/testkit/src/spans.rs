//! How many jobs ran at once, seen from outside.
//!
//! A [`Recorder`] gives a wrapper script: `WRAPPER CMD...` notes when CMD starts and ends, on one clock for all
//! processes. [`Spans::most_at_once`] is the truth that a jobserver is judged by: no client is asked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A folder of its own with a wrapper script and what that has recorded.
#[derive(Debug)]
pub struct Recorder {
    dir: tempfile::TempDir,
}

impl Recorder {
    /// Makes the folder and the wrapper.
    pub fn new() -> Recorder {
        Recorder::with_meeting(1)
    }

    /// The same, with jobs that wait until `jobs` of them have started: a build that has the slots reaches that many
    /// at once on the slowest machine, and one that hasn't fails after a minute. No test of how many slots are used
    /// then depends on how long a job takes.
    pub fn with_meeting(jobs: usize) -> Recorder {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder { dir };
        let script = format!(
            "#!/bin/sh\nlog='{log}'\n\
             echo \"$$ start $(date +%s%N)\" >>\"$log\"\n\
             tries=0\n\
             while [ \"$(grep -c start \"$log\")\" -lt {jobs} ]; do\n\
             \ttries=$((tries + 1))\n\
             \t[ $tries -gt 6000 ] && echo 'fewer than {jobs} jobs at once' >&2 && exit 99\n\
             \tsleep 0.01\n\
             done\n\
             \"$@\"\nstatus=$?\n\
             echo \"$$ end $(date +%s%N)\" >>\"$log\"\nexit $status\n",
            log = recorder.log().display()
        );
        fs::write(recorder.wrapper(), script).unwrap();
        fs::set_permissions(recorder.wrapper(), fs::Permissions::from_mode(0o755)).unwrap();
        recorder
    }

    /// The script: `WRAPPER CMD...`.
    pub fn wrapper(&self) -> PathBuf {
        self.path().join("job")
    }

    /// The folder, free for the test's own files as well.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What was recorded so far. A job that has started and not ended yet is a panic: wait for the build first.
    pub fn spans(&self) -> Spans {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        Spans::parse(&text)
    }

    fn log(&self) -> PathBuf {
        self.path().join("spans.log")
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder::new()
    }
}

/// When each job ran, in nanoseconds.
#[derive(Debug)]
pub struct Spans {
    spans: Vec<(u64, u64)>,
}

impl Spans {
    fn parse(text: &str) -> Spans {
        let mut open: Vec<(&str, u64)> = Vec::new();
        let mut spans = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [pid, what, at] = words[..] else { panic!("spans.log: {line:?}") };
            let at: u64 = at.parse().unwrap();
            if what == "start" {
                open.push((pid, at));
            } else {
                let index = open.iter().position(|job| job.0 == pid).expect("a job ended that never began");
                spans.push((open.swap_remove(index).1, at));
            }
        }
        assert!(open.is_empty(), "jobs without an end: {open:?}");
        Spans { spans }
    }

    /// How many jobs there were.
    pub fn jobs(&self) -> usize {
        self.spans.len()
    }

    /// The largest number of jobs that ran at the same moment.
    pub fn most_at_once(&self) -> usize {
        let mut edges: Vec<(u64, i32)> = Vec::new();
        for &(start, end) in &self.spans {
            edges.push((start, 1));
            edges.push((end, -1));
        }
        // At the same nanosecond an end comes before a start.
        edges.sort();
        let mut now = 0;
        let mut most = 0;
        for (_, step) in edges {
            now += step;
            most = most.max(now);
        }
        most as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_counted_and_touching_is_not() {
        let text = "1 start 10\n2 start 15\n1 end 20\n3 start 20\n2 end 30\n3 end 31\n";
        let spans = Spans::parse(text);
        assert_eq!(spans.jobs(), 3);
        assert_eq!(spans.most_at_once(), 2);
    }

    #[test]
    fn the_wrapper_records_a_job_and_keeps_its_status() {
        let recorder = Recorder::new();
        let status = std::process::Command::new(recorder.wrapper()).args(["sh", "-c", "exit 7"]).status().unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(recorder.spans().jobs(), 1);
    }

    #[test]
    fn jobs_that_meet_are_at_once() {
        let recorder = Recorder::with_meeting(3);
        let start = || std::process::Command::new(recorder.wrapper()).arg("true").spawn().unwrap();
        for mut child in [start(), start(), start()] {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(recorder.spans().most_at_once(), 3);
    }
}
