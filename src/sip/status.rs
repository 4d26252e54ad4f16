//! Status codes with their reason phrases.

use std::fmt;

/// The status code of a response: 100 to 699 (RFC 3261 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    /// A status with this code, if SIP knows its class.
    pub fn new(code: u16) -> Option<Self> {
        (100..=699).contains(&code).then_some(Self(code))
    }

    /// The code as a number.
    pub fn code(self) -> u16 {
        self.0
    }

    /// The first digit of the code: 1 to 6.
    pub fn class(self) -> u16 {
        self.0 / 100
    }

    /// Whether this is a 1xx.
    pub fn is_provisional(self) -> bool {
        self.class() == 1
    }

    /// Whether this is a 2xx.
    pub fn is_success(self) -> bool {
        self.class() == 2
    }

    /// Whether this ends a transaction: 2xx to 6xx.
    pub fn is_final(self) -> bool {
        self.class() > 1
    }

    /// The phrase that the RFCs give this code; that of the class when none does
    /// (RFC 3261 section 8.1.3.2: an unknown code is treated as the x00 of its class).
    pub fn reason(self) -> &'static str {
        let row = ROWS.get(usize::from(self.0)).copied().unwrap_or(NO_ROW);
        match PHRASES.get(usize::from(row)) {
            Some((_, phrase)) => phrase,
            None => match self.class() {
                1 => "Session Progress",
                2 => "OK",
                3 => "Multiple Choices",
                4 => "Bad Request",
                5 => "Server Internal Error",
                _ => "Busy Everywhere",
            },
        }
    }
}

/// The row of each code in the table of phrases.
static ROWS: [u8; 700] = {
    let mut rows = [NO_ROW; 700];
    let mut row = 0;
    while row < PHRASES.len() {
        rows[PHRASES[row].0 as usize] = row as u8;
        row += 1;
    }
    rows
};

const NO_ROW: u8 = u8::MAX;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

