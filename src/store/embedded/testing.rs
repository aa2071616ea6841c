//! What tests need to do to a cluster that nobody else may.

use super::*;

/// A running cluster that nobody watches or stops.
pub(in crate::store) struct Unowned {
    /// Folder of its socket.
    pub(in crate::store) socket: PathBuf,
    /// Process id of its postmaster.
    pub(in crate::store) pid: u32,
}

/// Starts a cluster and leaves it alone.
pub(in crate::store) fn start_unowned(settings: EmbeddedSettings) -> Result<Unowned, StoreError> {
    let (socket, cluster) = start_or_join(settings)?;
    let cluster = cluster.expect("a new folder should have no other owner");
    let pid = cluster.status().pid.expect("a cluster that came up should have a process");
    cluster.abandon();
    Ok(Unowned { socket, pid })
}
