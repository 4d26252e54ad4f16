//! Dialogs: what two user agents remember of each other between requests (RFC 3261 section 12).

use bytes::Bytes;

use crate::sip::{CSeq, Headers, Hop, Method, NameAddr, Request, Response, Status, Uri};

/// One side's view of a dialog.
#[derive(Debug, Clone)]
pub struct Dialog {
    call_id: String,
    /// From of the requests that we send, with our tag.
    local: String,
    /// To of the requests that we send, with the peer's tag.
    remote: String,
    local_tag: String,
    /// Empty where the peer, from before RFC 3261, gave none (section 12.1.1).
    remote_tag: String,
    local_cseq: u32,
    /// Absent until the peer has sent its first request.
    remote_cseq: Option<u32>,
    /// The proxies on the way, nearest first. Never changed again (section 12.2).
    route_set: Vec<NameAddr>,
    remote_target: Uri,
}

/// Why a request does not belong to a dialog, or not any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// The tags are not those of this dialog.
    #[error("the tags name no dialog of ours")]
    OtherDialog,
    /// A later request has been seen already.
    #[error("the peer's CSeq is not higher than {last}")]
    OutOfOrder {
        /// The highest number seen so far.
        last: u32,
    },
    /// The request has no CSeq, or none that can be read.
    #[error("the peer sent no CSeq")]
    NoCSeq,
    /// The request that is to create the dialog has no usable Contact.
    #[error("the peer sent no usable Contact")]
    NoContact,
}

impl DialogError {
    /// Gives the status with which such a request is refused.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::OtherDialog => Status::CALL_DOES_NOT_EXIST,
            Self::OutOfOrder { .. } => Status::SERVER_INTERNAL_ERROR,
            Self::NoCSeq | Self::NoContact => Status::BAD_REQUEST,
        }
    }
}

impl Dialog {
    /// Builds the caller's view from our request and the 2xx to it (section 12.1.2): the route set
    /// is the Record-Route of the response, backwards. Without a usable Contact the target remains
    /// the Request-URI, enough to take leave.
    #[must_use]
    pub fn of_caller(request: &Request, response: &Response) -> Self {
        let mut route_set = response.record_route();
        route_set.reverse();
        Self {
            call_id: request.call_id().unwrap_or_default().to_owned(),
            local: request.headers.get("From").unwrap_or_default().to_owned(),
            remote: response.headers.get("To").unwrap_or_default().to_owned(),
            local_tag: request.from_tag().unwrap_or_default(),
            remote_tag: response.to_tag().unwrap_or_default(),
            local_cseq: request.cseq().map_or(0, |cseq| cseq.number),
            remote_cseq: None,
            route_set,
            remote_target: contact_of(&response.headers).unwrap_or_else(|| request.uri.clone()),
        }
    }

    /// Builds the callee's view from the peer's request and our tag (section 12.1.1): the route
    /// set is the Record-Route of the request, in its order.
    pub fn of_callee(request: &Request, local_tag: &str) -> Result<Self, DialogError> {
        let cseq = request.cseq().map_err(|_| DialogError::NoCSeq)?;
        let to = request.headers.get("To").unwrap_or_default();
        Ok(Self {
            call_id: request.call_id().unwrap_or_default().to_owned(),
            local: format!("{to};tag={local_tag}"),
            remote: request.headers.get("From").unwrap_or_default().to_owned(),
            local_tag: local_tag.to_owned(),
            remote_tag: request.from_tag().unwrap_or_default(),
            local_cseq: 0,
            remote_cseq: Some(cseq.number),
            route_set: request.record_route(),
            remote_target: caller_of(request).ok_or(DialogError::NoContact)?,
        })
    }

