//! `petrel`, which is also `sensor-wrapper` when it is called by that name.

use std::process::ExitCode;

fn main() -> ExitCode {
    petrel_supervisor::cli::main(std::env::args_os())
}
