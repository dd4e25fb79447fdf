#![no_main]

use antiphon::doors::LIVE;

libfuzzer_sys::fuzz_target!(init: antiphon_fuzz::sow(LIVE), |bytes: &[u8]| (LIVE.enter)(bytes));