    /// Builds the subscriber's view from our SUBSCRIBE or REFER and a NOTIFY to it (RFC 6665
    /// section 4.4.1): the route set is the Record-Route of the NOTIFY, in its order. Without a
    /// usable Contact the target remains the Request-URI.
    pub fn of_subscriber(request: &Request, notify: &Request) -> Result<Self, DialogError> {
        let cseq = notify.cseq().map_err(|_| DialogError::NoCSeq)?;
        Ok(Self {
            call_id: request.call_id().unwrap_or_default().to_owned(),
            local: request.headers.get("From").unwrap_or_default().to_owned(),
            remote: notify.headers.get("From").unwrap_or_default().to_owned(),
            local_tag: request.from_tag().unwrap_or_default(),
            remote_tag: notify.from_tag().unwrap_or_default(),
            local_cseq: request.cseq().map_or(0, |cseq| cseq.number),
            remote_cseq: Some(cseq.number),
            route_set: notify.record_route(),
            remote_target: contact_of(&notify.headers).unwrap_or_else(|| request.uri.clone()),
        })
    }

    /// Continues the peer's numbering of an early dialog that this one confirms.
    pub fn resume(&mut self, remote_cseq: Option<u32>) {
        self.remote_cseq = remote_cseq;
    }

    /// Continues our own numbering of an early dialog that this one confirms.
    pub fn outrun(&mut self, early: &Self) {
        self.local_cseq = self.local_cseq.max(early.local_cseq);
    }

    /// Takes note of a request of the peer: its tags must be ours, its CSeq higher than the last;
    /// gaps are fine (section 12.2.2). Neither ACK nor CANCEL, which repeat a number, come here.
    pub fn admit(&mut self, request: &Request) -> Result<(), DialogError> {
        if !self.owns(request) {
            return Err(DialogError::OtherDialog);
        }
        let cseq = request.cseq().map_err(|_| DialogError::NoCSeq)?;
        admit_number(&mut self.remote_cseq, &cseq)
    }

    /// Tells whether the tags of a request of the peer are those of this dialog.
    #[must_use]
    pub fn owns(&self, request: &Request) -> bool {
        request.to_tag().as_deref() == Some(&self.local_tag)
            && request.from_tag().unwrap_or_default() == self.remote_tag
    }

    /// Moves the remote target to the Contact of a target refresh request that was accepted.
    pub fn refresh_target(&mut self, headers: &Headers) {
        if let Some(target) = contact_of(headers) {
            self.remote_target = target;
        }
    }

    /// Builds the next request of ours, all but its Via (section 12.2.1.1).
    pub fn request(&mut self, method: Method) -> Request {
        self.local_cseq += 1;
        self.compose(method, self.local_cseq)
    }

    /// Builds the ACK for a 2xx to our INVITE `number`, all but its Via; it consumes no number
    /// (section 13.2.2.4).
    #[must_use]
    pub fn ack(&self, number: u32) -> Request {
        self.compose(Method::Ack, number)
    }

    /// Gives where our requests go: to the first Route, or to the target; `None` where that is no
    /// SIP URI.
    #[must_use]
    pub fn next_hop(&self) -> Option<Hop> {
        self.route_set.first().map_or(&self.remote_target, |route| &route.uri).hop()
    }

    /// Tells whether the peer has sent a request with this number, or a higher one, before.
    #[must_use]
    pub fn has_passed(&self, request: &Request) -> bool {
        let number = request.cseq().ok().map(|cseq| cseq.number);
        number.is_some_and(|number| self.remote_cseq.is_some_and(|last| number <= last))
    }

    /// Gives the peer's tag, empty if it has none.
    #[must_use]
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Gives where requests within the dialog go: the Contact of the peer.
    #[must_use]
    pub fn remote_target(&self) -> &Uri {
        &self.remote_target
    }

    fn compose(&self, method: Method, number: u32) -> Request {
        let (uri, routes) = self.path();
        let mut headers = Headers::with_room(8 + routes.len(), 512);
        headers.push("Max-Forwards", "70");
        for route in routes {
            headers.push("Route", &route);
        }
        headers.push("From", &self.local);
        headers.push("To", &self.remote);
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", &format!("{number} {}", method.as_str()));
        Request { method, uri, headers, body: Bytes::new() }
    }

    /// Gives Request-URI and Routes. A first proxy without `lr` routes strictly: it wants itself
    /// in the Request-URI, without what may not stand there, and the target last among the Routes
    /// (section 12.2.1.1).
    fn path(&self) -> (Uri, Vec<String>) {
        let routes = self.route_set.iter().map(ToString::to_string);
        match self.route_set.first() {
            Some(first) if first.uri.param("lr").is_none() => {
                let target = format!("<{}>", self.remote_target);
                let uri = first.uri.without_headers().without_param("method");
                (uri, routes.skip(1).chain([target]).collect())
            }
            Some(_) | None => (self.remote_target.without_headers(), routes.collect()),
        }
    }
}

