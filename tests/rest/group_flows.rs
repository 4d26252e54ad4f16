//! The flows of TS Chat 5.3 for groups that meet the 1-1 chats, the core and the reports: extending
//! (5.3.4), cancelling (5.3.6), sending and receiving with reports (5.3.9, 5.3.10), over real sockets.

use chatbridge::bridge::GroupReports;

use super::document::{Format, Node};
use super::ears::Way;
use super::groups::{Member, accept, session_of};
use super::peer::Peer;
use super::rooms::{changes, hear_nothing_else, open};
use super::world::{ALICE, BOB, CAROL, Ends, Pair, Seen, User, World};

/// A chat of Alice and Bob that she has extended to Carol; the group as Alice and Carol know it.
struct Extension {
    alice: Member,
    bob: Member,
    carol: Member,
    ends: Ends,
    group: String,
    carols: String,
    bobs_own: String,
    bobs_status: String,
}

impl Extension {
    /// Carol has joined, Bob is asked.
    async fn begin(world: &World) -> Self {
        let formats = (Format::Json, Format::Json);
        let mut pair = Pair::open(world, formats, Way::Poll).await;
        let ends = pair.connected("Trip").await;
        let mut carol = Member::of(world, CAROL).await;
        let seen = extend(&pair.alice, &ends.alice).await;
        let group = moved(&seen);
        assert!(group.contains("/groupSessions/"), "{group}");
        let Pair { alice, bob, alice_hears, bob_hears } = pair;
        let mut alice = Member { user: alice, ears: alice_hears };
        let mut bob = Member { user: bob, ears: bob_hears };
        let all = [(ALICE, "Connected"), (BOB, "Invited"), (CAROL, "Invited")];
        changes(&mut alice, &all).await;
        let (bobs_own, bobs_status) = bob.invited().await;
        let (_, carols_status) = carol.invited().await;
        accept(&carol, &carols_status).await;
        changes(&mut carol, &[(CAROL, "Connected")]).await;
        changes(&mut alice, &[(CAROL, "Connected")]).await;
        let carols = session_of(&carols_status);
        Self { alice, bob, carol, ends, group, carols, bobs_own, bobs_status }
    }
}

async fn extend(user: &User, session: &str) -> Seen {
    let list = format!(r#"{{"participantList":{{"participant":[{{"address":"{CAROL}"}}]}}}}"#);
    user.post_raw(&format!("{session}/extend"), "application/json", &list).await
}

/// Gives the group that an answer points to.
fn moved(seen: &Seen) -> String {
    let group = seen.shows(303).header("location").to_owned();
    let document = seen.document();
    assert_eq!((&*document.name, document.text("resourceURL")), ("resourceReference", &*group));
    group
}

/// Is told all of this, each on a line of its own, in any order, and nothing else.
async fn is_told(member: &mut Member, wanted: &[String]) {
    let (mut told, mut wanted) = (Vec::new(), wanted.to_vec());
    while told.len() < wanted.len() {
        told.extend(lines(&member.ears.next().await));
    }
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted, "{}", member.user.address);
}

fn lines(told: &Node) -> Vec<String> {
    let line = |entry: &Node| format!("{} {}", entry.text("address"), entry.text("status"));
    match &*told.name {
        "participantStatusNotification" => told.all("participant").into_iter().map(line).collect(),
        "chatEventNotification" => {
            let links = told.all("link");
            let is_session = |link: &&&Node| link.text("rel").ends_with("ChatSessionInformation");
            let session = links.iter().find(is_session).expect("a link to the session");
            vec![format!("{} of {}", told.text("eventType"), session.text("href"))]
        }
        _ => panic!("{told:?}"),
    }
}

