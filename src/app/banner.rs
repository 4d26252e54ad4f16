//! What a newcomer sees: where everything listens, and a chat to paste.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::Running;
use crate::address::Address;
use crate::config::{AuthMode, Config};

/// Writes the addresses and a short tour to standard output.
pub(super) fn show(running: &Running, config: &Config) -> io::Result<()> {
    let root = match &config.rest.server_root {
        Some(root) => root.clone(),
        None => {
            let scheme = if config.rest.certificate.is_some() { "https" } else { "http" };
            format!("{scheme}://{}{}", within_reach(running.rest()), config.rest.base_path)
        }
    };
    let mut text = format!("chatbridge {} is ready\n", env!("CARGO_PKG_VERSION"));
    text.push_str(&format!("  REST       {root}/1/chat/{{userId}}\n"));
    text.push_str(&format!("  SIP        {} (UDP and TCP)\n", running.sip()));
    if let Some(tls) = running.tls() {
        text.push_str(&format!("  SIP        {tls} (TLS)\n"));
    }
    text.push_str(&format!("  MSRP       {} (TCP)\n", running.msrp()));
    for (door, bearer) in [
        (running.msrp_tls(), "TLS"),
        (running.msrp_ws(), "WebSocket"),
        (running.msrp_wss(), "WebSocket over TLS"),
    ] {
        if let Some(door) = door {
            text.push_str(&format!("  MSRP       {door} ({bearer})\n"));
        }
    }
    match (running.im_server(), &config.core.next_hop) {
        (Some(server), _) => {
            text.push_str(&format!("  IM server  {server} (UDP and TCP, embedded)\n"));
            let users: Vec<&str> =
                config.im_server.users.iter().map(|user| user.spelling()).collect();
            text.push_str(&format!("  lab users  {}\n", users.join(", ")));
            // It shows no credentials, and knows of no authority.
            let is_plain = config.auth.mode == AuthMode::None && config.rest.certificate.is_none();
            if let ([alice, bob, ..], true) = (config.im_server.users.as_slice(), is_plain) {
                text.push_str(&tour(&root, alice, bob));
            }
        }
        (None, Some(core)) => text.push_str(&format!("  core       {core}\n")),
        (None, None) => {}
    }
    text.push_str("Ctrl-C ends it.\n");
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Gives the shortest chat, to be pasted into a shell as it stands; the README has the long one.
fn tour(root: &str, alice: &Address, bob: &Address) -> String {
    let channels = quoted(&format!("{root}/1/notificationchannel/{}/channels", bob.path_segment()));
    let chat_of = |user: &Address| quoted(&format!("{root}/1/chat/{}", user.path_segment()));
    let (bobs, alices) = (chat_of(bob), chat_of(alice));
    let invitation = quoted(&format!(
        "{{\"chatSessionInformation\":{{\"subject\":\"Hello\",\
         \"originatorAddress\":\"{}\",\"tParticipantAddress\":\"{}\"}}}}",
        alice.spelling(),
        bob.spelling()
    ));
    let channel = "'{\"notificationChannel\":{\"channelType\":\"LongPolling\"}}'";
    let subscription = "'{\"chatNotificationSubscription\":{\"callbackReference\":\
                        {\"notifyURL\":\"'$(url callbackURL)'\"}}}'";
    format!(
        r#"
Try it: Bob opens a channel and subscribes, Alice invites him, Bob polls. (The README goes on.)
  JSON='Content-Type: application/json'
  CHANNEL=$(curl -s {channels} -H "$JSON" -d {channel})
  url() {{ echo "$CHANNEL" | sed 's|.*"'$1'":"\([^"]*\)".*|\1|'; }}
  curl -s {bobs}/subscriptions -H "$JSON" -d {subscription}; echo
  curl -s {alices}/sessions -H "$JSON" -d {invitation}; echo
  curl -s "$(url channelURL)" -H 'Accept: application/json'; echo

"#
    )
}

/// Gives an address that a client on this machine can connect to.
fn within_reach(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    SocketAddr::new(ip, listening.port())
}

/// Quotes a word for the shell, where it holds more than a URL of the default configuration does.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:.%-_~+".contains(&byte);
    if word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_read_is_quoted() {
        assert_eq!(quoted("http://127.0.0.1:8080/1/chat"), "http://127.0.0.1:8080/1/chat");
        assert_eq!(quoted("http://[::1]:8080"), "'http://[::1]:8080'");
        assert_eq!(quoted("sip:o'hara@x;user=$(id)"), r"'sip:o'\''hara@x;user=$(id)'");
    }

    #[test]
    fn an_unspecified_address_is_reached_over_loopback() {
        let reached = |listening: &str| listening.parse().map(within_reach).map(|a| a.to_string());
        assert_eq!(reached("0.0.0.0:80").as_deref(), Ok("127.0.0.1:80"));
        assert_eq!(reached("[::]:80").as_deref(), Ok("[::1]:80"));
        assert_eq!(reached("192.0.2.1:80").as_deref(), Ok("192.0.2.1:80"));
    }
}
