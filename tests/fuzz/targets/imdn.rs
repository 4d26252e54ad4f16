//! A report that can be read is written so that it reads the same; the parts of an aggregate are
//! reports, all of them.
#![no_main]

use bytes::Bytes;
use chatbridge::payload::{Imdn, multipart};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = Imdn::parse(bytes) {
        let again = Imdn::parse(&report.write()).expect("we can read what we write");
        assert_eq!((&again.message_id, again.report), (&report.message_id, report.report));
        assert_eq!(Imdn::parse(&again.write()), Ok(again));
    }
    let body = Bytes::copy_from_slice(bytes);
    let content_type = multipart::content_type("b");
    if let Ok(reports) = Imdn::parse_all(&content_type, &body) {
        assert!((1..=multipart::MAX_PARTS).contains(&reports.len()));
        let parts = multipart::leaves(&content_type, body).expect("an aggregate has parts");
        assert_eq!(parts.len(), reports.len());
    }
});
