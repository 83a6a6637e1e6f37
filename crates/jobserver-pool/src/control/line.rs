//! Lines of JSON on a Unix socket, with descriptors beside some of them. Never blocks unless the socket does.
//!
//! A peer that sends a line without end, or that reads nothing, is at fault alone: both ends keep bounds, and the one
//! who finds them broken closes the connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::Serialize;

/// Bytes. A line is shorter than this; what a person's lease is called and runs fits many times.
pub const MOST: usize = 1 << 20;

/// Lines that a peer has not read; each may have two descriptors open.
const UNREAD_MOST: usize = 4096;

/// At most so many descriptors come with one line.
const DESCRIPTORS: usize = 2;

/// One line that came, and what came beside it.
#[derive(Debug)]
pub struct Line {
    /// Without its end.
    pub text: Vec<u8>,
    /// In the order in which they were sent.
    pub descriptors: Vec<OwnedFd>,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Lines {
    socket: UnixStream,
    came: Vec<u8>,
    /// So much of it has no end of a line.
    searched: usize,
    most: usize,
    /// Descriptors whose line has not been taken yet, each with the number of bytes in `came` up to which it has come.
    beside: Vec<(usize, Vec<OwnedFd>)>,
    unsent: VecDeque<Unsent>,
    ended: bool,
}

#[derive(Debug)]
struct Unsent {
    text: Vec<u8>,
    sent: usize,
    descriptors: Vec<OwnedFd>,
}

impl Lines {
    /// Takes a connection.
    pub fn new(socket: UnixStream) -> Lines {
        Lines {
            socket,
            came: Vec::new(),
            searched: 0,
            most: MOST,
            beside: Vec::new(),
            unsent: VecDeque::new(),
            ended: false,
        }
    }

    /// The socket.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Longer lines than [`MOST`], from a peer that is trusted with so much of our memory.
    pub fn allow(&mut self, most: usize) {
        self.most = most;
    }

    /// From now on it never blocks.
    ///
    /// # Errors
    /// The descriptor is no socket.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        self.socket.set_nonblocking(true)
    }

