//! How many answers of DHCP are heard: a few in ten seconds.
//!
//! smoltcp's client speaks again as soon as it was answered in certain ways: after a NAK it searches anew at once, and a lease that is to be
//! renewed at once is asked for at once. Each turn of such a loop needs an answer, so it turns no faster than answers are heard.

use smoltcp::time::{Duration, Instant};

/// Answers that are heard in one [`SPAN`]. A lease takes two, and so does each server more that offers one.
const HEARD: u8 = 8;

/// The time after which that many are heard again.
const SPAN: Duration = Duration::from_secs(10);

/// Bytes of Ethernet's head.
const ETHERNET: usize = 14;
/// A DHCP client's port (RFC 2131, 4.1).
const CLIENT: u16 = 68;
/// UDP's number in an IPv4 head (RFC 791).
const UDP: u8 = 17;

/// What is still heard.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    heard: u8,
    until: Option<Instant>,
}

impl Allowance {
    /// Whether a frame is to be taken: all but those of DHCP that are too many.
    pub fn takes(&mut self, frame: &[u8], now: Instant) -> bool {
        if !is_for_client(frame) {
            return true;
        }
        if self.until.is_none_or(|until| now >= until) {
            (self.heard, self.until) = (0, Some(now + SPAN));
        }
        let takes = self.heard < HEARD;
        self.heard = self.heard.saturating_add(1);
        takes
    }
}

/// Whether a frame has a UDP datagram over IPv4 for a DHCP client. smoltcp is built without fragments, so no other frame brings one.
fn is_for_client(frame: &[u8]) -> bool {
    let Some((ethernet, packet)) = frame.split_at_checked(ETHERNET) else { return false };
    let words = packet.first().map_or(0, |first| usize::from(first & 0xf));
    let port = packet.get(words * 4 + 2..).and_then(|rest| rest.first_chunk().copied());
    ethernet.ends_with(&[0x08, 0x00])
        && packet.get(9) == Some(&UDP)
        && port.map(u16::from_be_bytes) == Some(CLIENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// A frame with an IPv4 head of so many words, and a UDP datagram to this port.
    fn frame(words: u8, port: u16) -> Vec<u8> {
        let mut frame = Vec::from([0; ETHERNET]);
        frame[12] = 8;
        frame.resize(ETHERNET + usize::from(words) * 4, 0);
        (frame[14], frame[23]) = (0x40 | words, UDP);
        frame.extend([0, 67]);
        frame.extend(port.to_be_bytes());
        frame
    }

    #[test]
    fn a_few_answers_are_heard_in_ten_seconds_and_all_else() {
        let mut allowance = Allowance::default();
        for start in [0, 10, 25] {
            let now = Instant::from_secs(start);
            let heard =
                (0..100).filter(|number| allowance.takes(&frame(5 + number % 11, CLIENT), now)).count();
            assert_eq!(heard, usize::from(HEARD), "{start}");
            assert!(!allowance.takes(&frame(5, CLIENT), now + Duration::from_millis(9_999)));
            assert!(allowance.takes(&frame(5, 69), now) && allowance.takes(&[0; 10], now));
        }
    }

    #[test]
    fn only_whole_heads_of_udp_over_ip_are_of_dhcp() {
        let whole = frame(5, CLIENT);
        assert!(is_for_client(&whole));
        assert!((0..whole.len()).all(|length| !is_for_client(&whole[..length])));
        for (at, byte) in [(12, 9), (13, 6), (23, 6), (37, 67)] {
            let mut other = whole.clone();
            other[at] = byte;
            assert!(!is_for_client(&other), "{at}");
        }
    }
}
