//! The flows of TS Chat 5.3 for groups, with three users of the API in one room of the embedded
//! focus: Figures 5, 9, 10 and 11, over real sockets.

use super::document::{Format, Node};
use super::ears::{Ears, Way};
use super::rooms::hear_nothing_else;
use super::world::{ALICE, BOB, CAROL, User, World};

/// A user with one ear.
pub(crate) struct Member {
    pub(crate) user: User,
    pub(crate) ears: Ears,
}

impl Member {
    pub(crate) async fn of(world: &World, address: &str) -> Self {
        let user = world.user(address, Format::Json);
        let ears = user.listen(Way::Poll, address).await;
        Self { user, ears }
    }

    /// Hears of participants until somebody stands so; nothing else is told meanwhile.
    async fn sees(&mut self, who: &str, status: &str) {
        loop {
            let told = self.ears.next().await;
            assert_eq!(told.name, "participantStatusNotification", "{who} {status}: {told:?}");
            let stands = |entry: &&Node| entry.text("address") == who;
            if let Some(entry) = told.all("participant").into_iter().find(stands)
                && entry.text("status") == status
            {
                return;
            }
        }
    }

    /// Hears a message, and of participants before it.
    async fn hears(&mut self, from: &str, text: &str) {
        loop {
            let told = self.ears.next().await;
            if told.name == "participantStatusNotification" {
                continue;
            }
            assert_eq!(told.name, "messageNotification", "{text}: {told:?}");
            assert_eq!(told.text("chatMessage/text"), text);
            assert_eq!(told.text("senderAdress"), from);
            return;
        }
    }

    /// Is invited, and gives its own participation and the status to accept with.
    pub(crate) async fn invited(&mut self) -> (String, String) {
        let told = self.ears.next().await;
        assert_eq!(told.name, "groupSessionInvitationNotification", "{told:?}");
        assert_eq!(told.text("subject"), "Trip");
        let all = told.all("participant");
        assert!(all.len() >= 2, "{told:?}");
        assert_eq!(all[0].text("address"), ALICE, "the originator stands first");
        let own = told.link("ParticipantInformation").to_owned();
        (own, told.link("ParticipantSessionStatus").to_owned())
    }
}

pub(crate) async fn accept(member: &Member, status: &str) {
    let fields = [("status", "Connected")];
    member.user.post(status, "participantSessionStatus", &fields).await.shows(200);
}

/// Opens Alice's group with Bob and Carol.
async fn open(alice: &Member) -> String {
    let body = format!(
        r#"{{"groupChatSessionInformation":{{"subject":"Trip","participant":[
        {{"address":"{ALICE}"}},{{"address":"{BOB}"}},{{"address":"{CAROL}"}}]}}}}"#
    );
    let url = alice.user.url("/groupSessions");
    let seen = alice.user.post_raw(&url, "application/json", &body).await;
    seen.shows(201).header("location").to_owned()
}

pub(crate) fn session_of(participation: &str) -> String {
    let (session, _) = participation.split_once("/participants/").expect("a participation");
    session.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_users_meet_speak_leave_and_come_back() {
    let world = World::start().await;
    let mut alice = Member::of(&world, ALICE).await;
    let mut bob = Member::of(&world, BOB).await;
    let mut carol = Member::of(&world, CAROL).await;
    let group = open(&alice).await;
    let (bobs_own, bobs_status) = bob.invited().await;
    let (carols_own, carols_status) = carol.invited().await;
    accept(&bob, &bobs_status).await;
    bob.sees(BOB, "Connected").await;
    alice.sees(BOB, "Connected").await;
    accept(&carol, &carols_status).await;
    carol.sees(CAROL, "Connected").await;
    alice.sees(CAROL, "Connected").await;
    let bobs = session_of(&bobs_own);
    let carols = session_of(&carols_own);

    alice.user.say(&group, "Hello all", &[]).await.shows(201);
    alice.hears(ALICE, "Hello all").await;
    bob.hears(ALICE, "Hello all").await;
    carol.hears(ALICE, "Hello all").await;
    for text in ["one", "two"] {
        bob.user.say(&bobs, text, &[]).await.shows(201);
    }
    for text in ["one", "two"] {
        for member in [&mut alice, &mut bob, &mut carol] {
            member.hears(BOB, text).await;
        }
    }

    // Figure 11.
    carol.user.delete(&carols_own).await.shows(204);
    carol.sees(CAROL, "Disconnected").await;
    alice.sees(CAROL, "Disconnected").await;
    assert_eq!(carol.user.get(&carols).await.shows(204).body, "");
    let list = format!("{carols}/participants");
    let again = carol.user.post(&list, "participantInformation", &[("address", CAROL)]).await;
    assert!(matches!(again.status, 200 | 202), "{again:?}");
    alice.sees(CAROL, "Connected").await;
    alice.user.say(&group, "Welcome back", &[]).await.shows(201);
    for member in [&mut alice, &mut bob, &mut carol] {
        member.hears(ALICE, "Welcome back").await;
    }
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol]).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figure_10_one_declines_and_another_is_removed() {
    let world = World::start().await;
    let mut alice = Member::of(&world, ALICE).await;
    let mut bob = Member::of(&world, BOB).await;
    let mut carol = Member::of(&world, CAROL).await;
    let group = open(&alice).await;
    let (_, bobs_status) = bob.invited().await;
    let (carols_own, _) = carol.invited().await;
    accept(&bob, &bobs_status).await;
    alice.sees(BOB, "Connected").await;
    carol.user.delete(&carols_own).await.shows(204);
    carol.ears.event("SessionEnded").await;
    alice.sees(CAROL, "Disconnected").await;
    let shown = alice.user.get(&format!("{group}/participants")).await.shows(200).document();
    let all = shown.all("participant");
    let bobs = all.iter().find(|it| it.text("address") == BOB).expect("Bob is there");
    let bobs = bobs.text("resourceURL").to_owned();
    let bobs_list = format!("{}/participants", session_of(&bobs_status));
    let shown = bob.user.get(&bobs_list).await.shows(200).document();
    let is_alice = |it: &&Node| it.text("address") == ALICE;
    let alices = shown.all("participant").into_iter().find(is_alice).expect("Alice is there");
    let refused = bob.user.delete(alices.text("resourceURL")).await;
    refused.fails(403, "POL0001", "originator");
    // With Bob goes the last one who was there beside her: the session is over for all.
    alice.user.delete(&bobs).await.shows(204);
    bob.sees(BOB, "Disconnected").await;
    bob.ears.event("SessionEnded").await;
    alice.sees(BOB, "Disconnected").await;
    alice.ears.event("SessionEnded").await;
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol]).await;
    world.stop().await;
}
