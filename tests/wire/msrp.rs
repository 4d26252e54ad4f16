//! What nine MSRP implementations put on the wire, and the examples of the RFCs, through the
//! parser and the writer.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path as FilePath, PathBuf};

use bytes::{Bytes, BytesMut};
use chatbridge::msrp::{
    ByteRange, Continuation, FailureReport, Frame, Header, Kind, Limits, Method, ParseError,
    Parser, Path, Status, Text, TransactionId,
};
use proptest::prelude::*;

#[test]
fn every_recorded_message_is_what_its_file_name_says() {
    let mut messages = 0;
    for file in files("msrp-wire", ".msrp") {
        let frames = parsed(&fs::read(&file).unwrap(), usize::MAX);
        assert_eq!(frames.len(), 1, "{}", file.display());
        let name = file.file_stem().unwrap().to_str().unwrap();
        let number = |part: &&[u8]| part[0] == b'-' && part[1..3].iter().all(u8::is_ascii_digit);
        let flow = name.as_bytes().windows(3).position(|part| number(&part)).unwrap();
        assert_eq!(described(&frames[0]), name[flow + 4..], "{}", file.display());
        messages += 1;
    }
    assert_eq!(messages, 174);
}

#[test]
fn every_recorded_stream_gives_the_same_frames_however_it_is_cut() {
    for file in files("msrp-wire", "-stream.bin") {
        let stream = fs::read(&file).unwrap();
        let whole = parsed(&stream, usize::MAX);
        for size in [1, 2, 3, 5, 7, 11, 64, 500, 1448, 4096] {
            assert_eq!(parsed(&stream, size), whole, "{} in reads of {size}", file.display());
        }
    }
}

/// Between frames a parser knows nothing of those before, so that each can be cut for itself.
#[test]
fn every_recorded_stream_may_be_cut_at_every_octet() {
    for file in files("msrp-wire", "-stream.bin") {
        let stream = fs::read(&file).unwrap();
        let (mut parser, mut buffer) =
            (Parser::new(Limits::default()), BytesMut::from(&stream[..]));
        let mut begin = 0;
        while let Some(frame) = parser.next(&mut buffer).unwrap() {
            let end = stream.len() - buffer.len();
            let bytes = &stream[begin..end];
            for cut in 1..bytes.len() {
                let (one, two) = bytes.split_at(cut);
                assert!(
                    parsed_in(&[one, two]) == [frame.clone()],
                    "{} {begin}+{cut}",
                    file.display()
                );
            }
            begin = end;
        }
        assert_eq!(begin, stream.len());
    }
}

#[test]
fn every_recorded_stream_gives_the_same_frames_in_its_recorded_segments() {
    for file in files("msrp-wire", "-segments.txt") {
        let stream = PathBuf::from(file.to_str().unwrap().replace("-segments.txt", "-stream.bin"));
        let stream = fs::read(stream).unwrap();
        let sizes = fs::read_to_string(&file).unwrap();
        let mut rest = stream.as_slice();
        let mut segments = Vec::new();
        for size in sizes.split_whitespace() {
            let (segment, after) = rest.split_at(size.parse().unwrap());
            segments.push(segment);
            rest = after;
        }
        assert!(rest.is_empty(), "{}", file.display());
        assert_eq!(parsed_in(&segments), parsed(&stream, usize::MAX), "{}", file.display());
    }
}

#[test]
fn every_recorded_message_survives_being_written_and_read() {
    for file in files("msrp-wire", ".msrp") {
        let frame = parsed(&fs::read(&file).unwrap(), usize::MAX).remove(0);
        assert_eq!(parsed(&written(&frame), usize::MAX), [frame], "{}", file.display());
    }
}

#[test]
fn the_paths_of_recorded_session_descriptions_are_read() {
    for file in files("msrp-wire", ".sip") {
        let text = fs::read_to_string(&file).unwrap();
        let path = text.lines().find_map(|line| line.strip_prefix("a=path:")).unwrap();
        let path = Path::parse(path.trim_end()).unwrap();
        assert_eq!((path.hops(), path.first().port()), (1, Some(22931)), "{}", file.display());
    }
}

