//! Names all that the library offers, so that it compiles for a target only if all of it is there: written by
//! `cargo xtask check-targets`. What is missing somewhere stands behind a `cfg` here, and with its reason in
//! docs/platforms.md.

use std::ffi::{OsStr, OsString};
use std::future::Future;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use jobserver::*;

/// Of the signatures that count: a function that became another would not compile.
pub fn functions() {
    let _: fn(usize) -> io::Result<Client> = Client::new;
    let _: unsafe fn() -> Option<Client> = Client::from_env;
    let _: unsafe fn(bool) -> FromEnv = Client::from_env_ext;
    let _: fn() -> Result<Client, ConnectError> = Client::connect;
    let _: fn(&Auth) -> Result<Client, FromEnvError> = Client::connect_to;
    let _: fn(&Client) -> io::Result<Acquired> = Client::acquire;
    let _: fn(&Client) -> io::Result<Option<Acquired>> = Client::try_acquire;
    let _: fn(&Client, Duration) -> io::Result<Option<Acquired>> = Client::acquire_timeout;
    let _: fn(&Client, Instant) -> io::Result<Option<Acquired>> = Client::acquire_deadline;
    let _: fn(&Client, &Canceller, Option<Instant>) -> io::Result<Option<Acquired>> = Client::acquire_unless;
    let _: fn(&Client) -> Acquiring = Client::acquire_async;
    let _: fn(&Client, usize) -> io::Result<Batch> = Client::acquire_up_to;
    let _: fn(&Client, usize) -> io::Result<Batch> = Client::try_acquire_many;
    let _: fn(&Client) -> io::Result<usize> = Client::available;
    let _: fn(&Client) -> io::Result<()> = Client::acquire_raw;
    let _: fn(&Client) -> io::Result<()> = Client::release_raw;
    let _: fn(&Client) -> Option<io::Error> = Client::take_release_error;
    let _: fn(&Client, u8) -> Acquired = Client::from_raw;
    let _: fn(&Client, &mut Command) = Client::configure;
    let _: fn(&Client, &mut Command) = Client::configure_make;
    let _: fn(&Client, &mut Command, Option<usize>) -> io::Result<()> = Client::join_make;
    let _: fn(&Client, &mut Command, Join, Option<usize>) -> io::Result<()> = Client::join;
    let _: fn(&mut Command) = keep_out;
    let _: fn(Client, fn(io::Result<Acquired>)) -> io::Result<HelperThread> = Client::into_helper_thread;
    let _: fn(&HelperThread) = HelperThread::request_token;
    let _: fn(Acquired) = Acquired::drop_without_releasing;
    let _: fn(Acquired) -> u8 = Acquired::into_raw;
    let _: fn(Acquired) -> io::Result<()> = Acquired::release;
    let _: fn(&Batch) -> usize = Batch::len;
    let _: fn(&mut Batch) -> Option<Acquired> = Batch::pop;
    let _: fn(Batch) -> io::Result<()> = Batch::release;
    let _: fn() -> io::Result<Canceller> = Canceller::new;
    let _: fn(&Canceller) = Canceller::cancel;
    let _: fn() -> io::Result<()> = return_tokens_on_exit;
    let _: fn() -> ServerBuilder = Server::builder;
    let _: fn(&Server) -> Client = Server::client;
    let _: fn(&Server) -> Option<&Path> = Server::path;
    let _: fn(&Server, &mut Command) -> io::Result<()> = Server::join_make;
    let _: fn(&Server) -> io::Result<Balance> = Server::balance;
    let _: fn(ServerBuilder) -> ServerBuilder = ServerBuilder::fifo;
    let _: fn(ServerBuilder) -> ServerBuilder = ServerBuilder::pipe;
    let _: fn(ServerBuilder) -> io::Result<Server> = ServerBuilder::build;
    let _: fn(Client) -> Slots = Slots::new;
    let _: fn(usize) -> Slots = Slots::within;
    let _: fn(usize) -> Slots = Slots::from_env_or;
    let _: fn(&Slots) -> io::Result<Slot> = Slots::acquire;
    let _: fn(&Slots) -> io::Result<Option<Slot>> = Slots::try_acquire;
    let _: fn(&Slots, Duration) -> io::Result<Option<Slot>> = Slots::acquire_timeout;
    let _: fn(&Slots, Instant) -> io::Result<Option<Slot>> = Slots::acquire_deadline;
    let _: fn(Slot) -> io::Result<()> = Slot::release;
    let _: fn(&OsStr) -> MakeFlags = MakeFlags::parse;
    let _: fn(&MakeFlags, &Auth, Option<usize>) -> Result<OsString, UnwritableAuth> = MakeFlags::with_jobserver;
    let _: fn(&OsStr) -> Result<Auth, ParseAuthError> = Auth::parse;
    let _: fn(&ConnectError) -> FromEnvErrorKind = ConnectError::kind;
}

/// All forms, on every system.
pub fn forms() -> [Auth; 3] {
    let name = String::from("gmake_semaphore_1");
    [Auth::Pipe { read: 3, write: 4 }, Auth::Fifo("/tmp/pipe".into()), Auth::Semaphore(name.into())]
}

/// What those rely on who send them to other threads, and await them.
pub fn traits() {
    fn shared<T: Send + Sync + 'static>() {}
    fn awaited<T: Future<Output = io::Result<Acquired>> + Send>() {}
    shared::<(Client, Acquired, Batch, Slots, Slot, Server, Canceller)>();
    awaited::<Acquiring>();
    #[cfg(unix)]
    {
        fn watched<T: std::os::fd::AsFd + std::os::fd::AsRawFd>() {}
        watched::<Client>();
    }
    #[cfg(windows)]
    {
        fn watched<T: std::os::windows::io::AsHandle + std::os::windows::io::AsRawHandle>() {}
        watched::<Client>();
    }
}
