//! How many connections there are, in all and of each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntGauge;
use tokio::sync::watch;

use super::WsSettings;
use crate::http::ports::UserId;

/// The places that connections take.
pub(in crate::http) struct Seats {
    max_per_user: usize,
    max_total: usize,
    taken: Mutex<HashMap<UserId, usize>>,
    total: watch::Sender<usize>,
    gauge: IntGauge,
}

/// A connection's place, free again when it is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    user: UserId,
}

impl Seats {
    /// All free.
    pub(in crate::http) fn new(settings: &WsSettings, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            max_per_user: settings.max_per_user,
            max_total: settings.max_total,
            taken: Mutex::default(),
            total: watch::Sender::new(0),
            gauge,
        })
    }

    /// A place, unless the user or all together have too many.
    pub(super) fn take(self: &Arc<Self>, user: UserId) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = taken.get(&user).copied().unwrap_or(0);
        if of_user >= self.max_per_user || *self.total.borrow() >= self.max_total {
            return None;
        }
        taken.insert(user, of_user + 1);
        self.count(1);
        Some(Seat { seats: Arc::clone(self), user })
    }

    /// Waits until nobody is left.
    pub(in crate::http) async fn all_left(&self) {
        // The sender is `self`'s: it is there as long as this waits.
        let _ = self.total.subscribe().wait_for(|total| *total == 0).await;
    }

    fn count(&self, change: isize) {
        self.total.send_modify(|total| *total = total.saturating_add_signed(change));
        self.gauge.set(i64::try_from(*self.total.borrow()).unwrap_or(i64::MAX));
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let left = taken.get(&self.user).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            taken.remove(&self.user);
        } else {
            taken.insert(self.user, left);
        }
        self.seats.count(-1);
    }
}
