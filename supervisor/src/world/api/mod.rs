//! The API: HTTP over a Unix socket, with the paths and bodies of StackStorm's `/v1`.
//!
//! Only the owner of the socket and root get in: the folder and the socket are private, and the
//! peer's user is checked besides. Lists of the catalog are answered here; what only the core knows
//! is asked of the loop; the journal is read on a connection of its own, off the main thread.

mod executions;
mod handlers;
mod journal;
mod key;
mod keys;
mod lines;
mod rejected;
mod sensors;
mod server;
mod tail;
mod webhooks;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::catalog::Catalog;
use crate::core::input::Ask;
use crate::world::logs::Tap;

pub use key::{HEADER as KEY_HEADER, Key};
pub use server::Server;

/// The file in the data folder that names the socket.
pub const SOCKET_FILE: &str = "socket";

/// The header with which an action says who it is.
pub const EXECUTION: &str = "x-petrel-execution";

/// What the loop is asked.
#[derive(Debug)]
pub enum Question {
    /// Something that the core decides.
    Core(Ask),
    /// Read the packs again and take what changed.
    Reload,
    /// Become this program, else the one at the path of ours.
    Upgrade(Option<PathBuf>),
    /// How the last upgrade went.
    Upgraded,
    /// What happened since the start, in numbers.
    Stats,
    /// What the journal keeps, and who waits for room in it.
    Journal,
    /// All sensors with their life, or one by its reference.
    Sensors(Option<String>),
}

/// A question and where its answer goes; an error is "not found" or the reason of a refusal.
pub type Asked = (Question, oneshot::Sender<Result<Value, String>>);

/// What handlers know.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The logs of sensors.
    pub logs: Tap,
    /// The packs.
    pub packs: watch::Receiver<Arc<Catalog>>,
    /// The data folder.
    pub data: PathBuf,
    /// To the loop.
    pub questions: mpsc::Sender<Asked>,
    /// What a request must carry where a sensor is kept away by more than its user.
    pub key: Arc<Key>,
}

impl Shared {
    /// The packs as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.packs.borrow())
    }
}
