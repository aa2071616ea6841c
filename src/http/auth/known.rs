//! Who callers are, kept for a second, so that a busy caller does not ask the database for each request.
//!
//! When the database is away, the last answer goes on: its absence takes no right from anyone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::ports::{Known, Who};

/// A change is felt after this time. Connections look every two seconds, so they end within three.
const FRESH: Duration = Duration::from_secs(1);
/// Callers that are remembered; when there are more, those of long ago are forgotten.
const MOST: usize = 4_096;
/// Nobody is remembered for longer: an access token lives for a day at most.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The callers of late.
#[derive(Default)]
pub(in crate::http) struct KnownCache(Mutex<HashMap<Who, (Instant, Known)>>);

impl KnownCache {
    /// What was answered within the last second.
    pub(in crate::http) fn fresh(&self, who: &Who) -> Option<Known> {
        self.within(who, FRESH)
    }

    /// What was answered last.
    pub(in crate::http) fn last(&self, who: &Who) -> Option<Known> {
        self.within(who, LONGEST)
    }

    /// Remembers an answer; one that nobody is known forgets them.
    pub(in crate::http) fn learn(&self, who: &Who, known: Option<&Known>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            None => drop(all.remove(who)),
            Some(known) => {
                if all.len() >= MOST {
                    forget_half(&mut all);
                }
                all.insert(who.clone(), (Instant::now(), known.clone()));
            }
        }
    }

    /// Forgets a caller whose right has just changed.
    pub(in crate::http) fn forget(&self, who: &Who) {
        self.learn(who, None);
    }

    /// Forgets everybody.
    #[cfg(test)]
    pub(in crate::http) fn forget_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn within(&self, who: &Who, age: Duration) -> Option<Known> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(who).filter(|(at, _)| at.elapsed() < age).map(|(_, known)| known.clone())
    }
}

/// Keeps the younger half.
fn forget_half(all: &mut HashMap<Who, (Instant, Known)>) {
    let mut ages: Vec<Instant> = all.values().map(|(at, _)| *at).collect();
    ages.sort_unstable();
    if let Some(median) = ages.get(ages.len() / 2).copied() {
        all.retain(|_, (at, _)| *at > median);
    }
}
