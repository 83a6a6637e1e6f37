//! Tokens, children and signals awaited together in one thread, by an event loop of one's own: mio's. Unix only.
//!
//! `cargo run -p jobserver --example event_loop -- 'sleep 1' 'sleep 2' 'sleep 3'`; after Ctrl-C no further job starts.
#[cfg(unix)]
fn main() -> std::io::Result<()> {
    use mio::{unix::pipe, unix::SourceFd, Events, Interest, Poll, Token};
    use signal_hook::{consts, low_level::pipe::register};
    use std::{io::ErrorKind, io::Read, os::fd::AsRawFd, process};
    let client = jobserver::Client::connect().or_else(|_| jobserver::Client::new(2))?;
    let (mut poll, mut events, mut running) = (Poll::new()?, Events::with_capacity(4), Vec::new());
    let ((child_ends, mut ended), (ctrl_c, mut interrupted)) = (pipe::new()?, pipe::new()?);
    register(consts::SIGCHLD, child_ends)?;
    register(consts::SIGINT, ctrl_c)?;
    poll.registry().register(&mut ended, Token(0), Interest::READABLE)?;
    poll.registry().register(&mut interrupted, Token(1), Interest::READABLE)?;
    let (mut jobs, mut stopped, pool) = (std::env::args().skip(1).peekable(), false, client.as_raw_fd());
    loop {
        while ended.read(&mut [0; 64]).is_ok() {} // first: for a child that ends after it was asked another byte comes
        running.retain_mut(|(job, _token): &mut (process::Child, Option<_>)| {
            job.try_wait().expect("a child of ours").map(|status| println!("{status}")).is_none()
        });
        stopped |= interrupted.read(&mut [0; 64]).is_ok();
        let more = jobs.peek().is_some() && !stopped;
        // The slot that every process has from birth goes first; for the others a token is tried before each wait.
        let own = running.iter().all(|(_, token)| token.is_some());
        let token = if more && !own { client.try_acquire()? } else { None };
        if more && (own || token.is_some()) {
            running.push((process::Command::new("sh").arg("-c").args(jobs.next()).spawn()?, token));
        } else if running.is_empty() {
            return Ok(());
        } else {
            more.then(|| poll.registry().register(&mut SourceFd(&pool), Token(2), Interest::READABLE)).transpose()?;
            poll.poll(&mut events, None).or_else(|e| (e.kind() == ErrorKind::Interrupted).then_some(()).ok_or(e))?;
            let _ = poll.registry().deregister(&mut SourceFd(&pool)); // else each token that is returned would wake us
        }
    }
}
#[cfg(not(unix))]
fn main() {}
