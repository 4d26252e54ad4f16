//! Hostile input that only a whole bridge can be shown: `s07_…` is case S7. The other cases of SIP
//! are listed in `tests/sip/hardening.rs`.

use chatbridge::chat::Command;
use chatbridge::sip::{Method, Status};

use crate::NOTHING;
use crate::far_end::offer_sdp;
use crate::world::{BOB, World};

#[test]
fn s07_an_invitation_in_bad_parts_is_refused_and_nobody_hears_of_it() {
    let mixed = "multipart/mixed;boundary=b";
    let sdp = format!("Content-Type: application/sdp\r\n\r\n{}\r\n", offer_sdp());
    let nested = (0..50).fold(sdp.clone(), |inner, depth| {
        let outer = format!("n{depth}");
        format!(
            "Content-Type: multipart/mixed;boundary={outer}\r\n\r\n--{outer}\r\n{inner}\r\n\
             --{outer}--\r\n"
        )
    });
    for (content_type, body) in [
        ("multipart/mixed", format!("--\r\n{sdp}----")),
        ("multipart/mixed;boundary=\"\"", format!("--\r\n{sdp}----")),
        (mixed, "--b--\r\n".to_owned()),
        (mixed, format!("--b\r\n{sdp}")),
        (mixed, "--b\r\nContent-Type: application/sdp\r\nv=0\r\n--b--".to_owned()),
        (mixed, "--b\r\n\r\nx\r\n".repeat(1000) + "--b--"),
        (mixed, format!("--b\r\n{nested}\r\n--b--")),
        (mixed, "--b\r\nContent-Type: text/plain\r\n\r\nno description\r\n--b--".to_owned()),
    ] {
        let mut world = World::new();
        world.far_end_invites(content_type, &body);
        let refusal = world.far_end_heard(&Method::Invite).status;
        assert!(
            [Status::BAD_REQUEST, Status::NOT_ACCEPTABLE_HERE].contains(&refusal),
            "{body:.60}"
        );
        world.demand_rest();
        assert_eq!(world.told(), NOTHING, "{body:.60}");
    }
    // A part that nobody understands does no harm beside one that is understood.
    let mut world = World::new();
    let body = format!(
        "--b\r\nContent-Type: application/x-odd\r\nContent-Disposition: x;handling=optional\r\n\
         Content-Transfer-Encoding: binary\r\n\r\n\0\u{1}\r\n--b\r\n{sdp}\r\n--b--"
    );
    world.far_end_invites(mixed, &body);
    let bobs = world.invited(BOB);
    world.order(&bobs, Command::Accept).expect("accepted");
    assert_eq!(world.far_end_heard(&Method::Invite).status, Status::OK);
}
