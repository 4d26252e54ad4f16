//! Resources and what can be done with them, as the router serves it and the description tells it.

use actix_web::http::Method;
use actix_web::web;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Responder, Route};

use super::fault::Fault;
use super::intake::Refused;
use super::router::variable;
use crate::oma::Outline;

/// A resource, or a family of them.
pub(super) struct Resource {
    /// Its path below the base path, with variables in braces.
    pub(super) path: &'static str,
    /// Under which heading the description has it.
    pub(super) heading: &'static str,
    /// What can be done with it; nothing where its URL only correlates.
    pub(super) operations: Vec<Operation>,
    /// Whether callers are asked who they are, as they are unless it is said otherwise.
    pub(super) guarded: bool,
    /// Whether it stands beside the API and not below its base path.
    pub(super) apart: bool,
}

/// Something that can be done with a resource.
pub(super) struct Operation {
    /// Which requests ask for it.
    pub(super) verb: Verb,
    /// The name of it, unique in the API.
    pub(super) id: &'static str,
    /// What it does.
    pub(super) summary: &'static str,
    /// What the body of the request holds.
    pub(super) takes: Option<Takes>,
    /// The answers to requests that are served.
    pub(super) gives: Vec<Gives>,
    /// The statuses of refusals, besides those that any request can meet.
    pub(super) refusals: &'static [u16],
    /// Query parameters, besides that for the format.
    pub(super) query: &'static [Query],
    pub(super) route: Route,
}

/// What a resource can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// GET; HEAD comes with it.
    Get,
    Post,
    /// POST, and PUT from clients that take the status for a thing to be replaced.
    PostOrPut,
    Put,
    Delete,
}

/// The body of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Takes {
    /// The documents, one of which it holds.
    pub(super) documents: &'static [Outline],
    /// The fields, where forms are taken.
    pub(super) form: Option<&'static Outline>,
}

/// An answer to a request that is served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gives {
    pub(super) status: u16,
    /// When it is given.
    pub(super) when: &'static str,
    pub(super) body: Body,
}

/// The body of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// There is none.
    Nothing,
    /// A document.
    Document(&'static Outline),
    /// A new resource, with its URL in `Location`: a copy of it, or a reference to it.
    Created(&'static Outline),
    /// A `notificationList`.
    Notifications,
    /// A notification in each event of a stream.
    Events,
    /// Something that is no document of the API, in that media type.
    Other(&'static str),
}

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// Its values, where only these are taken.
    pub(super) values: &'static [&'static str],
}

/// A resource with its operations.
pub(super) fn at<const N: usize>(
    path: &'static str,
    heading: &'static str,
    operations: [Operation; N],
) -> Resource {
    Resource { path, heading, operations: operations.into(), guarded: true, apart: false }
}

/// An operation: its verb, its name and what it does.
pub(super) fn on<F, Args>(
    verb: Verb,
    (id, summary): (&'static str, &'static str),
    handler: F,
) -> Operation
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Operation {
        verb,
        id,
        summary,
        takes: None,
        gives: Vec::new(),
        refusals: &[],
        query: &[],
        route: web::to(handler),
    }
}

impl Operation {
    /// Takes one of these documents.
    pub(super) fn takes(self, documents: &'static [Outline]) -> Self {
        Self { takes: Some(Takes { documents, form: None }), ..self }
    }

    /// Takes a form, too.
    pub(super) fn or_form(self, form: &'static Outline) -> Self {
        let takes = self.takes.map(|takes| Takes { form: Some(form), ..takes });
        Self { takes, ..self }
    }

    /// Answers 200 with a document.
    pub(super) fn shows(self, document: &'static Outline) -> Self {
        self.gives(200, "Done.", Body::Document(document))
    }

    /// Answers 201 with a new resource.
    pub(super) fn creates(self, document: &'static Outline) -> Self {
        self.gives(
            201,
            "Created; the answer to a repeated request is the same.",
            Body::Created(document),
        )
    }

    /// Answers 204.
    pub(super) fn silently(self, when: &'static str) -> Self {
        self.gives(204, when, Body::Nothing)
    }

    /// Answers with that status.
    pub(super) fn gives(mut self, status: u16, when: &'static str, body: Body) -> Self {
        self.gives.push(Gives { status, when, body });
        self
    }

    /// Can be refused with these statuses.
    pub(super) fn refuses(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }

    /// Looks at these query parameters.
    pub(super) fn asks(self, query: &'static [Query]) -> Self {
        Self { query, ..self }
    }

    /// Tells whether an answer is in a format that the client chooses.
    pub(super) fn negotiates(&self) -> bool {
        self.gives.iter().any(|gives| match gives.body {
            Body::Document(_) | Body::Created(_) | Body::Notifications => true,
            Body::Nothing | Body::Events | Body::Other(_) => false,
        })
    }
}

impl Resource {
    /// Asks nobody who it is.
    pub(super) fn for_everybody(self) -> Self {
        Self { guarded: false, ..self }
    }

    /// Stands beside the API, whatever the base path.
    pub(super) fn apart(self) -> Self {
        Self { apart: true, ..self }
    }

    /// Gives the methods for `Allow`; PUT where it stands for POST is not among them (TS Chat 6.5.4).
    pub(super) fn allow(&self) -> String {
        let names: Vec<&str> =
            self.operations.iter().map(|operation| operation.verb.methods()[0]).collect();
        names.join(", ")
    }
}

impl Verb {
    /// Gives the methods that the description names, the one for `Allow` first.
    pub(super) fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Get => &["GET"],
            Self::Post => &["POST"],
            Self::PostOrPut => &["POST", "PUT"],
            Self::Put => &["PUT"],
            Self::Delete => &["DELETE"],
        }
    }

    /// Tells whether a request with `method` is meant for it.
    pub(super) fn takes(self, method: &Method) -> bool {
        let is_head_of_get = self == Self::Get && *method == Method::HEAD;
        is_head_of_get || self.methods().contains(&method.as_str())
    }
}

/// Tells why a request was refused that this one stands in for.
pub(super) async fn refused(request: HttpRequest) -> Result<HttpResponse, Fault> {
    let status = variable(&request, "status").unwrap_or_default();
    Err(Refused::of(status).map_or(Fault::NotFound, Fault::from))
}
