//! Fuzzes criteria on payloads.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| petrel_fuzz::criteria::check(data));
