//! Starting the command as `cmd` would: `npm` may be `npm.cmd`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::exit;
use crate::report::say;

/// The command as the user wrote it; its first word is there, as the arguments are parsed so.
pub(crate) fn command(words: &[OsString]) -> Command {
    // A name without an extension is completed by `.exe` alone.
    let program = find(&words[0]).map_or_else(|| words[0].clone(), PathBuf::into_os_string);
    let mut command = Command::new(program);
    command.args(&words[1..]);
    command
}

const PLACE: [u16; 2] = [b'{' as u16, b'}' as u16];

/// `word` with each `{}` in it replaced.
pub(crate) fn fill(word: &OsStr, with: &OsStr) -> OsString {
    let word: Vec<u16> = word.encode_wide().collect();
    let (mut filled, mut rest) = (Vec::new(), &word[..]);
    while let Some(at) = rest.windows(2).position(|pair| pair == PLACE) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend(with.encode_wide());
        rest = &rest[at + 2..];
    }
    filled.extend_from_slice(rest);
    OsString::from_wide(&filled)
}

/// Whether `fill` would replace anything.
pub(crate) fn has_place(word: &OsStr) -> bool {
    word.as_encoded_bytes().windows(2).any(|pair| pair == b"{}")
}

/// Starts `command`.
///
/// # Errors
///
/// What the system says: the command isn't there, can't be executed, or no process can be had.
pub(crate) fn start(
    mut command: Command,
    _words: &[OsString],
    _prepare: impl FnOnce(&mut Command) -> io::Result<()>,
) -> io::Result<Child> {
    command.spawn()
}

/// Runs it where we can do nothing for it but pass on its status.
pub(crate) fn in_our_place(program: &OsStr, mut command: Command) -> exit::Code {
    match command.status() {
        Ok(status) => exit::of_command(status),
        Err(error) => failed(program, &error),
    }
}

/// Says why `program` did not start, and returns the exit status that this makes.
pub(crate) fn failed(program: &OsStr, error: &io::Error) -> exit::Code {
    let status = exit::of_failed_start(error);
    let name = program.to_string_lossy();
    say(match status {
        exit::NOT_FOUND => format!("{name}: {error}: check the name and PATH; what is built into cmd needs `cmd /c`"),
        exit::CANNOT_EXECUTE => format!("{name}: {error}: it must be a program that you may execute"),
        _ => format!("{name} can't be started: {error}: end some other programs"),
    });
    status
}

/// Whether a start failed for want of something that we may have used up ourselves: there are always handles left.
pub(crate) fn lacks_descriptors(_: &io::Error) -> bool {
    false
}

/// The file that running `program` would execute.
pub(crate) fn find(program: &OsStr) -> Option<PathBuf> {
    let name = Path::new(program);
    let endings = env::var("PATHEXT").unwrap_or_else(|_| ".COM;.EXE;.BAT;.CMD".to_string());
    // One that has an ending of the kind needs no other; `python3.11` has none.
    let is_whole = name.extension().is_some_and(|extension| {
        endings.split(';').any(|ending| ending.strip_prefix('.').is_some_and(|e| extension.eq_ignore_ascii_case(e)))
    });
    let endings = if is_whole { "" } else { &*endings };
    let in_folder = |folder: PathBuf| {
        let path = folder.join(name);
        endings.split(';').find_map(|ending| {
            let mut path = path.clone().into_os_string();
            path.push(ending);
            Some(PathBuf::from(path)).filter(|path| path.is_file())
        })
    };
    if name.components().count() > 1 {
        return in_folder(PathBuf::new());
    }
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).find_map(in_folder)
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
            ("{}\u{e9} {", "a{}b\u{e9} {"),
            ("{ }", "{ }"),
            ("", ""),
        ] {
            assert_eq!(fill(word.as_ref(), "a{}b".as_ref()), filled, "{word}");
            assert_eq!(has_place(word.as_ref()), word.contains("{}"), "{word}");
        }
    }

    #[test]
    fn a_program_is_found_with_the_endings_that_the_system_has() {
        for name in ["cmd", "cmd.exe", "CMD.EXE"] {
            let found = find(name.as_ref()).unwrap();
            assert!(found.file_stem().unwrap().eq_ignore_ascii_case("cmd"), "{found:?}");
        }
        assert_eq!(find("no-such-program".as_ref()), None);
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("tool.cmd");
        std::fs::write(&script, "@exit /b 7\r\n").unwrap();
        let found = find(folder.path().join("tool").as_os_str()).unwrap();
        assert!(found.as_os_str().eq_ignore_ascii_case(&script), "{found:?}");
    }
}
