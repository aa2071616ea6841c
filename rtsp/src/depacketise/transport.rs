//! MPEG-2 transport streams in RTP (RFC 2250, section 2): whole packets of 188 bytes, which a demultiplexer reads on.

use super::{Payload, Unit};

const PACKET: usize = 188;
const SYNC: u8 = 0x47;

/// Passes transport-stream packets on, and says what was lost before them.
#[derive(Debug, Default)]
pub(crate) struct TransportStream {
    lost: u32,
}

impl TransportStream {
    /// The whole packets of a payload; what does not begin with a sync byte is counted as lost.
    pub(crate) fn push(&mut self, payload: &Payload<'_>) -> Option<Unit> {
        self.lost += payload.lost;
        let mut data = Vec::with_capacity(payload.data.len());
        for packet in payload.data.chunks_exact(PACKET).filter(|packet| packet[0] == SYNC) {
            data.extend_from_slice(packet);
        }
        if data.is_empty() {
            self.lost += 1;
            return None;
        }
        let lost = std::mem::take(&mut self.lost);
        Some(Unit {
            is_corrupt: data.len() < payload.data.len(),
            data,
            is_key: false,
            timestamp: payload.timestamp,
            lost,
            after_loss: lost > 0,
            received_at: payload.received_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn whole_packets_are_passed_on_and_losses_told() {
        let mut stream = TransportStream::default();
        let mut packets = vec![0; 3 * PACKET];
        (packets[0], packets[PACKET]) = (SYNC, SYNC);
        let mut push = |data: &[u8], lost| {
            stream.push(&Payload { data, marker: false, timestamp: 7, lost, received_at: Instant::now() })
        };
        let unit = push(&packets, 2).unwrap();
        assert_eq!((unit.data.len(), unit.lost, unit.is_corrupt), (2 * PACKET, 2, true));
        assert_eq!(push(&packets[..100], 1), None);
        let unit = push(&packets[..PACKET], 0).unwrap();
        assert_eq!((unit.data.len(), unit.lost, unit.is_corrupt), (PACKET, 2, false));
    }
}
