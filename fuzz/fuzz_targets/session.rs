#![no_main]

use antiphon::doors::SESSION;

libfuzzer_sys::fuzz_target!(init: antiphon_fuzz::sow(SESSION), |bytes: &[u8]| (SESSION.enter)(bytes));
