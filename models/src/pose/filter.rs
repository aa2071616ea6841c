//! The two filters of one number over time: low pass and one euro.
//!
//! The one-euro filter is G. Casiez, N. Roussel and D. Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for
//! Noisy Input in Interactive Systems", CHI 2012: a low pass whose cut-off grows with the speed of its input, so that
//! what rests does not tremble and what moves does not lag. Details, single precision included, are those of MediaPipe's
//! `LowPassFilter` and `OneEuroFilter`. Neither expects numbers that are not finite; the caller keeps them away.

use std::f64::consts::TAU;

/// Frequency in hertz until two frames have shown their distance (the default of the reference's options).
const FIRST_FREQUENCY: f64 = 30.0;
const MICROSECONDS: f64 = 1e6;

/// Exponential smoothing: each output is `alpha` x input + (1 - `alpha`) x previous output; the first is the input.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LowPass {
    /// The last input and the last output.
    last: Option<(f32, f32)>,
}

impl LowPass {
    /// Filters `value` with `alpha` from 0 (keep the past) to 1 (no filter).
    pub fn apply(&mut self, value: f32, alpha: f32) -> f32 {
        let output = match self.last {
            Some((_, before)) => {
                (f64::from(alpha * value) + (1.0 - f64::from(alpha)) * f64::from(before)) as f32
            }
            None => value,
        };
        self.last = Some((value, output));
        output
    }

    fn last_input(&self) -> Option<f32> {
        self.last.map(|(input, _)| input)
    }
}

/// What a one-euro filter is tuned by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneEuroConfig {
    /// Cut-off frequency at rest, in hertz; above 0.
    pub min_cutoff: f64,
    /// Growth of the cut-off with speed, in hertz for each unit a second (after scaling).
    pub beta: f64,
    /// Cut-off frequency of the speed's own low pass, in hertz; above 0.
    pub derivative_cutoff: f64,
}

/// A one-euro filter of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OneEuro {
    config: OneEuroConfig,
    frequency: f64,
    last_us: Option<i64>,
    value: LowPass,
    speed: LowPass,
}

impl OneEuro {
    /// A filter without a past.
    pub fn new(config: OneEuroConfig) -> Self {
        Self {
            config,
            frequency: FIRST_FREQUENCY,
            last_us: None,
            value: LowPass::default(),
            speed: LowPass::default(),
        }
    }

    /// Filters `value` seen at media time `time_us`; `scale` multiplies the speed (the inverse of the object's size makes
    /// it independent of how near the object is).
    ///
    /// At a time that is not later than the last one, the value is returned as it is and not remembered.
    pub fn apply(&mut self, time_us: i64, scale: f64, value: f32) -> f32 {
        if let Some(last_us) = self.last_us {
            if time_us <= last_us {
                return value;
            }
            self.frequency = MICROSECONDS / (time_us as f64 - last_us as f64);
        }
        self.last_us = Some(time_us);
        let speed = match self.value.last_input() {
            Some(before) => (f64::from(value) - f64::from(before)) * scale * self.frequency,
            None => 0.0,
        };
        let speed = self.speed.apply(speed as f32, self.alpha(self.config.derivative_cutoff));
        let cutoff = self.config.min_cutoff + self.config.beta * f64::from(speed).abs();
        self.value.apply(value, self.alpha(cutoff))
    }

    /// The low pass's weight for a cut-off in hertz at the present frequency: 1 / (1 + tau x frequency).
    fn alpha(&self, cutoff: f64) -> f32 {
        (1.0 / (1.0 + self.frequency / (TAU * cutoff))) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: OneEuroConfig = OneEuroConfig { min_cutoff: 1.0, beta: 0.5, derivative_cutoff: 1.0 };

    #[test]
    fn a_low_pass_starts_at_its_first_input() {
        let mut filter = LowPass::default();
        let outputs = [1.0, 0.0, 0.0].map(|value| filter.apply(value, 0.1));
        assert_eq!(outputs[0], 1.0);
        assert!((outputs[1] - 0.9).abs() < 1e-7 && (outputs[2] - 0.81).abs() < 1e-7, "{outputs:?}");
    }

    #[test]
    fn one_euro_follows_the_published_formula() {
        // Worked by hand at 10 Hz: alpha(1 Hz) = 1 / (1 + 10 / tau) = 0.38586954.
        // Second input: speed 2 x 10 = 20, smoothed 7.7173908; cut-off 1 + 0.5 x 7.7173908 = 4.8586954;
        // alpha 0.75325857; output 2 x 0.75325857.
        let mut filter = OneEuro::new(CONFIG);
        assert_eq!(filter.apply(100_000, 1.0, 0.0), 0.0);
        assert!((filter.apply(200_000, 1.0, 2.0) - 1.506_517).abs() < 1e-5);
        // Third, at rest: speed 0 smoothed to 4.7394851; cut-off 3.3697425; alpha 0.67921; 2 a + 1.506517 (1 - a).
        assert!((filter.apply(300_000, 1.0, 2.0) - 1.841_698).abs() < 1e-4);
    }

    #[test]
    fn a_rescaled_speed_changes_the_cut_off_only() {
        let mut near = OneEuro::new(CONFIG);
        let mut far = OneEuro::new(CONFIG);
        for (index, value) in [0.0f32, 3.0, 1.0, 5.0].into_iter().enumerate() {
            let time = index as i64 * 33_333;
            let (a, b) = (near.apply(time, 0.01, value * 100.0), far.apply(time, 1.0, value));
            assert!((a - b * 100.0).abs() < 1e-3, "{a} {b}");
        }
    }

    #[test]
    fn time_that_does_not_go_on_passes_the_value_through() {
        let mut filter = OneEuro::new(CONFIG);
        filter.apply(0, 1.0, 1.0);
        let before = filter;
        assert_eq!(filter.apply(0, 1.0, 9.0), 9.0);
        assert_eq!(filter.apply(-5, 1.0, 9.0), 9.0);
        assert_eq!(filter, before);
    }
}
