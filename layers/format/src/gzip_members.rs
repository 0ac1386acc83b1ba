//! Tables inside empty gzip members (RFC 1952): how the gzip form of a blob carries what the zstd form has in skippable frames.
//!
//! A member's extra field holds up to 65,535 bytes and tools that decompress pass over it. An empty member adds nothing to what they
//! give, so a run of them after the chunks' members is invisible; [`unwrap`] puts their payloads together again.

use alloc::vec::Vec;
use core::ops::Range;

use crate::footer::{FOOTER_PAYLOAD, Footer, FooterError};

/// What stands before a payload: magic, method, flags (extra field only), no time, no extra flags, unknown system, then the length of the
/// extra field and its one subfield's name and length, which are filled in.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff];

/// Name of the subfield. Frozen.
const SUBFIELD: [u8; 2] = *b"PY";

/// Bytes of a member before its payload.
pub const BEFORE: usize = HEAD.len() + 6;

/// What stands after it: an empty last block, CRC-32 and length of nothing.
const TAIL: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Most payload of one member: an extra field of 65,535 bytes without the subfield's head.
const MAX_PAYLOAD: usize = 65_531;

/// Bytes of the member at the end of a blob, which holds the footer. Changing it is a format break.
pub const FOOTER_SIZE: usize = BEFORE + FOOTER_PAYLOAD + TAIL.len();

/// Whether stored bytes are members of this kind: no zstd frame and no index or table starts like that.
pub fn is_wrapped(stored: &[u8]) -> bool {
    stored.starts_with(&HEAD)
}

/// `payload` as a run of empty members, each as full as can be; at least one.
pub fn wrap(payload: &[u8]) -> Vec<u8> {
    let members = payload.len().div_ceil(MAX_PAYLOAD).max(1);
    let mut out = Vec::with_capacity(payload.len() + members * (BEFORE + TAIL.len()));
    let mut rest = payload;
    loop {
        let (piece, later) = rest.split_at(rest.len().min(MAX_PAYLOAD));
        // At most 65,531, so both lengths fit.
        let length = piece.len() as u16;
        out.extend_from_slice(&HEAD);
        out.extend_from_slice(&(length + 4).to_le_bytes());
        out.extend_from_slice(&SUBFIELD);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(&TAIL);
        if later.is_empty() {
            return out;
        }
        rest = later;
    }
}

/// The payload of a run of members as [`wrap`] writes it; `None` for any other bytes.
pub fn unwrap(members: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = members;
    loop {
        let (payload, later) = first(rest)?;
        out.extend_from_slice(rest.get(payload)?);
        if later.is_empty() {
            break;
        }
        rest = later;
    }
    // One spelling: all members but the last are full.
    (wrap(&out) == members).then_some(out)
}

/// Where the payload of the first member lies, and what follows that member.
fn first(members: &[u8]) -> Option<(Range<usize>, &[u8])> {
    let field = members.strip_prefix(&HEAD)?;
    let (extra, field) = field.split_first_chunk::<2>()?;
    let field = field.strip_prefix(&SUBFIELD)?;
    let (length, payload) = field.split_first_chunk::<2>()?;
    let length = u16::from_le_bytes(*length);
    if u16::from_le_bytes(*extra) != length.checked_add(4)? {
        return None;
    }
    let later = payload.get(usize::from(length)..)?.strip_prefix(&TAIL)?;
    Some((BEFORE..BEFORE + usize::from(length), later))
}

/// The member at the end of a blob in the gzip form.
pub fn emit_footer(footer: &Footer) -> Vec<u8> {
    wrap(&footer.emit_payload())
}

/// Parses the last [`FOOTER_SIZE`] bytes of a blob in the gzip form.
pub fn parse_footer(bytes: &[u8]) -> Result<Footer, FooterError> {
    Footer::parse_payload(&unwrap(bytes).ok_or(FooterError::Absent)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn lengths_around_a_member() {
        for length in [0, 1, MAX_PAYLOAD - 1, MAX_PAYLOAD, MAX_PAYLOAD + 1, 3 * MAX_PAYLOAD] {
            let payload = vec![7; length];
            let members = wrap(&payload);
            assert!(is_wrapped(&members));
            assert_eq!(unwrap(&members), Some(payload), "{length}");
        }
        assert_eq!(wrap(&[7; MAX_PAYLOAD]).len(), BEFORE + MAX_PAYLOAD + TAIL.len());
    }

    #[test]
    fn each_defect_is_refused() {
        let good = wrap(&[7; 100]);
        for at in (0..BEFORE).chain(good.len() - TAIL.len()..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(unwrap(&bad), None, "byte {at}");
        }
        assert_eq!(unwrap(&good[..good.len() - 1]), None, "cut off");
        assert_eq!(
            unwrap(&[&good[..], &good[..]].concat()),
            None,
            "a member that is not full before another"
        );
        assert_eq!(unwrap(&[]), None);
    }

    proptest! {
        #[test]
        fn what_unwraps_wraps_the_same(mut bytes in prop::collection::vec(any::<u8>(), 0..60), made: bool) {
            if made {
                bytes = wrap(&bytes);
            }
            if let Some(payload) = unwrap(&bytes) {
                prop_assert_eq!(wrap(&payload), bytes);
            } else {
                prop_assert!(!made);
            }
        }
    }
}
