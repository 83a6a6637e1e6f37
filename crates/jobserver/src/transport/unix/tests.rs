//! The paths that Linux takes only when something is missing: run here so that macOS and the BSDs are not on their own.

use std::io::Write;
use std::process::Command;
use std::thread;

use super::*;
use crate::auth::Auth;
use crate::transport::Token;

/// As on a system without `/dev/fd`: nothing can be opened anew, all flags belong to others.
fn shared(tokens: usize) -> Transport {
    let pipe = Transport::on_shared_pipe(tokens).unwrap();
    Transport { spare: OnceLock::from(None), ..pipe }
}

fn use_all(transport: &Transport, tokens: usize) {
    let held: Vec<Token> = (0..tokens).map(|_| transport.acquire().unwrap()).collect();
    assert_eq!(transport.try_acquire().unwrap(), None);
    for token in held {
        transport.release(token).unwrap();
    }
    assert_eq!(transport.try_acquire().unwrap(), Some(Token::PLUS));
    transport.release(Token::PLUS).unwrap();
    assert_eq!(transport.available().unwrap(), tokens);
}

#[test]
fn a_pool_on_a_nameless_fifo_works_and_leaves_no_file() {
    let transport = Transport::on_nameless_fifo().unwrap();
    pipe::seed(&transport.write, 4).unwrap();
    use_all(&transport, 4);
    let mut command = Command::new("sh");
    let auth = transport.hand_to(&mut command).unwrap();
    let Auth::Pipe { read, write } = auth else { panic!("{auth}") };
    let script = format!("dd bs=1 count=1 <&{read} >&{write} 2>/dev/null");
    assert!(command.args(["-c", &script]).status().unwrap().success());
    assert_eq!(transport.available().unwrap(), 4);
}

#[test]
fn a_shared_pipe_is_waited_on_with_poll_and_its_flags_stay() {
    let transport = shared(3);
    let flags = sys::status_flags(transport.read.as_raw_fd()).unwrap();
    use_all(&transport, 3);
    assert_eq!(sys::status_flags(transport.read.as_raw_fd()).unwrap(), flags);
    // Somebody else sets the flag; then a blocking read answers EAGAIN and has to be waited for.
    sys::set_nonblocking(transport.read.as_fd(), true).unwrap();
    use_all(&transport, 3);
    let held: Vec<Token> = (0..3).map(|_| transport.acquire().unwrap()).collect();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| transport.acquire().unwrap());
        transport.release(held[0]).unwrap();
        assert_eq!(waiter.join().unwrap(), held[0]);
    });
}

#[test]
fn a_waiter_on_a_shared_pipe_can_be_woken() {
    let transport = shared(0);
    let waker = Waker::new().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| transport.acquire_until(None, Some(&waker)).unwrap());
        waker.wake();
        assert_eq!(waiter.join().unwrap(), None);
    });
    // It stays woken, and leaves a token to others.
    transport.release(Token(b'x')).unwrap();
    assert_eq!(transport.acquire_until(None, Some(&waker)).unwrap(), None);
    assert_eq!(transport.try_acquire().unwrap(), Some(Token(b'x')));
}

#[test]
fn a_full_pipe_refuses_a_token_with_an_error_and_never_blocks() {
    for write_blocks in [true, false] {
        let transport = Transport { write_blocks: AtomicBool::new(write_blocks), ..shared(0) };
        sys::set_nonblocking(transport.write.as_fd(), true).unwrap();
        while (&transport.write).write(&[b'+'; 4096]).is_ok() {}
        sys::set_nonblocking(transport.write.as_fd(), !write_blocks).unwrap();
        let error = transport.release(Token::PLUS).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(error.to_string().contains("full"), "{error}");
    }
}

#[test]
fn a_pipe_waker_works_where_there_is_no_eventfd() {
    let waker = Waker::with_pipe().unwrap();
    assert!(!waker.is_woken());
    for _ in 0..100_000 {
        waker.wake();
    }
    assert!(waker.is_woken());
}

#[test]
fn a_pool_without_a_writer_is_an_error_and_not_a_token() {
    let (read, write) = sys::pipe().unwrap();
    drop(write);
    let (_, write) = sys::pipe().unwrap();
    let spare = OnceLock::new();
    let transport =
        Transport { read, write, write_blocks: AtomicBool::new(true), spare, route: Route::Ends(OnceLock::new()) };
    assert_eq!(transport.acquire().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(transport.try_acquire().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}
