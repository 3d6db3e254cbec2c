//! What is to be written to a child, in order; it is never waited for.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use tokio::net::unix::pipe;
use tokio::sync::Notify;

/// The lines that a child has not taken.
#[derive(Debug, Default)]
pub struct Stdin {
    lines: RefCell<VecDeque<Vec<u8>>>,
    /// Of the first line, bytes that are written.
    begun: Cell<usize>,
    untaken: Cell<usize>,
    is_closing: Cell<bool>,
    /// It takes nothing more: what is still said is forgotten.
    is_deaf: Cell<bool>,
    more: Notify,
    taken: Notify,
}

impl Stdin {
    /// With what another supervisor did not get rid of.
    pub fn resume(rest: Vec<u8>, is_closing: bool, is_deaf: bool) -> Self {
        let stdin = Self::default();
        stdin.is_deaf.set(is_deaf);
        if !rest.is_empty() {
            stdin.push(rest);
        }
        stdin.is_closing.set(is_closing);
        stdin
    }

    /// Adds a line.
    pub fn push(&self, line: Vec<u8>) {
        if self.is_deaf.get() || self.is_closing.get() {
            return;
        }
        self.untaken.set(self.untaken.get() + line.len());
        self.lines.borrow_mut().push_back(line);
        self.more.notify_one();
    }

    /// The end, after the lines before.
    pub fn close(&self) {
        self.is_closing.set(true);
        self.more.notify_one();
    }

    /// The end is to come.
    pub fn is_closing(&self) -> bool {
        self.is_closing.get()
    }

    /// Bytes that are not written.
    pub fn rest(&self) -> Vec<u8> {
        let lines = self.lines.borrow();
        let all: Vec<u8> = lines.iter().flatten().copied().collect();
        all[self.begun.get().min(all.len())..].to_vec()
    }

    /// Returns once no more than so many bytes wait, or nobody is there to take them.
    pub async fn until_taken(&self, bytes: usize) {
        while self.untaken.get() > bytes && !self.is_deaf.get() {
            self.taken.notified().await;
        }
    }

    /// Nobody is there any more.
    pub fn forget(&self) {
        self.is_deaf.set(true);
        self.lines.borrow_mut().clear();
        self.untaken.set(0);
        self.more.notify_one();
        self.taken.notify_one();
    }

    /// Writes until it is to be closed, or cannot be written any more.
    pub async fn write(&self, pipe: Rc<pipe::Sender>) {
        while !self.is_deaf.get() {
            if !self.lines.borrow().is_empty() {
                if self.write_some(&pipe).await.is_err() {
                    break;
                }
            } else if self.is_closing.get() {
                break;
            } else {
                self.more.notified().await;
            }
        }
        self.forget();
    }

    async fn write_some(&self, pipe: &pipe::Sender) -> io::Result<()> {
        tokio::select! {
            ready = pipe.writable() => ready?,
            // A word of its end wakes it, too.
            () = self.more.notified() => return Ok(()),
        }
        let mut lines = self.lines.borrow_mut();
        let Some(line) = lines.front() else {
            return Ok(());
        };
        let count = match pipe.try_write(&line[self.begun.get()..]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        self.begun.set(self.begun.get() + count);
        if self.begun.get() == line.len() {
            self.begun.set(0);
            self.untaken
                .set(self.untaken.get().saturating_sub(line.len()));
            lines.pop_front();
            self.taken.notify_one();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use tokio::task::LocalSet;

    use super::*;

    #[test]
    fn what_is_not_taken_is_handed_over_from_the_byte_where_it_stands() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async {
            let (ours, theirs) = io::pipe().map(|(r, w)| (OwnedFd::from(w), r)).unwrap();
            let pipe = Rc::new(pipe::Sender::from_owned_fd(ours).unwrap());
            let stdin = Rc::new(Stdin::default());
            let sent: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
            sent.chunks(1000).for_each(|line| stdin.push(line.to_vec()));
            let (writer, to) = (Rc::clone(&stdin), Rc::clone(&pipe));
            let task = tokio::task::spawn_local(async move { writer.write(to).await });
            tokio::task::yield_now().await;
            while stdin.rest().len() > 300_000 - (60 << 10) {
                tokio::task::yield_now().await;
            }
            task.abort();
            let next = Rc::new(Stdin::resume(stdin.rest(), true, false));
            let reader = std::thread::spawn(move || {
                let (mut theirs, mut all) = (theirs, Vec::new());
                theirs.read_to_end(&mut all).unwrap();
                all
            });
            let _ = task.await;
            next.write(pipe).await;
            let read = tokio::task::spawn_blocking(move || reader.join().unwrap()).await;
            assert!(read.unwrap() == sent, "another text arrived");
        });
    }
}
