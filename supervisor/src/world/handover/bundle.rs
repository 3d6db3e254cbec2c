//! Descriptors on their way from one program to the next, through a socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::{Rc, Weak};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most that the kernel takes in one message is 253.
const AT_A_TIME: usize = 250;

const SPACE: usize = rustix::cmsg_space!(ScmRights(AT_A_TIME));

/// The first message begins so.
pub(super) const GREETING: &[u8; 16] = b"petrel handover\n";

/// What is to go.
#[derive(Default)]
pub struct Bundle {
    list: Vec<Rc<dyn AsFd>>,
}

/// What arrived.
#[derive(Debug, Default)]
pub struct Received {
    list: Vec<Option<OwnedFd>>,
}

impl Bundle {
    /// Adds one; its place.
    pub fn add(&mut self, one: Rc<dyn AsFd>) -> usize {
        self.list.push(one);
        self.list.len() - 1
    }

    /// Adds one that somebody still holds.
    pub fn add_open<T: AsFd + 'static>(&mut self, one: &Weak<T>) -> Option<usize> {
        let one = one.upgrade()?;
        Some(self.add(one))
    }

    /// Puts all of it into a socket, behind `first`.
    pub(super) fn send(&self, to: &OwnedFd, first: &[BorrowedFd<'_>]) -> io::Result<()> {
        let rest = self.list.iter().map(|one| one.as_fd());
        let all: Vec<_> = first.iter().copied().chain(rest).collect();
        for (index, part) in all.chunks(AT_A_TIME).enumerate() {
            let mut space = [MaybeUninit::uninit(); SPACE];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(part));
            let text: &[u8] = if index == 0 { GREETING } else { b"." };
            // A full socket is a failure, and not waited for: nobody reads it yet.
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            sendmsg(to, &[IoSlice::new(text)], &mut control, flags)?;
        }
        Ok(())
    }
}

impl Received {
    /// Takes all that is in a socket.
    pub(super) fn from(socket: impl AsFd) -> io::Result<Self> {
        let mut list = Vec::new();
        loop {
            let mut space = [MaybeUninit::uninit(); SPACE];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut text = [0; GREETING.len()];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let text = &mut [IoSliceMut::new(&mut text)];
            let got = recvmsg(&socket, text, &mut control, flags)?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(some) = message {
                    list.extend(some.map(Some));
                }
            }
            if got.bytes == 0 {
                return Ok(Self { list });
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Without the first ones.
    pub(super) fn split_first(&mut self, count: usize) -> Vec<Option<OwnedFd>> {
        let rest = self.list.split_off(count.min(self.list.len()));
        std::mem::replace(&mut self.list, rest)
    }

    /// The one at a place, once.
    pub fn take(&mut self, place: usize) -> Option<OwnedFd> {
        self.list.get_mut(place)?.take()
    }

    /// The one at a place.
    pub fn at(&self, place: usize) -> Option<BorrowedFd<'_>> {
        Some(self.list.get(place)?.as_ref()?.as_fd())
    }

    /// All of them, for whoever comes next.
    pub(super) fn into_bundle(self) -> Option<Bundle> {
        let all: Option<Vec<OwnedFd>> = self.list.into_iter().collect();
        let list = all?.into_iter().map(|one| Rc::new(one) as Rc<dyn AsFd>);
        Some(Bundle {
            list: list.collect(),
        })
    }
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bundle of {}", self.list.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn many_descriptors_arrive_each_at_its_place() {
        let (from, to) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let mut bundle = Bundle::default();
        for number in 0..600 {
            let mut file = tempfile::tempfile().unwrap();
            write!(file, "{number}").unwrap();
            assert_eq!(bundle.add(Rc::new(OwnedFd::from(file))), number);
        }
        let first = tempfile::tempfile().unwrap();
        bundle.send(&from, &[first.as_fd()]).unwrap();
        drop((from, bundle));
        let mut received = Received::from(&to).unwrap();
        assert_eq!(received.split_first(1).len(), 1);
        for number in [599, 0, 249, 250, 251] {
            let mut text = String::new();
            let mut file = File::from(received.take(number).unwrap());
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, number.to_string());
            assert!(received.take(number).is_none());
        }
    }
}
