//! Access units out of every form of packet, whole, careless and broken.

use super::*;

const SPS: &[u8] = &[0x67, 1, 2];
const PPS: &[u8] = &[0x68, 3];
const KEY: &[u8] = &[0x65, 0x88, 5, 6, 7, 8];
const SECOND_SLICE: &[u8] = &[0x65, 0x20, 9];
const DELTA: &[u8] = &[0x41, 0x9a, 1];

struct Bench {
    assembler: Assembler,
    out: Vec<Unit>,
    lost: u32,
    now: Instant,
}

impl Bench {
    fn new(kind: Kind, sets: &[&[u8]]) -> Self {
        let sets: Vec<Vec<u8>> = sets.iter().map(|set| set.to_vec()).collect();
        Self { assembler: Assembler::new(kind, &sets), out: Vec::new(), lost: 0, now: Instant::now() }
    }

    fn h264() -> Self {
        Self::new(Kind::H264, &[SPS, PPS])
    }

    fn push(&mut self, timestamp: u32, data: &[u8], marker: bool) -> &mut Self {
        let lost = std::mem::take(&mut self.lost);
        self.assembler.push(&Payload { data, marker, timestamp, lost, received_at: self.now }, &mut self.out);
        self
    }

    fn lose(&mut self, count: u32) -> &mut Self {
        self.lost = count;
        self
    }

    fn finish(&mut self) -> Vec<Unit> {
        self.assembler.finish(&mut self.out);
        std::mem::take(&mut self.out)
    }
}

/// NAL units in Annex B.
fn annex_b(nals: &[&[u8]]) -> Vec<u8> {
    nals.iter().flat_map(|nal| START_CODE.iter().chain(*nal)).copied().collect()
}

/// A NAL unit of H.264 in FU-A packets of `size` bytes.
fn fragments(nal: &[u8], size: usize) -> Vec<Vec<u8>> {
    let parts: Vec<_> = nal[1..].chunks(size).collect();
    let edge = |index| (u8::from(index == 0) << 7) | (u8::from(index == parts.len() - 1) << 6);
    let packet =
        |(index, part): (usize, &&[u8])| [&[nal[0] & 0xe0 | 28, edge(index) | nal[0] & 0x1f], *part].concat();
    parts.iter().enumerate().map(packet).collect()
}

fn aggregate(header: &[u8], nals: &[&[u8]]) -> Vec<u8> {
    let with_length = |nal: &&[u8]| [&(nal.len() as u16).to_be_bytes(), *nal].concat();
    [header.to_vec(), nals.iter().flat_map(with_length).collect()].concat()
}

#[test]
fn each_form_of_packet_gives_the_same_unit() {
    let expected = annex_b(&[SPS, PPS, KEY]);
    let mut single = Bench::h264();
    single.push(0, SPS, false).push(0, PPS, false).push(0, KEY, true);
    let mut together = Bench::h264();
    together.push(0, &aggregate(&[24], &[SPS, PPS, KEY]), true);
    let mut fragmented = Bench::h264();
    fragmented.push(0, &aggregate(&[24], &[SPS, PPS]), false);
    for (index, packet) in fragments(KEY, 2).iter().enumerate() {
        fragmented.push(0, packet, index == 2);
    }
    for mut bench in [single, together, fragmented] {
        assert_eq!(bench.out.len(), 1, "the marker should end the unit");
        let unit = bench.finish().remove(0);
        assert_eq!(
            (unit.data, unit.is_key, unit.is_corrupt, unit.after_loss),
            (expected.clone(), true, false, false)
        );
    }
}

#[test]
fn a_key_frame_carries_the_parameter_sets_that_it_lacks() {
    let units = Bench::h264().push(0, KEY, true).push(1, DELTA, true).finish();
    assert_eq!(units[0].data, annex_b(&[SPS, PPS, KEY]));
    assert_eq!((&units[1].data, units[1].is_key), (&annex_b(&[DELTA]), false));
}

