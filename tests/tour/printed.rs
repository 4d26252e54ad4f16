//! The short tour that the program prints when it starts.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::shell;

#[test]
fn the_printed_tour_can_be_pasted_as_it_stands() {
    if !shell::is_there() {
        return;
    }
    let mut server = Server::start();
    let banner = server.banner();

    let tour = banner.iter().skip_while(|line| !line.starts_with("Try it")).skip(1);
    let tour: Vec<&str> = tour.take_while(|line| !line.is_empty()).map(String::as_str).collect();
    assert_eq!(tour.len(), 6, "{banner:?}");
    let outputs = shell::run(&[tour.join("\n")]);

    let printed: Vec<&str> = outputs[0].lines().collect();
    let [subscribed, invited, polled] = printed[..] else { panic!("{outputs:?}") };
    assert!(subscribed.starts_with("{\"chatNotificationSubscription\":"), "{subscribed}");
    assert!(invited.contains("\"status\":\"Invited\""), "{invited}");
    assert!(polled.contains("\"sessionInvitationNotification\":"), "{polled}");
    assert_eq!(shell::run(&[server.terminate()]), [""]);
    assert!(server.0.wait().expect("it was started").success(), "SIGTERM ends it in good order");
}

/// The program, which does not outlive the test.
struct Server(Child);

impl Server {
    fn start() -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
            .env("CHATBRIDGE_REST_LISTEN", "127.0.0.1:0")
            .env("CHATBRIDGE_SIP_LISTEN", "127.0.0.1:0")
            .env("CHATBRIDGE_IM_SERVER_LISTEN", "127.0.0.1:0")
            .env("CHATBRIDGE_MSRP_LISTEN", "127.0.0.1:0")
            .env("CHATBRIDGE_MSRP_PORTS", "1")
            .env("CHATBRIDGE_STORE_KIND", "memory")
            .env("CHATBRIDGE_LOG_FILTER", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program was built for the test");
        Self(child)
    }

    /// Reads what the program says of itself.
    fn banner(&mut self) -> Vec<String> {
        let stdout = self.0.stdout.take().expect("it is piped");
        let mut lines = Vec::new();
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("the banner is text");
            let is_last = line.starts_with("Ctrl-C");
            lines.push(line);
            if is_last {
                break;
            }
        }
        lines
    }

    /// Gives the command that stops the program as an operator would.
    fn terminate(&self) -> String {
        format!("kill -TERM {}", self.0.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ended = self.0.kill();
    }
}
