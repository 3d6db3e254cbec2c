//! `sensor-wrapper`: see the library.

fn main() {
    std::process::exit(sensor_wrapper::main(std::env::args_os().skip(1)));
}
