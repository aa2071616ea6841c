//! [`Strikes`]: when a GPU's decoder that only fails is to be given up.
//!
//! A GPU that fell ill answers each packet with an error until the process ends, and its decoder can be replaced. A damaged
//! stream gives errors as well, which no other decoder would spare. Both are told apart by FFmpeg's code where it has one of
//! its own, and else by key frames: with one of them decoding begins anew, whatever was damaged before.

/// Errors without a frame between them that are borne: one and a half seconds at 30 frames a second.
const MOST: u32 = 48;

/// The errors of a decoder since its last frame.
#[derive(Debug, Default)]
pub(crate) struct Strikes {
    errors: u32,
    /// It was given a key frame meanwhile.
    has_key: bool,
}

impl Strikes {
    /// It is given a packet.
    pub(crate) fn offered(&mut self, is_key: bool) {
        self.has_key |= is_key;
    }

    /// It gave a frame.
    pub(crate) fn frame(&mut self) {
        *self = Self::default();
    }

    /// It answered with an error, which may be the stream's own fault. Whether it is to be given up; if that cannot be done,
    /// the count begins anew.
    pub(crate) fn error(&mut self, may_be_of_stream: bool) -> bool {
        self.errors += u32::from(self.has_key || !may_be_of_stream);
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

    /// How many of `count` errors are borne.
    fn borne(strikes: &mut Strikes, count: u32, may_be_of_stream: bool) -> u32 {
        (0..count).take_while(|_| !strikes.error(may_be_of_stream)).count() as u32
    }

    #[test]
    fn a_decoder_that_only_fails_is_given_up_and_one_that_gives_a_frame_is_not() {
        let mut strikes = Strikes::default();
        for _ in 0..3 {
            assert_eq!(borne(&mut strikes, MOST - 1, false), MOST - 1);
            strikes.frame();
        }
        assert_eq!(borne(&mut strikes, 1_000, false), MOST - 1);
        assert_eq!(borne(&mut strikes, 1_000, false), MOST - 1, "the count begins anew");
    }

    #[test]
    fn a_stream_that_may_be_damaged_itself_is_judged_from_a_key_frame_on() {
        let mut strikes = Strikes::default();
        strikes.offered(false);
        assert_eq!(borne(&mut strikes, 1_000, true), 1_000, "nothing could be decoded yet");
        strikes.offered(true);
        strikes.offered(false);
        assert_eq!(borne(&mut strikes, 1_000, true), MOST - 1);
        strikes.offered(true);
        strikes.frame();
        assert_eq!(borne(&mut strikes, 1_000, true), 1_000, "damage behind a frame lasts until a key frame");
    }
}
