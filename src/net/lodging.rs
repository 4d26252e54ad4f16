//! Where a conversation lives: in the runtime of those who give it orders.
//!
//! Each thread of the HTTP server has a runtime of its own, beside that of the core, in which
//! conversations begin. An order from another thread wakes that of the conversation, its answer
//! wakes the first one again, and what the peer says wakes one more. So a conversation moves to
//! where its orders come from and takes its MSRP connection along: then a message crosses no thread
//! at all.
//!
//! Such a thread may come down before the server does. What lives there goes back to the core.

use tokio::runtime::{Handle, Id};

use super::driver::{Driver, StartReply};

/// How many orders in succession come from another runtime before a conversation moves there. Who
/// sends over two connections does not make it move to and fro.
const CONSTANT: u8 = 8;

/// Where a conversation lives.
pub(super) struct Lodging {
    /// Where it has begun, and can live as long as the server does.
    core: Handle,
    /// Where it lives.
    home: Id,
    /// From which other runtime the last orders have come, and how many.
    orders: Option<(Handle, u8)>,
}

impl Lodging {
    /// Begins in the runtime that we are in.
    pub(super) fn here() -> Self {
        let core = Handle::current();
        Self { home: core.id(), core, orders: None }
    }

    /// Gives the runtime that lasts as long as the server does.
    pub(super) fn core(&self) -> &Handle {
        &self.core
    }

    /// Tells whether it lives where it has begun.
    pub(super) fn is_at_core(&self) -> bool {
        self.home == self.core.id()
    }

    /// Notes where an order has come from.
    pub(super) fn note_order(&mut self, from: &Handle) {
        if from.id() == self.home {
            self.orders = None;
            return;
        }
        match &mut self.orders {
            Some((there, count)) if there.id() == from.id() => *count = count.saturating_add(1),
            orders => *orders = Some((from.clone(), 1)),
        }
    }

    /// Gives where it would live better, if anywhere.
    pub(super) fn better(&self) -> Option<Handle> {
        self.orders.as_ref().filter(|(_, count)| *count >= CONSTANT).map(|(there, _)| there.clone())
    }

    /// Notes a move.
    pub(super) fn settle(&mut self, there: &Handle) {
        (self.home, self.orders) = (there.id(), None);
    }
}

/// A conversation at work, in whatever runtime.
pub(super) struct Tenant(Option<Box<Driver>>);

impl Tenant {
    pub(super) fn new(driver: Box<Driver>) -> Self {
        Self(Some(driver))
    }

    /// Runs a new conversation; `started` is told once its first outputs are out.
    pub(super) async fn run(mut self, started: Option<StartReply>) {
        if let Some(driver) = &mut self.0 {
            driver.begin(started);
        }
        self.go_on().await;
    }

    /// Runs a conversation to its end, or until it moves.
    pub(super) async fn go_on(mut self) {
        let Some(driver) = &mut self.0 else { return };
        let there = driver.live().await;
        if let (Some(driver), Some(there)) = (self.0.take(), there) {
            driver.move_to(&there);
        }
    }
}

impl Drop for Tenant {
    /// Goes back to the core where the runtime comes down around a conversation that waits. One that
    /// has failed in the middle of something is lost.
    fn drop(&mut self) {
        let Some(driver) = self.0.take() else { return };
        if driver.is_waiting() && !driver.lodging().is_at_core() {
            let core = driver.lodging().core().clone();
            driver.move_to(&core);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn only_who_orders_constantly_is_followed() {
        let runtimes = [(); 3].map(|()| Builder::new_current_thread().build().unwrap());
        let [core, one, other] = runtimes.each_ref().map(|runtime| runtime.handle());
        let mut lodging = {
            let _core = core.enter();
            Lodging::here()
        };
        let mut follows = |from: &[(&Handle, u8)]| {
            for (from, count) in from {
                (0..*count).for_each(|_| lodging.note_order(from));
            }
            let better = lodging.better();
            better.iter().for_each(|there| lodging.settle(there));
            (better.map(|there| there.id()), lodging.is_at_core())
        };
        assert_eq!(follows(&[(core, 20)]), (None, true));
        assert_eq!(follows(&[(one, CONSTANT - 1), (core, 1), (one, 1)]), (None, true));
        assert_eq!(follows(&[(other, 1), (one, CONSTANT - 1), (other, 1)]), (None, true));
        assert_eq!(follows(&[(one, CONSTANT)]), (Some(one.id()), false));
        assert_eq!(follows(&[(other, CONSTANT - 1), (one, 1), (other, 1)]), (None, false));
        assert_eq!(follows(&[(core, CONSTANT)]), (Some(core.id()), true));
    }
}
