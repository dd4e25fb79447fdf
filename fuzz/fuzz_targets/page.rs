#![no_main]

use antiphon::doors::PAGE;

libfuzzer_sys::fuzz_target!(init: antiphon_fuzz::sow(PAGE), |bytes: &[u8]| (PAGE.enter)(bytes));
