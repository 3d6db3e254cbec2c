//! What the author of a sensor sees; it knows nothing of the supervisor.
//!
//! A sensor is a program that writes JSON lines to its standard output (the page `PROTOCOL.md`
//! beside this crate). Bytes become lines in [`line`], a line becomes what the sensor said in
//! [`protocol`], and [`refs`] reads the names `pack.trigger` in it. These three do no I/O: the
//! supervisor and the host side of this crate share them.

//! A sensor in Rust implements [`Sensor`] or [`PollingSensor`] and calls [`run`] or [`run_polling`].

pub mod host;
pub mod line;
pub mod protocol;
pub mod refs;
pub mod sensor;
pub mod service;
pub mod testing;

pub use host::{Start, run, run_on, run_polling, run_polling_on};
pub use protocol::Fail;
pub use sensor::{PollingSensor, Sensor};
pub use service::{CallError, Event, SensorService, Told};
