//! What a newcomer sees: where everything listens, and a chat to paste.

use std::io::{self, Write};

use super::Running;
use crate::config::Config;

/// Writes the addresses and a short tour to standard output.
pub(super) fn show(running: &Running, config: &Config) -> io::Result<()> {
    let root = match &config.rest.server_root {
        Some(root) => root.clone(),
        None => format!("http://{}{}", running.rest(), config.rest.base_path),
    };
    let mut text = format!("chatbridge {} is ready\n", env!("CARGO_PKG_VERSION"));
    text.push_str(&format!("  REST       {root}/1/chat/{{userId}}\n"));
    text.push_str(&format!("  SIP        {} (UDP and TCP)\n", running.sip()));
    text.push_str(&format!("  MSRP       {} (TCP)\n", running.msrp()));
    match (running.im_server(), &config.core.next_hop) {
        (Some(server), _) => {
            text.push_str(&format!("  IM server  {server} (UDP and TCP, embedded)\n"));
            let users: Vec<&str> =
                config.im_server.users.iter().map(|user| user.spelling()).collect();
            text.push_str(&format!("  lab users  {}\n", users.join(", ")));
        }
        (None, Some(core)) => text.push_str(&format!("  core       {core}\n")),
        (None, None) => {}
    }
    if let [alice, bob, ..] = config.im_server.users.as_slice() {
        let (alice, bob) = (alice.path_segment(), bob.path_segment());
        text.push_str(&tour(&root, &alice, &bob));
    }
    text.push_str("Ctrl-C ends it.\n");
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Gives the shortest chat; the README has the long one.
fn tour(root: &str, alice: &str, bob: &str) -> String {
    let json = "-H 'Content-Type: application/json'";
    format!(
        "\nTry it (the README has the whole tour):\n  \
         BOB={root}/1/chat/{bob}; ALICE={root}/1/chat/{alice}\n  \
         curl -s {json} {root}/1/notificationchannel/{bob}/channels -d \
         '{{\"notificationChannel\":{{\"channelType\":\"LongPolling\"}}}}'\n  \
         # subscribe with the callbackURL it gives, then poll its channelURL:\n  \
         curl -s {json} $BOB/subscriptions -d \
         '{{\"chatNotificationSubscription\":{{\"callbackReference\":{{\"notifyURL\":\"…\",\
         \"notificationFormat\":\"JSON\"}}}}}}'\n  \
         curl -s {json} $ALICE/sessions -d \
         '{{\"chatSessionInformation\":{{\"subject\":\"Hello\",\
         \"originatorAddress\":\"{}\",\"tParticipantAddress\":\"{}\"}}}}'\n\n",
        plain(alice),
        plain(bob)
    )
}

/// Undoes the escaping of a path segment, for bodies.
fn plain(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
