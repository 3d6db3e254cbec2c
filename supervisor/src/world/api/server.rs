//! The socket.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::Shared;
use super::handlers::router;

/// Between two tries where the system gives no connection, for want of descriptors.
const RETRY: Duration = Duration::from_secs(1);

/// The next connection of us or of root; of nobody else.
async fn accept(listener: &UnixListener, uid: u32) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let peer = stream.peer_cred().map(|peer| peer.uid());
                if peer.is_ok_and(|peer| peer == uid || peer == 0) {
                    return stream;
                }
            }
            // It went away before it was looked at.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!("the API cannot take a connection: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Serves until it is to rest, and then what was accepted: its first request is answered, too, which
/// `axum::serve` does not promise of a connection that has not said anything yet.
async fn serve_all(listener: UnixListener, router: Router, mut rests: oneshot::Receiver<()>) {
    let uid = rustix::process::getuid().as_raw();
    let (tell, told) = watch::channel(false);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(&listener, uid) => {
                open.spawn(converse(stream, router.clone(), told.clone()));
            }
            Some(_) = open.join_next(), if !open.is_empty() => {}
            _ = &mut rests => break,
        }
    }
    tell.send_replace(true);
    while open.join_next().await.is_some() {}
}

async fn converse(stream: UnixStream, router: Router, mut rests: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // Whoever breaks a connection off knows it.
        _ = connection.as_mut() => return,
        _ = rests.wait_for(|rests| *rests) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Serves the socket in a task of its own.
#[derive(Debug)]
pub struct Server {
    listener: Rc<std::os::unix::net::UnixListener>,
    shared: Shared,
    /// Dropped, it lets the task end.
    rest: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds the socket and serves it.
    ///
    /// # Errors
    /// When the socket cannot be bound.
    pub fn bind(path: &Path, shared: Shared) -> anyhow::Result<Self> {
        remove_stale(path)?;
        let listener = std::os::unix::net::UnixListener::bind(path)
            .with_context(|| format!("failed to bind the socket {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let pointer = shared.data.join(super::SOCKET_FILE);
        fs::write(&pointer, path.as_os_str().as_encoded_bytes())?;
        Self::resume(listener.into(), shared)
    }

    /// Serves a socket that is bound.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn resume(listener: OwnedFd, shared: Shared) -> anyhow::Result<Self> {
        let listener = std::os::unix::net::UnixListener::from(listener);
        listener.set_nonblocking(true)?;
        let (rest, task) = serve(&listener, shared.clone())?;
        Ok(Self {
            listener: Rc::new(listener),
            shared,
            rest: Some(rest),
            task,
        })
    }

    /// Whoever comes from now on waits; what is under way is answered.
    pub fn rest(&mut self) {
        self.rest = None;
    }

    /// Nothing is under way.
    pub fn is_at_rest(&self) -> bool {
        self.rest.is_none() && self.task.is_finished()
    }

    /// Answers again.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn go_on(&mut self) -> anyhow::Result<()> {
        if self.rest.is_none() {
            let (rest, task) = serve(&self.listener, self.shared.clone())?;
            (self.rest, self.task) = (Some(rest), task);
        }
        Ok(())
    }

    /// For the next supervisor in this process.
    pub fn hand_over(&self) -> Rc<dyn AsFd> {
        Rc::clone(&self.listener) as Rc<dyn AsFd>
    }
}

fn serve(
    listener: &std::os::unix::net::UnixListener,
    shared: Shared,
) -> anyhow::Result<(oneshot::Sender<()>, JoinHandle<()>)> {
    let listener = UnixListener::from_std(listener.try_clone()?)?;
    let (rest, rests) = oneshot::channel();
    let task = tokio::spawn(serve_all(listener, router(shared), rests));
    Ok((rest, task))
}

/// The lock is ours, so a socket of this name is of a supervisor that is dead.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} exists and is no socket", path.display()),
        )),
        Err(_) => Ok(()),
    }
}
