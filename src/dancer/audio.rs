//! The music of the dance: drums, bass and chords at 120 beats a minute, in step with the choreography.
//!
//! Every sample is a function of its index alone, so that any stretch can be made by itself and equals the same stretch
//! of a longer one. Stereo, interleaved, -1 to 1, [`SAMPLE_RATE`] frames a second.

use super::choreography::PERIOD_S;
use super::math::{hash, sin};

/// Sample frames (a left and a right sample) in a second.
pub(crate) const SAMPLE_RATE: u32 = 48_000;
/// Samples of each of the two channels come in turn.
pub(crate) const CHANNELS: usize = 2;

const BEAT: u64 = SAMPLE_RATE as u64 / 2;
const LOOP: u64 = SAMPLE_RATE as u64 * PERIOD_S;
const TURN: f32 = std::f32::consts::TAU;

/// One chord a bar, as frequencies in hertz: A minor, F, C, G. The first is the bass, an octave below.
const CHORDS: [[f32; 4]; 4] = [
    [55.0, 220.0, 261.63, 329.63],
    [43.65, 174.61, 220.0, 261.63],
    [65.41, 196.0, 261.63, 329.63],
    [49.0, 196.0, 246.94, 293.66],
];

/// The music from sample frame `start` on: `count` frames, two samples each.
pub(crate) fn samples(start: u64, count: usize) -> Vec<f32> {
    (0..count as u64).flat_map(|i| frame(start.wrapping_add(i))).collect()
}

/// The left and the right sample of one sample frame.
fn frame(index: u64) -> [f32; CHANNELS] {
    let at = index % LOOP;
    let (beat, since_beat) = (at / BEAT, (at % BEAT) as f32 / SAMPLE_RATE as f32);
    let since_half = (at % (BEAT / 2)) as f32 / SAMPLE_RATE as f32;
    let off_beat = at % BEAT >= BEAT / 2;
    let chord = &CHORDS[(beat / 4) as usize % CHORDS.len()];
    let noise = hash(at as u32, 0xB0A7) as f32 / (u32::MAX as f32 * 0.5) - 1.0;
    let since_bar = (at % (4 * BEAT)) as f32 / SAMPLE_RATE as f32;
    let clap = if beat % 2 == 1 { 0.22 * noise * decay(since_beat, 0.07) } else { 0.0 };
    let hat = if off_beat { 0.10 * noise * decay(since_half, 0.025) } else { 0.0 };
    let middle = kick(since_beat) + clap + 0.22 * bass(chord[0], since_half);
    let (left, right) = pad(chord, since_bar, since_beat);
    [middle + 0.6 * hat + left, middle + hat + right].map(|v| v.clamp(-1.0, 1.0))
}

/// One at zero, half after each `half_life` seconds or so; a rational curve, for powers differ between machines.
fn decay(seconds: f32, half_life: f32) -> f32 {
    let x = 1.0 / (1.0 + 0.42 * seconds / half_life);
    x * x
}

/// Rises from zero within a few milliseconds, so that no note begins with a click.
fn attack(seconds: f32, length: f32) -> f32 {
    (seconds / length).min(1.0)
}

/// A drum whose pitch falls from 150 to 50 Hz.
fn kick(t: f32) -> f32 {
    let turns = 50.0 * t + 5.0 * (1.0 - decay(t, 0.03));
    0.5 * sin(turns * TURN) * decay(t, 0.06) * attack(t, 0.002) * (1.0 - t * 2.0).max(0.0)
}

/// A plucked bass note.
fn bass(frequency: f32, t: f32) -> f32 {
    let tone = sin(t * frequency * TURN)
        + 0.4 * sin(t * frequency * 2.0 * TURN)
        + 0.2 * sin(t * frequency * 3.0 * TURN);
    tone * decay(t, 0.12) * attack(t, 0.004) * attack(0.25 - t, 0.01)
}

/// A soft chord that breathes with the beat; its voices lie a little apart between the channels.
fn pad(chord: &[f32; 4], since_bar: f32, since_beat: f32) -> (f32, f32) {
    let swell =
        attack(since_bar, 0.05) * attack(2.0 - since_bar, 0.05) * (0.45 + 0.55 * attack(since_beat, 0.3));
    let voice =
        |frequency: f32| sin(since_bar * frequency * TURN) + 0.3 * sin(since_bar * frequency * 2.0 * TURN);
    let [low, middle, high] = [chord[1], chord[2], chord[3]].map(voice);
    let level = 0.055 * swell;
    (level * (1.2 * low + middle + 0.7 * high), level * (0.8 * low + middle + 1.3 * high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn energy(from_s: f64, length_s: f64) -> f32 {
        let rate = f64::from(SAMPLE_RATE);
        let part = samples((from_s * rate) as u64, (length_s * rate) as usize);
        part.iter().map(|v| v * v).sum::<f32>() / part.len() as f32
    }

    #[test]
    fn pieces_equal_the_whole() {
        let whole = samples(1000, 5000);
        let pieces = [samples(1000, 1234), samples(2234, 3766)].concat();
        assert_eq!(whole, pieces);
        assert_eq!(whole.len(), 5000 * CHANNELS);
    }

    #[test]
    fn music_repeats_with_the_dance() {
        assert_eq!(samples(17, 2000), samples(17 + LOOP, 2000));
        assert_ne!(samples(17, 2000), samples(17 + LOOP / 2, 2000));
    }

    #[test]
    fn each_beat_is_louder_than_what_comes_before_it() {
        for beat in 1..16 {
            let t = f64::from(beat) * 0.5;
            assert!(energy(t, 0.05) > 2.0 * energy(t - 0.06, 0.05), "beat {beat}");
        }
    }

    #[test]
    fn level_is_audible_without_clipping() {
        let all = samples(0, LOOP as usize);
        let peak = all.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!((0.3..0.999).contains(&peak), "peak {peak}");
    }
}
