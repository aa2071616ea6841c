//! The planes of each layout, and the triple of numbers that they give at a position.

use super::error::SampleError;
use super::image::{Image, Layout};
use super::lanes::{Floats, Ints};
use super::planes::{FloatsOf, Samples};

/// Planes that have been checked against their layout.
#[derive(Debug, Clone, Copy)]
pub(super) enum Planes<'a> {
    Rgb24(Rgb24<'a>),
    Gray8(Gray8<'a>),
    Planar8(Planar<'a, 1>),
    Planar16(Planar<'a, 2>),
    SemiPlanar8(SemiPlanar<'a, 1, 2>),
    SemiPlanar16(SemiPlanar<'a, 2, 4>),
}

/// Red, green and blue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rgb24<'a>(Samples<'a, 3>);

/// Luma only.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gray8<'a>(Samples<'a, 1>);

/// Luma and two planes of chroma, `BYTES` a sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planar<'a, const BYTES: usize>([Samples<'a, BYTES>; 3]);

/// Luma of `BYTES` a sample and interleaved chroma of `PAIR`, which is twice that.
#[derive(Debug, Clone, Copy)]
pub(super) struct SemiPlanar<'a, const BYTES: usize, const PAIR: usize>(
    Samples<'a, BYTES>,
    Samples<'a, PAIR>,
);

impl<'a> Planes<'a> {
    /// Checks size, layout and planes.
    pub(super) fn new(image: &Image<'a>) -> Result<Self, SampleError> {
        image.checked_size()?;
        match image.layout {
            Layout::Rgb24 => Ok(Self::Rgb24(Rgb24(Samples::new(image, 0, (0, 0))?))),
            Layout::Gray8 => Ok(Self::Gray8(Gray8(Samples::new(image, 0, (0, 0))?))),
            Layout::Planar { sub_x, sub_y, bits } => {
                check(sub_x, sub_y, bits)?;
                let sub = (sub_x, sub_y);
                if bits > 8 {
                    Ok(Self::Planar16(planar(image, sub)?))
                } else {
                    Ok(Self::Planar8(planar(image, sub)?))
                }
            }
            Layout::SemiPlanar { sub_x, sub_y, bits } => {
                check(sub_x, sub_y, bits)?;
                let sub = (sub_x, sub_y);
                if bits > 8 {
                    Ok(Self::SemiPlanar16(semi_planar(image, sub)?))
                } else {
                    Ok(Self::SemiPlanar8(semi_planar(image, sub)?))
                }
            }
        }
    }

    /// See [`Samples::look_ahead`].
    pub(super) fn look_ahead(&mut self, step: [f64; 2]) {
        match self {
            Self::Rgb24(planes) => planes.0.look_ahead(step),
            Self::Gray8(planes) => planes.0.look_ahead(step),
            Self::Planar8(planes) => planes.0.iter_mut().for_each(|plane| plane.look_ahead(step)),
            Self::Planar16(planes) => planes.0.iter_mut().for_each(|plane| plane.look_ahead(step)),
            Self::SemiPlanar8(planes) => {
                planes.0.look_ahead(step);
                planes.1.look_ahead(step);
            }
            Self::SemiPlanar16(planes) => {
                planes.0.look_ahead(step);
                planes.1.look_ahead(step);
            }
        }
    }

    /// Bytes of the shortest plane.
    pub(super) fn shortest(&self) -> usize {
        match self {
            Self::Rgb24(planes) => planes.0.length(),
            Self::Gray8(planes) => planes.0.length(),
            Self::Planar8(planes) => planes.shortest(),
            Self::Planar16(planes) => planes.shortest(),
            Self::SemiPlanar8(planes) => planes.0.length().min(planes.1.length()),
            Self::SemiPlanar16(planes) => planes.0.length().min(planes.1.length()),
        }
    }
}

/// Refuses a layout whose numbers are not supported.
fn check(sub_x: u8, sub_y: u8, bits: u8) -> Result<(), SampleError> {
    let supported = sub_x <= 2 && sub_y <= 2 && (8..=16).contains(&bits);
    if supported { Ok(()) } else { Err(SampleError::Layout { bits, sub_x, sub_y }) }
}

fn planar<'a, const BYTES: usize>(
    image: &Image<'a>,
    sub: (u8, u8),
) -> Result<Planar<'a, BYTES>, SampleError> {
    Ok(Planar([Samples::new(image, 0, (0, 0))?, Samples::new(image, 1, sub)?, Samples::new(image, 2, sub)?]))
}

fn semi_planar<'a, const BYTES: usize, const PAIR: usize>(
    image: &Image<'a>,
    sub: (u8, u8),
) -> Result<SemiPlanar<'a, BYTES, PAIR>, SampleError> {
    Ok(SemiPlanar(Samples::new(image, 0, (0, 0))?, Samples::new(image, 1, sub)?))
}

impl<const BYTES: usize> Planar<'_, BYTES> {
    fn shortest(&self) -> usize {
        let [y, u, v] = self.0.map(|plane| plane.length());
        y.min(u).min(v)
    }
}

/// What a picture's planes give at a position.
pub(super) trait Source: Copy {
    /// Y, U, V in sample values, or R, G, B.
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3];
}

impl Source for Rgb24<'_> {
    #[inline(always)]
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3] {
        self.0.three_bytes(&self.0.place(position))
    }
}

impl Source for Gray8<'_> {
    #[inline(always)]
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3] {
        // Of 8 bit; 128 is no colour.
        let none = FloatsOf::<I>::splat(128.0);
        [self.0.byte(&self.0.place(position)), none, none]
    }
}

impl Source for Planar<'_, 1> {
    #[inline(always)]
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3] {
        let [y, u, v] = &self.0;
        let chroma = u.place(position);
        [y.byte(&y.place(position)), u.byte(&chroma), v.byte(&chroma)]
    }
}

impl Source for Planar<'_, 2> {
    #[inline(always)]
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3] {
        let [y, u, v] = &self.0;
        let chroma = u.place(position);
        [y.word(&y.place(position)), u.word(&chroma), v.word(&chroma)]
    }
}

impl Source for SemiPlanar<'_, 1, 2> {
    #[inline(always)]
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3] {
        let [u, v] = self.1.two_bytes(&self.1.place(position));
        [self.0.byte(&self.0.place(position)), u, v]
    }
}

impl Source for SemiPlanar<'_, 2, 4> {
    #[inline(always)]
    fn triple<I: Ints>(&self, position: [I; 2]) -> [FloatsOf<I>; 3] {
        let [u, v] = self.1.two_words(&self.1.place(position));
        [self.0.word(&self.0.place(position)), u, v]
    }
}
