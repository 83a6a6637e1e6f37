//! The machine's own figures, as Linux tells them: `/proc/loadavg`, `/proc/meminfo`, `/proc/pressure/memory`.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::Reading;
use crate::failed::failed;

/// Where the figures are read.
#[derive(Debug)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// This one.
    pub fn here() -> Machine {
        Machine { root: PathBuf::from("/proc") }
    }

    /// All figures at this moment. A kernel without pressure figures (CONFIG_PSI) has no stalls.
    ///
    /// # Errors
    /// A file can't be read, or isn't as it should be.
    pub fn read(&self) -> io::Result<Reading> {
        let running = self.figure("loadavg", |text| {
            // Running and existing processes: `3/512`. One of them reads this.
            let running: f64 = text.split_whitespace().nth(3)?.split_once('/')?.0.parse().ok()?;
            Some((running - 1.0).max(0.0))
        })?;
        let available = self.figure("meminfo", |text| memory(text, "MemAvailable:"))?;
        let stalled = self.figure("pressure/memory", |text| {
            text.lines().find(|line| line.starts_with("full "))?.split_once("avg10=")?.1.split(' ').next()?.parse().ok()
        });
        Ok(Reading { running, available, stalled: stalled.unwrap_or(0.0) })
    }

    /// Bytes of memory that there are.
    ///
    /// # Errors
    /// As [`read`](Machine::read).
    pub fn memory(&self) -> io::Result<u64> {
        self.figure("meminfo", |text| memory(text, "MemTotal:"))
    }

    fn figure<T>(&self, name: &str, find: impl Fn(&str) -> Option<T>) -> io::Result<T> {
        let path = self.root.join(name);
        let text = fs::read_to_string(&path).map_err(|error| failed(error, "can't read", &path))?;
        let missing = || io::Error::new(io::ErrorKind::InvalidData, format!("{} isn't as expected", path.display()));
        find(&text).ok_or_else(missing)
    }
}

fn memory(text: &str, name: &str) -> Option<u64> {
    let kibibytes: u64 =
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_found_where_the_kernel_writes_them() {
        let root = tempfile::tempdir().unwrap();
        let machine = Machine { root: root.path().to_path_buf() };
        assert!(machine.read().unwrap_err().to_string().contains("loadavg"));
        fs::write(root.path().join("loadavg"), "0.52 0.60 0.76 3/512 12345\n").unwrap();
        fs::write(root.path().join("meminfo"), "MemTotal:  8000 kB\nMemFree: 1 kB\nMemAvailable:    5000 kB\n")
            .unwrap();
        assert_eq!(machine.read().unwrap(), Reading { running: 2.0, available: 5_120_000, stalled: 0.0 });
        fs::create_dir(root.path().join("pressure")).unwrap();
        let text = "some avg10=1.53 avg60=0.87 avg300=0.20 total=1\nfull avg10=1.13 avg60=0.6 avg300=0.1 total=1\n";
        fs::write(root.path().join("pressure/memory"), text).unwrap();
        assert!((machine.read().unwrap().stalled - 1.13).abs() < 1e-9);
        fs::write(root.path().join("meminfo"), "nonsense\n").unwrap();
        assert!(machine.read().unwrap_err().to_string().contains("isn't as expected"));
    }

    #[test]
    fn this_machine_tells_its_figures() {
        let (reading, memory) = (Machine::here().read().unwrap(), Machine::here().memory().unwrap());
        assert!(reading.available > 0 && reading.available <= memory, "{reading:?}");
    }
}
