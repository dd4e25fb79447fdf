#![no_main]

use antiphon::doors::MIDI_FILE;

libfuzzer_sys::fuzz_target!(init: antiphon_fuzz::sow(MIDI_FILE), |bytes: &[u8]| (MIDI_FILE.enter)(bytes));
