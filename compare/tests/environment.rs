//! What the environment names is read as make reads it, and only a jobserver is joined.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;

use compare::actor::{Actor, Ending};
use compare::either::Jobserver;
use compare::either::Which::{self, Ours, Upstream};
use compare::pools::{Fifo, Pipe, READ, WRITE};

fn actor(which: Which, scenario: &str) -> Actor {
    Actor::new(env!("CARGO_BIN_EXE_actor"), which, scenario)
}

/// What joining says with these variables.
fn join(which: Which, variables: &[(&str, &str)]) -> String {
    let actor = variables.iter().fold(actor(which, "join"), |actor, (name, value)| actor.env(name, value));
    match actor.arg("pipe").run() {
        Ending::Said(said) => said,
        other => panic!("{other:?}"),
    }
}

fn join_makeflags(which: Which, makeflags: &str) -> String {
    let said = join(which, &[("MAKEFLAGS", makeflags)]);
    said.strip_suffix(&format!(" by MAKEFLAGS={makeflags}")).unwrap().to_string()
}

#[test]
fn an_auth_in_the_value_of_a_variable_is_none() {
    let fifo = Fifo::new(2);
    for flags in [" -- ARGS=", "k -- A=1 ", "V=a\\ ", "-I ", "--eval="] {
        let flags = format!("{flags}{}", fifo.auth());
        assert_eq!(join_makeflags(Upstream, &flags), "joined 2 free", "{flags}");
        assert_eq!(join_makeflags(Ours, &flags), "NoJobserver", "{flags}");
    }
}

#[test]
fn the_last_auth_counts_in_either_spelling_and_quotes_are_undone() {
    let (first, last) = (Fifo::new(1), Fifo::new(2));
    let fds = last.auth().replace("-auth=", "-fds=");
    let both = format!("{} {fds}", first.auth());
    assert_eq!(join_makeflags(Upstream, &both), "joined 1 free");
    assert_eq!(join_makeflags(Ours, &both), "joined 2 free");

    let quoted = last.path().with_file_name("with blank");
    fs::hard_link(last.path(), &quoted).unwrap();
    let flags = format!("--jobserver-auth=fifo:{}", quoted.display()).replace(' ', "\\ ");
    assert_eq!(join_makeflags(Upstream, &flags), "CannotOpenPath");
    assert_eq!(join_makeflags(Ours, &flags), "joined 2 free");

    // Another blank than a space ends a word, too.
    let tab = format!("{}\t-k", last.auth());
    assert_eq!(join_makeflags(Upstream, &tab), "CannotOpenPath");
    assert_eq!(join_makeflags(Ours, &tab), "joined 2 free");
}

#[test]
fn a_variable_without_a_good_jobserver_hides_none() {
    let fifo = Fifo::new(2);
    let makeflags = fifo.auth();
    for (cargo, kind) in [
        ("-j", "NoJobserver"),
        ("", "NoJobserver"),
        ("-j --jobserver-fds=777,778 --jobserver-auth=777,778", "CannotOpenFd"),
        ("--jobserver-auth=fifo:/nonexistent", "CannotOpenPath"),
        ("--jobserver-auth=nonsense", "CannotParse"),
        ("--jobserver-auth=-2,-2", "NegativeFd"),
        ("--jobserver-auth=0,1", "NotAPipe"),
    ] {
        let variables = [("CARGO_MAKEFLAGS", cargo), ("MAKEFLAGS", makeflags.as_str())];
        assert_eq!(join(Upstream, &variables), format!("{kind} by CARGO_MAKEFLAGS={cargo}"));
        assert_eq!(join(Ours, &variables), format!("joined 2 free by MAKEFLAGS={makeflags}"));
        // Without a good one both say the same.
        let alone = [("CARGO_MAKEFLAGS", cargo)];
        assert_eq!(join(Ours, &alone), join(Upstream, &alone));
    }
}

#[test]
fn without_any_variable_none_is_named() {
    assert_eq!(join(Upstream, &[]), "NoEnvVar by =");
    assert_eq!(join(Ours, &[]), "NoEnvVar by no variable");
}

#[test]
fn the_users_makeflags_are_overwritten_as_ever_and_kept_by_the_new_method() {
    fn makeflags(command: &Command) -> String {
        let value = command.get_envs().find(|(name, _)| *name == "MAKEFLAGS").unwrap().1.unwrap();
        value.to_string_lossy().into_owned()
    }
    fn overwritten<J: Jobserver>() -> String {
        let mut command = Command::new("make");
        command.env("MAKEFLAGS", "k -- CFLAGS=-O2");
        J::new(3).unwrap().configure_make(&mut command);
        makeflags(&command)
    }
    for value in [overwritten::<upstream::Client>(), overwritten::<jobserver::Client>()] {
        assert!(value.starts_with("-j --jobserver-fds=") && !value.contains("CFLAGS"), "{value}");
    }
    let mut command = Command::new("make");
    command.env("MAKEFLAGS", "k -- CFLAGS=-O2");
    jobserver::Client::new(3).unwrap().join_make(&mut command, Some(4)).unwrap();
    let value = makeflags(&command);
    assert!(value.starts_with("k -j4 --jobserver-fds=") && value.ends_with(" -- CFLAGS=-O2"), "{value}");
}

