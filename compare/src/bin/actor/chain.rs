//! Clients of clients of clients.

use compare::either::Jobserver;

use crate::Child;

/// Joins the pool (the first makes one of five tokens if there is none), takes one, and lets the rest of the chain join:
/// `arguments` are the crates of the further links. The last one says how many are left.
pub(crate) fn chain<J: Jobserver>(arguments: &[&str]) -> String {
    let client = match J::from_env(true).client {
        Ok(client) => client,
        Err(kind) if kind == "NoEnvVar" => J::new(5).unwrap(),
        Err(kind) => return format!("refused: {kind}"),
    };
    let before = client.available().unwrap();
    let token = client.acquire().unwrap();
    let said = match arguments {
        [] => format!("{} left", client.available().unwrap()),
        [next, rest @ ..] => {
            let mut child = Child::new(next, "chain");
            child.command.args(rest);
            client.configure(&mut child.command);
            child.run()
        }
    };
    drop(token);
    assert_eq!(client.available().unwrap(), before, "a link kept a token");
    said
}
