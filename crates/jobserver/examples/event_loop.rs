//! A token, a child and a signal awaited together in one thread, by an event loop of one's own: mio's. Unix only.
//!
//! `cargo run -p jobserver --example event_loop -- 'sleep 1' 'sleep 2' 'sleep 3'`; after Ctrl-C no further job starts.
#[cfg(unix)]
pub(crate) fn run(client: &jobserver::Client, mut jobs: Vec<String>) -> std::io::Result<()> {
    use mio::{unix::SourceFd, Events, Interest, Poll, Token};
    use std::os::{fd::AsRawFd, fd::OwnedFd, unix::net::UnixStream};
    use std::{collections::HashMap, io::ErrorKind, net::Shutdown, process::Command};

    let (mut poll, mut events, mut running) = (Poll::new()?, Events::with_capacity(8), HashMap::new());
    let registry = poll.registry().try_clone()?;
    let watch = |file: &dyn AsRawFd, id| registry.register(&mut SourceFd(&file.as_raw_fd()), id, Interest::READABLE);
    let (interrupted, trigger) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, trigger)?;
    watch(&interrupted, Token(0))?;
    watch(client, Token(1))?;
    for id in (2..).map(Token) {
        // The slot that every process has from birth goes first; for the others a token is tried before each wait.
        let own = running.values().all(|(_, _, token): &(_, _, Option<_>)| token.is_some());
        let token = if own || jobs.is_empty() { None } else { client.try_acquire()? };
        if !jobs.is_empty() && (own || token.is_some()) {
            let (ended, theirs) = UnixStream::pair()?; // their end closes with the job
            ended.shutdown(Shutdown::Write)?;
            let job = Command::new("sh").args(["-c", &jobs.remove(0)]).stdin(OwnedFd::from(theirs)).spawn()?;
            watch(&ended, id)?;
            running.insert(id, (job, ended, token));
            continue;
        }
        if running.is_empty() {
            break;
        }
        if jobs.is_empty() {
            let _ = registry.deregister(&mut SourceFd(&client.as_raw_fd())); // else each token that is free wakes us
        }
        poll.poll(&mut events, None).or_else(|error| match error.kind() {
            ErrorKind::Interrupted => Ok(()), // the signal; its pipe tells the next time
            _ => Err(error),
        })?;
        for event in &events {
            if event.token() == Token(0) {
                jobs.clear();
            } else if let Some((mut job, _, _token)) = running.remove(&event.token()) {
                println!("{}", job.wait()?);
            }
        }
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let client = jobserver::Client::connect().or_else(|_| jobserver::Client::new(2))?;
    #[cfg(unix)]
    run(&client, std::env::args().skip(1).collect())?;
    drop(client);
    Ok(())
}
