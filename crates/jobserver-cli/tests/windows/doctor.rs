//! `jobserver doctor`: what it sees, as a person and as a script would read it.

use jobserver::Server;

use super::{finish, jobserver, make};

#[test]
fn doctor_tells_a_semaphore_that_opens_from_one_that_is_gone() {
    let outcome = finish(&mut jobserver(&["doctor"]));
    assert!(outcome.out.starts_with("No jobserver counts here"), "{outcome:?}");

    let server = Server::builder().slots(3).build().unwrap();
    let mut doctor = jobserver(&["doctor", "--json", "--", &make()]);
    server.join_make(&mut doctor).unwrap();
    let outcome = finish(&mut doctor);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.out.contains("\"kind\":\"semaphore\"") && outcome.out.contains("\"findings\":[]"), "{outcome:?}");
    assert_eq!(server.balance().unwrap().missing(), 0);

    for (flags, code) in [
        (" -j4 --jobserver-auth=jobserver_0", "stale-semaphore"),
        (" -j4 --jobserver-auth=3,4", "jobserver-of-an-emulation"),
        (" -j4 --jobserver-auth=fifo:/tmp/GMfifo77", "jobserver-of-an-emulation"),
    ] {
        let outcome = finish(jobserver(&["doctor", "--json"]).env("MAKEFLAGS", flags));
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
        assert!(outcome.out.contains(&format!("\"code\":\"{code}\"")), "{outcome:?}");
        let page = finish(jobserver(&["doctor"]).env("MAKEFLAGS", flags));
        assert!(page.out.contains("problem: ") && page.out.contains("remedy: "), "{page:?}");
    }
}

#[test]
fn doctor_knows_the_make_of_an_emulation_and_a_command_that_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let script = "@echo GNU Make 4.4.1\r\n@echo Built for x86_64-pc-cygwin\r\n";
    std::fs::write(folder.path().join("make.cmd"), script).unwrap();
    let server = Server::builder().slots(3).build().unwrap();
    let mut doctor = jobserver(&["doctor", "--", "make", "-j8"]);
    server.join_make(&mut doctor).unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [folder.path().to_path_buf()].into_iter().chain(std::env::split_paths(&path));
    let outcome = finish(doctor.env("PATH", std::env::join_paths(folders).unwrap()));
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.out.contains("is Cygwin's make"), "{outcome:?}");
    assert!(outcome.out.contains("`make -j8` leaves the pool"), "{outcome:?}");
    assert!(outcome.out.contains("remedy: make\n"), "{outcome:?}");
    assert_eq!(server.balance().unwrap().missing(), 0);
}
