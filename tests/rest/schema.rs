//! The XML schemas of the API: every body keeps to them, and the outlines of the documents do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use chatbridge::oma::{
    ChatMessage, ChatNotificationSubscription, ChatSessionInformation, ChatSubscriptionList,
    GroupChatSessionInformation, IsComposing, Kind, MessageDeliveryStatus, Notification, Occurs,
    Outline, Part, ParticipantInformation, ParticipantList, ParticipantSessionStatus,
    ParticipantStatusEntry, Place,
};

use super::document::{Format, Node};

/// The XML bodies that servers have sent and nobody has judged yet.
static BODIES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Keeps an XML body to be judged.
pub(crate) fn note(body: &str) {
    BODIES.lock().unwrap_or_else(PoisonError::into_inner).insert(body.to_owned());
}

/// Judges what was noted since the last time.
pub(crate) fn judge() {
    let bodies = std::mem::take(&mut *BODIES.lock().unwrap_or_else(PoisonError::into_inner));
    let bodies: Vec<String> = bodies.into_iter().collect();
    if let Some(complaint) = complaint(&bodies) {
        panic!("{complaint}");
    }
}

/// Gives what xmllint has to say against the bodies; says so where it is not installed.
fn complaint(bodies: &[String]) -> Option<String> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    if bodies.is_empty() {
        return None;
    }
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("chatbridge-{}-bodies-{count}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let files: Vec<PathBuf> =
        (0..bodies.len()).map(|place| folder.join(format!("{place}.xml"))).collect();
    for (file, body) in files.iter().zip(bodies) {
        std::fs::write(file, body).unwrap();
    }
    let output = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema"])
        .arg(schemas().join("all.xsd"))
        .args(&files)
        .env("XML_CATALOG_FILES", schemas().join("catalog.xml"))
        .output();
    std::fs::remove_dir_all(&folder).unwrap();
    let Ok(output) = output else {
        assert!(std::env::var_os("TESTS_NEED_XMLLINT").is_none(), "xmllint is not installed");
        eprintln!("xmllint is not installed: XML bodies are not judged");
        return None;
    };
    if output.status.success() {
        return None;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let blamed = files.iter().zip(bodies).filter(|(file, _)| {
        let lines = said.lines().filter(|line| line.contains(&*file.to_string_lossy()));
        lines.into_iter().any(|line| !line.ends_with(" validates"))
    });
    let blamed: Vec<&str> = blamed.map(|(_, body)| body.as_str()).collect();
    let said: Vec<&str> = said.lines().filter(|line| !line.ends_with(" validates")).collect();
    Some(format!("{}\n{}", said.join("\n"), blamed.join("\n")))
}

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema")
}

#[test]
fn what_is_against_the_schema_is_noticed() {
    let list = |inner: &str| {
        format!(
            "<nc:notificationList xmlns:nc=\"urn:oma:xml:rest:netapi:notificationchannel:1\">\
             <c:chatEventNotification xmlns:c=\"urn:oma:xml:rest:netapi:chat:1\">{inner}\
             </c:chatEventNotification></nc:notificationList>"
        )
    };
    let good = list("<eventType>Declined</eventType>");
    assert_eq!(complaint(std::slice::from_ref(&good)), None);
    for bad in ["<eventType>Other</eventType>", "<id>1</id><eventType>Declined</eventType>", ""] {
        match complaint(&[good.clone(), list(bad)]) {
            Some(said) => assert!(said.contains(&list(bad)) && !said.contains(&good), "{said}"),
            // Not installed.
            None => assert!(std::env::var_os("TESTS_NEED_XMLLINT").is_none(), "{bad} passes"),
        }
    }
}

