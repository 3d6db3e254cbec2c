//! Fuzzes Jinja templates.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| petrel_fuzz::templates::check(data));
