//! What Linux shows of another process.

use std::fs;

/// The open flags (`O_NONBLOCK` and so on) of descriptor `fd` of process `pid`, from `/proc/PID/fdinfo/FD`.
pub fn fd_flags(pid: u32, fd: i32) -> u32 {
    let path = format!("/proc/{pid}/fdinfo/{fd}");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let octal = field(&text, "flags:").unwrap_or_else(|| panic!("{path} has no flags: {text:?}"));
    u32::from_str_radix(octal, 8).unwrap_or_else(|error| panic!("{path}: flags {octal:?}: {error}"))
}

/// The numbers and targets of all descriptors that process `pid` has open.
pub fn fds(pid: u32) -> Vec<(i32, String)> {
    let path = format!("/proc/{pid}/fd");
    let mut found = Vec::new();
    for entry in fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}")) {
        let entry = entry.unwrap();
        let number = entry.file_name().to_string_lossy().parse().unwrap();
        // One that closed in the meantime (the listing's own) has no target.
        if let Ok(target) = fs::read_link(entry.path()) {
            found.push((number, target.to_string_lossy().into_owned()));
        }
    }
    found.sort();
    found
}

/// How often thread `tid` of process `pid` went to sleep by itself.
pub fn voluntary_switches(pid: u32, tid: u32) -> u64 {
    let path = format!("/proc/{pid}/task/{tid}/status");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let count = field(&text, "voluntary_ctxt_switches:").unwrap_or_else(|| panic!("{path} has no count"));
    count.parse().unwrap()
}

/// The state letter of process `pid` (`S` asleep, `R` running, `Z` ended), from `/proc/PID/stat`.
pub fn state(pid: u32) -> char {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let after = text.rfind(')').unwrap();
    text[after + 1..].trim_start().chars().next().unwrap()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}