/// Holds a number of the peer against the last one, and keeps it (section 12.2.2).
pub(super) fn admit_number(last: &mut Option<u32>, cseq: &CSeq) -> Result<(), DialogError> {
    match *last {
        Some(last) if cseq.number <= last => Err(DialogError::OutOfOrder { last }),
        Some(_) | None => {
            *last = Some(cseq.number);
            Ok(())
        }
    }
}

/// Gives where a caller is reached: at its Contact. One from before RFC 3261, which has no tag,
/// need not name any and is reached at its From (RFC 2543 section 6.13).
fn caller_of(request: &Request) -> Option<Uri> {
    let from = || request.from().ok().filter(|from| from.tag().is_none()).map(|from| from.uri);
    contact_of(&request.headers).or_else(|| from().filter(Uri::is_sip))
}

/// Gives the URI of the one Contact, if it is a SIP URI.
pub(super) fn contact_of(headers: &Headers) -> Option<Uri> {
    let contact = NameAddr::parse(headers.list("Contact").next()?).ok()?;
    contact.uri.is_sip().then_some(contact.uri)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::sip::transaction::sample::{request, response};

    #[test]
    fn a_caller_of_old_needs_neither_tag_nor_contact() {
        let mut old = request("INVITE");
        old.headers.remove("Contact");
        assert_eq!(Dialog::of_callee(&old, "b").unwrap_err(), DialogError::NoContact);
        old.headers.set("From", "<sip:alice@a.example;user=phone>");
        let mut dialog = Dialog::of_callee(&old, "b").unwrap();
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:alice@a.example;user=phone");
        assert_eq!(bye.headers.get("To"), Some("<sip:alice@a.example;user=phone>"));
    }

    #[test]
    fn the_caller_reverses_the_record_route_and_the_callee_does_not() {
        let mut accepted = response(200, "INVITE");
        accepted.headers.push("Record-Route", "<sip:p3.example;lr>, <sip:p2.example;lr>");
        accepted.headers.push("Record-Route", "<sip:p1.example:5070;lr;transport=tcp>");
        accepted.headers.push("Contact", "<sip:bob@192.0.2.2>");
        let mut caller = Dialog::of_caller(&request("INVITE"), &accepted);
        assert_eq!(caller.next_hop().unwrap().to_string(), "tcp:p1.example:5070");
        assert_eq!(
            head(&caller.request(Method::Bye)),
            "BYE sip:bob@192.0.2.2\n\
             Max-Forwards: 70\n\
             Route: <sip:p1.example:5070;lr;transport=tcp>\n\
             Route: <sip:p2.example;lr>\n\
             Route: <sip:p3.example;lr>\n\
             From: Alice <sip:alice@a.example>;tag=a\n\
             To: <sip:bob@b.example>;tag=b\n\
             Call-ID: one@a.example\n\
             CSeq: 2 BYE\n"
        );

        let mut invite = request("INVITE");
        invite.headers.push("Record-Route", "<sip:p3.example;lr>, <sip:p1.example;lr>");
        let mut callee = Dialog::of_callee(&invite, "b").unwrap();
        assert_eq!(
            head(&callee.request(Method::Bye)),
            "BYE sip:alice@a.example:5060\n\
             Max-Forwards: 70\n\
             Route: <sip:p3.example;lr>\n\
             Route: <sip:p1.example;lr>\n\
             From: <sip:bob@b.example>;tag=b\n\
             To: Alice <sip:alice@a.example>;tag=a\n\
             Call-ID: one@a.example\n\
             CSeq: 1 BYE\n"
        );
    }

    #[test]
    fn a_strict_router_gets_itself_in_the_request_uri() {
        let mut accepted = response(200, "INVITE");
        accepted.headers.push("Record-Route", "<sip:p2.example;lr>");
        accepted.headers.push("Record-Route", "<sip:strict.example?a=b>");
        accepted.headers.push("Contact", "<sip:bob@192.0.2.2;transport=tcp>");
        let mut dialog = Dialog::of_caller(&request("INVITE"), &accepted);
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:strict.example");
        let routes: Vec<_> = bye.headers.all("Route").collect();
        assert_eq!(routes, ["<sip:p2.example;lr>", "<sip:bob@192.0.2.2;transport=tcp>"]);
        assert_eq!(dialog.next_hop().unwrap().to_string(), "udp:strict.example:5060");
    }

    #[test]
    fn a_target_refresh_moves_the_target_but_never_the_route_set() {
        let mut accepted = response(200, "INVITE");
        accepted.headers.push("Contact", "<sip:bob@192.0.2.2>");
        let mut dialog = Dialog::of_caller(&request("INVITE"), &accepted);
        let mut update = request("UPDATE");
        update.headers.push("Record-Route", "<sip:late.example;lr>");
        update.headers.set("Contact", "<sip:bob@192.0.2.7:5099>");
        dialog.refresh_target(&update.headers);
        assert_eq!(dialog.next_hop().unwrap().to_string(), "udp:192.0.2.7:5099");
        assert!(!dialog.request(Method::Bye).headers.has("Route"));
        update.headers.set("Contact", "<tel:+1202>");
        dialog.refresh_target(&update.headers);
        assert_eq!(dialog.request(Method::Bye).uri.to_string(), "sip:bob@192.0.2.7:5099");
    }

    #[test]
    fn lower_numbers_are_refused_and_gaps_are_fine() {
        let mut dialog = Dialog::of_callee(&request("INVITE"), "b").unwrap();
        let mut numbered = |number: u32| dialog.admit(&within("INFO", number, "b", "a"));
        assert_eq!(numbered(7), Ok(()));
        assert_eq!(numbered(7), Err(DialogError::OutOfOrder { last: 7 }));
        assert_eq!(numbered(3), Err(DialogError::OutOfOrder { last: 7 }));
        assert_eq!(numbered(8), Ok(()));
        assert_eq!(DialogError::OutOfOrder { last: 7 }.status(), Status::SERVER_INTERNAL_ERROR);
    }

    #[test]
    fn wrong_tags_are_another_dialog_and_spend_no_number() {
        let mut dialog = Dialog::of_callee(&request("INVITE"), "b").unwrap();
        for (to, from) in [("b", "x"), ("x", "a"), ("B", "a")] {
            let wrong = within("BYE", 9, to, from);
            assert_eq!(dialog.admit(&wrong), Err(DialogError::OtherDialog));
        }
        assert_eq!(dialog.admit(&within("BYE", 2, "b", "a")), Ok(()));
    }

    #[test]
    fn without_a_contact_there_is_no_dialog_for_a_callee() {
        let mut invite = request("INVITE");
        invite.headers.remove("Contact");
        assert_eq!(Dialog::of_callee(&invite, "b").unwrap_err(), DialogError::NoContact);
        invite.headers.push("Contact", "*");
        assert_eq!(Dialog::of_callee(&invite, "b").unwrap_err(), DialogError::NoContact);
    }

    #[test]
    fn a_peer_without_a_tag_has_the_empty_one() {
        let mut invite = request("INVITE");
        invite.headers.set("From", "<sip:alice@a.example>");
        let mut dialog = Dialog::of_callee(&invite, "b").unwrap();
        let mut bye = within("BYE", 2, "b", "a");
        assert_eq!(dialog.admit(&bye), Err(DialogError::OtherDialog));
        bye.headers.set("From", "<sip:alice@a.example>");
        assert_eq!(dialog.admit(&bye), Ok(()));
    }

    fn within(method: &str, number: u32, to_tag: &str, from_tag: &str) -> Request {
        let mut request = request(method);
        request.headers.set("To", &format!("<sip:bob@b.example>;tag={to_tag}"));
        request.headers.set("From", &format!("<sip:alice@a.example>;tag={from_tag}"));
        request.headers.set("CSeq", &format!("{number} {method}"));
        request
    }

    fn head(request: &Request) -> String {
        let mut text = format!("{} {}\n", request.method, request.uri);
        for (name, value) in request.headers.iter() {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text
    }
}
