//! Packet headers of RTP and RTCP, and the account of sequence numbers (RFC 3550).

use rtcp_types::{Compound, Packet as Rtcp};
use rtp_types::RtpPacket;

/// Counts packets that are missing. TCP reorders nothing, so every step but one is a loss, a repetition or a restart.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    last: Option<u16>,
}

/// What a sequence number says about its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The next one, after so many that are missing.
    Forward(u32),
    /// The same packet again.
    Repeated,
    /// The server began to count anew; nobody knows how many are missing.
    Restarted,
}

impl Sequence {
    pub(crate) fn see(&mut self, number: u16) -> Step {
        let Some(last) = self.last.replace(number) else { return Step::Forward(0) };
        match number.wrapping_sub(last) {
            0 => Step::Repeated,
            step @ 1..=0x7fff => Step::Forward(u32::from(step) - 1),
            _ => Step::Restarted,
        }
    }
}

/// Reads a packet of RTP; none for what is not one.
pub(crate) fn parse(data: &[u8]) -> Option<RtpPacket<'_>> {
    RtpPacket::parse(data).ok()
}

/// Whether a packet is RTCP, whatever its channel (RFC 5761, section 4).
pub(crate) fn is_rtcp(data: &[u8]) -> bool {
    data.get(1).is_some_and(|packet_type| (192..=223).contains(packet_type))
}

/// What is taken from a compound packet of RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reports {
    /// The last sender report.
    pub(crate) sender: Option<SenderReport>,
    /// The source says good-bye.
    pub(crate) bye: bool,
}

/// The same moment on the sender's wall clock and in its timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SenderReport {
    pub(crate) ssrc: u32,
    /// Seconds since 1900 with 32 bits of fraction.
    pub(crate) ntp: u64,
    pub(crate) rtp: u32,
}

/// Reads a compound packet up to what is damaged in it.
pub(crate) fn reports(data: &[u8]) -> Reports {
    let mut reports = Reports::default();
    let Ok(compound) = Compound::parse(data) else { return reports };
    for packet in compound.map_while(Result::ok) {
        match packet {
            Rtcp::Sr(report) => {
                let (ssrc, ntp, rtp) = (report.ssrc(), report.ntp_timestamp(), report.rtp_timestamp());
                reports.sender = Some(SenderReport { ssrc, ntp, rtp });
            }
            Rtcp::Bye(_) => reports.bye = true,
            _ => {}
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_packets_are_counted_over_the_wrap() {
        let mut sequence = Sequence::default();
        let steps: Vec<_> = [65_533, 65_534, 65_534, 1, 0x9000].map(|number| sequence.see(number)).to_vec();
        let expected =
            [Step::Forward(0), Step::Forward(0), Step::Repeated, Step::Forward(2), Step::Restarted];
        assert_eq!(steps, expected);
        assert_eq!(sequence.see(0x9001), Step::Forward(0));
    }

    #[test]
    fn sender_reports_and_farewells_are_read() {
        let mut packet = vec![0x80, 200, 0, 6, 0, 0, 0, 7];
        packet.extend(0x1234_5678_9abc_def0_u64.to_be_bytes());
        packet.extend(90_000_u32.to_be_bytes());
        packet.extend([0; 8]);
        let report = SenderReport { ssrc: 7, ntp: 0x1234_5678_9abc_def0, rtp: 90_000 };
        assert_eq!(reports(&packet), Reports { sender: Some(report), bye: false });
        packet.extend([0x81, 203, 0, 1, 0, 0, 0, 7]);
        assert_eq!(reports(&packet), Reports { sender: Some(report), bye: true });
        assert!(is_rtcp(&packet) && !is_rtcp(&[0x80, 96 | 0x80]));
        assert_eq!(reports(&[1, 2, 3]), Reports::default());
    }
}
