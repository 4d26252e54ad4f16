//! Who may come in, over real connections: credentials, their files, and TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chatbridge::config::{AuthMode, Config};
use reqwest::{Certificate, Client, Method};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::certificates::Authority;
use super::document::Format;
use super::world::{ALICE, BOB, Seen, User, World, escaped, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_for_its_user_and_the_channel_url_for_who_knows_it() {
    let folder = Folder::new();
    let issuer = Issuer::new();
    let world = World::with(|config| {
        issuer.guard(config, &folder);
        config.notify.poll = Duration::from_millis(10);
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let token = issuer.token(&format!("\"{ALICE}\""), 600);
    let list = alice.url("/subscriptions");
    alice.get(&list).await.fails(401, "SVC2003", "");
    bear(&alice, &token, &list).await.shows(200);
    let bobs = world.user(BOB, Format::Json).url("/subscriptions");
    bear(&alice, &token, &bobs).await.fails(403, "POL0001", "");
    let own = format!("{}/1/chat/acr%3Aauth/subscriptions", world.root);
    assert!(bear(&alice, &token, &own).await.shows(200).body.contains(&escaped(ALICE)));

    // A channel is opened with the token, and polled without.
    let body = "{\"notificationChannel\":{\"channelType\":\"LongPolling\"}}";
    let request = alice.request(Method::POST, &alice.channels()).bearer_auth(&token);
    let request = request.header("content-type", "application/json").body(body);
    let channel = alice.send(request).await;
    let channel = channel.shows(201).document();
    let poll = channel.find("channelData").unwrap().text("channelURL").to_owned();
    alice.get(&poll).await.shows(200);

    // Too old, of another issuer, for another API, tampered with, not signed.
    for (wrong, error) in [
        (issuer.token(&format!("\"{ALICE}\""), -600), "the token has expired"),
        (Issuer::new().token(&format!("\"{ALICE}\""), 600), "the signature of the token is wrong"),
        (format!("{}.", token.rsplit_once('.').unwrap().0), "the signature of the token is wrong"),
        ("x".repeat(12_000), "the token is too long"),
    ] {
        let seen = bear(&alice, &wrong, &list).await;
        seen.fails(401, "SVC2003", "");
        assert!(seen.header("www-authenticate").contains(error), "{seen:?}");
    }
    world.stop().await;
}

/// Only polls are served without what their credentials say, not what is called like them.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_lies_under_a_path_of_polls() {
    let folder = Folder::new();
    let issuer = Issuer::new();
    let world = World::with(|config| {
        issuer.guard(config, &folder);
        config.rest.base_path = "/polls".to_owned();
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let token = issuer.token(&format!("\"{ALICE}\""), 600);
    bear(&alice, &token, &alice.channels()).await.shows(200);
    let lifetime = format!("{}/polls/channelLifetime", alice.channels());
    bear(&alice, &token, &lifetime).await.shows(404);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_keys_that_change_hold_and_bad_ones_do_not() {
    let folder = Folder::new();
    let (old, new) = (Issuer::new(), Issuer::new());
    let world = World::with(|config| {
        old.guard(config, &folder);
        config.auth.reload = Duration::from_millis(10);
    })
    .await;
    let alice = world.user(ALICE, Format::Json);
    let list = alice.url("/subscriptions");
    let (olds, news) =
        (old.token(&format!("\"{ALICE}\""), 600), new.token(&format!("\"{ALICE}\""), 600));
    bear(&alice, &olds, &list).await.shows(200);
    bear(&alice, &news, &list).await.shows(401);
    fs::write(folder.jwks(), "garbage").unwrap();
    bear(&alice, &olds, &list).await.shows(200);
    fs::write(folder.jwks(), new.jwks()).unwrap();
    within("the new key", async { while bear(&alice, &news, &list).await.status != 200 {} }).await;
    bear(&alice, &olds, &list).await.shows(401);
    // What is bad changes nothing: the good token is good as long as one looks.
    fs::write(folder.jwks(), "garbage").unwrap();
    for _ in 0..50 {
        bear(&alice, &news, &list).await.shows(200);
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_names_and_passwords_come_from_a_file_and_guesses_are_counted() {
    let folder = Folder::new();
    fs::write(folder.0.join("users"), format!("alice secret {ALICE}\n")).unwrap();
    let world = World::with(|config| {
        config.auth.mode = AuthMode::Basic;
        config.auth.users_file = Some(folder.0.join("users"));
        config.auth.failures = 3;
    })
    .await;
    let alice = world.user(ALICE, Format::Xml);
    let list = alice.url("/subscriptions");
    let ask = |password: &'static str| {
        let request = alice.request(Method::GET, &list).basic_auth("alice", Some(password));
        alice.send(request)
    };
    ask("secret").await.shows(200);
    let seen = alice.get(&list).await;
    seen.fails(401, "SVC2003", "");
    assert_eq!(seen.header("www-authenticate"), "Basic realm=\"chat\", charset=\"UTF-8\"");
    for _ in 0..3 {
        ask("guess").await.fails(401, "SVC2003", "");
    }
    let seen = ask("secret").await;
    seen.fails(429, "POL3002", "wrong credentials");
    assert!(seen.header("retry-after").parse::<u32>().unwrap() <= 60);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f08_over_tls_a_changed_certificate_is_shown_and_a_bad_one_is_not() {
    let (old, new) = (Authority::new(), Authority::new());
    let (certificate, key) = old.issue(&["127.0.0.1"]);
    let world = World::with(|config| {
        config.rest.certificate = Some(certificate.clone());
        config.rest.private_key = Some(key.clone());
        config.rest.reload = Duration::from_millis(10);
    })
    .await;
    let root = format!("https://{}", world.running().rest());
    let path = format!("{root}/1/chat/{}/subscriptions", escaped(ALICE));
    let stays = client(&old.file());
    let seen = stays.get(&path).send().await.unwrap();
    assert_eq!(seen.status(), 200);
    // The URLs that are handed out are those of TLS.
    let body = seen.text().await.unwrap();
    assert!(body.contains(&format!("{root}/1/chat/")), "{body}");
    assert!(client(&new.file()).get(&path).send().await.is_err(), "nobody vouches for it");
    // Who comes without TLS is not heard.
    assert!(client(&old.file()).get(path.replace("https:", "http:")).send().await.is_err());

    fs::write(&certificate, "garbage").unwrap();
    for _ in 0..20 {
        assert_eq!(client(&old.file()).get(&path).send().await.unwrap().status(), 200);
    }
    let (other, other_key) = new.issue(&["127.0.0.1"]);
    fs::copy(other, &certificate).unwrap();
    fs::copy(other_key, &key).unwrap();
    within("the new certificate", async {
        while client(&new.file()).get(&path).send().await.is_err() {}
    })
    .await;
    // The connection that stood stands.
    assert_eq!(stays.get(&path).send().await.unwrap().status(), 200);
    assert!(client(&old.file()).get(&path).send().await.is_err());
    world.stop().await;
}

fn client(authority: &Path) -> Client {
    let authority = Certificate::from_pem(&fs::read(authority).unwrap()).unwrap();
    Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap()
}

async fn bear(user: &User, token: &str, url: &str) -> Seen {
    user.send(user.request(Method::GET, url).bearer_auth(token)).await
}

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name =
            format!("chatbridge-entrance-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn jwks(&self) -> PathBuf {
        self.0.join("jwks.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Who signs access tokens.
struct Issuer {
    random: SystemRandom,
    key: EcdsaKeyPair,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { random, key }
    }

    /// Lets a server ask for tokens of this issuer.
    fn guard(&self, config: &mut Config, folder: &Folder) {
        fs::write(folder.jwks(), self.jwks()).unwrap();
        config.auth.mode = AuthMode::Jwt;
        config.auth.issuer = Some("https://issuer.example".to_owned());
        config.auth.audience = vec!["https://chat.example".to_owned()];
        config.auth.jwks_file = Some(folder.jwks());
    }

    fn jwks(&self) -> String {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (base64url(x), base64url(y));
        format!(
            "{{\"keys\":[{{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\",\"x\":\"{x}\",\"y\":\"{y}\"}}]}}"
        )
    }

    /// Makes a token that holds for `seconds` from now.
    fn token(&self, subject: &str, seconds: i64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ends = i64::try_from(now).unwrap() + seconds;
        let header = "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}";
        let claims = format!(
            "{{\"iss\":\"https://issuer.example\",\"aud\":\"https://chat.example\",\
             \"sub\":{subject},\"exp\":{ends},\"scope\":\"oma_rest_chat.all_v1\"}}"
        );
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        let signature = self.key.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", base64url(signature.as_ref()))
    }
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