#[test]
fn parameter_sets_in_the_stream_replace_the_description() {
    let mut bench = Bench::h264();
    let fresh: &[u8] = &[0x67, 9, 9, 9, 9];
    for packet in fragments(fresh, 2) {
        bench.push(0, &packet, false);
    }
    let units = bench.push(0, KEY, true).push(1, KEY, true).finish();
    assert_eq!(units[0].data, annex_b(&[fresh, PPS, fresh, KEY]));
    assert_eq!(units[1].data, annex_b(&[fresh, PPS, KEY]));
}

#[test]
fn without_parameter_sets_decoding_cannot_begin() {
    let mut bench = Bench::new(Kind::H264, &[]);
    let units = bench.push(0, KEY, true).push(1, SPS, false).push(1, PPS, false).push(1, KEY, true).finish();
    assert_eq!(units.iter().map(|unit| unit.is_key).collect::<Vec<_>>(), [false, true]);
    assert!(units[0].after_loss && !units[1].after_loss);
}

#[test]
fn a_unit_ends_without_a_marker_by_time_or_by_its_successor() {
    let mut bench = Bench::h264();
    bench.push(0, KEY, false).push(0, SECOND_SLICE, false).push(1, DELTA, false);
    // The same time again: a first slice can only begin a picture.
    bench.push(1, DELTA, false).push(1, &[9, 0xf0], false).push(1, DELTA, false);
    let units = bench.finish();
    let times: Vec<_> = units.iter().map(|unit| unit.timestamp).collect();
    assert_eq!(times, [0, 1, 1, 1]);
    assert_eq!(units[0].data, annex_b(&[SPS, PPS, KEY, SECOND_SLICE]));
    assert!(units.iter().all(|unit| !unit.is_corrupt));
}

#[test]
fn a_marker_on_every_packet_is_not_believed_for_long() {
    let mut bench = Bench::h264();
    for time in 0..3 {
        bench.push(time, SPS, true).push(time, PPS, true).push(time, KEY, true).push(
            time,
            SECOND_SLICE,
            true,
        );
    }
    let units = bench.finish();
    let whole: Vec<_> =
        units.iter().filter(|unit| !unit.is_corrupt && unit.data.ends_with(SECOND_SLICE)).collect();
    assert_eq!((units.len(), whole.len()), (4, 2), "the first picture is cut, the others are whole");
}

#[test]
fn annex_b_inside_a_packet_is_taken_apart() {
    let units = Bench::new(Kind::H264, &[]).push(0, &annex_b(&[SPS, PPS, KEY]), true).finish();
    assert_eq!((&units[0].data, units[0].is_key), (&annex_b(&[SPS, PPS, KEY]), true));
}

#[test]
fn a_loss_inside_a_unit_marks_it_and_all_up_to_the_next_key_frame() {
    let mut bench = Bench::h264();
    let packets = fragments(&[0x41, 0x20, 1, 2, 3, 4, 5], 2);
    bench.push(0, KEY, true).push(1, DELTA, false).push(1, &packets[0], false).lose(1).push(
        1,
        &packets[2],
        true,
    );
    let units = bench.push(2, DELTA, true).push(3, KEY, true).push(4, DELTA, true).finish();
    let flags: Vec<_> = units.iter().map(|unit| (unit.lost, unit.is_corrupt, unit.after_loss)).collect();
    assert_eq!(
        flags,
        [(0, false, false), (1, true, true), (0, false, true), (0, false, false), (0, false, false)]
    );
    assert_eq!(units[1].data, annex_b(&[DELTA]), "half a NAL unit is not handed on");
}

#[test]
fn a_loss_between_units_is_told_by_the_next_one() {
    let mut bench = Bench::h264();
    let units = bench.push(0, KEY, true).lose(3).push(2, DELTA, true).finish();
    assert_eq!((units[1].lost, units[1].is_corrupt, units[1].after_loss), (3, false, true));
}

