//! The strict writer: elements in the order of the schema, and no byte more than is needed, for
//! large conferences make large documents.

use bytes::Bytes;

use super::{Conference, Disconnection, Endpoint, Extent, Joining, NAMESPACE, User, word};
use crate::payload::xml::{write_attribute, write_leaf};

impl Conference {
    /// Writes the document.
    #[must_use]
    pub fn write(&self) -> Bytes {
        let mut out = String::with_capacity(512 + 256 * self.users.len());
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<conference-info");
        write_attribute(&mut out, "xmlns", NAMESPACE);
        write_attribute(&mut out, "entity", &self.entity);
        write_attribute(&mut out, "state", word(&Extent::WORDS, self.state));
        write_attribute(&mut out, "version", &self.version.unwrap_or(0).to_string());
        out.push('>');
        self.write_description(&mut out);
        if let Some(count) = self.user_count {
            out.push_str("<conference-state>");
            write_leaf(&mut out, "user-count", &count.to_string());
            out.push_str("</conference-state>");
        }
        if !self.users.is_empty() || self.state == Extent::Full {
            out.push_str("<users");
            if let Some(state) = self.users_state {
                write_attribute(&mut out, "state", word(&Extent::WORDS, state));
            }
            out.push('>');
            self.users.iter().for_each(|user| user.write(&mut out));
            out.push_str("</users>");
        }
        out.push_str("</conference-info>");
        Bytes::from(out)
    }

    fn write_description(&self, out: &mut String) {
        if self.subject.is_none() && self.maximum_user_count.is_none() {
            return;
        }
        out.push_str("<conference-description>");
        if let Some(subject) = &self.subject {
            write_leaf(out, "subject", subject);
        }
        if let Some(count) = self.maximum_user_count {
            write_leaf(out, "maximum-user-count", &count.to_string());
        }
        out.push_str("</conference-description>");
    }
}

impl User {
    fn write(&self, out: &mut String) {
        out.push_str("<user");
        write_attribute(out, "entity", &self.entity);
        write_attribute(out, "state", word(&Extent::WORDS, self.state));
        if self.is_own {
            write_attribute(out, "yourown", "true");
        }
        out.push('>');
        if let Some(name) = &self.display_text {
            write_leaf(out, "display-text", name);
        }
        self.endpoints.iter().for_each(|endpoint| endpoint.write(out));
        out.push_str("</user>");
    }
}

impl Endpoint {
    fn write(&self, out: &mut String) {
        out.push_str("<endpoint");
        write_attribute(out, "entity", &self.entity);
        if self.state != Extent::Full {
            write_attribute(out, "state", word(&Extent::WORDS, self.state));
        }
        out.push('>');
        if let Some(name) = &self.display_text {
            write_leaf(out, "display-text", name);
        }
        if let Some(status) = self.status {
            write_leaf(out, "status", status.as_str());
        }
        if let Some(joining) = self.joining {
            write_leaf(out, "joining-method", word(&Joining::WORDS, joining));
        }
        if let Some(disconnection) = self.disconnection {
            write_leaf(out, "disconnection-method", word(&Disconnection::WORDS, disconnection));
        }
        if let Some(reason) = &self.reason {
            out.push_str("<disconnection-info>");
            write_leaf(out, "reason", reason);
            out.push_str("</disconnection-info>");
        }
        out.push_str("</endpoint>");
    }
}
