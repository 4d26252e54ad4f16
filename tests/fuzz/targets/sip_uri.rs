//! A URI is written as it was read, is equivalent to itself, and to another one if and only if
//! that one is to it.
#![no_main]

use chatbridge::sip::{NameAddr, Uri};
use libfuzzer_sys::fuzz_target;

// Two URIs, one per line.
fuzz_target!(|text: &str| {
    let (one, other) = text.split_once('\n').unwrap_or((text, text));
    let (Ok(one), Ok(other)) = (visit(one), visit(other)) else { return };
    assert_eq!(one.equivalent(&other), other.equivalent(&one), "{one} {other}");
    assert!(one != other || one.equivalent(&other), "{one}");
});

fn visit(text: &str) -> Result<Uri, chatbridge::sip::UriError> {
    let uri = Uri::parse(text)?;
    assert_eq!((uri.to_string().as_str(), uri.as_str()), (text, text));
    assert_eq!(Uri::parse(uri.as_str()).as_ref(), Ok(&uri));
    assert!(uri.equivalent(&uri), "{uri}");
    let _ = (uri.scheme(), uri.scheme_name(), uri.user_unescaped(), uri.password(), uri.port());
    let _ = (uri.number(), uri.headers().count(), uri.hop().map(|hop| hop.to_string()));
    let bare = uri.without_headers();
    assert!(!bare.has_headers());
    assert_eq!(Uri::parse(bare.as_str()).as_ref(), Ok(&bare));
    let marked = uri.with_param("x-mark", Some("a b"));
    assert_eq!(Uri::parse(marked.as_str()).as_ref(), Ok(&marked));
    let address = NameAddr::new(uri.clone()).with_tag("t");
    assert_eq!(NameAddr::parse(&address.to_string()).as_ref(), Ok(&address));
    Ok(uri)
}
