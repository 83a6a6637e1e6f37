//! How many jobs ran at once, seen from outside.
//!
//! A [`Recorder`] gives a wrapper script: `WRAPPER CMD...` notes when CMD starts and ends, on one clock for all
//! processes; a process that is a job by itself calls [`job`], which needs no shell. [`Spans::most_at_once`] is the truth
//! that a jobserver is judged by: no client is asked.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

const LOG: &str = "spans.log";
/// What a job without a wrapper writes goes to a file of its own: wine loses lines that two processes append to one.
const JOB: &str = "job-";

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
        let recorder = Recorder { dir: tempfile::tempdir().unwrap() };
        #[cfg(unix)]
        recorder.write_wrapper(jobs);
        #[cfg(not(unix))]
        let _ = jobs;
        recorder
    }

    #[cfg(unix)]
    fn write_wrapper(&self, jobs: usize) {
        use std::os::unix::fs::PermissionsExt;
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
            log = self.path().join(LOG).display()
        );
        fs::write(self.wrapper(), script).unwrap();
        fs::set_permissions(self.wrapper(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The script: `WRAPPER CMD...`.
    #[cfg(unix)]
    pub fn wrapper(&self) -> PathBuf {
        self.path().join("job")
    }

    /// The folder, free for the test's own files as well.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// What was recorded so far. A job that has started and not ended yet is a panic: wait for the build first.
    pub fn spans(&self) -> Spans {
        let files = jobs(self.path()).into_iter().map(|path| fs::read_to_string(path).unwrap());
        let log = fs::read_to_string(self.path().join(LOG)).unwrap_or_default();
        Spans::parse(&(log + &files.collect::<String>()))
    }
}

/// The files of jobs that have started.
fn jobs(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let is_job = |name: &str| name.starts_with(JOB);
    entries.filter(|entry| is_job(&entry.file_name().to_string_lossy())).map(|entry| entry.path()).collect()
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder::new()
    }
}

/// What the wrapper does, in a process that is the job itself: notes when `work` starts and ends, in the folder of a
/// [`Recorder`], and begins it once `meeting` jobs have started.
pub fn job<T>(folder: &Path, meeting: usize, work: impl FnOnce() -> T) -> T {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let mut log = File::create(folder.join(format!("{JOB}{name}"))).unwrap();
    let mut note = |what: &str| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        writeln!(log, "{name} {what} {now}").unwrap();
    };
    note("start");
    let mut tries = 0;
    while jobs(folder).len() < meeting {
        tries += 1;
        assert!(tries < 6_000, "fewer than {meeting} jobs at once");
        thread::sleep(Duration::from_millis(10));
    }
    let done = work();
    note("end");
    done
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
    fn jobs_without_a_shell_are_counted_alike() {
        let recorder = Recorder::new();
        let folder = recorder.path();
        thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(|| job(folder, 3, || ()))));
        });
        job(folder, 3, || ());
        let spans = recorder.spans();
        assert_eq!((spans.jobs(), spans.most_at_once()), (4, 3));
    }

    #[cfg(unix)]
    #[test]
    fn the_wrapper_records_a_job_and_keeps_its_status() {
        let recorder = Recorder::new();
        let status = std::process::Command::new(recorder.wrapper()).args(["sh", "-c", "exit 7"]).status().unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(recorder.spans().jobs(), 1);
    }

    #[cfg(unix)]
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
