//! The values of a plan: how each lies in memory, and which are parts of others.

use kinora_kernels::rows::RowLayout;

use super::layers::{Layer, Work};
use crate::error::ModelError;
use crate::graph::{Graph, ValueId, Window};

/// An image as a plan keeps it: rows of pixels, perhaps with zeros beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    /// Pixels of zeros on the left of each row.
    pub(super) left: usize,
    /// Pixels of zeros on the right of each row.
    pub(super) right: usize,
}

impl Image {
    /// A graph's value as an image. Errors: `Format` if it is none, or several.
    pub(super) fn of(graph: &Graph, id: ValueId) -> Result<Self, ModelError> {
        match *graph.value(id).shape {
            [1, height, width, channels] => Ok(Self { height, width, channels, left: 0, right: 0 }),
            ref shape => Err(ModelError::format(format!("a plan works on one image, got {shape:?}"))),
        }
    }

    /// Its rows in memory.
    pub(super) fn layout(&self) -> RowLayout {
        RowLayout { width: self.width, channels: self.channels, left: self.left, right: self.right }
    }

    /// Floats of a row, zeros included.
    pub(super) fn row_len(&self) -> usize {
        self.layout().row_len()
    }
}

/// All values, by index: those of the graph, then those that the plan adds.
#[derive(Debug)]
pub(super) struct Values {
    /// Values that layers work on; the others are only names for parts of memory.
    images: Vec<Option<Image>>,
    lens: Vec<usize>,
    /// The value that one is a part of, and where in it.
    parents: Vec<Option<(usize, usize)>>,
    outputs: Vec<usize>,
}

impl Values {
    pub(super) fn new(graph: &Graph) -> Result<Self, ModelError> {
        let ids = || (0..graph.value_count()).map(ValueId);
        Ok(Self {
            images: ids().map(|id| Image::of(graph, id).ok()).collect(),
            lens: ids().map(|id| graph.value(id).shape.iter().product()).collect(),
            parents: vec![None; graph.value_count()],
            outputs: graph.outputs().iter().map(|id| id.0).collect(),
        })
    }

    /// How many values there are.
    pub(super) fn count(&self) -> usize {
        self.images.len()
    }

    /// Another value like `value`.
    pub(super) fn add_copy_of(&mut self, value: usize) -> usize {
        self.images.push(self.images[value]);
        self.lens.push(self.lens[value]);
        self.parents.push(None);
        self.images.len() - 1
    }

    /// Makes `part` a part of `whole`. Errors: `Format` if it is a part of something else or an output.
    pub(super) fn join(&mut self, part: usize, whole: usize, offset: usize) -> Result<(), ModelError> {
        if self.parents[part].is_some() || self.is_output(part) {
            return Err(ModelError::format("a plan has no value that is a part of two others"));
        }
        self.parents[part] = Some((whole, offset));
        Ok(())
    }

    /// The value in whose memory `value` lies, and where in it.
    pub(super) fn whole(&self, value: usize) -> (usize, usize) {
        let (mut whole, mut offset) = (value, 0);
        while let Some((parent, at)) = self.parents[whole] {
            (whole, offset) = (parent, offset + at);
        }
        (whole, offset)
    }

    /// Outputs of the network, in their order.
    pub(super) fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// Whether the network gives this value.
    pub(super) fn is_output(&self, value: usize) -> bool {
        self.outputs.contains(&value)
    }

    /// Whether a value lies in memory of its own that nobody outside the plan sees.
    pub(super) fn is_private(&self, value: usize) -> bool {
        self.parents[value].is_none() && !self.is_output(value)
    }

    /// Whether a layer can work on a value.
    #[cfg(any(test, feature = "cuda", feature = "cuda-host"))]
    pub(super) fn is_image(&self, value: usize) -> bool {
        self.images[value].is_some()
    }

    /// A value that a layer works on.
    pub(super) fn image(&self, value: usize) -> &Image {
        self.images[value].as_ref().expect("layers should work on images")
    }

    /// Floats of a value in memory.
    pub(super) fn len(&self, value: usize) -> usize {
        self.images[value].map_or(self.lens[value], |image| image.height * image.row_len())
    }

    /// Gives the input of a layer the zeros beside its rows that the layer's window reaches. Errors: `Format` if
    /// it cannot have any, or a layer works on what is no image.
    pub(super) fn make_room(&mut self, layer: &Layer) -> Result<(), ModelError> {
        let known = [Some(layer.input), layer.beside, Some(layer.output)].into_iter().flatten();
        if known.into_iter().any(|value| self.images[value].is_none()) {
            return Err(ModelError::format("a plan works on one image at a time"));
        }
        let (Some(window), false) = (layer.window(), matches!(layer.work, Work::Load)) else { return Ok(()) };
        let [left, right] = beside(&window, self.image(layer.input).width, self.image(layer.output).width);
        if left + right > 0 && !self.is_private(layer.input) {
            return Err(ModelError::format("a plan has no zeros beside a part of another value"));
        }
        if let Some(image) = &mut self.images[layer.input] {
            (image.left, image.right) = (image.left.max(left), image.right.max(right));
        }
        Ok(())
    }
}

/// Columns of zeros that a window reaches on the left and on the right of an image.
fn beside(window: &Window, width: usize, to_width: usize) -> [usize; 2] {
    let reach = (to_width - 1) * window.stride[1] + window.kernel[1];
    [window.padding.left, reach.saturating_sub(window.padding.left + width)]
}