/// The outlines of all types in `chat.xsd`.
fn outlines() -> Vec<Outline> {
    let mut all = vec![
        ChatSubscriptionList::OUTLINE,
        ChatNotificationSubscription::OUTLINE,
        ChatMessage::OUTLINE,
        MessageDeliveryStatus::OUTLINE,
        ParticipantSessionStatus::OUTLINE,
        ChatSessionInformation::OUTLINE,
        GroupChatSessionInformation::OUTLINE,
        ParticipantList::OUTLINE,
        ParticipantInformation::OUTLINE,
        ParticipantStatusEntry::OUTLINE,
        IsComposing::OUTLINE,
    ];
    all.extend(Notification::OUTLINES);
    all
}

#[test]
fn the_outlines_of_the_documents_are_those_of_the_schema() {
    let text = std::fs::read_to_string(schemas().join("chat.xsd")).unwrap();
    let schema = Node::read(Format::Xml, &text);
    let types: BTreeMap<&str, &Node> =
        schema.all("complexType").into_iter().map(|node| (node.text("name"), node)).collect();
    let roots: BTreeMap<&str, &str> = schema
        .all("element")
        .into_iter()
        .map(|node| (node.text("type"), node.text("name")))
        .collect();
    let outlined: BTreeSet<&str> = outlines().iter().map(|outline| outline.name).collect();
    assert_eq!(outlined, types.keys().copied().collect());
    for outline in outlines() {
        let root = outline.root.map(|(_, root)| root);
        assert_eq!(root, roots.get(outline.name).copied(), "{}", outline.name);
        let sequence = types[outline.name].find("sequence").unwrap();
        let wanted: Vec<String> = sequence
            .children
            .iter()
            .flat_map(|node| if node.name == "choice" { node.all("element") } else { vec![node] })
            .filter(|node| node.name == "element")
            .map(|node| {
                let attribute = |name| node.find(name).map_or("1", |found| found.text.as_str());
                let (least, most) = (attribute("minOccurs"), attribute("maxOccurs"));
                format!("{} {} {least} {most}", node.text("name"), node.text("type"))
            })
            .collect();
        let parts = outline.parts.iter().filter(|part| part.place != Place::ServerJson);
        let found: Vec<String> = parts.map(|part| line(part, &schema)).collect();
        assert_eq!(found, wanted, "{}", outline.name);
    }
}

/// Writes a part as the schema has it: name, type, how often at least and at most.
fn line(part: &Part, schema: &Node) -> String {
    let (least, most) = match part.occurs {
        Occurs::Once | Occurs::Either => ("1".to_owned(), "1"),
        Occurs::Maybe => ("0".to_owned(), "1"),
        Occurs::List(least) => (least.to_string(), "unbounded"),
    };
    let kind = match part.kind {
        Kind::Text(_) | Kind::Line(_) | Kind::MediaType | Kind::AnyCase(_) => "xsd:string".into(),
        Kind::Address | Kind::Url => "xsd:anyURI".into(),
        Kind::Number(0) => "xsd:unsignedInt".into(),
        Kind::Number(_) => "xsd:positiveInteger".into(),
        Kind::Flag => "xsd:boolean".into(),
        Kind::Moment => "xsd:dateTime".into(),
        Kind::OneOf(names) => enumeration(names, schema),
        Kind::Group(outline) if ["Link", "CallbackReference"].contains(&outline.name) => {
            format!("common:{}", outline.name)
        }
        Kind::Group(outline) => outline.name.to_owned(),
    };
    // For a resourceURL and the like, optional is what only the server sets.
    format!("{} {kind} {least} {most}", part.name)
}

/// Finds the enumeration that has the names, in their order; `isComposing` has its own in words.
fn enumeration(names: &[&str], schema: &Node) -> String {
    let found = schema.all("simpleType").into_iter().find(|kind| {
        let values = kind.find("restriction").unwrap().all("enumeration");
        let values: Vec<&str> = values.into_iter().map(|value| value.text("value")).collect();
        let is_narrower = names == ["Delivered", "Displayed"] && values.starts_with(names);
        values == names || is_narrower
    });
    found.map_or_else(|| "xsd:string".to_owned(), |kind| kind.text("name").to_owned())
}
