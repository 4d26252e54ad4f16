//! The client: remembers challenges and answers them in every request (RFC 3261 sections 22.1 to
//! 22.3).

use super::{Asker, challenges};
use crate::digest::{Answer, Asked, Credentials, Pledge};
use crate::ids::Random;
use crate::sip::{Request, Response};

/// Answers the challenges of one usage, a dialog or a registration.
///
/// After a 401 or 407 call [`Self::learn`]; if it agrees, [`Self::authorize`] the request anew. A
/// request that follows is authorized from the start, with the next nonce count. When one is done
/// with, call [`Self::settle`].
#[derive(Debug)]
pub struct DigestClient {
    credentials: Credentials,
    pledges: Vec<(Asker, Pledge)>,
    /// The challenges met since a request was last done with.
    rounds: u8,
}

/// Why a challenge is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GiveUp {
    /// It is in a form that we do not know, or of a realm that is not ours.
    #[error("no challenge that we can and may answer")]
    NothingOurs,
    /// Our answer was not believed.
    #[error("the credentials were rejected")]
    Rejected,
    /// Challenge has followed upon challenge.
    #[error("too many challenges to one request")]
    TooOften,
}

impl DigestClient {
    /// Has not met anybody yet.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self { credentials, pledges: Vec::new(), rounds: 0 }
    }

    /// Takes the challenges of a 401 or 407: of each asker and realm the strongest that is ours.
    /// A forking proxy may bring those of several (RFC 3261 section 22.3).
    ///
    /// # Errors
    /// The request must not be sent again; nothing was learnt. Above all this is so when a realm
    /// that we have just answered asks again: only `stale` with another nonce is a reason to.
    pub fn learn(&mut self, random: &mut Random, response: &Response) -> Result<(), GiveUp> {
        if self.rounds >= MAX_ROUNDS {
            return Err(GiveUp::TooOften);
        }
        let mut chosen: Vec<(Asker, Pledge)> = Vec::new();
        for asker in Asker::ALL {
            for challenge in challenges(&response.headers, asker) {
                let Some(new) = Pledge::new(&self.credentials, challenge) else { continue };
                match chosen.iter_mut().find(|(of, other)| *of == asker && other.is_for(&new)) {
                    Some((_, other)) if new.strength() > other.strength() => *other = new,
                    Some(_) => {}
                    None => chosen.push((asker, new)),
                }
            }
        }
        if chosen.is_empty() {
            return Err(GiveUp::NothingOurs);
        }
        let rejected = |(asker, new): &(Asker, Pledge)| {
            self.pledges.iter().any(|(of, old)| of == asker && old.is_rejected_by(new))
        };
        if chosen.iter().any(rejected) {
            return Err(GiveUp::Rejected);
        }
        let stays = |(of, old): &(Asker, Pledge)| {
            !chosen.iter().any(|(asker, new)| of == asker && new.is_for(old))
        };
        if self.pledges.iter().filter(|old| stays(old)).count() + chosen.len() > MAX_PLEDGES {
            return Err(GiveUp::TooOften);
        }
        self.pledges.retain(stays);
        chosen.iter_mut().for_each(|(_, pledge)| pledge.begin(random.token()));
        self.pledges.append(&mut chosen);
        self.rounds += 1;
        Ok(())
    }

    /// Puts the answers into a request, in place of those that it has. Method, Request-URI and
    /// body must stay as they are from here on.
    pub fn authorize(&mut self, request: &mut Request) {
        for asker in Asker::ALL {
            request.headers.remove(asker.answer_header());
        }
        let (uri, body) = (request.uri.to_string(), request.body.clone());
        let asked = Asked { method: request.method.as_str(), uri: &uri, body: &body };
        for (asker, pledge) in &mut self.pledges {
            let answer = pledge.answer(&self.credentials, asked);
            request.headers.push(asker.answer_header(), &answer.to_string());
        }
    }

    /// Says who we are where nobody has asked yet (3GPP TS 24.229 section 5.1.1.2.1): an answer to
    /// no challenge, which proves nothing.
    pub fn introduce(&self, request: &mut Request) {
        if self.pledges.iter().any(|(asker, _)| *asker == Asker::Server) {
            return;
        }
        let (realm, uri) = (request.uri.host().unwrap_or_default(), request.uri.as_str());
        let introduction = Answer::introduction(&self.credentials, realm, uri);
        request.headers.push(Asker::Server.answer_header(), &introduction.to_string());
    }

    /// Takes note that a request is done with, and not for want of credentials: whoever asks from
    /// now on asks anew.
    pub fn settle(&mut self) {
        self.rounds = 0;
        self.pledges.iter_mut().for_each(|(_, pledge)| pledge.keep());
    }

    /// Takes the next nonce that a server may name in a 2xx (RFC 7616 section 3.5).
    pub fn take_next_nonce(&mut self, response: &Response) {
        let mut servers = self.pledges.iter_mut().filter(|(asker, _)| *asker == Asker::Server);
        if let (Some(info), Some((_, pledge)), None) =
            (response.headers.get("Authentication-Info"), servers.next(), servers.next())
        {
            pledge.take_info(info);
        }
    }
}

