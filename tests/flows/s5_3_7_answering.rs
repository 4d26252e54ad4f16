//! TS Chat 5.3.7: accepting or declining a chat session invitation.

use std::time::Duration;

use chatbridge::chat::{Answer, Command, Refusal, ReportRequest, State};

use crate::NOTHING;
use crate::world::{ALICE, BOB, World};

#[test]
fn s5_3_7_1_the_invitation_is_accepted_by_one_client_only() {
    let mut world = World::new();
    world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    assert_eq!(world.order(&bobs, Command::Accept), Ok(Answer::Done));
    world.sent();
    let state = State::Connected;
    let again = Err(Refusal::WrongState { act: "accepting", state });
    assert_eq!(world.order(&bobs, Command::Accept), again);
    let late = Err(Refusal::WrongState { act: "declining", state });
    assert_eq!(world.order(&bobs, Command::Decline), late);
    assert_eq!(world.sent(), NOTHING);
    assert_eq!(world.told(), ["bob: invited by alice \"Hi\"", "alice: Accepted (SIP 200 OK)"]);
}

#[test]
fn s5_3_7_1_the_originator_cannot_accept_and_messages_must_wait() {
    let mut world = World::new();
    let alices = world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    for command in [Command::Accept, Command::Decline] {
        let refused = world.order(&alices, command);
        assert!(matches!(refused, Err(Refusal::WrongRole { .. })), "{refused:?}");
    }
    let early = world.begin_sending(&bobs, "early", ReportRequest::default()).1;
    assert!(matches!(early, Err(Refusal::WrongState { .. })), "{early:?}");
    assert_eq!(world.told(), ["bob: invited by alice \"Hi\""]);
}

#[test]
fn s5_3_7_2_the_invitation_is_declined_by_delete() {
    let mut world = World::new();
    world.invite(ALICE, BOB, "Hi");
    let bobs = world.invited(BOB);
    assert_eq!(world.order(&bobs, Command::End), Ok(Answer::Done));
    assert_eq!(
        world.told(),
        [
            "bob: invited by alice \"Hi\"",
            "bob: SessionEnded (declined by the user)",
            "alice: Declined (SIP 480 Temporarily Unavailable)",
        ]
    );
    assert!(world.order(&bobs, Command::Accept).is_err());
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

#[test]
fn s5_3_7_2_the_code_of_the_refusal_is_configuration() {
    for (code, told) in [(486, "486 Busy Here"), (603, "603 Decline")] {
        let status = chatbridge::sip::Status::new(code).expect("a status");
        let mut world = World::with(|settings| settings.decline_code = status);
        world.invite(ALICE, BOB, "Hi");
        let bobs = world.invited(BOB);
        world.told();
        world.order(&bobs, Command::End).expect("taken");
        let declined = format!("alice: Declined (SIP {told})");
        assert_eq!(world.told(), ["bob: SessionEnded (declined by the user)".to_owned(), declined]);
    }
}

#[test]
fn s5_3_7_c_without_a_reaction_the_invitation_times_out() {
    let mut world = World::with(|settings| settings.no_answer_code = code(408));
    let invite = world.far_end_invites("application/sdp", &crate::far_end::offer_sdp());
    assert_eq!(world.told(), ["bob: invited by sip:carol@far.example \"Hello\""]);
    world.wait(Duration::from_secs(181));
    assert_eq!(world.told(), ["bob: SessionEnded (timeout invitation)"]);
    assert_eq!(world.far_end_heard(&invite.method).status, code(408));
    world.demand_rest();
    assert_eq!(world.told(), NOTHING);
}

fn code(code: u16) -> chatbridge::sip::Status {
    chatbridge::sip::Status::new(code).expect("a status")
}
