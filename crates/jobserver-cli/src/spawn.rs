//! Starting the command as a shell would.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::io::Errno;

use crate::exit;
use crate::report::say;

/// This program, to be started once more. It may have been replaced by another one since.
///
/// # Errors
///
/// It is not known where it is.
pub(crate) fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe()
}

/// What this process is called in a list of processes, where it was started by that link: by the link's name, otherwise.
pub(crate) fn be_called(name: &str) {
    if fs::read("/proc/self/comm").is_ok_and(|comm| comm == b"exe\n") {
        // It is only for people.
        let _ = fs::write("/proc/self/comm", name);
    }
}

/// The command as the user wrote it; its first word is there, as the arguments are parsed so.
pub(crate) fn command(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// `word` with each `{}` in it replaced.
pub(crate) fn fill(word: &OsStr, with: &OsStr) -> OsString {
    let mut filled = Vec::new();
    let mut rest = word.as_bytes();
    while let Some(at) = rest.windows(2).position(|pair| pair == b"{}") {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(with.as_bytes());
        rest = &rest[at + 2..];
    }
    filled.extend_from_slice(rest);
    OsString::from_vec(filled)
}

/// Whether `fill` would replace anything.
pub(crate) fn has_place(word: &OsStr) -> bool {
    word.as_bytes().windows(2).any(|pair| pair == b"{}")
}

/// Starts `command`, which was made of `words`; `prepare` does to another command in its place what was done to it.
///
/// # Errors
///
/// What the system says: the command isn't there, can't be executed, or no process can be had.
pub(crate) fn start(
    mut command: Command,
    words: &[OsString],
    prepare: impl Fn(&mut Command) -> io::Result<()>,
) -> io::Result<Child> {
    // Where the command has a PATH of its own to be found in, the standard library forks, and our other threads wait for
    // memory meanwhile; a file is started by posix_spawn, which is quicker. From a folder that is not absolute a script
    // would see another name of itself.
    let is_name = !words[0].as_bytes().contains(&b'/');
    let file = own_path(&command).filter(|_| is_name).and_then(|path| find(&words[0], Some(path)));
    if let Some(file) = file.filter(|file| file.is_absolute()) {
        let mut direct = Command::new(file);
        direct.arg0(&words[0]).args(&words[1..]);
        // If not so, then as everybody would find it, and with the error that this makes.
        if let Ok(child) = prepare(&mut direct).and_then(|()| direct.spawn()) {
            return Ok(child);
        }
    }
    let error = match command.spawn() {
        Ok(child) => return Ok(child),
        Err(error) => error,
    };
    // A script without `#!`: execvp gives it to the shell, as POSIX says, and posix_spawn, which the standard library
    // prefers, does not.
    if Errno::from_io_error(&error) != Some(Errno::NOEXEC) {
        return Err(error);
    }
    let path = own_path(&command).map(OsStr::to_os_string).or_else(|| std::env::var_os("PATH"));
    let Some(script) = find(&words[0], path.as_deref()) else {
        return Err(error);
    };
    let mut shell = Command::new("/bin/sh");
    shell.arg(script).args(&words[1..]);
    prepare(&mut shell)?;
    shell.spawn()
}

/// Becomes the command; the status is of one that could not be started.
pub(crate) fn in_our_place(program: &OsStr, mut command: Command) -> exit::Code {
    failed(program, &command.exec())
}

/// Says why `program` did not start, and returns the exit status that this makes.
pub(crate) fn failed(program: &OsStr, error: &io::Error) -> exit::Code {
    let status = exit::of_failed_start(error);
    let name = program.to_string_lossy();
    say(match status {
        exit::NOT_FOUND => format!("{name}: {error}: check the name and PATH"),
        exit::CANNOT_EXECUTE => format!("{name}: {error}: it must be a program that you may execute"),
        _ => format!("{name} can't be started: {error}: the limits of processes and open files are set by `ulimit`"),
    });
    status
}

/// Whether a start failed for want of something that we may have used up ourselves.
pub(crate) fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// The PATH that a command has in place of ours.
fn own_path(command: &Command) -> Option<&OsStr> {
    command.get_envs().find(|(name, _)| *name == OsStr::new("PATH"))?.1
}

/// The file that running `program` would execute.
fn find(program: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        // A leading dash would be an option of the shell's.
        return Some(Path::new(".").join(program));
    }
    let executable = |file: &PathBuf| {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path?).map(|folder| Path::new(".").join(folder).join(program)).find(executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_braces_is_replaced_and_the_replacement_is_not_looked_at() {
        for (word, filled) in [
            ("{}", "a{}b"),
            ("-n{}", "-na{}b"),
            ("{}.o={}", "a{}b.o=a{}b"),
            ("{{}}", "{a{}b}"),
            ("{} {", "a{}b {"),
            ("{ }", "{ }"),
            ("", ""),
        ] {
            assert_eq!(fill(word.as_ref(), "a{}b".as_ref()), filled, "{word}");
            assert_eq!(has_place(word.as_ref()), word.contains("{}"), "{word}");
        }
        let bytes = OsStr::from_bytes(b"\xff{}");
        assert_eq!(fill(bytes, OsStr::from_bytes(b"\xfe\n")).as_bytes(), b"\xff\xfe\n");
    }
}
