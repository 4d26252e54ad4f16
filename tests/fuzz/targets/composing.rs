//! A state that can be read is written so that it reads the same.
#![no_main]

use chatbridge::payload::Composing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(composing) = Composing::parse(bytes) else { return };
    assert_ne!(composing.refresh, Some(0));
    assert_eq!(Composing::parse(&composing.write()), Ok(composing));
});
