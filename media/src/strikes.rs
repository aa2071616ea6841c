//! [`Strikes`]: when a GPU's decoder that only fails is to be given up.
//!
//! A GPU that fell ill answers each packet with an error until the process ends, and its decoder can be replaced. A damaged
//! stream gives errors as well, which no other decoder would spare. Both are told apart by FFmpeg's code where it has one of
//! its own, and else by key frames: with an intact one decoding begins anew, whatever was damaged before.

/// Packets with errors and without a frame between them that are borne: one and a half seconds at 30 frames a second.
const MOST: u32 = 48;

/// The errors of a decoder since its last frame.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    errors: u32,
    /// It was given an intact key frame meanwhile, and no damaged one after it.
    has_key: bool,
    /// The packet that it was given last has counted.
    has_counted: bool,
}

impl Strikes {
    /// It is given a packet.
    pub(crate) fn offered(&mut self, is_key: bool, is_damaged: bool) {
        self.has_counted = false;
        if is_key {
            self.has_key = !is_damaged;
        }
    }

    /// It gave a frame.
    pub(crate) fn frame(&mut self) {
        *self = Self::default();
    }

    /// It answered with an error, which may be the stream's own fault. Whether it is to be given up; if that cannot be done,
    /// the count begins anew.
    pub(crate) fn error(&mut self, may_be_of_stream: bool) -> bool {
        let counts = !self.has_counted && (self.has_key || !may_be_of_stream);
        self.has_counted |= counts;
        self.errors += u32::from(counts);
        let is_enough = self.errors >= MOST;
        if is_enough {
            *self = Self::default();
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` packets are borne that bring an error each, the first of them with this key frame.
    fn borne(strikes: &mut Strikes, count: u32, may_be_of_stream: bool, key: Option<bool>) -> u32 {
        let is_borne = |number: &u32| {
            strikes.offered(*number == 0 && key.is_some(), key == Some(false));
            !strikes.error(may_be_of_stream)
        };
        (0..count).take_while(is_borne).count() as u32
    }

    #[test]
    fn a_decoder_that_only_fails_is_given_up_and_one_that_gives_a_frame_is_not() {
        let mut strikes = Strikes::default();
        for _ in 0..3 {
            assert_eq!(borne(&mut strikes, MOST - 1, false, None), MOST - 1);
            strikes.frame();
        }
        assert_eq!(borne(&mut strikes, 1_000, false, None), MOST - 1);
        assert_eq!(borne(&mut strikes, 1_000, false, None), MOST - 1, "the count begins anew");
    }

    #[test]
    fn a_stream_that_may_be_damaged_itself_is_judged_from_an_intact_key_frame_on() {
        let mut strikes = Strikes::default();
        assert_eq!(borne(&mut strikes, 1_000, true, None), 1_000, "nothing could be decoded yet");
        assert_eq!(borne(&mut strikes, 1_000, true, Some(false)), 1_000, "that key frame was damaged");
        assert_eq!(borne(&mut strikes, 1_000, true, Some(true)), MOST - 1);
        assert_eq!(borne(&mut strikes, MOST / 2, true, Some(true)), MOST / 2);
        strikes.frame();
        assert_eq!(
            borne(&mut strikes, 1_000, true, None),
            1_000,
            "damage behind a frame lasts until a key frame"
        );
    }

    #[test]
    fn a_packet_counts_once_however_many_errors_it_brings() {
        let mut strikes = Strikes::default();
        for _ in 0..MOST - 1 {
            strikes.offered(false, false);
            assert!(!strikes.error(false) && !strikes.error(false));
        }
        strikes.offered(false, false);
        assert!(strikes.error(false));
    }
}
