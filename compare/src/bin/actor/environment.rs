//! What the environment names, and what is joined.

use compare::either::Jobserver;

/// Joins with `from_env_ext(arguments[0] == "pipe")`: what, by which variable.
pub(crate) fn join<J: Jobserver>(arguments: &[&str]) -> String {
    let found = J::from_env(arguments == ["pipe"]);
    let by = match found.var {
        Some((name, value)) => format!("{name}={}", value.to_string_lossy()),
        None => "no variable".to_string(),
    };
    match found.client {
        Ok(client) => format!("joined {} free by {by}", client.available().unwrap()),
        Err(kind) => format!("{kind} by {by}"),
    }
}

/// Joins with `connect`.
pub(crate) fn connect<J: Jobserver>() -> String {
    match J::connect() {
        Ok(client) => format!("connected, {} free", client.available().unwrap()),
        Err(error) => error,
    }
}

/// Joins whatever is named, takes a token from it and puts another one there.
pub(crate) fn steal<J: Jobserver>() -> String {
    let client = match J::from_env(false).client {
        Ok(client) => client,
        Err(kind) => return format!("refused: {kind}"),
    };
    let taken = match client.acquire_raw() {
        Ok(()) => "took a token".to_string(),
        Err(error) => format!("read: {:?}", error.kind()),
    };
    let put = match client.release_raw() {
        Ok(()) => "put one there",
        Err(_) => "put none there",
    };
    format!("joined; {taken}; {put}")
}

/// Takes and returns tokens by `try_acquire` until there is none, then once more, 1,000 times.
pub(crate) fn try_often<J: Jobserver>() -> String {
    let client = match J::from_env(false).client {
        Ok(client) => client,
        Err(kind) => return format!("refused: {kind}"),
    };
    let mut most = 0;
    for _ in 0..1000 {
        let mut tokens = Vec::new();
        loop {
            match client.try_acquire() {
                Ok(Some(token)) => tokens.push(token),
                Ok(None) => break,
                Err(error) => return format!("{:?}", error.kind()),
            }
        }
        most = most.max(tokens.len());
        // What a socket is given back goes to its other end.
        tokens.drain(..).for_each(drop);
    }
    assert!(client.take_release_error().is_none());
    format!("{most} tokens, then none")
}
