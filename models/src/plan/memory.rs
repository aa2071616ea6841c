//! Places for buffers in one arena: two that are needed at the same time never overlap.

/// Floats of a cache line; buffers begin on one.
const LINE: usize = 16;

/// A piece of memory that is needed for some steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// Floats.
    pub(super) len: usize,
    /// First and last step that touch it.
    pub(super) first: usize,
    pub(super) last: usize,
}

/// An offset for each buffer, and the length of the arena. The longest ones are placed first, each at the lowest
/// offset that is free for as long as it lives.
pub(super) fn place(buffers: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..buffers.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(buffers[*index].len), *index));
    let mut offsets = vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::new();
    for index in order {
        let buffer = &buffers[index];
        let meets =
            |other: &&usize| buffers[**other].first <= buffer.last && buffer.first <= buffers[**other].last;
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(meets)
            .map(|other| (offsets[*other], end(offsets[*other], &buffers[*other])))
            .collect();
        taken.sort_unstable();
        let offset =
            taken.into_iter().fold(
                0,
                |offset: usize, (from, to)| {
                    if offset + buffer.len <= from { offset } else { offset.max(to) }
                },
            );
        offsets[index] = offset;
        placed.push(index);
    }
    let len = buffers.iter().zip(&offsets).map(|(buffer, offset)| end(*offset, buffer)).max();
    (offsets, len.unwrap_or(0))
}

fn end(offset: usize, buffer: &Lifetime) -> usize {
    (offset + buffer.len).next_multiple_of(LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_together_do_not_overlap_and_others_share_memory() {
        let buffer = |len, first, last| Lifetime { len, first, last };
        let buffers = [
            buffer(100, 0, 1),
            buffer(40, 1, 2),
            buffer(100, 2, 3),
            buffer(7, 0, 3),
            buffer(33, 3, 4),
            buffer(1, 4, 4),
        ];
        let (offsets, len) = place(&buffers);
        for (a, first) in buffers.iter().enumerate() {
            assert_eq!(offsets[a] % LINE, 0);
            assert!(offsets[a] + first.len <= len);
            for (b, second) in buffers.iter().enumerate().skip(a + 1) {
                let together = first.first <= second.last && second.first <= first.last;
                let apart = offsets[a] + first.len <= offsets[b] || offsets[b] + second.len <= offsets[a];
                assert!(apart || !together, "buffers {a} and {b}");
            }
        }
        assert!(len < buffers.iter().map(|buffer| buffer.len).sum());
    }
}
