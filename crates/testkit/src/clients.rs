//! The real clients that tests drive.
//!
//! `cargo xtask clients` puts them into `target/clients`; a missing one is a failure that names that command, never a
//! skipped test. The program at a path counts only if it says the version that the path promises.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program of one version, at its place under [`dir`].
#[derive(Debug)]
pub struct Program {
    /// Its folder in [`dir`].
    pub folder: &'static str,
    /// The program inside the folder.
    pub binary: &'static str,
    /// What `--version` prints first.
    pub says: &'static str,
}

/// GNU make 4.3.
pub const MAKE_4_3: Program = Program { folder: "make-4.3", binary: "bin/make", says: "GNU Make 4.3" };
/// GNU make 4.4.1.
pub const MAKE_4_4: Program = Program { folder: "make-4.4.1", binary: "bin/make", says: "GNU Make 4.4.1" };
/// ninja 1.13.2.
pub const NINJA: Program = Program { folder: "ninja-1.13.2", binary: "bin/ninja", says: "1.13.2" };

/// The folder that `cargo xtask clients` fills: `target/clients` of this workspace, whatever the target directory of
/// the test's own build.
pub fn dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/testkit is in a workspace");
    workspace.join("target/clients")
}

/// GNU make 4.3: speaks `R,W` only.
pub fn make_4_3() -> PathBuf {
    MAKE_4_3.find()
}

/// GNU make 4.4.1: `fifo:` by default, `R,W` with `--jobserver-style=pipe`.
pub fn make_4_4() -> PathBuf {
    MAKE_4_4.find()
}

/// ninja 1.13.2.
pub fn ninja() -> PathBuf {
    NINJA.find()
}

/// GNU make for Windows: the one in `JOBSERVER_TEST_MAKE`, or else on PATH. It gives its own semaphore.
pub fn make_for_windows() -> PathBuf {
    let make = PathBuf::from(std::env::var_os("JOBSERVER_TEST_MAKE").unwrap_or_else(|| "make".into()));
    let output = Command::new(&make).arg("--version").env_remove("MAKEFLAGS").output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    // MSYS2's and Cygwin's say so there, and have no semaphore.
    let is_native = said.as_ref().is_ok_and(|said| {
        said.starts_with("GNU Make 4") && ["Windows", "mingw"].iter().any(|system| said.contains(system))
    });
    assert!(is_native, "{} is no GNU make 4 that is built for Windows: {said:?}", make.display());
    make
}

impl Program {
    /// Where it lies, or should lie.
    pub fn path(&self) -> PathBuf {
        dir().join(self.folder).join(self.binary)
    }

    /// Whether the program at `path` runs and is of this version; if not, why not.
    pub fn check(&self, path: &Path) -> Result<(), String> {
        // An inherited jobserver would make it complain, or join.
        let output = Command::new(path).arg("--version").env_remove("MAKEFLAGS").output();
        let output = output.map_err(|error| format!("{} can't be run: {error}", path.display()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if is_version(&said, self.says) {
            Ok(())
        } else {
            Err(format!("{} is not {:?} but says {said:?}", path.display(), self.says))
        }
    }

    fn find(&self) -> PathBuf {
        let path = self.path();
        if let Err(why) = self.check(&path) {
            panic!("{why}; `cargo xtask clients` fetches it");
        }
        path
    }
}

/// Whether `said` begins with `version` and not with a longer one: `4.4` is neither `4.41` nor `4.4.1`, while
/// `1.13.2.git` is `1.13.2`.
fn is_version(said: &str, version: &str) -> bool {
    let Some(rest) = said.strip_prefix(version) else {
        return false;
    };
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    !rest.starts_with(|next: char| next.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_version_is_another_version() {
        assert!(is_version("GNU Make 4.3\nBuilt for", "GNU Make 4.3"));
        assert!(is_version("1.13.2.git.kitware.jobserver-pipe-1\n", "1.13.2"));
        assert!(!is_version("GNU Make 4.4.1\n", "GNU Make 4.4"));
        assert!(!is_version("GNU Make 4.31\n", "GNU Make 4.3"));
        assert!(!is_version("", "1.13.2"));
    }

    #[test]
    fn a_program_that_is_missing_or_another_is_an_error_that_says_so() {
        assert!(MAKE_4_3.check(Path::new("/nonexistent/make")).unwrap_err().contains("can't be run"));
        assert!(NINJA.check(Path::new("/bin/true")).unwrap_err().contains("is not"));
    }
}
