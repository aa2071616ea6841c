//! Real files read, and broken ones refused: whatever the bytes, an answer and no panic.

use std::path::PathBuf;

use super::*;
use crate::graph::Op;
use crate::weights::{POSE_DETECTION, POSE_LANDMARK_FULL, WeightFile, read_verified};

fn file(weights: &WeightFile) -> Vec<u8> {
    let own = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("weights");
    let dir = std::env::var_os("KINORA_TEST_WEIGHTS").map_or_else(own, PathBuf::from);
    read_verified(&dir, weights)
        .unwrap_or_else(|error| panic!("this test needs the published weights: {error}"))
}

/// Pseudo-random numbers, the same in each run (Knuth's MMIX generator).
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn published_files_are_read_with_their_weights_unpacked() {
    for (weights, convolutions, outputs) in [(POSE_DETECTION, 45 + 28, 2), (POSE_LANDMARK_FULL, 58 + 38, 5)] {
        let graph = read(&file(&weights)).unwrap();
        let convolves = |node: &&Node| matches!(node.op, Op::Conv2d(..) | Op::DepthwiseConv2d(..));
        let found: Vec<&Node> = graph.nodes().iter().filter(convolves).collect();
        assert_eq!((found.len(), graph.outputs().len()), (convolutions, outputs));
        for node in found {
            let content = graph.value(node.inputs[1]).constant.as_ref().unwrap();
            assert!(
                content.iter().all(|weight| weight.is_finite())
                    && content.iter().any(|weight| *weight != 0.0)
            );
        }
    }
}

#[test]
fn pruning_the_segmentation_leaves_out_its_decoder() {
    let graph = read(&file(&POSE_LANDMARK_FULL)).unwrap();
    let outputs: Vec<ValueId> = [0, 1, 3, 4].map(|place| graph.outputs()[place]).to_vec();
    let pruned = graph.prune(&outputs).unwrap().fold_padding().unwrap();
    let large =
        |node: &Node| matches!(pruned.value(node.output).shape[..], [_, height, _, _] if height > 128);
    assert!(!pruned.nodes().iter().any(large), "only the segmentation works at 256 x 256");
    assert!(!pruned.nodes().iter().any(|node| matches!(node.op, Op::Pad(_))));
}

#[test]
fn truncated_file_is_an_error() {
    for weights in [POSE_DETECTION, POSE_LANDMARK_FULL] {
        let whole = file(&weights);
        let mut state = 1;
        let lengths = (0..64).chain((0..60).map(|_| random(&mut state) % whole.len()));
        for length in lengths {
            // The tables lie at one end of the file: what is cut off may be padding, but never all of it.
            if let Ok(graph) = read(&whole[..length]) {
                assert!(length + 64 > whole.len() && !graph.nodes().is_empty());
            }
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    for weights in [POSE_DETECTION, POSE_LANDMARK_FULL] {
        let whole = file(&weights);
        let mut state = 7;
        let mut refused = 0;
        for round in 0..120 {
            let mut broken = whole.clone();
            for _ in 0..1 << (round % 8) {
                // Both ends of the file, where tables, offsets and options are, as often as the weights between.
                let near = random(&mut state) % (whole.len() / 20);
                let place =
                    [near, whole.len() - 1 - near, random(&mut state) % whole.len()][random(&mut state) % 3];
                broken[place] ^= 1 << (random(&mut state) % 8);
            }
            refused += usize::from(read(&broken).is_err());
        }
        assert!(refused > 12, "only {refused} of 120 broken files were refused: are the tables hit at all?");
    }
}

#[test]
fn other_files_are_refused() {
    for other in [&b""[..], b"TFL3", b"\x08\0\0\0TFL3", &[0xff; 64], b"PK\x03\x04 a wheel", &[b'T'; 4096]] {
        assert!(read(other).is_err());
    }
}
