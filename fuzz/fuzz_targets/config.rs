#![no_main]

use antiphon::doors::CONFIG;

libfuzzer_sys::fuzz_target!(init: antiphon_fuzz::sow(CONFIG), |bytes: &[u8]| (CONFIG.enter)(bytes));
