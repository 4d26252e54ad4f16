//! TLS in the configuration: which keys go together, and whether the files hold what they should.

use std::net::IpAddr;

use super::reader::Reader;
use super::{Config, CoreMode, CoreTransport};
use crate::bridge::Bearer;
use crate::net::{CoreNames, TlsSettings};

impl Config {
    /// Gives what the SIP sockets are to know of TLS.
    #[must_use]
    pub fn tls(&self) -> TlsSettings {
        let (sip, core) = (&self.sip, &self.core);
        let next_hop = core.next_hop.as_ref().filter(|_| core.mode != CoreMode::Embedded);
        TlsSettings {
            listen: sip.tls_listen,
            certificate: sip.certificate.clone(),
            private_key: sip.private_key.clone(),
            client_ca: sip.client_ca.clone(),
            ca: sip.ca.clone(),
            core: next_hop
                .map(|hop| CoreNames { host: hop.host.clone(), domain: core.domain.clone() }),
            handshake_timeout: sip.handshake_timeout,
            reload: sip.reload,
        }
    }

    /// Finds keys of TLS that do not go together, and files that are not what they are named as.
    pub(super) fn check_tls(&self, reader: &mut Reader<'_>) {
        let sip = &self.sip;
        let mut want = |key, because, what: &str| {
            reader.discord(("sip", key), because, what.to_owned());
        };
        if sip.certificate.is_some() != sip.private_key.is_some() {
            let (wanted, given) = match &sip.certificate {
                Some(_) => ("private_key", "certificate"),
                None => ("certificate", "private_key"),
            };
            want(wanted, ("sip", given), &format!("is wanted beside [sip] {given}"));
        } else if sip.tls_listen.is_some() && sip.certificate.is_none() {
            want("certificate", ("sip", "tls_listen"), "is wanted beside [sip] tls_listen");
        }
        if sip.client_ca.is_some() && sip.tls_listen.is_none() {
            let what = "is wanted beside [sip] client_ca: nobody connects under TLS without";
            want("tls_listen", ("sip", "client_ca"), what);
        }
        let is_outside = self.core.mode != CoreMode::Embedded;
        let is_tls = is_outside && self.core.transport == CoreTransport::Tls;
        if is_tls && sip.tls_listen.is_none() {
            let what = "is wanted where [core] transport is \"tls\": the core connects to us, too";
            want("tls_listen", ("core", "transport"), what);
        }
        if let Some(tls) = sip.tls_listen {
            if tls == sip.listen && tls.port() != 0 {
                let what = format!("{tls} is also [sip] listen: the two need a port each");
                want("tls_listen", ("sip", "listen"), &what);
            }
            if sip.advertise.is_none() && host(tls.ip()) != host(sip.listen.ip()) {
                let what = "is wanted where tls_listen and listen have not the same address";
                want("advertise", ("sip", "tls_listen"), what);
            }
        }
        for fault in self.tls().faults() {
            want(fault.key, ("sip", fault.key), &fault.what);
        }
        self.check_msrp(reader);
    }

    /// Finds listeners of MSRP that lack what they need, or that are needed.
    fn check_msrp(&self, reader: &mut Reader<'_>) {
        let msrp = &self.msrp;
        self.check_relay(reader);
        let listeners = [
            (Bearer::Tls, "tls_listen", msrp.tls_listen),
            (Bearer::Ws, "ws_listen", msrp.ws_listen),
            (Bearer::Wss, "wss_listen", msrp.wss_listen),
        ];
        for (bearer, key, listen) in listeners {
            let is_secure = matches!(bearer, Bearer::Tls | Bearer::Wss);
            if listen.is_some() && is_secure && self.sip.certificate.is_none() {
                let what = format!("is wanted beside [msrp] {key}");
                reader.discord(("sip", "certificate"), ("msrp", key), what);
            }
            if listen.is_none() && msrp.transport == bearer {
                let what = "is wanted where it is what [msrp] transport offers".to_owned();
                reader.discord(("msrp", key), ("msrp", "transport"), what);
            }
            let Some(listen) = listen else { continue };
            if listen == msrp.listen && listen.port() != 0 {
                let what = format!("{listen} is also [msrp] listen: the two need a port each");
                reader.discord(("msrp", key), ("msrp", "listen"), what);
            }
            if msrp.advertise.is_none() && host(listen.ip()) != host(msrp.listen.ip()) {
                let what = format!("is wanted where {key} and listen have not the same address");
                reader.discord(("msrp", "advertise"), ("msrp", key), what);
            }
        }
    }
}

impl Config {
    /// Finds relays that cannot be asked to let us in.
    fn check_relay(&self, reader: &mut Reader<'_>) {
        let msrp = &self.msrp;
        let mut want = |wanted, given: &str, beside: (&'static str, &'static str)| {
            let what = format!("is wanted beside [msrp] {given}");
            reader.discord(wanted, beside, what);
        };
        let (relay, name) = (("msrp", "relay"), ("msrp", "relay_username"));
        let password = ("msrp", "relay_password");
        match (&msrp.relay, &msrp.relay_username, &msrp.relay_password) {
            (None, Some(_), _) => want(relay, "relay_username", name),
            (None, None, Some(_)) => want(relay, "relay_password", password),
            (Some(_), None, _) => want(name, "relay", relay),
            (Some(_), Some(_), None) => want(password, "relay", relay),
            (Some(_), Some(_), Some(_)) | (None, None, None) => {}
        }
        let is_secure = msrp.relay.as_ref().is_some_and(|relay| relay.first().secure());
        if is_secure && self.sip.certificate.is_none() {
            want(("sip", "certificate"), "relay", relay);
        }
    }
}

