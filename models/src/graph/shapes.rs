//! The shape that an operation gives: the rules that a graph is held against before anything is built from
//! it.

use super::{Edges, Op, Window};

/// The output's shape, or what is wrong with the inputs. `declared` is what the file says; only `Reshape`
/// uses it.
pub(super) fn output_shape(op: &Op, inputs: &[&[usize]], declared: &[usize]) -> Result<Vec<usize>, String> {
    match (op, inputs) {
        (Op::Conv2d(window, _), [image, weights, bias]) => {
            let [c_out, kh, kw, c_in] = nhwc(weights)?;
            expect([kh, kw] == window.kernel && c_in == nhwc(image)?[3], "weights do not fit the input")?;
            expect(**bias == [c_out], "bias does not fit the weights")?;
            windowed(image, window, c_out)
        }
        (Op::DepthwiseConv2d(window, _), [image, weights, bias]) => {
            let [kh, kw] = window.kernel;
            let channels = nhwc(image)?[3];
            expect(**weights == [1, kh, kw, channels], "one filter a channel is expected")?;
            expect(**bias == [channels], "bias does not fit the weights")?;
            windowed(image, window, channels)
        }
        (Op::MaxPool2d(window), [image]) => {
            expect(window.padding == Edges::default(), "padded pooling is not known")?;
            windowed(image, window, nhwc(image)?[3])
        }
        (Op::Add(_), [left, right]) => {
            expect(left == right, "operands differ in shape")?;
            Ok(left.to_vec())
        }
        (Op::Pad(edges), [image]) => {
            let [n, h, w, c] = nhwc(image)?;
            Ok(vec![n, sum([h, edges.top, edges.bottom])?, sum([w, edges.left, edges.right])?, c])
        }
        (Op::ResizeBilinear([height, width]), [image]) => {
            let [n, _, _, c] = nhwc(image)?;
            Ok(vec![n, *height, *width, c])
        }
        (Op::DepthToSpace(block), [image]) => depth_to_space(nhwc(image)?, *block),
        (Op::Reshape, [input]) => {
            let fits = input.iter().product::<usize>() == declared.iter().product::<usize>();
            expect(fits, "reshaped to another number of elements")?;
            Ok(declared.to_vec())
        }
        (Op::Concat(axis), [first, rest @ ..]) => concat(first, rest, *axis),
        (Op::Logistic, [input]) => Ok(input.to_vec()),
        _ => Err(format!("{} operands are not what it takes", inputs.len())),
    }
}

/// What a window gives that moves over a padded image; at least one output in each direction.
fn windowed(image: &[usize], window: &Window, channels: usize) -> Result<Vec<usize>, String> {
    let [n, height, width, _] = nhwc(image)?;
    let Edges { top, bottom, left, right } = window.padding;
    let mut shape = vec![n, 0, 0, channels];
    for (axis, parts) in [[height, top, bottom], [width, left, right]].into_iter().enumerate() {
        let (taps, step, gap) = (window.kernel[axis], window.stride[axis], window.dilation[axis]);
        expect(taps > 0 && step > 0 && gap > 0, "empty window")?;
        let reach = (taps - 1).checked_mul(gap).and_then(|reach| reach.checked_add(1));
        let room = reach.and_then(|reach| sum(parts).ok()?.checked_sub(reach));
        shape[axis + 1] = room.ok_or("the window is larger than the image")? / step + 1;
    }
    Ok(shape)
}

fn depth_to_space([n, h, w, c]: [usize; 4], block: usize) -> Result<Vec<usize>, String> {
    let area = block.checked_mul(block).filter(|area| *area > 0 && c % area == 0);
    let area = area.ok_or("channels are no multiple of the block")?;
    // No overflow: the area divides c, so no product exceeds the input's number of elements.
    Ok(vec![n, h * block, w * block, c / area])
}

fn concat(first: &[usize], rest: &[&[usize]], axis: usize) -> Result<Vec<usize>, String> {
    expect(axis < first.len(), "no such axis")?;
    let mut shape = first.to_vec();
    for other in rest {
        let fits = |index: usize| index == axis || first[index] == other[index];
        expect(other.len() == first.len() && (0..first.len()).all(fits), "operands differ off the axis")?;
        shape[axis] = sum([shape[axis], other[axis], 0])?;
    }
    Ok(shape)
}

fn nhwc(shape: &[usize]) -> Result<[usize; 4], String> {
    shape.try_into().map_err(|_| format!("rank 4 is expected, got {shape:?}"))
}

fn sum(parts: [usize; 3]) -> Result<usize, String> {
    parts.into_iter().try_fold(0usize, usize::checked_add).ok_or_else(|| "size overflows".into())
}

fn expect(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}