#[test]
fn a_unit_without_its_first_slice_is_corrupt() {
    let units = Bench::h264().push(0, KEY, true).lose(1).push(1, SECOND_SLICE, true).finish();
    assert!(units[1].is_corrupt && units[1].after_loss);
}

#[test]
fn a_picture_that_is_lost_whole_gives_no_unit() {
    let packets = fragments(&[0x41, 0x9a, 1, 2, 3, 4, 5], 2);
    let mut bench = Bench::h264();
    let units = bench.push(0, KEY, true).push(1, &packets[0], false).lose(2).push(2, DELTA, true).finish();
    assert_eq!(units.len(), 2);
    assert_eq!((units[1].lost, units[1].after_loss), (2, true));
}

#[test]
fn rubbish_is_survived() {
    let mut bench = Bench::h264();
    for data in [&[][..], &[28], &[28, 0x05, 1], &[24, 0, 9, 1], &[24, 0, 0], &[25, 1], &[31], &[0], &[0x41]]
    {
        bench.push(0, data, false);
    }
    let units = bench.push(1, KEY, true).finish();
    assert!(units.iter().all(|unit| !unit.data.is_empty()));
    assert!(units.last().unwrap().is_key && !units.last().unwrap().after_loss);
}

#[test]
fn a_nal_unit_that_never_ends_does_not_grow_without_bound() {
    let part = vec![7; 60_000];
    let h264 = (Bench::h264(), [28, 0x85], [28, 0x05], KEY.to_vec());
    let h265 = (
        Bench::new(Kind::H265, &[&[64, 1, 1], &[66, 1, 2], &[68, 1, 3]]),
        [49 << 1, 1],
        [49 << 1, 1],
        vec![38, 1, 0x80, 4],
    );
    for (mut bench, first, rest, key) in [h264, h265] {
        let kind = bench.assembler.kind;
        let fragment = |head: [u8; 2], edge: u8| match kind {
            Kind::H264 => [&head[..], &part].concat(),
            Kind::H265 => [&head[..], &[edge | 19], &part].concat(),
        };
        bench.lose(2).push(0, &fragment(first, 0x80), false);
        for _ in 0..2 * MOST_UNIT / part.len() {
            bench.push(0, &fragment(rest, 0), false);
            let held = bench.assembler.unit.as_ref().map_or(0, |unit| unit.data.len());
            assert!(held <= MOST_UNIT, "{kind:?}: {held}");
        }
        let units = bench.push(1, &key, true).finish();
        assert_eq!(units.len(), 1, "{kind:?}: of the endless one nothing is handed on");
        assert_eq!((units[0].is_key, units[0].after_loss, units[0].lost), (true, false, 2), "{kind:?}");
    }
}

#[test]
fn h265_is_joined_in_the_same_way() {
    let (vps, sps, pps): (&[u8], &[u8], &[u8]) = (&[64, 1, 1], &[66, 1, 2], &[68, 1, 3]);
    let key: &[u8] = &[38, 1, 0x80, 4, 5, 6];
    let fragment = |edge: u8, part: &[u8]| [&[49 << 1, 1, edge | 19], part].concat();
    let mut bench = Bench::new(Kind::H265, &[]);
    bench.push(0, &aggregate(&[48 << 1, 1], &[vps, sps, pps]), false);
    bench.push(0, &fragment(0x80, &[0x80, 4]), false).push(0, &fragment(0, &[5]), false).push(
        0,
        &fragment(0x40, &[6]),
        true,
    );
    let units = bench.push(1, &[2, 1, 0x80, 7], true).push(2, key, true).finish();
    assert_eq!((&units[0].data, units[0].is_key), (&annex_b(&[vps, sps, pps, key]), true));
    assert_eq!((&units[1].data, units[1].is_key), (&annex_b(&[&[2, 1, 0x80, 7]]), false));
    assert_eq!(units[2].data, annex_b(&[vps, sps, pps, key]));
}