/// Figure 4: until Bob has answered both are there; then the chat of two is the group.
#[tokio::test(flavor = "multi_thread")]
async fn f5_3_4_a_chat_that_is_extended_goes_on_as_a_group() {
    let world = World::start().await;
    let Extension { mut alice, mut bob, mut carol, ends, group, carols, bobs_status, .. } =
        Extension::begin(&world).await;
    assert_eq!(moved(&alice.user.get(&ends.alice).await), group);
    extend(&alice.user, &ends.alice).await.fails(409, "POL3001", "");
    // The chat of two is there until Bob has answered.
    bob.user.get(&ends.bob).await.shows(200);
    bob.user.say(&ends.bob, "who is asking?", &[]).await.shows(201);
    for member in [&mut alice, &mut bob] {
        member.ears.message("who is asking?").await;
    }
    accept(&bob, &bobs_status).await;
    let ended = |url: &str| format!("SessionEnded of {url}");
    let is = |who: &str| format!("{who} Connected");
    is_told(&mut alice, &[ended(&ends.alice), is(BOB)]).await;
    is_told(&mut bob, &[ended(&ends.bob), is(BOB), is(CAROL)]).await;
    changes(&mut carol, &[(BOB, "Connected")]).await;
    assert_eq!(moved(&alice.user.get(&ends.alice).await), group);
    alice.user.delete(&ends.alice).await.fails(404, "SVC0004", "Request-URI");
    alice.user.say(&ends.alice, "too late", &[]).await.fails(409, "POL3001", "Ended");
    bob.user.get(&ends.bob).await.fails(404, "SVC0004", "Request-URI");
    let shown = alice.user.get(&group).await.shows(200).document();
    assert_eq!(shown.text("subject"), "Trip");
    for (member, session) in [(&alice, &group), (&carol, &carols)] {
        member.user.say(session, &member.user.address, &[]).await.shows(201);
    }
    for member in [&mut alice, &mut bob, &mut carol] {
        let mut heard = Vec::new();
        for _ in 0..2 {
            let told = member.ears.next().await;
            assert_eq!(told.name, "messageNotification", "{told:?}");
            heard.push(told.text("chatMessage/text").to_owned());
        }
        heard.sort();
        assert_eq!(heard, [ALICE, CAROL]);
    }
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol]).await;
    world.stop().await;
}

/// TS Chat 6.6.5: the chat of two ends with whatever answer.
#[tokio::test(flavor = "multi_thread")]
async fn f5_3_4_a_chat_that_is_extended_ends_though_the_partner_declines() {
    let world = World::start().await;
    let Extension { mut alice, mut bob, mut carol, ends, group, bobs_own, .. } =
        Extension::begin(&world).await;
    bob.user.delete(&bobs_own).await.shows(204);
    let ended = |url: &str| format!("SessionEnded of {url}");
    let is_gone = format!("{BOB} Disconnected");
    is_told(&mut alice, &[ended(&ends.alice), is_gone.clone()]).await;
    is_told(&mut bob, &[ended(&ends.bob), ended(&session_of(&bobs_own))]).await;
    changes(&mut carol, &[(BOB, "Disconnected")]).await;
    assert_eq!(moved(&alice.user.get(&ends.alice).await), group);
    alice.user.say(&group, "we two", &[]).await.shows(201);
    alice.ears.message("we two").await;
    carol.ears.message("we two").await;
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol]).await;
    world.stop().await;
}

/// Who has invited takes it back before anybody has answered.
#[tokio::test(flavor = "multi_thread")]
async fn f5_3_6_a_group_that_nobody_has_joined_is_cancelled() {
    let world = World::start().await;
    let mut alice = Member::of(&world, ALICE).await;
    let mut bob = Member::of(&world, BOB).await;
    let mut carol = Member::of(&world, CAROL).await;
    let group = open(&alice, &[BOB, CAROL]).await;
    let all = [(ALICE, "Connected"), (BOB, "Invited"), (CAROL, "Invited")];
    changes(&mut alice, &all).await;
    let (bobs_own, bobs_status) = bob.invited().await;
    let (carols_own, _) = carol.invited().await;
    alice.user.delete(&group).await.shows(204);
    changes(&mut alice, &[(ALICE, "Disconnected")]).await;
    is_told(&mut alice, &[format!("SessionEnded of {group}")]).await;
    let cancelled = |own: &str| format!("SessionCancelled of {}", session_of(own));
    is_told(&mut bob, &[cancelled(&bobs_own)]).await;
    is_told(&mut carol, &[cancelled(&carols_own)]).await;
    let fields = [("status", "Connected")];
    let late = bob.user.post(&bobs_status, "participantSessionStatus", &fields).await;
    late.fails(404, "SVC0004", "Request-URI");
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol]).await;
    world.stop().await;
}

