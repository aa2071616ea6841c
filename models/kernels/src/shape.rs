//! Arithmetic of shapes that panics where it would wrap: unsafe code relies on these numbers.

/// Values of an array with these sizes.
///
/// # Panics
/// If no slice could hold as many: a bug of the caller.
pub(crate) fn product(sizes: &[usize]) -> usize {
    sizes
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(*size))
        .expect("sizes should multiply to the length of a slice")
}

/// A window that steps along one axis of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) padding: usize,
}

impl Steps {
    /// The windows along both axes, of the pairs that the shapes of this crate have.
    pub(crate) fn both(
        [input, output, kernel]: [[usize; 2]; 3],
        [stride, dilation, padding]: [[usize; 2]; 3],
    ) -> [Self; 2] {
        [0, 1].map(|axis| Self {
            input: input[axis],
            output: output[axis],
            kernel: kernel[axis],
            stride: stride[axis],
            dilation: dilation[axis],
            padding: padding[axis],
        })
    }

    /// Sees to it that no position of a tap, with or without the padding, wraps.
    ///
    /// # Panics
    /// If one does, or a stride or dilation is 0: a bug of the caller.
    pub(crate) fn check(&self) {
        assert!(self.stride > 0 && self.dilation > 0, "steps should not be 0");
        let origin = self.output.checked_mul(self.stride);
        let reach = self.kernel.checked_mul(self.dilation);
        let last = origin.zip(reach).and_then(|(origin, reach)| origin.checked_add(reach));
        let padded = self.input.checked_add(self.padding);
        // Half of the range, so that a position above the image is never one inside when the padding is taken off.
        let bounded = |end: Option<usize>| end.is_some_and(|end| end <= usize::MAX / 2);
        assert!(bounded(last) && bounded(padded), "windows should lie where positions can be counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Steps = Steps { input: 8, output: 8, kernel: 3, stride: 1, dilation: 1, padding: 1 };

    #[test]
    fn products_are_exact() {
        assert_eq!(product(&[3, 4, 5]), 60);
        assert_eq!(product(&[0, usize::MAX]), 0);
    }

    #[test]
    #[should_panic(expected = "the length of a slice")]
    fn product_that_wraps_is_refused() {
        product(&[1 << 32, 1 << 32]);
    }

    #[test]
    fn steps_that_wrap_or_stand_still_are_refused() {
        PLAIN.check();
        for bad in [
            Steps { stride: 0, ..PLAIN },
            Steps { dilation: 0, ..PLAIN },
            Steps { padding: usize::MAX, ..PLAIN },
            Steps { padding: usize::MAX / 2, ..PLAIN },
            Steps { stride: usize::MAX / 4, ..PLAIN },
            Steps { dilation: usize::MAX, ..PLAIN },
        ] {
            assert!(std::panic::catch_unwind(|| bad.check()).is_err(), "{bad:?}");
        }
    }
}
