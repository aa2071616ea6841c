//! [`Taint`]: which frames are not to be trusted because of damage before them.
//!
//! A decoder says that a picture is damaged, but not that the pictures that refer to it are: they come out as good,
//! with the damage moved about in them. From damage on, every frame is tainted until an intact key frame is shown.
//! Damage is known by the access unit that it is in, since the decoder reads ahead of what it shows.

/// Frames after which a stream without key frames is trusted again: ten seconds at 30 a second. Encoders that renew
/// the picture bit by bit instead have done so by then.
const TAINTED_MAX: u32 = 300;

/// The state of one decoder's output. Units have their numbers in order of decoding, from 1.
#[derive(Debug, Default)]
pub(crate) struct Taint {
    damage: Option<Damage>,
}

#[derive(Debug, Clone, Copy)]
struct Damage {
    first: i64,
    last: i64,
    tainted: u32,
}

impl Taint {
    /// Unit number `unit` is damaged or was refused.
    pub(crate) fn blame(&mut self, unit: i64) {
        let damage = self.damage.get_or_insert(Damage { first: unit, last: unit, tainted: 0 });
        damage.first = damage.first.min(unit);
        damage.last = damage.last.max(unit);
    }

    /// Whether the frame made of `unit`, the next one in order of display, is tainted. `damaged` is what its decoder says.
    pub(crate) fn judge(&mut self, unit: i64, is_key: bool, damaged: bool) -> bool {
        if damaged {
            self.blame(unit);
        }
        let Some(damage) = self.damage.as_mut() else { return false };
        if unit < damage.first {
            return false;
        }
        damage.tainted += 1;
        let renewed = is_key && unit > damage.last;
        let patient = damage.tainted <= TAINTED_MAX || damaged;
        if renewed || !patient {
            self.damage = None;
        }
        !renewed && patient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_taints_what_follows_it_until_an_intact_key_frame() {
        let mut taint = Taint::default();
        assert!(!taint.judge(1, true, false));
        taint.blame(4);
        assert!(!taint.judge(3, false, false), "what was decoded before the damage is good");
        assert!(taint.judge(4, false, false) && taint.judge(5, false, false));
        assert!(taint.judge(6, true, true), "a key frame that is damaged itself ends nothing");
        assert!(taint.judge(7, false, false));
        assert!(!taint.judge(8, true, false) && !taint.judge(9, false, false));
    }

    #[test]
    fn a_key_frame_decoded_before_the_damage_does_not_end_it() {
        let mut taint = Taint::default();
        taint.blame(9);
        assert!(!taint.judge(8, true, false));
        assert!(taint.judge(9, false, false));
    }

    #[test]
    fn a_stream_without_key_frames_is_trusted_again() {
        let mut taint = Taint::default();
        taint.blame(1);
        let tainted = (1..1_000).filter(|&unit| taint.judge(unit, false, false)).count();
        assert_eq!(tainted, TAINTED_MAX as usize);
    }
}
