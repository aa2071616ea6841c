//! What the process has on its heap: the C library's own counters, which Rust's allocations and FFmpeg's share.

/// Bytes on the heap of the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapUse {
    /// Handed out and not given back: what grows when something leaks.
    pub live: u64,
    /// Taken from the system: `live`, and what the allocator keeps for later.
    pub held: u64,
}

/// What is on the heap now; `None` where the C library is not glibc, which alone counts.
///
/// Every arena is locked for a moment and its list of free pieces is walked: meant for a look every few seconds.
#[must_use]
pub fn heap_use() -> Option<HeapUse> {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it has no precondition, takes the locks that it needs, and returns numbers.
        let counted = unsafe { libc::mallinfo2() };
        let mapped = counted.hblkhd;
        let bytes = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        Some(HeapUse { live: bytes(counted.uordblks + mapped), held: bytes(counted.arena + mapped) })
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    None
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Far more than other tests of this program take meanwhile.
    const MUCH: usize = 1 << 30;

    #[test]
    fn what_is_handed_out_is_live_until_it_is_given_back() {
        let live = || heap_use().unwrap().live;
        let before = live();
        let taken = vec![0_u8; MUCH];
        assert!(live() - before > MUCH as u64 / 2, "{before} {}", live());
        drop(taken);
        assert!(live() < before + MUCH as u64 / 2, "{before} {}", live());
        let HeapUse { live, held } = heap_use().unwrap();
        assert!(live <= held);
    }
}
