//! A room in which users of the API meet a stranger, who speaks SIP and MSRP himself: who is told
//! what, and that all hear all; in a room of the network, and in one that a user hosts.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;
use chatbridge::config::GroupFocus;
use chatbridge::msrp::{Continuation, Frame, Kind, Limits, Parser};
use chatbridge::payload::Cpim;
use chatbridge::sip::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::document::{Format, Node};
use super::groups::{Member, accept, session_of};
use super::handset::{HANDSET, Handset, with_accounts};
use super::world::{ALICE, BOB, CAROL, World, within};

/// The stranger, who has registered with the IM server.
const RAW: &str = "tel:+19585550150";
/// A user of the API who comes later.
const DAVE: &str = "tel:+19585550103";
/// A user of the API who is in no room.
const CALLER: &str = "tel:+19585550104";
/// Nobody's application listens for this one.
const NOBODY: &str = "tel:+19585550109";

#[tokio::test(flavor = "multi_thread")]
async fn three_users_and_a_stranger_in_a_room_of_the_network() {
    meet(GroupFocus::Network).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_users_and_a_stranger_in_a_room_that_one_of_them_hosts() {
    meet(GroupFocus::Host).await;
}

async fn meet(focus: GroupFocus) {
    let world = World::with(|config| {
        with_accounts(config, &format!("{RAW}=open sesame"));
        config.group.focus = focus;
    })
    .await;
    let mut alice = Member::of(&world, ALICE).await;
    let mut bob = Member::of(&world, BOB).await;
    let mut carol = Member::of(&world, CAROL).await;
    let mut handset = Handset::start(&world, "open sesame").await;
    assert_eq!(handset.register().await, [401, 200]);

    // One of those who are invited cannot be reached, and is not mentioned again.
    let group = open(&alice, &[BOB, CAROL, RAW, NOBODY]).await;
    let everybody = [(ALICE, "Connected"), (BOB, "Invited"), (CAROL, "Invited")];
    let others = [(RAW, "Invited"), (NOBODY, "Invited")];
    changes(&mut alice, &[&everybody[..], &others].concat()).await;
    let (bobs_own, bobs_status) = bob.invited().await;
    let (carols_own, carols_status) = carol.invited().await;
    let invite = handset.request(Method::Invite).await;
    let mut raw = Raw::join(&handset, &invite).await;
    changes(&mut alice, &[(RAW, "Connected")]).await;
    accept(&bob, &bobs_status).await;
    changes(&mut bob, &[(BOB, "Connected"), (RAW, "Connected")]).await;
    changes(&mut alice, &[(BOB, "Connected")]).await;
    accept(&carol, &carols_status).await;
    let all_there = [(CAROL, "Connected"), (RAW, "Connected"), (BOB, "Connected")];
    changes(&mut carol, &all_there).await;
    changes(&mut alice, &[(CAROL, "Connected")]).await;
    changes(&mut bob, &[(CAROL, "Connected")]).await;
    let (bobs, carols) = (session_of(&bobs_own), session_of(&carols_own));

    // All speak at a time.
    for turn in 0..3 {
        alice.user.say(&group, &format!("alice {turn}"), &[]).await.shows(201);
        bob.user.say(&bobs, &format!("bob {turn}"), &[]).await.shows(201);
        raw.say(&format!("raw {turn}")).await;
        carol.user.say(&carols, &format!("carol {turn}"), &[]).await.shows(201);
    }
    let speakers = [(ALICE, "alice"), (BOB, "bob"), (CAROL, "carol"), (RAW, "raw")];
    for member in [&mut alice, &mut bob, &mut carol] {
        let heard = hear(member, 12).await;
        for (address, name) in speakers {
            let said: Vec<_> = (0..3).map(|turn| format!("{name} {turn}")).collect();
            assert_eq!(heard.get(address), Some(&said), "{name}");
        }
    }
    let heard = raw.hear(9).await;
    for name in ["alice", "bob", "carol"] {
        let of_name: Vec<_> = heard.iter().filter(|text| text.starts_with(name)).collect();
        let said: Vec<_> = (0..3).map(|turn| format!("{name} {turn}")).collect();
        assert_eq!(of_name, said.iter().collect::<Vec<_>>());
    }

    // A late joiner.
    let mut dave = Member::of(&world, DAVE).await;
    let list = format!("{group}/participants");
    let added = alice.user.post(&list, "participantInformation", &[("address", DAVE)]).await;
    assert!(matches!(added.status, 200..=202), "{added:?}");
    let (_, daves_status) = dave.invited().await;
    accept(&dave, &daves_status).await;
    settles(&mut alice, DAVE, ["Invited", "Connected"]).await;
    settles(&mut bob, DAVE, ["Invited", "Connected"]).await;
    settles(&mut carol, DAVE, ["Invited", "Connected"]).await;
    changes(&mut dave, &[&all_there[..], &[(DAVE, "Connected")]].concat()).await;
    raw.say("welcome").await;
    for member in [&mut alice, &mut bob, &mut carol, &mut dave] {
        let heard = hear(member, 1).await;
        assert_eq!(heard.get(RAW), Some(&vec!["welcome".to_owned()]));
    }
    // What had come twice would have come before the answer to that.
    assert!(raw.heard.is_empty(), "{:?}", raw.heard);

    // A leaver.
    carol.user.delete(&carols_own).await.shows(204);
    changes(&mut carol, &[(CAROL, "Disconnected")]).await;
    for member in [&mut alice, &mut bob, &mut dave] {
        changes(member, &[(CAROL, "Disconnected")]).await;
    }

    // One who is removed.
    let shown = alice.user.get(&list).await.shows(200).document();
    let is_bob = |it: &&Node| it.text("address") == BOB;
    let entry = shown.all("participant").into_iter().find(is_bob).expect("Bob is there");
    alice.user.delete(entry.text("resourceURL")).await.shows(204);
    changes(&mut bob, &[(BOB, "Disconnected")]).await;
    bob.ears.event("SessionEnded").await;
    for member in [&mut alice, &mut dave] {
        changes(member, &[(BOB, "Disconnected")]).await;
    }

    // What is not to be had in this dialog, and the stranger's goodbye.
    let conference = [("Event", "conference"), ("Accept", "application/conference-info+xml")];
    assert_eq!(handset.ask(&invite, (Method::Subscribe, &conference)).await, 403);
    assert_eq!(handset.ask(&invite, (Method::Subscribe, &[("Event", "presence")])).await, 489);
    assert_eq!(handset.ask(&invite, (Method::Bye, &[])).await, 200);
    for member in [&mut alice, &mut dave] {
        changes(member, &[(RAW, "Disconnected")]).await;
    }
    dave.user.say(&session_of(&daves_status), "we two", &[]).await.shows(201);
    for member in [&mut alice, &mut dave] {
        assert_eq!(hear(member, 1).await.get(DAVE), Some(&vec!["we two".to_owned()]));
    }
    // Those who have gone were told of nothing after that.
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol, &mut dave]).await;
    world.stop().await;
}

