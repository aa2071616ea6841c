//! How many threads a matrix product may use: one, where each lane is a thread of its own.
//!
//! candle asks `gemm` for as many threads as `RAYON_NUM_THREADS` or the processor has. With several lanes they would
//! take each other's cores, and the small products of these networks lose more by waiting for one another than they
//! win.

/// Lets each matrix product of this process run on the thread that asks for it, whatever the environment says.
///
/// For the whole process: called once by whoever starts the lanes, before the first forward.
pub fn one_thread_per_product() {
    // The threshold is the least work that is shared out.
    gemm::set_threading_threshold(usize::MAX);
}
