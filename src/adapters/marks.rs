//! The mark reader port on the dancer's strip.

use kinora_actors::domain::{Picture, PixelLayout, Rotation};
use kinora_actors::ports::MarkReader;

use crate::dancer::strip;

/// Reads the frame number that the test dancer carries along its top edge.
pub(crate) struct StripReader;

impl MarkReader for StripReader {
    fn read(&mut self, picture: &dyn Picture) -> Option<u32> {
        let eight_bit_luma = matches!(
            picture.layout(),
            PixelLayout::Planar { bits: 8, .. }
                | PixelLayout::SemiPlanar { bits: 8, .. }
                | PixelLayout::Gray8
        );
        if !eight_bit_luma || picture.rotation() != Rotation::Deg0 {
            return None;
        }
        let size = picture.stored_size();
        let luma = picture.plane(0)?;
        strip::read(size.width as usize, size.height as usize, luma.data, luma.stride)
    }
}
