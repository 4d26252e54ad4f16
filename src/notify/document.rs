//! A queued notification as a document.

use crate::chat::{EventType, Notice, NoticeKind};
use crate::oma::{self, Element, Recipient};
use crate::store::{Content, Loss, Queued};

/// Writes a notification for its subscription.
pub(super) fn write(queued: &Queued) -> Element {
    let subscription = &queued.subscription;
    let to = Recipient {
        user_base: &subscription.user_base,
        subscription_url: &subscription.resource_url,
        callback_data: subscription.callback_data.as_deref(),
        id: &queued.id,
    };
    match &queued.content {
        Content::Notice(notice) => oma::document(notice, &to),
        Content::Lost(loss) => oma::document(&confession(loss), &to),
    }
}

/// Puts a loss as the event that comes nearest to it among those of TS Chat 5.2.3.2, so that
/// applications that hold to the schema can read it. It links to the session of the first lost
/// notice, where a message that has failed has a link to the message.
fn confession(loss: &Loss) -> Notice {
    let description = match loss.count {
        1 => "1 notification was lost: it could not be delivered in time".into(),
        count => format!("{count} notifications were lost: they could not be delivered in time"),
    };
    let event = EventType::MessageFailure;
    let kind = NoticeKind::Event { event, description: Some(description), message: None };
    Notice { kind, ..Notice::clone(&loss.oldest) }
}
