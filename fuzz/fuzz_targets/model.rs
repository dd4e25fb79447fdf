#![no_main]

use antiphon::doors::MODEL;

libfuzzer_sys::fuzz_target!(init: antiphon_fuzz::sow(MODEL), |bytes: &[u8]| (MODEL.enter)(bytes));
