//! Many chats at once.

use tokio::task::JoinSet;

use super::document::Format;
use super::ears::Way;
use super::world::{World, within};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_chats_at_once_all_finish() {
    const CHATS: u32 = 20;
    const MESSAGES: u32 = 5;
    let world = World::start().await;
    let mut chats = JoinSet::new();
    for chat in 0..CHATS {
        let format = if chat % 2 == 0 { Format::Xml } else { Format::Json };
        let way = if chat % 4 < 2 { Way::Poll } else { Way::Callback };
        let alice = world.user(&format!("tel:+1958556{:04}", 2 * chat), format);
        let bob = world.user(&format!("tel:+1958556{:04}", 2 * chat + 1), format);
        chats.spawn(async move {
            let mut alice_hears = alice.listen(way, "Alice").await;
            let mut bob_hears = bob.listen(way, "Bob").await;
            let session = alice.invite(&bob.address, "Hello").await;
            let told = bob_hears.next().await;
            let other = told.link("ChatSessionInformation").to_owned();
            bob.answer(&other, "Connected").await.shows(200);
            alice_hears.event("Accepted").await;
            for turn in 0..MESSAGES {
                let text = format!("{chat}/{turn}");
                let sent = alice.say(&session, &text, &["Delivered"]).await;
                let message = sent.shows(201).header("location").to_owned();
                alice_hears.message(&text).await;
                let told = bob_hears.message(&text).await;
                bob.report(told.link("MessageDeliveryStatus"), "Delivered").await.shows(204);
                alice_hears.delivered(&message).await;
                bob.say(&other, &text, &[]).await.shows(201);
                alice_hears.message(&text).await;
                bob_hears.message(&text).await;
            }
            alice.delete(&session).await.shows(204);
            alice_hears.event("SessionEnded").await;
            bob_hears.event("SessionEnded").await;
        });
    }
    within("all chats", async {
        while let Some(chat) = chats.join_next().await {
            chat.unwrap();
        }
    })
    .await;
    world.stop().await;
}