/// Figure 12: the originator leaves, and with it the session is over for all.
#[tokio::test(flavor = "multi_thread")]
async fn figure_12_the_host_leaves() {
    let world = World::with(|config| {
        config.group.focus = GroupFocus::Host;
        config.group.originator_ends = true;
    })
    .await;
    end_by_originator(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figure_12_the_originator_leaves() {
    let world = World::with(|config| {
        config.im_server.focus.originator_leaves = chatbridge::im_server::OriginatorLeaves::End;
        config.group.originator_ends = true;
    })
    .await;
    end_by_originator(world).await;
}

async fn end_by_originator(world: World) {
    let mut alice = Member::of(&world, ALICE).await;
    let mut bob = Member::of(&world, BOB).await;
    let mut carol = Member::of(&world, CAROL).await;
    let group = open(&alice, &[BOB, CAROL]).await;
    changes(&mut alice, &[(ALICE, "Connected"), (BOB, "Invited"), (CAROL, "Invited")]).await;
    let (_, bobs_status) = bob.invited().await;
    let (_, carols_status) = carol.invited().await;
    accept(&bob, &bobs_status).await;
    changes(&mut bob, &[(BOB, "Connected")]).await;
    accept(&carol, &carols_status).await;
    changes(&mut carol, &[(CAROL, "Connected"), (BOB, "Connected")]).await;
    changes(&mut bob, &[(CAROL, "Connected")]).await;
    changes(&mut alice, &[(BOB, "Connected"), (CAROL, "Connected")]).await;
    let shown = alice.user.get(&format!("{group}/participants")).await.shows(200).document();
    let is_alice = |it: &&Node| it.text("address") == ALICE;
    let own = shown.all("participant").into_iter().find(is_alice).expect("Alice is there");
    alice.user.delete(own.text("resourceURL")).await.shows(204);
    changes(&mut alice, &[(ALICE, "Disconnected")]).await;
    alice.ears.event("SessionEnded").await;
    for member in [&mut bob, &mut carol] {
        changes(member, &[(ALICE, "Disconnected")]).await;
        member.ears.event("SessionEnded").await;
    }
    hear_nothing_else(&world, [&mut alice, &mut bob, &mut carol]).await;
    world.stop().await;
}

/// Who stops reading delays nobody, and is out once its time is over.
#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_in_a_room_of_the_network_is_sent_away() {
    send_away(GroupFocus::Network).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_in_a_room_that_a_user_hosts_is_sent_away() {
    send_away(GroupFocus::Host).await;
}

async fn send_away(focus: GroupFocus) {
    let world = World::with(|config| {
        with_accounts(config, &format!("{RAW}=open sesame"));
        config.group.focus = focus;
        // Long enough for the others to have heard all, and no longer.
        config.im_server.focus.stall = Duration::from_secs(8);
    })
    .await;
    let mut alice = Member::of(&world, ALICE).await;
    let mut bob = Member::of(&world, BOB).await;
    let mut handset = Handset::start(&world, "open sesame").await;
    assert_eq!(handset.register().await, [401, 200]);
    let group = open(&alice, &[BOB, RAW]).await;
    changes(&mut alice, &[(ALICE, "Connected"), (BOB, "Invited"), (RAW, "Invited")]).await;
    let (_, bobs_status) = bob.invited().await;
    let invite = handset.request(Method::Invite).await;
    // From here on it reads nothing, and its connection stays.
    let _raw = Raw::join(&handset, &invite).await;
    changes(&mut alice, &[(RAW, "Connected")]).await;
    accept(&bob, &bobs_status).await;
    changes(&mut bob, &[(BOB, "Connected"), (RAW, "Connected")]).await;
    changes(&mut alice, &[(BOB, "Connected")]).await;
    let bobs = session_of(&bobs_status);

    // More than its window, each larger than a chunk: it is still there when all are heard.
    let long = "x".repeat(3000);
    for turn in 0..6 {
        alice.user.say(&group, &format!("alice {turn} {long}"), &[]).await.shows(201);
        bob.user.say(&bobs, &format!("bob {turn} {long}"), &[]).await.shows(201);
        for member in [&mut alice, &mut bob] {
            let heard = hear(member, 2).await;
            for (address, name) in [(ALICE, "alice"), (BOB, "bob")] {
                assert_eq!(heard.get(address), Some(&vec![format!("{name} {turn} {long}")]));
            }
        }
    }
    for member in [&mut alice, &mut bob] {
        changes(member, &[(RAW, "Disconnected")]).await;
    }
    let bye = handset.request(Method::Bye).await;
    let reason = bye.headers.get("Reason").expect("a Reason");
    assert!(reason.starts_with("SIP;cause=480"), "{reason}");
    handset.answer(&bye, 200).await;
    bob.user.say(&bobs, "we two", &[]).await.shows(201);
    for member in [&mut alice, &mut bob] {
        assert_eq!(hear(member, 1).await.get(BOB), Some(&vec!["we two".to_owned()]));
    }
    hear_nothing_else(&world, [&mut alice, &mut bob]).await;
    world.stop().await;
}

/// Shows that nothing else is on its way to any of these, as a stranger to the room finds out.
pub(crate) async fn hear_nothing_else<const N: usize>(world: &World, members: [&mut Member; N]) {
    let caller = world.user(CALLER, Format::Json);
    let all = members.map(|member| (&member.user, &mut member.ears));
    super::world::hear_nothing_else(&caller, all).await;
}

/// Opens Alice's group.
pub(crate) async fn open(alice: &Member, others: &[&str]) -> String {
    let mut all = vec![format!(r#"{{"address":"{ALICE}"}}"#)];
    all.extend(others.iter().map(|other| format!(r#"{{"address":"{other}"}}"#)));
    let body = format!(
        r#"{{"groupChatSessionInformation":{{"subject":"Trip","participant":[{}]}}}}"#,
        all.join(",")
    );
    let url = alice.user.url("/groupSessions");
    let seen = alice.user.post_raw(&url, "application/json", &body).await;
    seen.shows(201).header("location").to_owned()
}

/// Is told of these changes, in any order, and of nothing else.
pub(crate) async fn changes(member: &mut Member, wanted: &[(&str, &str)]) {
    let mut open: Vec<(&str, &str)> = wanted.to_vec();
    while !open.is_empty() {
        let told = member.ears.next().await;
        assert_eq!(told.name, "participantStatusNotification", "{open:?}: {told:?}");
        for entry in told.all("participant") {
            let (who, status) = (entry.text("address"), entry.text("status"));
            let found = open.iter().position(|it| *it == (who, status));
            let found = found.unwrap_or_else(|| panic!("{who} {status} beside {open:?}"));
            open.remove(found);
        }
    }
}

/// Is told that somebody comes, step by step or all at once, and of nothing else.
async fn settles(member: &mut Member, who: &str, steps: [&str; 2]) {
    loop {
        let told = member.ears.next().await;
        assert_eq!(told.name, "participantStatusNotification", "{who}: {told:?}");
        let all = told.all("participant");
        let [entry] = &all[..] else { panic!("one: {told:?}") };
        assert_eq!(entry.text("address"), who);
        assert!(steps.contains(&entry.text("status")), "{told:?}");
        if entry.text("status") == steps[1] {
            return;
        }
    }
}

/// Hears so many messages and nothing else; gives the texts of each sender in order.
async fn hear(member: &mut Member, count: usize) -> BTreeMap<String, Vec<String>> {
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for _ in 0..count {
        let told = member.ears.next().await;
        assert_eq!(told.name, "messageNotification", "{heard:?}: {told:?}");
        let texts = heard.entry(told.text("senderAdress").to_owned()).or_default();
        texts.push(told.text("chatMessage/text").to_owned());
    }
    heard
}

/// The stranger's MSRP connection.
struct Raw {
    stream: TcpStream,
    parser: Parser,
    incoming: BytesMut,
    path: String,
    said: usize,
    /// What was heard while something else was waited for.
    heard: Vec<String>,
}

impl Raw {
    /// Accepts the invitation, and connects.
    async fn join(handset: &Handset, invite: &Request) -> Self {
        let offer = String::from_utf8_lossy(&invite.body).into_owned();
        let path = offer.lines().find_map(|line| line.strip_prefix("a=path:")).expect("a path");
        let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                      m=message 9 TCP/MSRP *\r\na=accept-types:message/cpim\r\n\
                      a=accept-wrapped-types:*\r\na=setup:active\r\n\
                      a=path:msrp://127.0.0.1:9/raw;tcp\r\n";
        handset.accept(invite, answer).await;
        let place = path.trim_start_matches("msrp://").split('/').next().expect("a host");
        let stream = within("MSRP", TcpStream::connect(place)).await.expect("the focus listens");
        let (parser, incoming) = (Parser::new(Limits::default()), BytesMut::new());
        let (path, heard) = (path.to_owned(), Vec::new());
        let mut raw = Self { stream, parser, incoming, path, said: 0, heard };
        raw.write("Message-ID: hello\r\nByte-Range: 1-0/0\r\n").await;
        raw.taken().await;
        raw
    }

    async fn write(&mut self, rest: &str) {
        self.said += 1;
        let (tid, path) = (format!("tid{}", self.said), &self.path);
        let frame = format!(
            "MSRP {tid} SEND\r\nTo-Path: {path}\r\nFrom-Path: msrp://127.0.0.1:9/raw;tcp\r\n\
             {rest}-------{tid}$\r\n"
        );
        self.stream.write_all(frame.as_bytes()).await.expect("written");
    }

    /// Says something to all, and waits until the focus has taken it.
    async fn say(&mut self, text: &str) {
        let own = format!("<sip:{HANDSET}@example.com;user=phone>");
        let nobody = "<sip:anonymous@anonymous.invalid>";
        let body = Cpim::text(&own, nobody, None, text).write();
        let (length, body) = (body.len(), String::from_utf8_lossy(&body).into_owned());
        let rest = format!(
            "Message-ID: m{}\r\nByte-Range: 1-{length}/{length}\r\n\
             Content-Type: message/cpim\r\n\r\n{body}\r\n",
            self.said
        );
        self.write(&rest).await;
        self.taken().await;
    }

    /// Waits for the 200, and answers what comes before it.
    async fn taken(&mut self) {
        loop {
            let frame = self.read().await;
            match frame.kind {
                Kind::Response { code, .. } => return assert_eq!(code, 200),
                Kind::Request(_) => self.take(frame).await,
            }
        }
    }

    /// Hears so many messages.
    async fn hear(&mut self, count: usize) -> Vec<String> {
        while self.heard.len() < count {
            let frame = self.read().await;
            self.take(frame).await;
        }
        std::mem::take(&mut self.heard)
    }

    async fn take(&mut self, frame: Frame) {
        let mut answer = BytesMut::new();
        frame.write_answer(200, &mut answer);
        self.stream.write_all(&answer).await.expect("written");
        assert_eq!(frame.flag, Continuation::Complete, "short messages come whole");
        let body = frame.body.expect("a body");
        self.heard.push(Cpim::parse(body).expect("CPIM").text_content().expect("a text"));
    }

    async fn read(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.parser.next(&mut self.incoming).expect("MSRP") {
                return frame;
            }
            let read = within("MSRP", self.stream.read_buf(&mut self.incoming)).await;
            assert!(read.expect("a connection") > 0, "closed");
        }
    }
}
