//! Where an MSRP connection is made to: to where the path says, or to where the `c=` and `m=` lines
//! say, behind which a middlebox anchors the media of both ends (RFC 6714, CEMA).

use std::net::IpAddr;

use super::bearer::is_web;
use super::settings::{Contradiction, MsrpRules};
use crate::msrp::{Path, Uri};
use crate::sdp::{MessageMedia, Setup, answer_setup, offerer_setup};

/// What both descriptions together say of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Anchoring {
    /// Whether our answer says `a=msrp-cema`.
    pub(super) cema: bool,
    /// Where to connect, if it is we who do, and not to where the path says.
    pub(super) place: Option<(String, u16)>,
}

/// The lines of a peer without CEMA contradict its path, and such peers are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contradicted;

impl Anchoring {
    /// Judges an offer that we answer (RFC 6714 section 4.3), through relays of our own where
    /// `is_relayed`: they go by the path.
    pub(super) fn of_offer(
        rules: MsrpRules,
        (media, path): (&MessageMedia, &Path),
        is_relayed: bool,
    ) -> Result<Self, Contradicted> {
        if is_relayed {
            return Self::of_relayed_offer(rules, media, path);
        }
        let ours = answer_setup(media.setup);
        if !rules.cema {
            return Ok(Self::default());
        }
        if !media.cema && contradicts(media, path) {
            return Self::of_contradiction(rules, media);
        }
        // A relay of the offerer connects to where our path says.
        if path.hops() > 1 && ours == Setup::Passive {
            return Ok(Self::default());
        }
        let place = if media.cema && ours == Setup::Active { lines(media) } else { None };
        Ok(Self { cema: true, place })
    }

    /// Judges an offer that we answer through relays of our own: CEMA takes part where one end has
    /// relays, and we can be passive.
    fn of_relayed_offer(
        rules: MsrpRules,
        media: &MessageMedia,
        path: &Path,
    ) -> Result<Self, Contradicted> {
        if rules.cema && !media.cema && contradicts(media, path) {
            return match rules.contradiction {
                Contradiction::Refuse => Err(Contradicted),
                Contradiction::Path | Contradiction::Lines => Ok(Self::default()),
            };
        }
        let cema = rules.cema && path.hops() == 1 && media.setup != Some(Setup::Passive);
        Ok(Self { cema, place: None })
    }

    /// Judges the answer to our offer (RFC 6714 section 4.2), which was made through relays of our
    /// own where `is_relayed`: they go by the path.
    ///
    /// Where a peer without CEMA would have to be offered anew without it, so that the middlebox
    /// takes part in MSRP itself, the rules for contradictions hold: there is no second offer.
    pub(super) fn of_answer(
        rules: MsrpRules,
        (media, path): (&MessageMedia, &Path),
        is_relayed: bool,
    ) -> Result<Self, Contradicted> {
        if is_relayed {
            let refused = rules.cema && rules.contradiction == Contradiction::Refuse;
            let contradicts = refused && !media.cema && contradicts(media, path);
            return if contradicts { Err(Contradicted) } else { Ok(Self::default()) };
        }
        let is_active = offerer_setup(media.setup) != Setup::Passive;
        let (relayed, contradicts) = (path.hops() > 1, contradicts(media, path));
        if !rules.cema || (relayed && !contradicts) {
            return Ok(Self::default());
        }
        if !media.cema && contradicts {
            return match rules.contradiction {
                // Of a peer that listens itself the lines count, whatever it knows of CEMA.
                Contradiction::Refuse if is_active && !relayed => {
                    Ok(Self { cema: false, place: lines(media) })
                }
                Contradiction::Refuse | Contradiction::Path | Contradiction::Lines => {
                    Self::of_contradiction(rules, media)
                }
            };
        }
        let place = if is_active && media.cema { lines(media) } else { None };
        Ok(Self { cema: false, place })
    }

    fn of_contradiction(rules: MsrpRules, media: &MessageMedia) -> Result<Self, Contradicted> {
        match rules.contradiction {
            Contradiction::Refuse => Err(Contradicted),
            Contradiction::Path => Ok(Self::default()),
            Contradiction::Lines => Ok(Self { cema: false, place: lines(media) }),
        }
    }
}

