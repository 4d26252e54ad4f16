//! A name server for tests: it answers from a zone that may change, or not at all.
#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::net::DnsSettings;
use crate::net::sip::bind_pair;

/// A record as the server writes it; names end with a dot.
#[derive(Debug, Clone)]
pub(in crate::net) enum Entry {
    A(u8),
    Address(Ipv4Addr),
    Cname(&'static str),
    Srv(u16, u16, u16, String),
    Naptr(u16, &'static str, &'static str),
}

/// What the server knows, name by name.
type Zone = Vec<(String, Entry)>;

/// The server: its zone, and the questions that it was asked.
#[derive(Clone)]
pub(in crate::net) struct NameServer {
    pub(in crate::net) address: SocketAddr,
    /// Nothing makes it silent.
    zone: Arc<Mutex<Option<Zone>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// The names to which it has nothing to say.
    unspoken: Arc<Mutex<Vec<String>>>,
    ttl: u32,
}

impl NameServer {
    pub(in crate::net) async fn start(ttl: u32, zone: &[(&str, Entry)]) -> Self {
        let (socket, listener) = bind_pair("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let this = Self {
            address: socket.local_addr().unwrap(),
            zone: Arc::default(),
            asked: Arc::default(),
            unspoken: Arc::default(),
            ttl,
        };
        this.know(zone);
        tokio::spawn(this.clone().serve(socket));
        tokio::spawn(this.clone().accept(listener));
        this
    }

    /// Settings with which this server is asked.
    pub(in crate::net) fn settings(&self) -> DnsSettings {
        DnsSettings { servers: vec![self.address], ..DnsSettings::default() }
    }

    pub(in crate::net) fn know(&self, zone: &[(&str, Entry)]) {
        let entries = zone.iter().map(|(name, entry)| ((*name).to_owned(), entry.clone()));
        *self.zone.lock().unwrap() = Some(entries.collect());
    }

    pub(in crate::net) fn fall_silent(&self) {
        *self.zone.lock().unwrap() = None;
    }

    pub(in crate::net) fn never_speak_of(&self, name: &str) {
        self.unspoken.lock().unwrap().push(name.to_owned());
    }

    /// The questions since the last time, each as type and name.
    pub(in crate::net) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    async fn serve(self, socket: UdpSocket) {
        let mut buffer = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let Some(mut answer) = self.hear(&buffer[..length]) else { continue };
            if answer.len() > DATAGRAM {
                // Truncated: the client is to come again over TCP.
                answer.truncate(question_end(&answer));
                answer[2] |= 2;
                answer[6..8].fill(0);
            }
            socket.send_to(&answer, client).await.unwrap();
        }
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(length) = stream.read_u16().await {
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                let Some(answer) = self.hear(&query) else { continue };
                stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    }

    /// Takes a query; gives the answer, if there is to be one.
    fn hear(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = read_name(query, 12);
        let kind = u16::from_be_bytes([query[end], query[end + 1]]);
        self.asked.lock().unwrap().push(format!("{} {name}", named(kind)));
        let zone = self.zone.lock().unwrap().clone()?;
        if self.unspoken.lock().unwrap().contains(&name) {
            return None;
        }
        Some(self.answer(query, end + 4, &zone, (&name, kind)))
    }

    fn answer(&self, query: &[u8], end: usize, zone: &Zone, (name, kind): (&str, u16)) -> Vec<u8> {
        let known: Vec<&Entry> =
            zone.iter().filter(|(owner, _)| owner == name).map(|(_, entry)| entry).collect();
        let fitting = known.iter().filter(|entry| {
            let (of_entry, _) = write(entry);
            of_entry == kind || of_entry == CNAME
        });
        let code = if known.is_empty() { NXDOMAIN } else { 0 };
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
        answer.extend(&query[12..end]);
        let mut count: u16 = 0;
        for entry in fitting {
            let (kind, data) = write(entry);
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(self.ttl.to_be_bytes());
            answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            answer.extend(data);
            count += 1;
        }
        answer[6..8].copy_from_slice(&count.to_be_bytes());
        answer
    }
}

fn write(entry: &Entry) -> (u16, Vec<u8>) {
    match entry {
        Entry::A(last) => (A, vec![127, 0, 0, *last]),
        Entry::Address(address) => (A, address.octets().to_vec()),
        Entry::Cname(name) => (CNAME, write_name(name)),
        Entry::Srv(priority, weight, port, target) => {
            let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
            (SRV, [numbers.concat(), write_name(target)].concat())
        }
        Entry::Naptr(order, service, replacement) => {
            let mut data = order.to_be_bytes().to_vec();
            data.extend([0, 0]);
            for text in ["s", service, ""] {
                data.push(u8::try_from(text.len()).unwrap());
                data.extend(text.as_bytes());
            }
            data.extend(write_name(replacement));
            (NAPTR, data)
        }
    }
}

fn write_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// Reads a name without compression; gives where it ends.
fn read_name(message: &[u8], mut at: usize) -> (String, usize) {
    let mut name = String::new();
    while message[at] != 0 {
        let length = usize::from(message[at]);
        name.push_str(&String::from_utf8_lossy(&message[at + 1..=at + length]));
        name.push('.');
        at += length + 1;
    }
    (name.to_ascii_lowercase(), at + 1)
}

/// Gives where the one question of a message ends.
fn question_end(message: &[u8]) -> usize {
    read_name(message, 12).1 + 4
}

fn named(kind: u16) -> &'static str {
    match kind {
        A => "A",
        CNAME => "CNAME",
        SRV => "SRV",
        NAPTR => "NAPTR",
        _ => "other",
    }
}

/// An address of the loopback network.
pub(in crate::net) fn loopback(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// The longest answer that goes as a datagram.
const DATAGRAM: usize = 1232;

const A: u16 = 1;
const CNAME: u16 = 5;
const SRV: u16 = 33;
const NAPTR: u16 = 35;
const NXDOMAIN: u8 = 3;
