//! Open files: a sensor needs four of them, and a shell gives 1,024.

use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit as whoever started us had it: for our children.
static BEFORE: OnceLock<Option<u64>> = OnceLock::new();

/// Raises our soft limit to the hard one.
///
/// # Errors
/// When the system refuses; the old limit holds then.
pub fn raise() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let _ = BEFORE.set(limit.current);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Puts our soft limit back to what it was: the program that we become is to see it as we did.
pub fn lower() {
    if let Some(before) = BEFORE.get() {
        let lowered = Rlimit {
            current: *before,
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        // It was allowed before.
        let _ = setrlimit(Resource::Nofile, lowered);
    }
}

/// The soft limit before it was raised; none where it was not, or was unlimited.
pub fn before() -> Option<u64> {
    BEFORE.get().copied().flatten()
}

/// Gives a pipe this many bytes. A thousand sensors have more pipes than an unprivileged user may
/// fill, and then the system makes later ones small; how many bytes it gave where it refuses.
pub fn size_pipe(pipe: impl AsFd, bytes: u32) -> Result<(), usize> {
    match fcntl_setpipe_size(&pipe, bytes as usize) {
        Ok(_) => Ok(()),
        Err(_) => Err(rustix::pipe::fcntl_getpipe_size(&pipe).unwrap_or(0)),
    }
}