/// Declares the constants and the table from one list, so that they cannot part.
macro_rules! statuses {
    ($($code:literal $name:ident $phrase:literal,)+) => {
        impl Status {
            $(#[doc = concat!($code, " ", $phrase, ".")] pub const $name: Self = Self($code);)+
        }

        /// Phrases by code, ascending (IANA registry of SIP response codes).
        const PHRASES: &[(u16, &str)] = &[$(($code, $phrase)),+];
    };
}

statuses! {
    100 TRYING "Trying",
    180 RINGING "Ringing",
    181 CALL_IS_BEING_FORWARDED "Call Is Being Forwarded",
    182 QUEUED "Queued",
    183 SESSION_PROGRESS "Session Progress",
    199 EARLY_DIALOG_TERMINATED "Early Dialog Terminated",
    200 OK "OK",
    202 ACCEPTED "Accepted",
    204 NO_NOTIFICATION "No Notification",
    300 MULTIPLE_CHOICES "Multiple Choices",
    301 MOVED_PERMANENTLY "Moved Permanently",
    302 MOVED_TEMPORARILY "Moved Temporarily",
    305 USE_PROXY "Use Proxy",
    380 ALTERNATIVE_SERVICE "Alternative Service",
    400 BAD_REQUEST "Bad Request",
    401 UNAUTHORIZED "Unauthorized",
    402 PAYMENT_REQUIRED "Payment Required",
    403 FORBIDDEN "Forbidden",
    404 NOT_FOUND "Not Found",
    405 METHOD_NOT_ALLOWED "Method Not Allowed",
    406 NOT_ACCEPTABLE "Not Acceptable",
    407 PROXY_AUTHENTICATION_REQUIRED "Proxy Authentication Required",
    408 REQUEST_TIMEOUT "Request Timeout",
    410 GONE "Gone",
    412 CONDITIONAL_REQUEST_FAILED "Conditional Request Failed",
    413 REQUEST_ENTITY_TOO_LARGE "Request Entity Too Large",
    414 REQUEST_URI_TOO_LONG "Request-URI Too Long",
    415 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type",
    416 UNSUPPORTED_URI_SCHEME "Unsupported URI Scheme",
    417 UNKNOWN_RESOURCE_PRIORITY "Unknown Resource-Priority",
    420 BAD_EXTENSION "Bad Extension",
    421 EXTENSION_REQUIRED "Extension Required",
    422 SESSION_INTERVAL_TOO_SMALL "Session Interval Too Small",
    423 INTERVAL_TOO_BRIEF "Interval Too Brief",
    424 BAD_LOCATION_INFORMATION "Bad Location Information",
    428 USE_IDENTITY_HEADER "Use Identity Header",
    429 PROVIDE_REFERRER_IDENTITY "Provide Referrer Identity",
    430 FLOW_FAILED "Flow Failed",
    433 ANONYMITY_DISALLOWED "Anonymity Disallowed",
    436 BAD_IDENTITY_INFO "Bad Identity Info",
    437 UNSUPPORTED_CREDENTIAL "Unsupported Credential",
    438 INVALID_IDENTITY_HEADER "Invalid Identity Header",
    439 FIRST_HOP_LACKS_OUTBOUND_SUPPORT "First Hop Lacks Outbound Support",
    440 MAX_BREADTH_EXCEEDED "Max-Breadth Exceeded",
    469 BAD_INFO_PACKAGE "Bad Info Package",
    470 CONSENT_NEEDED "Consent Needed",
    480 TEMPORARILY_UNAVAILABLE "Temporarily Unavailable",
    481 CALL_DOES_NOT_EXIST "Call/Transaction Does Not Exist",
    482 LOOP_DETECTED "Loop Detected",
    483 TOO_MANY_HOPS "Too Many Hops",
    484 ADDRESS_INCOMPLETE "Address Incomplete",
    485 AMBIGUOUS "Ambiguous",
    486 BUSY_HERE "Busy Here",
    487 REQUEST_TERMINATED "Request Terminated",
    488 NOT_ACCEPTABLE_HERE "Not Acceptable Here",
    489 BAD_EVENT "Bad Event",
    491 REQUEST_PENDING "Request Pending",
    493 UNDECIPHERABLE "Undecipherable",
    494 SECURITY_AGREEMENT_REQUIRED "Security Agreement Required",
    500 SERVER_INTERNAL_ERROR "Server Internal Error",
    501 NOT_IMPLEMENTED "Not Implemented",
    502 BAD_GATEWAY "Bad Gateway",
    503 SERVICE_UNAVAILABLE "Service Unavailable",
    504 SERVER_TIMEOUT "Server Time-out",
    505 VERSION_NOT_SUPPORTED "Version Not Supported",
    513 MESSAGE_TOO_LARGE "Message Too Large",
    555 PUSH_NOTIFICATION_SERVICE_NOT_SUPPORTED "Push Notification Service Not Supported",
    580 PRECONDITION_FAILURE "Precondition Failure",
    600 BUSY_EVERYWHERE "Busy Everywhere",
    603 DECLINE "Decline",
    604 DOES_NOT_EXIST_ANYWHERE "Does Not Exist Anywhere",
    606 NOT_ACCEPTABLE_ANYWHERE "Not Acceptable",
    607 UNWANTED "Unwanted",
    608 REJECTED "Rejected",
}

#[cfg(test)]
mod tests {
    use super::{PHRASES, Status};

    #[test]
    fn only_six_classes_exist() {
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(700), None);
        assert_eq!(Status::new(486), Some(Status::BUSY_HERE));
    }

    #[test]
    fn phrases_are_those_of_the_rfcs() {
        assert!(PHRASES.is_sorted_by_key(|(code, _)| *code));
        assert_eq!(Status::BUSY_HERE.to_string(), "486 Busy Here");
        assert_eq!(Status::CALL_DOES_NOT_EXIST.reason(), "Call/Transaction Does Not Exist");
        assert_eq!(Status::new(499).map(Status::reason), Some("Bad Request"));
    }
}
