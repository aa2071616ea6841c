//! This server among others on one database: who it is, and under which leases its streams run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kinora_actors::domain::SessionLease;

use super::keeper::LeaseTimes;
use crate::config;

/// What makes a server one of several.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    /// Its identity: that of the process, so that nobody mistakes it for the one that was here before.
    pub(super) owner: Arc<str>,
    /// How long leases last.
    pub(super) times: LeaseTimes,
}

impl Membership {
    /// A fresh member; `None` for the only server of a database.
    pub(super) fn new(cluster: &config::Cluster) -> Option<Self> {
        let owner = uuid::Uuid::now_v7().to_string().into();
        cluster.several.then_some(Self { owner, times: LeaseTimes { length: cluster.lease } })
    }
}

/// The fences of the leases under which streams were started last.
#[derive(Default)]
pub(super) struct Fences(Mutex<HashMap<String, i64>>);

impl Fences {
    /// The stream is started under this fence.
    pub(super) fn set(&self, stream: &str, fence: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stream.to_owned(), fence);
    }

    /// What a session of the stream that begins now is told.
    pub(super) fn lease(&self, member: Option<&Membership>, stream: &str) -> Option<SessionLease> {
        let fence = *self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream)?;
        Some(SessionLease { owner: Arc::clone(&member?.owner), fence })
    }
}
