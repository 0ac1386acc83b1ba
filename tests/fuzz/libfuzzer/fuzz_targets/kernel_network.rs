//! Invariants: see the function of this name in `plyos_test_fuzz`. Errors are fine; panics are defects.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plyos_test_fuzz::run("kernel_network", data));