#[test]
fn the_examples_of_the_rfcs_are_read_or_refused_as_listed() {
    let mut found = String::new();
    for file in files("msrp-rfc", ".msrp") {
        let text = fs::read_to_string(&file).unwrap();
        let mut buffer = BytesMut::from(unfolded(&text).as_bytes());
        let outcome = match Parser::new(Limits::default()).next(&mut buffer) {
            Ok(Some(frame)) => described(&frame),
            Ok(None) => "unfinished".to_owned(),
            Err(ParseError::Frame(bad)) => bad.fault.to_string(),
            Err(error @ ParseError::Stream(_)) => error.to_string(),
        };
        assert!(buffer.is_empty(), "{} leaves bytes", file.display());
        let name = file.strip_prefix(fixtures("msrp-rfc")).unwrap().display();
        writeln!(found, "{name}\t{outcome}").unwrap();
    }
    let list = fixtures("msrp-rfc").join("expectations.tsv");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&list, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&list).unwrap());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(frame in frames()) {
        prop_assert_eq!(parsed(&written(&frame), usize::MAX), [frame]);
    }

    #[test]
    fn any_segmentation_gives_the_same_frames(
        sent in prop::collection::vec(frames(), 1..4),
        sizes in prop::collection::vec(1_usize..60, 1..40),
    ) {
        let stream: Vec<u8> = sent.iter().flat_map(written).collect();
        let mut rest = stream.as_slice();
        let mut segments = Vec::new();
        for size in sizes.iter().cycle() {
            let (segment, after) = rest.split_at(rest.len().min(*size));
            segments.push(segment);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(parsed_in(&segments), sent);
    }

    #[test]
    fn no_bytes_bring_the_parser_down(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drain(&mut Parser::new(Limits::default()), &mut BytesMut::from(bytes.as_slice()));
    }

    #[test]
    fn no_damage_to_a_frame_brings_the_parser_down(
        frame in frames(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        size in 1_usize..80,
    ) {
        let mut stream = written(&frame);
        for (place, octet) in damages {
            let place = place.index(stream.len());
            stream[place] = octet;
        }
        let limits = Limits { max_header_bytes: 300, max_chunk_in: 100, ..Limits::default() };
        let mut parser = Parser::new(limits);
        let mut buffer = BytesMut::new();
        for segment in stream.chunks(size) {
            buffer.extend_from_slice(segment);
            if !drain(&mut parser, &mut buffer) {
                break;
            }
            prop_assert!(buffer.len() <= 300 + 100 + 2 * 80, "{} octets held", buffer.len());
        }
    }
}

/// Joins the header lines that the RFCs break to fit their pages; MSRP itself knows no folding.
fn unfolded(text: &str) -> String {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut joined = String::new();
    for line in head.split_inclusive("\r\n") {
        if line.starts_with(' ') {
            joined.truncate(joined.trim_end_matches(['\r', '\n', '\\', ' ']).len());
            joined.push(' ');
        }
        joined.push_str(line.trim_start());
    }
    if head.len() == text.len() { joined } else { format!("{joined}\r\n\r\n{body}") }
}

/// Takes out what there is; tells whether the stream can go on.
fn drain(parser: &mut Parser, buffer: &mut BytesMut) -> bool {
    loop {
        match parser.next(buffer) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(error) if error.is_fatal() => return false,
            Err(_) => {}
        }
    }
}

fn parsed(stream: &[u8], size: usize) -> Vec<Frame> {
    let segments: Vec<&[u8]> = stream.chunks(size).collect();
    parsed_in(&segments)
}

fn parsed_in(segments: &[&[u8]]) -> Vec<Frame> {
    let mut parser = Parser::new(Limits::default());
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for segment in segments {
        buffer.extend_from_slice(segment);
        while let Some(frame) = parser.next(&mut buffer).unwrap() {
            frames.push(frame);
        }
    }
    assert!(buffer.is_empty(), "{} octets are left", buffer.len());
    frames
}

fn written(frame: &Frame) -> Vec<u8> {
    let mut out = BytesMut::new();
    frame.write(&mut out);
    out.to_vec()
}

/// Describes a frame as the names of the recorded files do.
fn described(frame: &Frame) -> String {
    let method = match &frame.kind {
        Kind::Response { code, comment } => {
            let comment = comment.as_ref().map(|comment| format!(" {comment}"));
            return format!("{code}{}", comment.unwrap_or_default()).replace(' ', "_");
        }
        Kind::Request(Method::Send) => "SEND",
        Kind::Request(method) => return method.as_str().to_owned(),
    };
    let content_type = match (&frame.content_type, &frame.body) {
        (Some(content_type), Some(_)) => content_type.as_str().replace('/', "_"),
        (_, None) => "bodyless".to_owned(),
        (None, Some(_)) => "untyped".to_owned(),
    };
    let range = frame.byte_range.map_or("norange".to_owned(), |range| {
        range.to_string().replace('/', "of").replace('*', "STAR")
    });
    let flag = match frame.flag {
        Continuation::Complete => "",
        Continuation::More => "-cont",
        Continuation::Abort => "-abort",
    };
    format!("{method}-{content_type}-{range}{flag}")
}