    /// Whether something waits to be [`flush`](Lines::flush)ed when the socket has room.
    pub fn is_full(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// The next whole line; `None`: none is there yet (a socket that blocks: never).
    ///
    /// # Errors
    /// `UnexpectedEof`: the peer is gone; `InvalidData`: its line is longer than [`MOST`], or than what was
    /// [allowed](Lines::allow).
    pub fn line(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(end) = self.came[self.searched..].iter().position(|&byte| byte == b'\n') {
                let end = end + std::mem::take(&mut self.searched);
                let rest = self.came.split_off(end + 1);
                let mut text = std::mem::replace(&mut self.came, rest);
                let descriptors = self.beside_of(text.len());
                text.pop();
                return Ok(Some(Line { text, descriptors }));
            }
            self.searched = self.came.len();
            if self.ended {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
            }
            if self.came.len() >= self.most {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line that is too long"));
            }
            match self.receive() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                result => result?,
            }
        }
    }

    /// What belongs to a line that was so long.
    fn beside_of(&mut self, length: usize) -> Vec<OwnedFd> {
        let (mut of_line, mut rest) = (Vec::new(), Vec::new());
        for (came, descriptors) in std::mem::take(&mut self.beside) {
            match came.checked_sub(length) {
                None | Some(0) => of_line.extend(descriptors),
                Some(came) => rest.push((came, descriptors)),
            }
        }
        self.beside = rest;
        of_line.truncate(DESCRIPTORS);
        of_line
    }

    /// One read. What was sent with descriptors is the last that a read brings, and lines without may come before it; so
    /// they belong to the line in which the read ends.
    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let slices = &mut [IoSliceMut::new(&mut buffer)];
        let came = rustix::io::retry_on_intr(|| recvmsg(&self.socket, slices, &mut beside, flags))?;
        self.ended = came.bytes == 0;
        self.came.extend_from_slice(&buffer[..came.bytes]);
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.beside.push((self.came.len(), descriptors.collect()));
            }
        }
        // Those of a line that is not whole yet, and of the next one: more are a peer's try to use up our own.
        self.beside.truncate(2);
        Ok(())
    }

    /// Sends a line, or keeps it until there is room.
    ///
    /// # Errors
    /// The peer is gone, or has read nothing for too long.
    pub fn send(&mut self, message: &impl Serialize, descriptors: Vec<OwnedFd>) -> io::Result<()> {
        if self.unsent.len() >= UNREAD_MOST {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads nothing"));
        }
        let mut text = serde_json::to_vec(message)?;
        text.push(b'\n');
        self.unsent.push_back(Unsent { text, sent: 0, descriptors });
        self.flush()
    }

    /// Sends what there is room for.
    ///
    /// # Errors
    /// The peer is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        while let Some(unsent) = self.unsent.front_mut() {
            let slices = [IoSlice::new(&unsent.text[unsent.sent..])];
            let borrowed: Vec<BorrowedFd<'_>> =
                unsent.descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut beside = SendAncillaryBuffer::new(&mut space);
            if !borrowed.is_empty() {
                beside.push(SendAncillaryMessage::ScmRights(&borrowed));
            }
            let flags = SendFlags::NOSIGNAL;
            match rustix::io::retry_on_intr(|| sendmsg(&self.socket, &slices, &mut beside, flags)) {
                Ok(count) => {
                    unsent.sent += count;
                    // They went with the first bytes.
                    drop(borrowed);
                    unsent.descriptors.clear();
                    if unsent.sent == unsent.text.len() {
                        self.unsent.pop_front();
                    }
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn pair() -> (Lines, UnixStream) {
        let (one, other) = UnixStream::pair().unwrap();
        one.set_nonblocking(true).unwrap();
        (Lines::new(one), other)
    }

    #[test]
    fn lines_come_whole_in_order_and_with_their_descriptors() {
        let (mut lines, mut peer) = pair();
        assert!(lines.line().unwrap().is_none());
        peer.write_all(b"one\ntw").unwrap();
        assert_eq!(lines.line().unwrap().unwrap().text, b"one");
        assert!(lines.line().unwrap().is_none());
        peer.write_all(b"o\n").unwrap();
        assert_eq!(lines.line().unwrap().unwrap().text, b"two");
        let mut other = Lines::new(peer);
        let (read, mut write) = std::io::pipe().unwrap();
        other.send(&"three", vec![read.into()]).unwrap();
        other.send(&"four", Vec::new()).unwrap();
        write.write_all(b"!").unwrap();
        let three = lines.line().unwrap().unwrap();
        assert_eq!((three.text.as_slice(), three.descriptors.len()), (b"\"three\"".as_slice(), 1));
        let mut byte = [0];
        std::fs::File::from(three.descriptors.into_iter().next().unwrap()).read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"!");
        let four = lines.line().unwrap().unwrap();
        assert!(four.descriptors.is_empty());
        drop(other);
        assert_eq!(lines.line().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn descriptors_stay_with_their_line_whatever_comes_in_one_read() {
        let (mut lines, peer) = pair();
        let mut other = Lines::new(peer);
        let descriptor = || vec![std::io::pipe().unwrap().0.into()];
        for round in 0..3 {
            for line in 0..7 {
                other.send(&line, if line % 3 == round { descriptor() } else { Vec::new() }).unwrap();
            }
            for line in 0..7 {
                let came = lines.line().unwrap().unwrap();
                assert_eq!(came.text, line.to_string().into_bytes());
                assert_eq!(came.descriptors.len(), usize::from(line % 3 == round), "{line} of {round}");
            }
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let (mut lines, mut peer) = pair();
        let writer = std::thread::spawn(move || while peer.write_all(&[b'x'; 4096]).is_ok() {});
        let error = loop {
            match lines.line() {
                Ok(None) => std::thread::yield_now(),
                Ok(Some(line)) => panic!("{line:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(lines);
        writer.join().unwrap();
    }

    #[test]
    fn a_long_line_is_taken_from_whom_it_is_allowed() {
        let (mut lines, peer) = pair();
        lines.allow(5 * MOST);
        lines.set_nonblocking().unwrap();
        let writer = std::thread::spawn(move || {
            let mut other = Lines::new(peer);
            other.send(&"x".repeat(4 * MOST), Vec::new()).unwrap();
            other.send(&7, Vec::new()).unwrap();
            other
        });
        for length in [4 * MOST + 2, 1] {
            let line = loop {
                match lines.line().unwrap() {
                    Some(line) => break line,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(line.text.len(), length);
        }
        drop(writer.join().unwrap());
    }

    #[test]
    fn a_peer_that_reads_nothing_is_given_up() {
        let (mut lines, peer) = pair();
        let text = "x".repeat(1000);
        let sent = (0..100_000).take_while(|_| lines.send(&text, Vec::new()).is_ok()).count();
        assert!((UNREAD_MOST..100_000).contains(&sent), "{sent}");
        drop(peer);
    }
}