#[test]
fn what_is_no_jobserver_is_never_read_nor_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let text = b"a file of the user's";
    let file = || {
        fs::write(&path, text).unwrap();
        File::options().read(true).write(true).open(&path).unwrap()
    };
    let by_number = |which, file: &File| {
        let actor = actor(which, "steal").env("MAKEFLAGS", Pipe::auth());
        actor.give(file.try_clone().unwrap(), READ).give(file.try_clone().unwrap(), WRITE).run()
    };
    let by_path =
        |which, path: &str| actor(which, "steal").env("MAKEFLAGS", format!("--jobserver-auth=fifo:{path}")).run();
    let stolen = Ending::said("joined; took a token; put one there");

    let user = file();
    assert_eq!(by_number(Upstream, &user), stolen);
    assert_eq!(fs::read(&path).unwrap(), b"+ file of the user's");
    let mut user = file();
    user.seek(SeekFrom::Start(7)).unwrap();
    assert_eq!(by_number(Ours, &user), Ending::said("refused: NotAPipe"));
    assert_eq!((user.stream_position().unwrap(), fs::read(&path).unwrap()), (7, text.to_vec()));

    let name = path.to_str().unwrap();
    file();
    assert_eq!(by_path(Upstream, name), stolen);
    assert_eq!(fs::read(&path).unwrap(), b"+ file of the user's");
    file();
    assert_eq!(by_path(Ours, name), Ending::said("refused: CannotOpenPath"));
    assert_eq!(fs::read(&path).unwrap(), text);

    let zero = File::options().read(true).write(true).open("/dev/zero").unwrap();
    assert_eq!(by_number(Upstream, &zero), stolen);
    assert_eq!(by_number(Ours, &zero), Ending::said("refused: NotAPipe"));
    assert_eq!(by_path(Upstream, "/dev/zero"), stolen);
    assert_eq!(by_path(Ours, "/dev/zero"), Ending::said("refused: CannotOpenPath"));
    let null = File::options().read(true).write(true).open("/dev/null").unwrap();
    let joined = Ending::said("joined; read: UnexpectedEof; put one there");
    assert_eq!(by_number(Upstream, &null), joined);
    assert_eq!(by_number(Ours, &null), Ending::said("refused: NotAPipe"));
    assert_eq!(by_path(Upstream, "/dev/null"), joined);
    assert_eq!(by_path(Ours, "/dev/null"), Ending::said("refused: CannotOpenPath"));

    let folder = File::open(dir.path()).unwrap();
    let joined = Ending::said("joined; read: IsADirectory; put none there");
    assert_eq!(by_number(Upstream, &folder), joined);
    assert_eq!(by_number(Ours, &folder), Ending::said("refused: NotAPipe"));
    for which in [Upstream, Ours] {
        let refused = Ending::said("refused: CannotOpenPath");
        assert_eq!(by_path(which, dir.path().to_str().unwrap()), refused, "{which:?}");
    }
}

#[test]
fn a_socket_is_a_pool_that_only_from_env_joins() {
    let (mut server, client) = UnixStream::pair().unwrap();
    let give = |actor: Actor| {
        let actor = actor.give(client.try_clone().unwrap(), READ).give(client.try_clone().unwrap(), WRITE);
        actor.env("MAKEFLAGS", Pipe::auth())
    };
    server.write_all(b"+++").unwrap();
    assert_eq!(give(actor(Upstream, "try")).run(), Ending::said("Unsupported"));
    assert_eq!(give(actor(Ours, "try")).run(), Ending::said("3 tokens, then none"));
    let mut back = [0; 3];
    server.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"+++");

    match give(actor(Ours, "connect")).run() {
        Ending::Said(said) => assert!(said.contains("MAKEFLAGS") && said.contains("from_env"), "{said}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn connect_says_that_from_env_can_use_the_pipe_of_another_user() {
    let pipe = Pipe::new(3).closed_to_others();
    let run = |scenario| pipe.give(actor(Ours, scenario)).env("MAKEFLAGS", Pipe::auth()).as_nobody().run();
    match run("connect") {
        Ending::Said(said) => assert!(said.contains("400") && said.contains("from_env"), "{said}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(run("try"), Ending::said("3 tokens, then none"));
    assert_eq!(pipe.free(), 3);
}
