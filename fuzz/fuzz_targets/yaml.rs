#![no_main]

use libfuzzer_sys::fuzz_target;
use meshgate_host_tests::fuzz;

fuzz_target!(|data: &[u8]| fuzz::yaml(data));