fn host(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Fault};

    fn faults(text: &str) -> Vec<String> {
        match Config::read(text, []) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(Fault::to_string).collect(),
        }
    }

    #[test]
    fn the_doors_of_msrp_go_together_with_what_is_offered() {
        for (text, what) in [
            ("transport = \"tls\"", "[msrp] tls_listen: is wanted where it is what"),
            ("transport = \"ws\"", "[msrp] ws_listen: is wanted where it is what"),
            ("wss_listen = \"127.0.0.1:1\"", "[sip] certificate: is wanted beside [msrp] wss"),
            ("ws_listen = \"127.0.0.1:2855\"", "[msrp] ws_listen: 127.0.0.1:2855 is also"),
            ("ws_listen = \"192.0.2.1:1\"", "[msrp] advertise: is wanted where ws_listen"),
            ("relay = \"msrp://a;tcp\"", "[msrp] relay_username: is wanted beside [msrp] relay"),
            (
                "relay = \"msrps://a;tcp\"\nrelay_username = \"a\"\nrelay_password = \"b\"",
                "[sip] certificate: is wanted beside [msrp] relay",
            ),
            ("relay_password = \"b\"", "[msrp] relay: is wanted beside [msrp] relay_password"),
            ("relay = \"msrp://a;ws\"", "[msrp] relay: msrp://a;ws is no relay"),
            ("relay = \"relay.example.com\"", "[msrp] relay: \"relay.example.com\" names no"),
            ("ws_origins = [\"chat.example\"]", "[msrp] ws_origins: \"chat.example\" is no origin"),
            ("ws_origins = [\"https://a.example/x\"]", "[msrp] ws_origins: "),
        ] {
            let found = faults(&format!("[msrp]\n{text}\n"));
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains(what), "{text}: {found:?}");
        }
        let good = "ws_listen = \"127.0.0.1:1\"\ntransport = \"ws\"\n\
                    ws_origins = [\"https://a.example:8443\"]\n";
        assert_eq!(faults(&format!("[msrp]\n{good}")), [""; 0]);
    }

    #[test]
    fn a_core_is_known_by_its_names_in_every_mode_that_has_one() {
        for (mode, is_named) in [("embedded", false), ("peer", true), ("ue", true), ("as", true)] {
            let text = format!(
                "[core]\nmode = {mode:?}\nnext_hop = \"core.example\"\ndomain = \"ims.example\"\n\
                 [ue]\nusers = [\"tel:+1\"]\n"
            );
            let names = Config::read(&text, []).expect("a good file").tls().core;
            let names = names.map(|names| (names.host, names.domain));
            let known = ("core.example".to_owned(), "ims.example".to_owned());
            assert_eq!(names, is_named.then_some(known), "{mode}");
        }
    }

    #[test]
    fn keys_of_tls_that_do_not_go_together_are_told() {
        assert_eq!(
            faults("[sip]\ntls_listen = \"127.0.0.1:5061\"\n"),
            ["line 2: [sip] certificate: is wanted beside [sip] tls_listen"]
        );
        assert_eq!(
            faults(
                "[core]\nmode = \"peer\"\nnext_hop = \"core.example:5061\"\ntransport = \"tls\"\n"
            ),
            ["line 4: [sip] tls_listen: is wanted where [core] transport is \"tls\": the core \
              connects to us, too"]
        );
        for mode in ["ue", "as"] {
            let core = format!(
                "[core]\nmode = {mode:?}\nnext_hop = \"core.example\"\ntransport = \"tls\"\n"
            );
            let found = faults(&format!("{core}[ue]\nusers = [\"tel:+1\"]\n"));
            assert_eq!(found.len(), 1, "{mode}: {found:?}");
            assert!(found[0].starts_with("line 4: [sip] tls_listen"), "{mode}: {found:?}");
        }
        let found = faults(
            "[sip]\nlisten = \"127.0.0.1:5061\"\ntls_listen = \"127.0.0.1:5061\"\n\
             certificate = \"/nowhere/a.pem\"\nclient_ca = \"/nowhere/b.pem\"\n",
        );
        assert_eq!(
            found,
            [
                "line 3: [sip] tls_listen: 127.0.0.1:5061 is also [sip] listen: the two need a port \
                 each",
                "line 4: [sip] private_key: is wanted beside [sip] certificate",
                "line 4: [sip] certificate: /nowhere/a.pem cannot be read: No such file or \
                 directory (os error 2)",
                "line 5: [sip] client_ca: /nowhere/b.pem cannot be read: No such file or \
                 directory (os error 2)",
            ]
        );
        assert_eq!(
            faults("[sip]\ntls_listen = \"127.0.0.2:5061\"\ncertificate = \"\"\n").len(),
            2,
            "another address, and no certificate"
        );
    }
}