/// The focus has not taken it yet: its INVITE is taken back.
#[tokio::test(flavor = "multi_thread")]
async fn f5_3_6_a_group_is_cancelled_before_the_focus_has_taken_it() {
    let mut peer = Peer::start().await;
    let world = World::with(|config| peer.carry(config)).await;
    let mut alice = Member::of(&world, ALICE).await;
    let group = open(&alice, &[BOB, CAROL]).await;
    let invite = peer.request("INVITE").await;
    assert!(invite.text.contains("application/resource-lists+xml"), "{}", invite.text);
    peer.answer(&invite, "180 Ringing", "").await;
    alice.user.delete(&group).await.shows(204);
    alice.user.delete(&group).await.fails(404, "SVC0004", "Request-URI");
    let cancel = peer.request("CANCEL").await;
    peer.answer(&cancel, "200 OK", "").await;
    peer.answer(&invite, "487 Request Terminated", "").await;
    peer.request("ACK").await;
    is_told(&mut alice, &[format!("SessionCancelled of {group}")]).await;
    alice.user.get(&group).await.fails(404, "SVC0004", "Request-URI");
    world.stop().await;
}

/// TS Chat Table 2: where the policy is so, each of the others reports for itself.
#[tokio::test(flavor = "multi_thread")]
async fn f5_3_9_and_f5_3_10_each_of_a_group_confirms_a_message() {
    let world = World::with(|config| config.group.reports = GroupReports::PerUser).await;
    let mut alice = Member::of(&world, ALICE).await;
    let mut bob = Member::of(&world, BOB).await;
    let mut carol = Member::of(&world, CAROL).await;
    let group = open(&alice, &[BOB, CAROL]).await;
    let all = [(ALICE, "Connected"), (BOB, "Invited"), (CAROL, "Invited")];
    changes(&mut alice, &all).await;
    for (member, others) in [(&mut bob, &[BOB][..]), (&mut carol, &[CAROL, BOB])] {
        let (_, status) = member.invited().await;
        accept(member, &status).await;
        let there: Vec<_> = others.iter().map(|who| (*who, "Connected")).collect();
        changes(member, &there).await;
        changes(&mut alice, &there[..1]).await;
    }
    changes(&mut bob, &[(CAROL, "Connected")]).await;
    let sent = alice.user.say(&group, "Read me", &["Delivered", "Displayed"]).await;
    let message = sent.shows(201).header("location").to_owned();
    alice.ears.message("Read me").await;
    for member in [&mut bob, &mut carol] {
        let told = member.ears.message("Read me").await;
        let wanted = told.find("chatMessage").expect("a message").all("reportRequest");
        let wanted: Vec<_> = wanted.iter().map(|it| &*it.text).collect();
        assert_eq!(wanted, ["Delivered", "Displayed"]);
        let status = told.link("MessageDeliveryStatus").to_owned();
        member.user.report(&status, "Displayed").await.shows(204);
        // What is displayed was delivered, too.
        let list = format!("{group}/participants");
        let shown = alice.user.get(&list).await.shows(200).document();
        let is_it = |it: &&Node| it.text("address") == member.user.address;
        let entry = shown.all("participant").into_iter().find(is_it).expect("a participant");
        for status in ["Delivered", "Displayed"] {
            let told = alice.ears.status(status, &message).await;
            assert_eq!(told.link("ParticipantInformation"), entry.text("resourceURL"));
        }
    }
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol]).await;
    world.stop().await;
}
