//! The calls that cc makes: `try_acquire` in a loop beside its running compilers, guards turned into plain counts by
//! `drop_without_releasing`, and `release_raw` when a compiler has ended.

mod pools;

use jobserver::Client;

/// cc's scheduler in small: `jobs` jobs, the first in the implicit slot, ended in the order they began.
fn compile(client: &Client, jobs: usize) -> usize {
    let (mut left, mut running, mut held, mut most) = (jobs, 0, 0, 0);
    while left > 0 || running > 0 {
        while left > 0 {
            if running > held {
                // The implicit slot is in use.
                match client.try_acquire().unwrap() {
                    Some(token) => token.drop_without_releasing(),
                    None => break,
                }
                held += 1;
            }
            running += 1;
            left -= 1;
            most = most.max(running);
        }
        running -= 1;
        if held > 0 {
            client.release_raw().unwrap();
            held -= 1;
        }
    }
    most
}

#[test]
fn jobs_use_the_implicit_slot_and_every_token_and_give_all_back() {
    let server = pools::server(4);
    for client in [Client::new(3).unwrap(), server.client()] {
        assert_eq!(compile(&client, 40), 4);
        assert_eq!(client.available().unwrap(), 3);
    }
    assert_eq!(server.balance().unwrap().missing(), 0);
}

#[test]
fn without_a_free_token_try_acquire_says_so_at_once() {
    let client = Client::new(0).unwrap();
    assert!(client.try_acquire().unwrap().is_none());
    assert_eq!(compile(&client, 5), 1);
    assert_eq!(client.available().unwrap(), 0);
}
