//! The reader of session descriptions: lenient about what is missing, firm about limits.

use thiserror::Error;

use super::{Attribute, Connection, Media, Origin, Sdp};

/// The largest description that is read, in bytes.
pub const MAX_BYTES: usize = 16 * 1024;
/// The largest number of lines that is read.
pub const MAX_LINES: usize = 256;

/// Why bytes are not a session description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SdpError {
    /// There is no line at all.
    #[error("the session description is empty")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("the session description has more than {MAX_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_LINES`].
    #[error("the session description has more than {MAX_LINES} lines")]
    TooManyLines,
    /// A control character within a line.
    #[error("line {line} of the session description holds a control character")]
    ControlCharacter {
        /// The number of the line, from 1.
        line: usize,
    },
    /// A line that is not a letter, `=` and a value.
    #[error("line {line} of the session description is not of the form x=value")]
    NotALine {
        /// The number of the line, from 1.
        line: usize,
    },
    /// A version other than 0.
    #[error("line {line} names an unknown version of SDP")]
    Version {
        /// The number of the line, from 1.
        line: usize,
    },
    /// An `m=` line without media, port and transport.
    #[error("line {line} is not a media line")]
    Media {
        /// The number of the line, from 1.
        line: usize,
    },
    /// A `c=` line without an address.
    #[error("line {line} is not a connection line")]
    Connection {
        /// The number of the line, from 1.
        line: usize,
    },
    /// An `o=` line with fewer than six fields.
    #[error("line {line} is not an origin line")]
    Origin {
        /// The number of the line, from 1.
        line: usize,
    },
}

impl Sdp {
    /// Reads a description.
    ///
    /// `v=`, `o=`, `s=`, `t=` and `c=` may be missing and lines may end in a bare LF, as deployed
    /// peers and RFC examples have it; lines of other types are passed over (RFC 8866 section 5).
    ///
    /// # Errors
    /// Names the limit that is exceeded or the line that cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, SdpError> {
        if bytes.len() > MAX_BYTES {
            return Err(SdpError::TooLong);
        }
        let text = String::from_utf8_lossy(bytes);
        let mut sdp = Self::default();
        let mut seen = false;
        for (index, line) in text.split('\n').enumerate() {
            let number = index + 1;
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            if number > MAX_LINES {
                return Err(SdpError::TooManyLines);
            }
            if line.chars().any(|c| c.is_control() && c != '\t') {
                return Err(SdpError::ControlCharacter { line: number });
            }
            sdp.take(number, line)?;
            seen = true;
        }
        if seen { Ok(sdp) } else { Err(SdpError::Empty) }
    }

    fn take(&mut self, line: usize, text: &str) -> Result<(), SdpError> {
        let not_a_line = SdpError::NotALine { line };
        let (kind, value) = text.split_once('=').ok_or_else(|| not_a_line.clone())?;
        let mut kind = kind.chars();
        let (Some(letter), None) = (kind.next(), kind.next()) else {
            return Err(not_a_line);
        };
        match letter {
            'v' if value.trim() != "0" => return Err(SdpError::Version { line }),
            'o' => self.origin = Some(origin(value).ok_or(SdpError::Origin { line })?),
            's' if self.media.is_empty() => value.trim().clone_into(&mut self.session_name),
            'c' => {
                let connection = connection(value).ok_or(SdpError::Connection { line })?;
                let place = match self.media.last_mut() {
                    Some(media) => &mut media.connection,
                    None => &mut self.connection,
                };
                // Of several connections the first counts; the others are layers of a multicast.
                place.get_or_insert(connection);
            }
            'm' => self.media.push(media(value).ok_or(SdpError::Media { line })?),
            'a' => {
                let attribute = attribute(value);
                match self.media.last_mut() {
                    Some(media) => media.attributes.push(attribute),
                    None => self.attributes.push(attribute),
                }
            }
            letter if letter.is_ascii_lowercase() => {}
            _ => return Err(not_a_line),
        }
        Ok(())
    }
}

fn origin(value: &str) -> Option<Origin> {
    let mut fields = value.split_ascii_whitespace().map(str::to_owned);
    let (username, session_id, version) = (fields.next()?, fields.next()?, fields.next()?);
    let address = fields.nth(2)?;
    Some(Origin { username, session_id, version, address })
}

fn connection(value: &str) -> Option<Connection> {
    let mut fields = value.split_ascii_whitespace();
    let (_, address_type, address) = (fields.next()?, fields.next()?, fields.next()?);
    let address = address.split('/').next().unwrap_or_default();
    let address = address.strip_prefix('[').unwrap_or(address);
    let address = address.strip_suffix(']').unwrap_or(address);
    if address.is_empty() {
        return None;
    }
    Some(Connection { address_type: address_type.to_owned(), address: address.to_owned() })
}

fn media(value: &str) -> Option<Media> {
    let mut fields = value.split_ascii_whitespace();
    let (kind, port, protocol) = (fields.next()?, fields.next()?, fields.next()?);
    let port = port.split('/').next()?;
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Media {
        kind: kind.to_owned(),
        port: port.parse().ok()?,
        protocol: protocol.to_owned(),
        formats: fields.map(str::to_owned).collect(),
        connection: None,
        attributes: Vec::new(),
    })
}

fn attribute(value: &str) -> Attribute {
    match value.split_once(':') {
        Some((name, value)) => {
            Attribute { name: name.trim().to_owned(), value: Some(value.trim().to_owned()) }
        }
        None => Attribute { name: value.trim().to_owned(), value: None },
    }
}
