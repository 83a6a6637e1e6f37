//! The other end of the socket, in a test's hands.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use jobserver_pool::control::{Lines, Reply, Request};
use jobserver_pool::endpoint::Kind;

use crate::served::Served;

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(60);

/// Somebody who speaks for a lease as `run` does, but says what it likes.
pub struct Speaker(pub Lines);

/// What a server has given for a client.
pub struct Given {
    pub endpoint: u64,
    pub kind: Kind,
    pub descriptors: Vec<OwnedFd>,
}

impl Speaker {
    pub fn new(served: &Served<'_>) -> Speaker {
        let socket = UnixStream::connect(served.dir.join("socket")).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        Speaker(Lines::new(socket))
    }

    pub fn hear(&mut self) -> (Reply, Vec<OwnedFd>) {
        let line = self.0.line().unwrap().expect("an answer");
        (serde_json::from_slice(&line.text).unwrap(), line.descriptors)
    }

    /// The answer; clients come and go meanwhile.
    pub fn ask(&mut self, request: &Request, descriptors: Vec<OwnedFd>) -> Reply {
        self.0.send(request, descriptors).unwrap();
        loop {
            match self.hear().0 {
                Reply::Endpoint { .. } | Reply::Closed { .. } | Reply::Granted => {}
                answer => return answer,
            }
        }
    }

    /// Waits for what the server gives for a client that has both ends open.
    pub fn client(&mut self) -> Given {
        loop {
            if let (Reply::Endpoint { endpoint, kind: Some(kind), .. }, descriptors) = self.hear() {
                if descriptors.len() == 2 || kind == Kind::Unsplit {
                    return Given { endpoint, kind, descriptors };
                }
            }
        }
    }
}