/// Tells whether the lines name another place than every URI of the path (RFC 6714 section 4.4).
///
/// Nothing is known of names, which would have to be looked up, nor of lines that name no place; and
/// nobody connects to a browser, wherever its lines point (RFC 7977 section 5.2).
fn contradicts(media: &MessageMedia, path: &Path) -> bool {
    let differs = |uri: &Uri| {
        let port = uri.port().unwrap_or(MSRP_PORT);
        port != media.port || !may_be_same(uri.host(), &media.host)
    };
    !is_web(path.first()) && lines(media).is_some() && path.iter().all(differs)
}

/// Gives the place that the lines name, if they name one.
fn lines(media: &MessageMedia) -> Option<(String, u16)> {
    let nowhere = media.host.parse().is_ok_and(|address: IpAddr| address.is_unspecified());
    let named = !nowhere && !media.host.is_empty() && !NEVER_LISTENS.contains(&media.port);
    named.then(|| (media.host.clone(), media.port))
}

fn may_be_same(one: &str, two: &str) -> bool {
    match (one.parse::<IpAddr>(), two.parse::<IpAddr>()) {
        (Ok(one), Ok(two)) => one.to_canonical() == two.to_canonical(),
        (Err(_), Err(_)) => one.eq_ignore_ascii_case(two),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => true,
    }
}

