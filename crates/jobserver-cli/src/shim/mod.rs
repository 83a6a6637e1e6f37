//! Shims: this program under the names of make, ninja, cmake and cargo, first in PATH, so that they stay in the pool.
//!
//! Two things keep a tool out of a pool that is there. make before 4.4 can't open a path; so its shim opens it, for the same
//! process, and tells make the numbers. And an explicit `-jN` in a script; so with `run --shim` it is dropped. Then the
//! shim becomes the real tool, with its own name, arguments and process (samurai alone runs below an `exec` of this program).
//!
//! | module | for | who may call it |
//! |---|---|---|
//! | `offer` | puts the shims before a command that `run`, `each` or `exec` start | they, by `Shims` and `hand` |
//! | `folder` | the folders of links | `offer` |
//! | `words` | the path beside the descriptors, in one MAKEFLAGS | `offer`, `dispatch`, `decide` |
//! | `act` | what a shim does | `main`, before anything else |
//! | `decide` | whether a call joins, and with which words | `act` |
//! | `ends` | opens the path for make, closes what was inherited | `act`, `offer` |
//! | `samurai` | in how many slots it runs | `act` |
//! | `real` | the tool behind the shims | `act`, `style`, `doctor` |
//!
//! A call that goes past the shims (`/usr/bin/make`) must not fail because of them. So MAKEFLAGS has descriptors for make,
//! those of the parent that was reached by a shim, and the path only where make does not look (`words`).

mod act;
mod decide;
mod ends;
mod folder;
mod offer;
pub(crate) mod real;
mod samurai;
mod words;

use std::ffi::OsStr;

pub(crate) use act::act;
pub(crate) use offer::{as_tools_see, hand, Shims};

/// In the environment, with the value `all`, where explicit widths are dropped.
const MODE: &str = "JOBSERVER_SHIM";

/// Which tools have a shim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those without which a make before 4.4 is not in a pool that has a path.
    Makes,
    All,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Which::Makes => "make",
            Which::All => "all",
        }
    }

    fn tools(self) -> &'static [&'static str] {
        match self {
            Which::Makes => &["make", "gmake", "cmake"],
            Which::All => &["make", "gmake", "cmake", "ninja", "ninja-build", "samu", "cargo"],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Make,
    Ninja,
    Cmake,
    Cargo,
}

impl Tool {
    fn named(name: &OsStr) -> Option<Tool> {
        Some(match name.to_str()? {
            "make" | "gmake" => Tool::Make,
            "ninja" | "ninja-build" | "samu" => Tool::Ninja,
            "cmake" => Tool::Cmake,
            "cargo" => Tool::Cargo,
            _ => return None,
        })
    }
}
