//! The torture messages of RFC 4475 and RFC 5118, with what each must lead to.

use std::fs;
use std::path::{Path, PathBuf};

/// What a message must lead to.
pub(crate) struct Row {
    /// Where it stands in the folder.
    pub(crate) file: String,
    pub(crate) section: String,
    pub(crate) verdict: String,
    /// What may be answered, the best first.
    pub(crate) statuses: Vec<u16>,
}

pub(crate) fn rows() -> Vec<Row> {
    let text = fs::read_to_string(home().join("expectations.tsv")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let mut columns = line.split('\t').map(str::to_owned);
            let mut column = || columns.next().unwrap();
            let (file, section, verdict, statuses) = (column(), column(), column(), column());
            let statuses = statuses.split('|').filter_map(|code| code.parse().ok()).collect();
            Row { file, section, verdict, statuses }
        })
        .collect()
}

pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sip-fixtures/torture")
}

/// A message as it stands in its file. Those of RFC 5118 came with bare LF and are kept so; their
/// `Content-Length`s were counted otherwise (two of them wrongly) and are set right.
pub(crate) fn read(file: &str) -> Vec<u8> {
    let bytes = fs::read(home().join(file)).unwrap();
    if !file.starts_with("rfc5118/") {
        return bytes;
    }
    let text = String::from_utf8(bytes).unwrap();
    let Some((head, body)) = text.split_once("\n\n") else { return text.into_bytes() };
    let lines = head.lines().filter(|line| !line.starts_with("Content-Length:"));
    let head: String = lines.map(|line| format!("{line}\n")).collect();
    format!("{head}Content-Length: {}\n\n{body}", body.len()).into_bytes()
}