/// The port registered for MSRP (RFC 4975 section 15.4).
const MSRP_PORT: u16 = 2855;
/// Ports of ends that do not listen: refused media, and the active side (RFC 4145 section 4.1).
const NEVER_LISTENS: [u16; 2] = [0, 9];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sdp::Sdp;

    const HERE: &str = "c=IN IP4 192.0.2.1\nm=message 2855 TCP/MSRP *";
    const BOX: &str = "c=IN IP4 198.51.100.7\nm=message 4000 TCP/MSRP *";
    const PATH: &str = "a=path:msrp://192.0.2.1:2855/s;tcp";
    const RELAYED: &str = "a=path:msrp://192.0.2.50:2855/r;tcp msrp://192.0.2.1:2855/s;tcp";

    #[test]
    fn an_offer_is_answered_as_section_4_3_has_it() {
        for (lines, cema, path, setup, refuse) in [
            // Both know CEMA: the lines count where we connect.
            (BOX, true, PATH, "actpass", "cema 198.51.100.7:4000"),
            (BOX, true, PATH, "active", "cema"),
            (HERE, true, PATH, "actpass", "cema 192.0.2.1:2855"),
            (BOX, true, RELAYED, "actpass", "cema 198.51.100.7:4000"),
            // The relay of an active offerer goes by our path.
            (BOX, true, RELAYED, "active", ""),
            (HERE, false, RELAYED, "active", ""),
            // No middlebox: our answer tells that we would know one.
            (HERE, false, PATH, "actpass", "cema"),
            (HERE, false, PATH, "active", "cema"),
            // A middlebox that does not know CEMA.
            (BOX, false, PATH, "actpass", "refused"),
            (BOX, false, PATH, "active", "refused"),
        ] {
            let case = format!("{lines} {cema} {path} {setup}");
            let offer = |rules| shown(Anchoring::of_offer, rules, (lines, cema, path, setup));
            assert_eq!(offer(rules(Contradiction::Refuse)), refuse, "{case}");
            if refuse == "refused" {
                assert_eq!(offer(rules(Contradiction::Path)), "", "{case}");
                assert_eq!(offer(rules(Contradiction::Lines)), "198.51.100.7:4000", "{case}");
            } else {
                assert_eq!(offer(rules(Contradiction::Path)), refuse, "{case}");
            }
            assert_eq!(offer(MsrpRules { cema: false, ..MsrpRules::default() }), "", "{case}");
        }
    }

    #[test]
    fn an_answer_is_read_as_section_4_2_has_it() {
        for (lines, cema, path, setup, refuse, follow) in [
            (BOX, true, PATH, "passive", "198.51.100.7:4000", "198.51.100.7:4000"),
            (BOX, true, PATH, "active", "", ""),
            (BOX, true, RELAYED, "passive", "198.51.100.7:4000", "198.51.100.7:4000"),
            (HERE, true, RELAYED, "passive", "", ""),
            (HERE, false, PATH, "passive", "", ""),
            (BOX, false, PATH, "active", "refused", ""),
            (BOX, false, RELAYED, "passive", "refused", ""),
            (BOX, false, PATH, "passive", "198.51.100.7:4000", ""),
        ] {
            let case = format!("{lines} {cema} {path} {setup}");
            let answer = |rules| shown(Anchoring::of_answer, rules, (lines, cema, path, setup));
            assert_eq!(answer(rules(Contradiction::Refuse)), refuse, "{case}");
            assert_eq!(answer(rules(Contradiction::Path)), follow, "{case}");
            assert_eq!(answer(MsrpRules { cema: false, ..MsrpRules::default() }), "", "{case}");
        }
        let lines =
            shown(Anchoring::of_answer, rules(Contradiction::Lines), (BOX, false, PATH, "passive"));
        assert_eq!(lines, "198.51.100.7:4000");
    }

    #[test]
    fn what_cannot_be_compared_does_not_contradict() {
        for (lines, path) in [
            ("c=IN IP4 chat.example.com\nm=message 2855 TCP/MSRP *", PATH),
            (HERE, "a=path:msrp://chat.example.com:2855/s;tcp"),
            ("c=IN IP4 A.example\nm=message 1 TCP/MSRP *", "a=path:msrp://a.EXAMPLE:1/s;tcp"),
            (
                "c=IN IP6 2001:db8::1\nm=message 1 TCP/MSRP *",
                "a=path:msrp://[2001:db8:0::1]:1/s;tcp",
            ),
            ("c=IN IP6 ::ffff:192.0.2.1\nm=message 2855 TCP/MSRP *", PATH),
            // An active end does not listen; a held one says 0.0.0.0.
            ("c=IN IP4 198.51.100.7\nm=message 9 TCP/MSRP *", PATH),
            ("c=IN IP4 0.0.0.0\nm=message 2855 TCP/MSRP *", PATH),
            ("m=message 2855 TCP/MSRP *", PATH),
        ] {
            let offer = (lines, false, path, "active");
            assert_eq!(shown(Anchoring::of_offer, rules(Contradiction::Refuse), offer), "cema");
        }
        for lines in ["c=IN IP4 192.0.2.1\nm=message 2856 TCP/MSRP *", BOX] {
            let offer = (lines, false, PATH, "active");
            assert_eq!(shown(Anchoring::of_offer, rules(Contradiction::Refuse), offer), "refused");
        }
    }

    /// A relay of ours goes by the path, whatever the lines say.
    #[test]
    fn a_relay_of_ours_is_never_sent_elsewhere() {
        for (lines, cema, path, setup, offered, answered) in [
            (BOX, true, PATH, "actpass", "cema", ""),
            (HERE, false, PATH, "actpass", "cema", ""),
            (HERE, true, PATH, "passive", "", ""),
            (HERE, true, RELAYED, "actpass", "", ""),
            (BOX, false, PATH, "passive", "refused", "refused"),
        ] {
            let case = format!("{lines} {cema} {path} {setup}");
            let behind =
                |judge: Judge, rules| shown_behind(true, judge, rules, (lines, cema, path, setup));
            let refuse = rules(Contradiction::Refuse);
            assert_eq!(behind(Anchoring::of_offer, refuse), offered, "{case}");
            assert_eq!(behind(Anchoring::of_answer, refuse), answered, "{case}");
            let follow = rules(Contradiction::Lines);
            assert!(!behind(Anchoring::of_offer, follow).contains(':'), "{case}");
            assert_eq!(behind(Anchoring::of_answer, follow), "", "{case}");
        }
    }

    type Judge = fn(MsrpRules, (&MessageMedia, &Path), bool) -> Result<Anchoring, Contradicted>;

    fn shown(judge: Judge, rules: MsrpRules, description: (&str, bool, &str, &str)) -> String {
        shown_behind(false, judge, rules, description)
    }

    fn shown_behind(
        is_relayed: bool,
        judge: Judge,
        rules: MsrpRules,
        description: (&str, bool, &str, &str),
    ) -> String {
        let (lines, cema, path, setup) = description;
        let cema = if cema { "a=msrp-cema\n" } else { "" };
        let text = format!("v=0\n{lines}\na=accept-types:*\n{path}\na=setup:{setup}\n{cema}");
        let media = Sdp::parse(text.as_bytes()).unwrap().usable().unwrap();
        match judge(rules, (&media, &Path::parse(&media.path).unwrap()), is_relayed) {
            Err(Contradicted) => "refused".to_owned(),
            Ok(Anchoring { cema, place }) => {
                let place = place.map(|(host, port)| format!("{host}:{port}"));
                [cema.then(|| "cema".to_owned()), place]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" ")
            }
        }
    }

    fn rules(contradiction: Contradiction) -> MsrpRules {
        MsrpRules { contradiction, ..MsrpRules::default() }
    }
}