/// Lists the fixtures below `folder` whose names end in `ending`, in order.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![fixtures(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty(), "no {ending} below {folder}");
    files
}

fn fixtures(folder: &str) -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("sip-fixtures").join(folder)
}

fn frames() -> impl Strategy<Value = Frame> {
    let heads = (kinds(), paths(), paths(), prop::option::of(ranges()), others());
    let wishes = (
        prop::option::of(any::<bool>()),
        prop::option::of(prop::sample::select(vec![
            FailureReport::Yes,
            FailureReport::Partial,
            FailureReport::No,
        ])),
        prop::option::of("[A-Za-z0-9][A-Za-z0-9.+%=-]{3,31}"),
        prop::option::of((0_u16..1000, 100_u16..1000, prop::option::of(texts()))),
    );
    let contents = (
        prop::option::of("[a-z]{1,8}/[a-z+.-]{1,12}(; ?[a-z]{1,5}=[a-z0-9]{1,5})?"),
        prop::option::of(bodies()),
        prop::sample::select(vec![Continuation::Complete, Continuation::More, Continuation::Abort]),
    );
    let tids = "[A-Za-z0-9][A-Za-z0-9.+%=-]{3,31}";
    (tids, heads, wishes, contents).prop_filter_map(
        "the end-line must not occur in the body",
        |(tid, (kind, to_path, from_path, byte_range, headers), wishes, contents)| {
            let (success_report, failure_report, message_id, status) = wishes;
            let (content_type, body, flag) = contents;
            let occurs = |body: &Bytes| body.windows(tid.len()).any(|it| it == tid.as_bytes());
            if body.as_ref().is_some_and(occurs) {
                return None;
            }
            let tid = TransactionId::new(&tid)?;
            let mut frame = Frame::request(Method::Send, tid, to_path, from_path);
            frame.kind = kind;
            frame.message_id = message_id.as_deref().map(Text::new);
            frame.byte_range = byte_range;
            (frame.success_report, frame.failure_report) = (success_report, failure_report);
            frame.status =
                status.map(|(namespace, code, comment)| Status { namespace, code, comment });
            frame.headers = headers;
            frame.content_type = content_type.as_deref().map(Text::new);
            (frame.body, frame.flag) = (body, flag);
            Some(frame)
        },
    )
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Request(Method::Send)),
        Just(Kind::Request(Method::Report)),
        Just(Kind::Request(Method::Auth)),
        Just(Kind::Request(Method::Nickname)),
        "X[A-Z]{2,8}".prop_map(|name| Kind::Request(Method::Other(Text::new(&name)))),
        (100_u16..1000, prop::option::of(texts()))
            .prop_map(|(code, comment)| Kind::Response { code, comment }),
    ]
}

fn paths() -> impl Strategy<Value = Path> {
    let uri = "msrps?://([a-z]{1,9}\\.example|\\[2001:db8::[1-9]\\])(:[1-9][0-9]{0,3})?\
               (/[A-Za-z0-9+/=]{1,12})?;tcp(;[a-z]{1,4}=[a-z]{1,4})?";
    prop::collection::vec(uri, 1..4).prop_map(|uris| Path::parse(&uris.join(" ")).unwrap())
}

fn ranges() -> impl Strategy<Value = ByteRange> {
    (any::<u64>(), any::<Option<u64>>(), any::<Option<u64>>())
        .prop_map(|(start, end, total)| ByteRange { start, end, total })
}

fn others() -> impl Strategy<Value = Vec<Header>> {
    let header = ("X-[A-Za-z0-9-]{1,12}", prop_oneof![Just(Text::default()), texts()]);
    let header = header.prop_map(|(name, value)| Header { name: Text::new(&name), value });
    prop::collection::vec(header, 0..4)
}

fn texts() -> impl Strategy<Value = Text> {
    "[!-~é你]([ -~é你\t]{0,20}[!-~é你])?".prop_map(|text| Text::new(&text))
}

/// Bodies that come as near to an end-line as they may.
fn bodies() -> impl Strategy<Value = Bytes> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "(\r\n)?-{6,8}[a-z0-9]{0,9}[$+#]?(\r\n)?".prop_map(String::into_bytes),
        Just(b"\r\n\r\n".to_vec()),
        Just(b"\r".to_vec()),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| Bytes::from(pieces.concat()))
}
