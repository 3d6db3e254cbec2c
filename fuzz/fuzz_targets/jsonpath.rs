//! Fuzzes keys of criteria.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| petrel_fuzz::jsonpath::check(data));
