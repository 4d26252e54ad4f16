//! Each dialog has a task with an inbox, as the conversations of the bridge have; one more task
//! finds the inbox that a message belongs to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::pending;
use std::rc::Rc;
use std::time::Instant;

use chatbridge::ids::Random;
use chatbridge::net::Inbound;
use chatbridge::sip::{
    DialogKey, Kit, Leg, LegEvent, LegInput, LegOutput, Message, Method, Route, route,
};
use chatbridge::store::connections::OnFailure;
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant as Tick, sleep_until};

use super::ours::Ground;
use super::shard::end_of_call;

/// How many messages wait for one dialog.
const INBOX: usize = 16;

/// What all tasks share; they run on one thread.
struct Shared {
    ground: RefCell<Ground>,
    random: RefCell<Random>,
    by_dialog: RefCell<HashMap<DialogKey, Inbox>>,
    by_caller: RefCell<HashMap<DialogKey, Inbox>>,
}

type Inbox = mpsc::Sender<Box<LegInput>>;

pub(crate) async fn run(ground: Ground, mut inbound: mpsc::Receiver<Inbound>) {
    let shared = Rc::new(Shared {
        ground: RefCell::new(ground),
        random: RefCell::new(Random::seeded(u64::from(std::process::id()))),
        by_dialog: RefCell::default(),
        by_caller: RefCell::default(),
    });
    let first = shared.ground.borrow().calls.as_ref().map_or(0, |calls| calls.concurrency);
    LocalSet::new()
        .run_until(async {
            (0..first).for_each(|_| call(&shared));
            while let Some(inbound) = inbound.recv().await {
                take(&shared, inbound);
            }
        })
        .await;
}

fn kit(shared: &Shared) -> Kit {
    let ground = shared.ground.borrow();
    Kit {
        local: ground.local.clone(),
        timers: ground.timers,
        random: shared.random.borrow_mut().fork(),
    }
}

fn call(shared: &Rc<Shared>) {
    let call = shared.ground.borrow_mut().calls.as_mut().and_then(|calls| calls.next());
    let Some(call) = call else { return };
    begin(shared, Leg::call(Instant::now(), call, kit(shared)), None);
}

fn begin(shared: &Rc<Shared>, leg: Leg, caller: Option<DialogKey>) {
    let (inbox, letters) = mpsc::channel(INBOX);
    let key = DialogKey { call_id: leg.call_id().to_owned(), tag: leg.local_tag().to_owned() };
    shared.by_dialog.borrow_mut().insert(key.clone(), inbox.clone());
    if let Some(caller) = &caller {
        shared.by_caller.borrow_mut().insert(caller.clone(), inbox.clone());
    }
    let shared = Rc::clone(shared);
    spawn_local(async move {
        live(&shared, leg, (inbox, letters)).await;
        shared.by_dialog.borrow_mut().remove(&key);
        if let Some(caller) = caller {
            shared.by_caller.borrow_mut().remove(&caller);
        }
    });
}

fn take(shared: &Rc<Shared>, Inbound { message, source }: Inbound) {
    let (found, caller) = match route(&message) {
        Route::Response(key) | Route::InDialog(key) => {
            (shared.by_dialog.borrow().get(&key).cloned(), None)
        }
        Route::Initial(key) => (shared.by_caller.borrow().get(&key).cloned(), Some(key)),
        Route::Malformed => return,
    };
    match (found, message) {
        (Some(inbox), message) => {
            // A full inbox loses a message, and the peer sends it again.
            drop(inbox.try_send(Box::new(LegInput::Message { message, source })));
        }
        (None, Message::Request(invite)) if invite.method == Method::Invite => {
            let now = Instant::now();
            let mut leg = Leg::answering(now, invite, source, kit(shared));
            leg.accept(now, shared.ground.borrow().answer.clone());
            begin(shared, leg, caller);
        }
        (None, Message::Request(_) | Message::Response(_)) => {}
    }
}

/// Drives one dialog to its end.
async fn live(
    shared: &Rc<Shared>,
    mut leg: Leg,
    (inbox, mut letters): (Inbox, mpsc::Receiver<Box<LegInput>>),
) {
    loop {
        while let Some(output) = leg.poll() {
            match output {
                LegOutput::Send { bytes, hop } => {
                    let (inbox, failed) = (inbox.clone(), hop.clone());
                    let tell = OnFailure::new(move || {
                        let input = LegInput::TransportFailed { hop: failed };
                        drop(inbox.try_send(Box::new(input)));
                    });
                    shared.ground.borrow().outbound.send(bytes, &hop, tell);
                }
                LegOutput::Event(event) => hear(shared, &mut leg, &event),
                LegOutput::Spare { .. } => {}
            }
        }
        if leg.is_finished() {
            return;
        }
        let deadline = leg.next_timeout().map(Tick::from_std);
        let timer = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        let input = tokio::select! {
            letter = letters.recv() => match letter {
                Some(input) => *input,
                None => return,
            },
            () = timer => LegInput::Timeout,
        };
        leg.handle(Instant::now(), input);
    }
}

fn hear(shared: &Rc<Shared>, leg: &mut Leg, event: &LegEvent) {
    let mut is_over = false;
    if let Some(calls) = &mut shared.ground.borrow_mut().calls {
        match event {
            LegEvent::Established { .. } if !calls.hold => leg.bye(Instant::now(), None),
            event => {
                if let Some(is_well) = end_of_call(event) {
                    calls.end(is_well);
                    is_over = true;
                }
            }
        }
    }
    if is_over {
        call(shared);
    }
}