/// More challenges than any honest path has for one request: proxies, a server, and a stale nonce.
const MAX_ROUNDS: u8 = 4;

/// More realms than any honest path has.
const MAX_PLEDGES: usize = 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::super::answers;
    use super::*;
    use crate::digest::{Algorithm, Password, Sim};
    use crate::sip::{Method, RequestBuilder, Status, Uri};

    #[test]
    fn an_answer_gives_back_what_the_challenge_said() {
        let mut client = alice();
        let challenge =
            r#"Digest realm="a, \"b\"", nonce="n=", qop="auth-int,auth", opaque="", algorithm=md5"#;
        ask(&mut client, &[challenge]).unwrap();
        let mut request = request("INVITE");
        client.authorize(&mut request);
        let Answer { response, protection, .. } = &answers(&request.headers, Asker::Server)[0];
        let cnonce = &protection.as_ref().unwrap().cnonce;
        assert_eq!((response.len(), cnonce.len()), (32, 22));
        let expected = format!(
            r#"Digest username="alice", realm="a, \"b\"", nonce="n=", uri="sip:b.example", response="{response}", algorithm=MD5, cnonce="{cnonce}", qop=auth, nc=00000001, opaque="""#
        );
        assert_eq!(request.headers.get("Authorization"), Some(expected.as_str()));
    }

    #[test]
    fn counts_are_hexadecimal_and_go_with_their_nonce() {
        let mut client = alice();
        ask(&mut client, &[r#"Digest realm="r", nonce="1", qop="auth""#]).unwrap();
        let counts: Vec<_> = (0..17).map(|_| said(&mut client)[0].1.clone()).collect();
        assert_eq!(counts[0], "00000001");
        assert_eq!(counts[9], "0000000a");
        assert_eq!(counts[16], "00000011");
        ask(&mut client, &[r#"Digest realm="r", nonce="2", qop="auth", stale=true"#]).unwrap();
        assert_eq!(said(&mut client)[0], ("2".to_owned(), "00000001".to_owned()));
    }

    #[test]
    fn the_strongest_challenge_is_answered() {
        let mut client = alice();
        let offers = [
            r#"Digest realm="r", nonce="md5", algorithm=MD5, qop="auth""#,
            r#"Digest realm="r", nonce="sha", algorithm=SHA-256, qop="auth""#,
            r#"Digest realm="r", nonce="none", algorithm=SHA-256"#,
            r#"Digest realm="r", nonce="aka", algorithm=AKAv1-MD5, qop="auth""#,
            r#"Digest realm="r", nonce="new", algorithm=SHA-999, qop="auth""#,
        ];
        ask(&mut client, &offers).unwrap();
        assert_eq!(said(&mut client), [("sha".to_owned(), "00000001".to_owned())]);
    }

    #[test]
    fn only_a_card_answers_aka_and_it_answers_nothing_else() {
        let aka = r#"Digest realm="r", nonce="aka", algorithm=AKAv1-MD5, qop="auth""#;
        let plain = r#"Digest realm="r", nonce="md5", qop="auth""#;
        let mut card = client("a", Password::Res(vec![0, 255, 7]), &[]);
        assert_eq!(ask(&mut card, &[plain]), Err(GiveUp::NothingOurs));
        ask(&mut card, &[plain, aka]).unwrap();
        let mut request = request("REGISTER");
        card.authorize(&mut request);
        let answer = &answers(&request.headers, Asker::Server)[0];
        assert_eq!(answer.algorithm, Some(Algorithm::AkaV1Md5));
        assert_eq!(ask(&mut alice(), &[aka]), Err(GiveUp::NothingOurs));
    }

    #[test]
    fn a_card_answers_every_nonce_of_its_home_and_no_other() {
        // 3GPP TS 35.208 section 4.3, test set 1.
        let (k, opc) =
            (0x465b5ce8b199b49faa5f0a2ee238a6bc_u128, 0xcd63cb71954a9f4e48a5994e37a02baf);
        let res = 0xa54211d5e3ba50bf_u64;
        let sim = Sim::new(k.to_be_bytes(), u128::to_be_bytes(opc));
        let nonce = "I1U8vpY3qJ0hiuZNrke/NVXzKLQ1d7m5Sp/6w1Tfr7M=";
        let ours = format!(r#"Digest realm="r", nonce="{nonce}", algorithm=AKAv1-MD5"#);
        let forged = ours.replace("I1U8", "J1U8");
        let mut card = client("a", Password::Sim(sim), &[]);
        assert_ne!(ours, forged);
        assert_eq!(ask(&mut card, &[&forged]), Err(GiveUp::NothingOurs));
        let mut said = Vec::new();
        for mut card in [card, client("a", Password::Res(res.to_be_bytes().to_vec()), &[])] {
            ask(&mut card, &[&ours]).unwrap();
            let mut request = request("REGISTER");
            card.authorize(&mut request);
            said.push(answers(&request.headers, Asker::Server).remove(0).response);
        }
        assert_eq!(said[0], said[1]);
    }

    #[test]
    fn a_foreign_realm_learns_nothing() {
        let mut client = client("a", Password::Text("p".to_owned()), &["home", "other"]);
        let foreign = r#"Digest realm="evil", nonce="1", qop="auth""#;
        let ours = r#"Digest realm="home", nonce="2", qop="auth""#;
        assert_eq!(ask(&mut client, &[foreign]), Err(GiveUp::NothingOurs));
        ask(&mut client, &[foreign, ours]).unwrap();
        assert_eq!(said(&mut client), [("2".to_owned(), "00000001".to_owned())]);
    }

    #[test]
    fn rejected_credentials_are_not_offered_again() {
        let mut client = alice();
        let challenge = |nonce: u8, stale: bool| {
            format!(r#"Digest realm="r", nonce="{nonce}", qop="auth", stale={stale}"#)
        };
        ask(&mut client, &[&challenge(1, false)]).unwrap();
        assert_eq!(ask(&mut client, &[&challenge(1, false)]), Err(GiveUp::Rejected));
        assert_eq!(ask(&mut client, &[&challenge(2, false)]), Err(GiveUp::Rejected));
        assert_eq!(ask(&mut client, &[&challenge(1, true)]), Err(GiveUp::Rejected));
        ask(&mut client, &[&challenge(2, true)]).unwrap();
        // What was once accepted may have been forgotten since, but not be asked for twice.
        client.settle();
        ask(&mut client, &[&challenge(3, false)]).unwrap();
        assert_eq!(ask(&mut client, &[&challenge(4, false)]), Err(GiveUp::Rejected));
    }

    #[test]
    fn nobody_talks_us_down() {
        let mut client = alice();
        ask(&mut client, &[r#"Digest realm="r", nonce="1", qop="auth", algorithm=SHA-256"#])
            .unwrap();
        for weaker in ["qop=\"auth\", algorithm=MD5", "algorithm=SHA-256"] {
            let challenge = format!(r#"Digest realm="r", nonce="2", stale=true, {weaker}"#);
            assert_eq!(ask(&mut client, &[&challenge]), Err(GiveUp::Rejected), "{weaker}");
        }
        assert_eq!(said(&mut client)[0].0, "1");
    }

    #[test]
    fn nobody_keeps_us_answering() {
        let mut client = alice();
        let rounds = (0..100).map(|nonce| {
            ask(&mut client, &[&format!(r#"Digest realm="r", nonce="{nonce}", stale=true"#)])
        });
        let rounds: Vec<_> = rounds.collect();
        assert_eq!(rounds.iter().filter(|round| round.is_ok()).count(), 4);
        assert_eq!(rounds[4], Err(GiveUp::TooOften));
        let mut client = alice();
        let many: Vec<_> = (0..16).map(|at| format!(r#"Digest realm="{at}", nonce="n""#)).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(ask(&mut client, &many), Err(GiveUp::TooOften));
    }

    #[test]
    fn a_proxy_and_a_server_are_both_answered() {
        let mut client = alice();
        let mut response = Response::new(Status::PROXY_AUTHENTICATION_REQUIRED);
        response.headers.push("Proxy-Authenticate", r#"Digest realm="p", nonce="1""#);
        client.learn(&mut Random::seeded(1), &response).unwrap();
        ask(&mut client, &[r#"Digest realm="s", nonce="2""#]).unwrap();
        let mut request = request("INVITE");
        client.authorize(&mut request);
        client.authorize(&mut request);
        assert_eq!(request.headers.all("Authorization").count(), 1);
        let line = request.headers.get("Proxy-Authorization").unwrap();
        assert!(line.contains(r#"realm="p", nonce="1""#) && !line.contains("nc="), "{line}");
    }

    #[test]
    fn the_next_nonce_is_taken_up() {
        let mut client = alice();
        ask(&mut client, &[r#"Digest realm="r", nonce="1", qop="auth""#]).unwrap();
        assert_eq!(said(&mut client)[0].1, "00000001");
        let mut accepted = Response::new(Status::OK);
        accepted.headers.push("Authentication-Info", r#"qop=auth, nextnonce="2""#);
        client.take_next_nonce(&accepted);
        assert_eq!(said(&mut client), [("2".to_owned(), "00000001".to_owned())]);
    }

    #[test]
    fn a_name_cannot_break_out_of_its_quotes() {
        let mut client = client("a\", realm=\"x", Password::Text("p".to_owned()), &[]);
        ask(&mut client, &[r#"Digest realm="r", nonce="1""#]).unwrap();
        let mut request = request("INVITE");
        client.authorize(&mut request);
        let answer = &answers(&request.headers, Asker::Server)[0];
        assert_eq!((answer.realm.as_str(), answer.username.as_str()), ("r", r#"a\", realm=\"x"#));
    }

    #[test]
    fn the_body_is_protected_where_that_is_asked() {
        let hash = |body: &'static [u8]| {
            let mut client = alice();
            ask(&mut client, &[r#"Digest realm="r", nonce="1", qop="auth-int""#]).unwrap();
            let mut request = request("INVITE");
            request.body = Bytes::from_static(body);
            client.authorize(&mut request);
            answers(&request.headers, Asker::Server)[0].response.clone()
        };
        assert_eq!(hash(b"a"), hash(b"a"));
        assert_ne!(hash(b"a"), hash(b"b"));
    }

    fn alice() -> DigestClient {
        client("alice", Password::Text("secret".to_owned()), &[])
    }

    fn client(username: &str, password: Password, realms: &[&str]) -> DigestClient {
        let realms = realms.iter().map(|&realm| realm.to_owned()).collect();
        DigestClient::new(Credentials { username: username.to_owned(), password, realms })
    }

    fn ask(client: &mut DigestClient, challenges: &[&str]) -> Result<(), GiveUp> {
        let mut response = Response::new(Status::UNAUTHORIZED);
        challenges.iter().for_each(|text| response.headers.push("WWW-Authenticate", text));
        client.learn(&mut Random::seeded(1), &response)
    }

    /// The nonces and counts of the next request.
    fn said(client: &mut DigestClient) -> Vec<(String, String)> {
        let mut request = request("INVITE");
        client.authorize(&mut request);
        let answers = answers(&request.headers, Asker::Server).into_iter();
        answers.map(|it| (it.nonce, it.protection.unwrap().digits())).collect()
    }

    fn request(method: &str) -> Request {
        let uri = Uri::parse("sip:b.example").unwrap();
        RequestBuilder::new(Method::from(method), uri).build()
    }
}
