//! Who hears what moves in a lease: processes of its own user, and root.

use super::peer::refusal;
use super::Server;
use crate::control::{Moved, Reply};
use crate::ledger::LeaseId;

impl Server {
    pub(super) fn watch(&mut self, id: u64, path: &str) -> Reply {
        let Some(peer) = self.peers.get_mut(&id) else { return Reply::Done };
        if peer.watches.is_some() {
            return refusal("this connection watches a lease already");
        }
        peer.watches = self.engine.watch(path, peer.uid);
        match peer.watches {
            Some(_) => Reply::Watching { style: self.engine.style_name().to_string() },
            None => refusal(format!("no lease of user {} is at {path}", peer.uid)),
        }
    }

    pub(super) fn tell_watchers(&mut self, lease: LeaseId, moved: Moved) {
        let watches = |(&id, peer): (&u64, &super::Peer)| (peer.watches == Some(lease)).then_some(id);
        let watchers: Vec<u64> = self.peers.iter().filter_map(watches).collect();
        let reply = Reply::Moved(moved);
        for id in watchers {
            self.say(id, &reply, Vec::new());
        }
    }
}
