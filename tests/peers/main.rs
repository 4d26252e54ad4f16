//! The usages of SIP beside the INVITE, over real sockets against SIPp: SUBSCRIBE and NOTIFY, REFER,
//! MESSAGE and OPTIONS, from both sides.
//!
//! Where SIPp (3.6 or later) is not installed nothing is shown, and each test says so; with
//! `TESTS_NEED_SIPP=1` that is a failure.
#![allow(missing_docs, clippy::unwrap_used)]

mod sipp;
mod stage;

use chatbridge::sip::{
    Body, EventType, Forks, Inquired, Inquiry, MethodForm, Notifier, NotifierTerms, Refer,
    Reference, Referral, Referred, Request, Standing, Status, Subscriber, Subscription, Transport,
    Uri, stray,
};

use sipp::Sipp;
use stage::{Stage, now};

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

fn text(content_type: &str, text: &str) -> Body {
    Body { content_type: content_type.to_owned(), bytes: text.to_owned().into() }
}

#[tokio::test]
async fn sipp_notifies_us() {
    let Some(mut stage) = Stage::open(Transport::Udp).await else { return };
    let (sipp, errand) = stage.called("uas_notifies");
    let subscription = Subscription {
        errand,
        event: EventType::new("conference"),
        accept: vec!["application/conference-info+xml".to_owned()],
        expires: 3600,
        forks: Forks::Refuse,
        body: None,
    };
    let mut subscriber = Subscriber::subscribe(now(), subscription, stage.kit());
    let told = stage
        .play(&mut subscriber, (sipp, 4), |subscriber, line| {
            if line.starts_with("Notified active") {
                subscriber.unsubscribe(now());
            }
        })
        .await;
    assert_eq!(
        told,
        [
            "Accepted 200",
            "Notified active;expires=600: <conference-info/>",
            "Notified terminated;reason=timeout",
            "Ended timeout",
        ]
    );
}

#[tokio::test]
async fn sipp_subscribes_to_us() {
    for transport in BOTH {
        let Some(mut stage) = Stage::open(transport).await else { return };
        let mut sipp = stage.calls("uac_subscribes");
        let (request, source) = stage.request(&mut sipp).await;
        let terms = NotifierTerms {
            packages: vec!["conference".to_owned()],
            content_types: vec!["application/conference-info+xml".to_owned()],
            shortest: 60,
            usual: 3600,
            longest: 7200,
        };
        let mut notifier = Notifier::answering(now(), request, source, terms, stage.kit());
        let state = text("application/conference-info+xml", "<conference-info/>");
        let told = stage
            .play(&mut notifier, (sipp, 3), |notifier, line| {
                if line == "Asked" {
                    notifier.accept(now(), Standing::Active, Some(state.clone()));
                }
            })
            .await;
        assert_eq!(told, ["Asked", "Refreshed", "Ended Unsubscribed"], "{transport}");
    }
}

#[tokio::test]
async fn sipp_subscribes_to_what_we_do_not_have() {
    let Some(mut stage) = Stage::open(Transport::Udp).await else { return };
    let sipp = stage.calls("uac_subscribes_in_vain");
    stage.answer_strays(sipp).await;
}

#[tokio::test]
async fn sipp_is_referred_by_us() {
    let Some(mut stage) = Stage::open(Transport::Udp).await else { return };
    let (sipp, errand) = stage.called("uas_is_referred");
    let bob = Uri::parse("sip:bob@example.com").unwrap();
    let refer = Refer::to(Reference::bye(bob, MethodForm::Parameter));
    let mut referral = Referral::refer(now(), &errand, refer, stage.kit());
    let told = stage.play(&mut referral, (sipp, 4), |_, _| {}).await;
    assert_eq!(told, ["Accepted", "Progress 100", "Progress 200", "Ended 200"]);
}

#[tokio::test]
async fn sipp_refers_us() {
    for transport in BOTH {
        let Some(mut stage) = Stage::open(transport).await else { return };
        let mut sipp = stage.calls("uac_refers");
        let (request, source) = stage.request(&mut sipp).await;
        let mut referred = Referred::answering(now(), request, source, stage.kit());
        let told = stage
            .play(&mut referred, (sipp, 2), |referred, line| {
                if line == "Asked" {
                    referred.accept(now());
                    referred.report(now(), Status::BUSY_HERE);
                }
            })
            .await;
        assert_eq!(told, ["Asked", "Ended Terminated"], "{transport}");
    }
}

#[tokio::test]
async fn sipp_challenges_our_message_and_believes_its_answer() {
    let Some(mut stage) = Stage::open(Transport::Udp).await else { return };
    let (sipp, errand) = stage.called("uas_gets_message");
    let hello = text("text/plain", "hello");
    let mut inquiry = Inquiry::message(now(), &errand, hello, stage.kit());
    assert_eq!(stage.play(&mut inquiry, (sipp, 1), |_, _| {}).await, ["Answered 202"]);
}

#[tokio::test]
async fn sipp_sends_us_a_message() {
    for transport in BOTH {
        let Some(mut stage) = Stage::open(transport).await else { return };
        let mut sipp = stage.calls("uac_sends_message");
        let (request, source) = stage.request(&mut sipp).await;
        assert_eq!(request.body, "hello");
        let mut inquired = Inquired::answering(now(), request, source, stage.kit());
        inquired.answer(now(), Status::OK, &[]);
        assert_eq!(stage.play(&mut inquired, (sipp, 0), |_, _| {}).await, [""; 0], "{transport}");
    }
}

#[tokio::test]
async fn sipp_is_asked_what_it_can_do() {
    let Some(mut stage) = Stage::open(Transport::Udp).await else { return };
    let (sipp, errand) = stage.called("uas_is_asked");
    let mut inquiry = Inquiry::options(now(), &errand, stage.kit());
    assert_eq!(stage.play(&mut inquiry, (sipp, 1), |_, _| {}).await, ["Answered 200"]);
}

#[tokio::test]
async fn sipp_asks_what_we_can_do() {
    for transport in BOTH {
        let Some(mut stage) = Stage::open(transport).await else { return };
        let sipp = stage.calls("uac_asks");
        stage.answer_strays(sipp).await;
    }
}

impl Stage {
    /// Answers as a server does that knows no usage.
    async fn answer_strays(&mut self, sipp: Sipp) {
        let local = self.kit().local;
        let answer = |request: &Request| stray(request, &local);
        self.serve(sipp, answer).await;
    }
}
