//! What a machine may lack: FUSE, room for a named pipe, descriptors.
//!
//! Each is made in a mount namespace or with limits of the test's own, which only root can do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use testkit::process::output;

use crate::sandbox::text;
use crate::seen::{Place, Seen, DOCTOR};

/// Who has no rights, in a place that is open to all.
fn place_for_all() -> Place {
    let place = Place::new();
    for (name, program) in [("jobserver", crate::sandbox::jobserver().into()), ("make", testkit::clients::make_4_4())] {
        fs::remove_file(place.sandbox.path("bin").join(name)).unwrap();
        fs::copy(program, place.sandbox.path("bin").join(name)).unwrap();
    }
    fs::set_permissions(place.sandbox.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    place
}

/// What doctor says as user `nobody`, or with other words before it, after `setup` in a mount namespace of its own.
#[track_caller]
fn after(place: &Place, setup: &str, become_who: &str, path: &str) -> Seen {
    let mut command = place.command("unshare");
    let script = format!("{setup} && exec {become_who} {}/{DOCTOR}", text(&place.sandbox.path("bin")));
    command.args(["--mount", "sh", "-c", &script]).env("PATH", path);
    let outcome = place.done(command);
    assert!(outcome.err.is_empty(), "{outcome:?}");
    Seen(serde_json::from_str(&outcome.out).unwrap())
}

const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// The line of shell that gives /dev/fuse these permissions.
fn device(place: &Place, mode: &str) -> String {
    let node = place.sandbox.path(&format!("fuse-{mode}"));
    output(Command::new("mknod").arg("-m").arg(mode).arg(&node).args(["c", "10", "229"]));
    format!("mount --bind {} /dev/fuse", node.display())
}

#[test]
fn without_fuse_it_is_said_why() {
    let place = place_for_all();
    let bin = text(&place.sandbox.path("bin")).to_string();
    let usual = format!("{bin}:/usr/bin:/bin:/usr/sbin:/sbin");
    // All but fusermount3.
    fs::create_dir(place.sandbox.path("few")).unwrap();
    for name in ["sh", "setpriv", "mount", "unshare"] {
        let found = output(Command::new("sh").args(["-c", &format!("command -v {name}")]));
        std::os::unix::fs::symlink(found.trim(), place.sandbox.path("few").join(name)).unwrap();
    }
    let few = format!("{bin}:{}", place.sandbox.path("few").display());
    let empty = place.sandbox.path("empty");
    fs::create_dir(&empty).unwrap();
    let (open, closed) = (device(&place, "666"), device(&place, "600"));
    let missing = format!("mount --bind {} /dev", empty.display());
    // All is there, and only who tries finds out.
    fs::write(place.sandbox.path("fuse.conf"), "mount_max = 0\n").unwrap();
    let none = format!("{open} && mount --bind {} /etc/fuse.conf", text(&place.sandbox.path("fuse.conf")));
    let weak = "setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin";
    for (setup, who, path, remedy) in [
        (missing.as_str(), "", &usual, "sudo modprobe fuse"),
        (&closed, NOBODY, &usual, "sudo chmod 666 /dev/fuse"),
        (&open, NOBODY, &few, "sudo apt-get install fuse3"),
        (&open, &format!("{NOBODY} --no-new-privs"), &usual, "sudo chmod u+s \"$(command -v fusermount3)\""),
        (&none, NOBODY, &usual, "unshare --user --map-root-user --mount jobserver run -- make"),
        (&open, weak, &usual, "unshare --user --map-root-user --mount jobserver run -- make"),
    ] {
        let seen = after(&place, setup, who, path);
        assert_eq!(seen.note("no-fuse"), remedy, "{seen:?}");
        assert!(seen.0["run"].as_str().unwrap().contains("no FUSE"), "{seen:?}");
    }
    // The remedies for the second and the third: a device open to all, and the helper.
    let seen = after(&place, &open, NOBODY, &usual);
    assert_eq!(seen.is_content().notes(), ["no-jobserver"], "{seen:?}");
}

#[test]
fn a_folder_for_temporary_files_that_is_full_read_only_missing_or_misread() {
    let place = Place::new();
    let disk = place.sandbox.path("disk");
    fs::create_dir(&disk).unwrap();
    let at = disk.display();
    let blank = place.sandbox.path("a b");
    fs::create_dir(&blank).unwrap();
    for (setup, tmp, code) in [
        (format!("mount -t tmpfs -o nr_inodes=2 none {at} && touch {at}/last"), text(&disk), "tmpdir-full"),
        (format!("mount -t tmpfs -o ro none {at}"), text(&disk), "tmpdir-unusable"),
        ("true".to_string(), "/nonexistent", "tmpdir-unusable"),
        ("true".to_string(), text(&blank), "tmpdir-misread"),
    ] {
        let in_it = |script: &str| {
            let mut command = place.command("unshare");
            command.args(["--mount", "sh", "-c", &format!("{setup}; {script}")]).env("TMPDIR", tmp);
            Seen(serde_json::from_str(&place.done(command).out).unwrap())
        };
        let remedy = in_it(DOCTOR).problem(code);
        assert!(remedy.starts_with("export TMPDIR=/"), "{remedy}");
        in_it(&format!("{remedy}; {DOCTOR}")).is_content();
    }
}

#[test]
fn too_few_descriptors() {
    let place = Place::new();
    let limited = |limit: &str, script: &str| {
        let mut command = place.command("prlimit");
        command.args([format!("--nofile={limit}").as_str(), "sh", "-c", script]);
        Seen(serde_json::from_str(&place.done(command).out).unwrap())
    };
    let remedy = limited("20:200", DOCTOR).problem("few-descriptors");
    assert_eq!(remedy, "ulimit -n 200");
    limited("20:200", &format!("{remedy}; {DOCTOR}")).is_content();
    let remedy = limited("20:20", DOCTOR).problem("few-descriptors");
    // Not pasted: in a container not even root may do that.
    assert_eq!(remedy, "sudo prlimit --nofile=1024:1024 --pid $$");
}
