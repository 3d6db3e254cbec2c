//! Fuzzes YAML of a pack.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| petrel_fuzz::yaml::check(data));
