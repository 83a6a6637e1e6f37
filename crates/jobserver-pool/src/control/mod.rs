//! What is said on a pool's socket: one JSON object a line, in both directions.
//!
//! A connection may open one lease, which lives as long as the connection and the command it was opened for. Unknown
//! fields are ignored, so that either side may be newer; a request that can't be understood is answered by an error,
//! and the connection goes on. `docs/control.md` is the published description.

mod line;
mod moved;

use serde::{Deserialize, Serialize};

use crate::endpoint::Kind;

pub use line::{Line, Lines, MOST};
pub use moved::{Holding, Moved};

/// The version of the protocol: raised when an old peer would misunderstand a new one.
pub const VERSION: u32 = 1;

/// The name of the socket in a pool's directory.
pub const SOCKET: &str = "socket";

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Request {
    /// Opens a lease: [`Reply::Opened`], and [`Reply::Granted`] when its command may start.
    Open(Open),
    /// The command of this connection's lease is this process: the lease lasts until it has ended, whatever becomes of
    /// the connection.
    Command {
        /// Its pid, as the client sees it.
        pid: u32,
    },
    /// Goes on with a lease of a server that is gone, whose command runs: [`Reply::Opened`].
    Resume {
        /// What it was.
        open: Open,
        /// The path that its clients have been told.
        path: String,
        /// The process of its command.
        pid: u32,
    },
    /// With this line come the descriptors of a client that was told by an earlier server as [`Reply::Endpoint`]:
    /// [`Reply::Done`], or an error.
    Adopt {
        /// Which server that was.
        server: u64,
        /// The number that it gave.
        endpoint: u64,
        /// The process.
        pid: u32,
        /// How it behaves.
        kind: Kind,
    },
    /// As long as this connection lasts, a process does without the slot in which it was started, one of this lease:
    /// [`Reply::Done`], or an error. For who waits for several slots at once.
    Lend {
        /// What its clients open.
        path: String,
    },
    /// The process that speaks has taken a token, and that is the slot which it had lent: [`Reply::Done`], or an error, and
    /// then it has to return the token and to close the connection.
    Regain,
    /// From now on this connection hears what moves in a lease of its own user: [`Reply::Watching`], then
    /// [`Reply::Moved`] with how it stands and at each change; or an error.
    Watch {
        /// What its clients open.
        path: String,
    },
    /// How the pool stands: [`Reply::Status`].
    Status,
    /// Another width, of the pool or of leases: [`Reply::Done`], or an error and nothing is changed.
    Set(Set),
}

/// What is to change; what is not given stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Set {
    /// The slots of the pool; only for root and for who runs the server.
    pub capacity: Option<u32>,
    /// The leases whose `name` or `pid` this is; only for their user, root, and who runs the server.
    pub lease: Option<String>,
    /// With `lease`: never more jobs at once than this; 0: no limit.
    pub cap: Option<u32>,
    /// With `lease`: its share in relation to the weights of the others.
    pub weight: Option<u32>,
}

/// What a lease is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Open {
    /// What a person calls it.
    pub name: String,
    /// What it runs, for people.
    pub command: String,
    /// So many slots it gets before any other lease gets more than its own floor.
    pub floor: u32,
    /// Never more jobs at once than this; none: as many as there are slots.
    pub cap: Option<u32>,
    /// Its share in relation to the weights of the others.
    pub weight: u32,
    /// Start at once, and owe the first slot if none is free.
    pub now: bool,
    /// The command owns the slot of whoever started it, which is none of this pool's.
    pub inherited: bool,
    /// Its tools open no path (make before 4.4): an endpoint of kind `pipes` comes, whose descriptors they are to inherit.
    pub pipes: bool,
}

impl Default for Open {
    fn default() -> Open {
        Open {
            name: String::new(),
            command: String::new(),
            floor: 1,
            cap: None,
            weight: 1,
            now: false,
            inherited: false,
            pipes: false,
        }
    }
}

/// What the server says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reply {
    /// The lease is there.
    Opened {
        /// The version that the server speaks.
        version: u32,
        /// What its clients open: the value of `--jobserver-auth=fifo:`.
        path: String,
        /// How clients are told apart: `tracked`, or `fifo` if they are not.
        style: String,
        /// The slots of the pool.
        capacity: u32,
        /// Which server this is; none that follows it has the same number.
        #[serde(default)]
        server: u64,
    },
    /// Its command has to wait for its first slot.
    Waiting {
        /// How many other leases are open.
        leases: usize,
    },
    /// Its command may start.
    Granted,
    /// With this line come the descriptors of a client's FIFOs, the one for offers first, to be held open.
    Endpoint {
        /// A number; when it comes again, the new descriptors take the place of the old ones.
        endpoint: u64,
        /// Its process; null: processes that can't be told apart.
        #[serde(default)]
        pid: Option<u32>,
        /// How it behaves.
        #[serde(default)]
        kind: Option<Kind>,
    },
    /// That client is gone.
    Closed {
        /// Its number.
        endpoint: u64,
    },
    /// The lease is watched.
    Watching {
        /// How clients are told apart: `tracked`, or `fifo` if they are not.
        style: String,
    },
    /// What has moved in the lease that is watched.
    Moved(Moved),
    /// The answer to [`Request::Status`].
    Status(Box<Status>),
    /// It was done.
    Done,
    /// It can't be done, and why.
    Error {
        /// For people.
        message: String,
    },
}

