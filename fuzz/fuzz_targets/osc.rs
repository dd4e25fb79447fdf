#![no_main]

use antiphon::doors::OSC;

libfuzzer_sys::fuzz_target!(init: antiphon_fuzz::sow(OSC), |bytes: &[u8]| (OSC.enter)(bytes));
