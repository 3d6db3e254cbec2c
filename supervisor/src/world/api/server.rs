//! The socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use anyhow::Context;
use axum::serve::Listener;
use tokio::net::{UnixListener, UnixStream};

use super::Shared;
use super::handlers::router;

/// Accepts from us and from root only.
#[derive(Debug)]
struct Guarded {
    listener: UnixListener,
    uid: u32,
}

impl Listener for Guarded {
    type Io = UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (UnixStream, ()) {
        loop {
            // Axum's own listener waits after an error, so that a lack of descriptors is no spin.
            let (stream, _) = Listener::accept(&mut self.listener).await;
            let peer = stream.peer_cred().map(|peer| peer.uid());
            if peer.is_ok_and(|uid| uid == self.uid || uid == 0) {
                return (stream, ());
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Binds the socket and serves it in a task of its own.
///
/// # Errors
/// When the socket cannot be bound.
pub fn serve(path: &Path, shared: Shared) -> anyhow::Result<()> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)
        .with_context(|| format!("failed to bind the socket {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let pointer = shared.data.join(super::SOCKET_FILE);
    fs::write(&pointer, path.as_os_str().as_encoded_bytes())?;
    let guarded = Guarded {
        listener,
        uid: rustix::process::getuid().as_raw(),
    };
    tokio::spawn(async move {
        if let Err(error) = axum::serve(guarded, router(shared)).await {
            tracing::error!("the API ended: {error}");
        }
    });
    Ok(())
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