/// The pool at one moment. `in_force + owed = free + offered + held`, over all leases, also those not shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Status {
    /// Of this description.
    pub version: u32,
    /// How clients reach the pool: `tracked` or `fifo`.
    pub style: String,
    /// The slots that were set.
    pub capacity: u32,
    /// The slots that may be used now: fewer than `capacity` where the machine is short of something.
    pub in_force: u32,
    /// What decides `in_force`: `person` (it is what was set), `load` or `memory`.
    #[serde(default)]
    pub decided_by: String,
    /// What becomes of a token whose holder is killed: `tracked` (it comes back at once) or `session` (when its build
    /// ends).
    #[serde(default)]
    pub guarantee: String,
    /// When the server started, in seconds since 1970.
    #[serde(default)]
    pub since: f64,
    /// Nobody's.
    pub free: u32,
    /// Lying where a client may take them.
    pub offered: u32,
    /// In use, commands' own slots included.
    pub held: u32,
    /// To be taken back.
    #[serde(default)]
    pub owed: u32,
    /// Tokens that came back from processes that ended without returning them.
    pub recovered: u64,
    /// Bytes that were returned and that nobody held.
    pub strays: u64,
    /// Leases that wait for their first slot, and clients that seem to wait for a token.
    #[serde(default)]
    pub waiting: u32,
    /// How long those waited that have what they waited for.
    #[serde(default)]
    pub waits: Waits,
    /// In the order in which they were opened. A user sees their own; root, and who runs the server, sees all.
    pub leases: Vec<LeaseStatus>,
}

/// A histogram of waits: for the first slot of a lease, and for a token. The latter is an estimate: that a client waits
/// can't be seen. One that takes what it is offered at once has waited since it last took one, or since it had none to take;
/// one that let it lie has not, and one that had let one lie for so long that it was taken away is not counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Waits {
    /// The upper bounds of the first classes, in seconds; the last class has none.
    pub bounds: Vec<f64>,
    /// How many waits fell into each class: one number more than there are bounds.
    pub counts: Vec<u64>,
    /// All waits together, in seconds.
    pub sum: f64,
}

/// One lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LeaseStatus {
    /// What a person calls it.
    pub name: String,
    /// Who speaks for it.
    pub pid: u32,
    /// Whose it is.
    pub uid: u32,
    /// What it runs.
    pub command: String,
    /// The process of that; null before it has started and after it has ended.
    #[serde(default)]
    pub command_pid: Option<u32>,
    /// When it was opened, in seconds since 1970.
    pub since: f64,
    /// `waiting` for its first slot, `running`, or `ended` while processes that it left behind hold slots.
    #[serde(default)]
    pub state: String,
    /// So many slots it gets before any other lease gets more than its own floor.
    pub floor: u32,
    /// Never more jobs at once than this; null: no limit of its own.
    pub cap: Option<u32>,
    /// Its share in relation to the weights of the others.
    pub weight: u32,
    /// Slots in use, its command's own one included.
    pub held: u32,
    /// Slots that lie at its clients.
    pub offered: u32,
    /// The most that it has held at once.
    #[serde(default)]
    pub peak: u32,
    /// Slots that their holders do without for a while: `held` is without them, what `endpoints` hold is with them.
    #[serde(default)]
    pub lent: u32,
    /// Processes that wait to start, since others should have the slots in which they were started: `held` is without
    /// those, too.
    #[serde(default)]
    pub paused: u32,
    /// How long its command waited for its first slot, and its clients for tokens, added up over all of them; in seconds,
    /// estimated as in [`Waits`].
    #[serde(default)]
    pub waited: f64,
    /// Why some of its processes share one endpoint, so that a token which one of them loses comes back only when the
    /// lease ends; null: each has its own.
    #[serde(default)]
    pub sharing: Option<String>,
    /// Its clients.
    pub endpoints: Vec<EndpointStatus>,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// Its process; null: processes that can't be told apart.
    pub pid: Option<u32>,
    /// The name of its program; null: not known any more.
    pub command: Option<String>,
    /// Tokens that it has read and not returned.
    pub held: u32,
    /// Tokens that lie there for it.
    pub offered: u32,
    /// When it joined, in seconds since 1970.
    pub since: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_ignored_and_missing_ones_have_their_defaults() {
        let text = r#"{"request":"open","name":"a","colour":"red"}"#;
        let expected = Open { name: "a".to_string(), ..Open::default() };
        assert_eq!(serde_json::from_str::<Request>(text).unwrap(), Request::Open(expected));
        assert_eq!(serde_json::from_str::<Request>(r#"{"request":"status"}"#).unwrap(), Request::Status);
        assert!(serde_json::from_str::<Request>(r#"{"request":"fly"}"#).is_err());
    }

    #[test]
    fn what_is_written_can_be_read() {
        let said = [
            Reply::Granted,
            Reply::Endpoint { endpoint: 7, pid: Some(3), kind: Some(Kind::Waiting) },
            Reply::Error { message: "no \"x\"".to_string() },
        ];
        for reply in said {
            let text = serde_json::to_string(&reply).unwrap();
            assert!(!text.contains('\n'));
            assert_eq!(serde_json::from_str::<Reply>(&text).unwrap(), reply);
        }
    }
}
