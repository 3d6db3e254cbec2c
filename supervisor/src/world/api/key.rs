//! A key in the data folder that every client of the socket reads and sends.
//!
//! A sensor under `strict` may be of our own user and so may connect to the socket, which no
//! kernel's Landlock forbids yet; the data folder it cannot read. The key is asked for only where
//! there is such a sensor, so that anything that speaks HTTP is a client otherwise.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::handlers::Fault;
use crate::catalog::policy::Profile;

/// The header that carries it.
pub const HEADER: &str = "x-petrel-key";

const FILE: &str = "socket.key";

/// The key.
pub struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A new one, for this supervisor.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn make(data: &Path) -> anyhow::Result<Self> {
        let mut bytes = [0; 32];
        rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = data.join(FILE);
        // Of whoever could read an older one.
        let _ = fs::remove_file(&path);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self(text))
    }

    /// The one that clients have read already, else a new one.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn keep(data: &Path) -> anyhow::Result<Self> {
        Self::of(data).map_or_else(|| Self::make(data), |text| Ok(Self(text)))
    }

    /// The text for [`HEADER`]; none where it cannot be read.
    pub fn of(data: &Path) -> Option<String> {
        fs::read_to_string(data.join(FILE)).ok()
    }

    /// The same in a time that tells nothing.
    fn is(&self, given: &[u8]) -> bool {
        blake3::hash(self.0.as_bytes()) == blake3::hash(given)
    }
}

/// Lets a request pass, or not.
pub async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let catalog = shared.catalog();
    let mut sensors = catalog.sensors.values();
    let asked = sensors.any(|sensor| sensor.policy.sandbox.profile == Profile::Strict);
    let given = request.headers().get(HEADER);
    if asked && !given.is_some_and(|given| shared.key.is(given.as_bytes())) {
        let why = format!(
            "a sensor runs under `strict`: requests need the header {HEADER} with the content of \
             {FILE} in the data folder"
        );
        return Fault(StatusCode::UNAUTHORIZED, why).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_start_has_a_key_of_its_own_that_only_we_can_read() {
        let data = tempfile::tempdir().expect("a folder");
        let first = Key::make(data.path()).expect("a key");
        let second = Key::make(data.path()).expect("a key");
        let text = Key::of(data.path()).expect("it is there");
        assert!(second.is(text.as_bytes()) && !first.is(text.as_bytes()));
        assert_eq!(text.len(), 64);
        let mode = fs::metadata(data.path().join(FILE))
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
