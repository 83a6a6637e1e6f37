//! One trait for both crates: a scenario is written once and says what it saw.
//!
//! What 0.1.35 does not have at all (`connect`, the kept error of a release) has the answer of a caller who can't ask.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::process::Command;

/// Which of the two crates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// This project's.
    Ours,
    /// 0.1.35 from the registry.
    Upstream,
}

impl Which {
    /// The first argument of an actor.
    pub fn name(self) -> &'static str {
        match self {
            Which::Ours => "ours",
            Which::Upstream => "upstream",
        }
    }
}

/// What `from_env_ext` returned, with the error as the name of its kind.
#[derive(Debug)]
pub struct Joined<J> {
    /// The client, or the error's kind (`NoEnvVar` and so on).
    pub client: Result<J, String>,
    /// `FromEnv::var`.
    pub var: Option<(&'static str, OsString)>,
}

/// The API of 0.1, as either crate has it.
pub trait Jobserver: Clone + Debug + Send + Sync + 'static {
    /// `Acquired`.
    type Token: Debug + Send + 'static;
    /// `HelperThread`.
    type Helper: Debug;
    /// Which crate this is.
    const WHICH: Which;

    /// `Client::new`.
    fn new(limit: usize) -> io::Result<Self>;
    /// `Client::from_env_ext`. Scenarios break its promise on purpose, in a process made for that.
    fn from_env(check_pipe: bool) -> Joined<Self>;
    /// `Client::connect`, with the error as its text.
    fn connect() -> Result<Self, String>;
    /// `Client::acquire`.
    fn acquire(&self) -> io::Result<Self::Token>;
    /// `Client::try_acquire`.
    fn try_acquire(&self) -> io::Result<Option<Self::Token>>;
    /// `Client::available`.
    fn available(&self) -> io::Result<usize>;
    /// `Client::acquire_raw`.
    fn acquire_raw(&self) -> io::Result<()>;
    /// `Client::release_raw`.
    fn release_raw(&self) -> io::Result<()>;
    /// `Client::take_release_error`.
    fn take_release_error(&self) -> Option<io::Error>;
    /// `Client::configure`.
    fn configure(&self, command: &mut Command);
    /// `Client::configure_make`.
    fn configure_make(&self, command: &mut Command);
    /// `Client::into_helper_thread`.
    fn helper<F: FnMut(io::Result<Self::Token>) + Send + 'static>(self, f: F) -> io::Result<Self::Helper>;
    /// `HelperThread::request_token`.
    fn request(helper: &Self::Helper);
    /// `Acquired::drop_without_releasing`.
    fn forget(token: Self::Token);
}

macro_rules! implement {
    ($krate:ident, $which:expr, connect: $connect:expr, failure: $failure:expr) => {
        impl Jobserver for $krate::Client {
            type Token = $krate::Acquired;
            type Helper = $krate::HelperThread;
            const WHICH: Which = $which;

            fn new(limit: usize) -> io::Result<Self> {
                $krate::Client::new(limit)
            }
            #[allow(unsafe_code)]
            fn from_env(check_pipe: bool) -> Joined<Self> {
                // SAFETY: a scenario's process owns no descriptor that it cares about beside those it was given.
                let found = unsafe { $krate::Client::from_env_ext(check_pipe) };
                let client = found.client.map_err(|error| format!("{:?}", error.kind()));
                Joined { client, var: found.var }
            }
            fn connect() -> Result<Self, String> {
                $connect()
            }
            fn acquire(&self) -> io::Result<Self::Token> {
                self.acquire()
            }
            fn try_acquire(&self) -> io::Result<Option<Self::Token>> {
                self.try_acquire()
            }
            fn available(&self) -> io::Result<usize> {
                self.available()
            }
            fn acquire_raw(&self) -> io::Result<()> {
                self.acquire_raw()
            }
            fn release_raw(&self) -> io::Result<()> {
                self.release_raw()
            }
            fn take_release_error(&self) -> Option<io::Error> {
                $failure(self)
            }
            fn configure(&self, command: &mut Command) {
                self.configure(command)
            }
            fn configure_make(&self, command: &mut Command) {
                self.configure_make(command)
            }
            fn helper<F: FnMut(io::Result<Self::Token>) + Send + 'static>(self, f: F) -> io::Result<Self::Helper> {
                self.into_helper_thread(f)
            }
            fn request(helper: &Self::Helper) {
                helper.request_token()
            }
            fn forget(token: Self::Token) {
                token.drop_without_releasing()
            }
        }
    };
}

implement!(jobserver, Which::Ours,
    connect: || jobserver::Client::connect().map_err(|error| error.to_string()),
    failure: |client: &jobserver::Client| client.take_release_error());
implement!(upstream, Which::Upstream,
    connect: || Err("0.1.35 has no connect".to_string()),
    failure: |_: &upstream::Client| None);
