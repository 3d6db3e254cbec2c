//! An upgrade in place: this process becomes another program and hands its children over to it.
//!
//! What is known goes into a sealed file in memory ([`package`]); our ends of pipes, the processes'
//! descriptors, the lock and the listening socket travel with it through a socket that the next
//! program finds as its standard input ([`bundle`]). The kernel holds them meanwhile, so nothing is
//! left open by mistake, and nothing is closed where the exec fails. Children stay our children:
//! the process is the same one.

mod bundle;
mod children;
mod package;
mod turn;

pub use bundle::{Bundle, Received};
pub use package::{FORMAT, HandedAction, HandedChild, OLDEST, Package, Upgrade};
pub use turn::{Handover, become_next, begin_anew, received};
