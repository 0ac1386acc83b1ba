//! Pinned roots: one spelling, bounds, and whom they make trusted.

use ed25519_dalek::{Signer as _, SigningKey};
use plyos_ids::SignatureAlgorithm;
use proptest::prelude::*;
use std::vec::Vec;

use super::*;
use crate::key::Signature;
use crate::keyring::{Keyring, Statement};
use crate::signatures::Signatures;

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> PublicKey {
    PublicKey::ed25519(secret(seed).verifying_key().as_bytes()).unwrap()
}

fn set(threshold: u32, seeds: &[u8]) -> PinnedSet {
    PinnedSet::new(threshold, seeds.iter().map(|seed| public(*seed))).unwrap()
}

/// An empty keyring of version 5, signed by these root keys.
fn keyring(seeds: &[u8]) -> Vec<u8> {
    let statement = Statement { version: 5, issued_at: 0, keys: Vec::new(), revocations: Vec::new() };
    let message = statement.message().unwrap();
    let sign = |seed: &u8| Signature {
        key_id: public(*seed).key_id(),
        algorithm: SignatureAlgorithm::Ed25519 as u16,
        bytes: secret(*seed).sign(&message).to_bytes().to_vec(),
    };
    let signatures = Signatures::new(seeds.iter().map(sign).collect()).unwrap();
    Keyring::new(statement, signatures).unwrap().emit().unwrap()
}

fn sample() -> Pins {
    Pins::new([set(2, &[1, 2, 3]), set(1, &[4])]).unwrap()
}

fn any_pins() -> impl Strategy<Value = Pins> {
    let sets = proptest::collection::vec(
        proptest::collection::vec(0u8..12, 1..5).prop_flat_map(|seeds| (Just(seeds), 1u32..5)),
        1..5,
    );
    sets.prop_map(|sets| {
        let sets = sets.into_iter().map(|(seeds, threshold)| {
            let distinct = seeds.iter().collect::<BTreeSet<_>>().len() as u32;
            set(threshold.min(distinct), &seeds)
        });
        Pins::new(sets).unwrap()
    })
}

proptest! {
    #[test]
    fn value_round_trip(pins in any_pins()) {
        prop_assert_eq!(Pins::parse(&pins.emit()), Ok(pins));
    }

    #[test]
    fn mutated_bytes_are_refused_or_round_trip(
        pins in any_pins(), at in any::<prop::sample::Index>(), value: u8
    ) {
        let mut bytes = pins.emit();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(found) = Pins::parse(&bytes) {
            prop_assert_eq!(found.emit(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Pins::parse(&bytes).is_err());
    }
}

#[test]
fn any_set_whose_threshold_is_met_makes_a_keyring_trusted() {
    let pins = sample();
    assert!(pins.trust(keyring(&[4]), 5).is_ok());
    assert!(pins.trust(keyring(&[1, 3]), 0).is_ok());
    assert!(pins.trust(keyring(&[1, 2, 4]), 0).is_ok());
}

#[test]
fn keys_of_several_sets_are_not_counted_together() {
    let pins = Pins::new([set(2, &[1, 2]), set(2, &[3, 4])]).unwrap();
    let refusal = pins.trust(keyring(&[1, 3]), 0).unwrap_err();
    assert_eq!(refusal, Refusal::TooFewRootSignatures { found: 1, needed: 2 });
}

#[test]
fn a_keyring_of_strangers_or_an_old_one_is_refused() {
    let refused = |seeds: &[u8], floor| sample().trust(keyring(seeds), floor).unwrap_err();
    assert_eq!(refused(&[9], 0), Refusal::TooFewRootSignatures { found: 0, needed: 2 });
    assert_eq!(refused(&[2], 0), Refusal::TooFewRootSignatures { found: 1, needed: 2 });
    assert_eq!(refused(&[4], 6), Refusal::KeyringRollback { offered: 5, held: 6 });
    let mut altered = keyring(&[4]);
    altered[keyring_version()] ^= 1;
    assert!(sample().trust(altered, 0).is_err());
}

fn keyring_version() -> usize {
    crate::keyring::keyring::VERSION.offset
}

#[test]
fn order_and_repetition_do_not_matter_when_made_and_are_refused_when_read() {
    let again = Pins::new([set(1, &[4, 4]), set(2, &[3, 1, 2]), set(1, &[4])]).unwrap();
    assert_eq!(again, sample());
    let swap_sets = |bytes: &[u8]| {
        let (head, rest) = bytes.split_at(pins::SIZE);
        let (first, second) = rest.split_at(pinned_set::SIZE + pinned_key::SIZE + 32);
        [head, second, first].concat()
    };
    assert_eq!(Pins::parse(&swap_sets(&sample().emit())), Err(PinsError::DuplicateOrUnsorted));
    let twice = Pins { compat: 0, sets: [set(1, &[4]), set(1, &[4])].into() };
    assert_eq!(Pins::parse(&twice.emit()), Err(PinsError::DuplicateOrUnsorted));
}

#[test]
fn bounds() {
    assert_eq!(Pins::new([]), Err(PinsError::Sets(0)));
    assert_eq!(Pins::new((1..=17).map(|seed| set(1, &[seed]))), Err(PinsError::Sets(17)));
    assert_eq!(PinnedSet::new(1, []), Err(PinsError::Keys(0)));
    assert_eq!(PinnedSet::new(1, (1..=17).map(public)), Err(PinsError::Keys(17)));
    for threshold in [0, 3, u32::MAX] {
        let refused = PinnedSet::new(threshold, [public(1), public(2)]);
        assert_eq!(refused, Err(PinsError::Threshold { threshold, keys: 2 }));
    }
    let full = Pins::new((0..16).map(|number| {
        let seeds: Vec<u8> = (0..16).map(|key| number * 16 + key).collect();
        set(16, &seeds)
    }));
    let bytes = full.as_ref().unwrap().emit();
    assert!(bytes.len() < MAX_LEN);
    assert_eq!(Pins::parse(&bytes), full);
}

#[test]
fn each_defect_of_the_bytes_has_its_error() {
    let with = |at: usize, value: &[u8]| {
        let mut bytes = sample().emit();
        bytes[at..at + value.len()].copy_from_slice(value);
        Pins::parse(&bytes)
    };
    let key = pins::SIZE + pinned_set::SIZE;
    assert_eq!(with(pins::RESERVED.offset, &[1]), Err(PinsError::Malformed));
    assert_eq!(with(pins::SET_COUNT.offset, &[0, 0]), Err(PinsError::Sets(0)));
    assert_eq!(with(pins::SET_COUNT.offset, &[1, 0]), Err(PinsError::Malformed), "bytes are left");
    assert_eq!(with(pins::SET_COUNT.offset, &[3, 0]), Err(PinsError::Truncated));
    assert_eq!(with(pins::SIZE, &[0]), Err(PinsError::Threshold { threshold: 0, keys: 1 }));
    assert_eq!(with(pins::SIZE + 4, &[0]), Err(PinsError::Keys(0)));
    assert_eq!(with(pins::SIZE + 4, &[17]), Err(PinsError::Keys(17)));
    assert_eq!(with(pins::SIZE + 6, &[1]), Err(PinsError::Malformed));
    assert_eq!(with(key, &[2]), Err(PinsError::Algorithm(2)));
    assert_eq!(with(key + 2, &[31]), Err(PinsError::Key(KeyError::NotAKey)));
    assert_eq!(with(key + 4, &[1]), Err(PinsError::Malformed));
    let weak = [&[1u8][..], &[0; 31]].concat();
    assert_eq!(with(key + 8, &weak), Err(PinsError::Key(KeyError::Weak)));
    let mut long = sample().emit();
    long.push(0);
    assert_eq!(Pins::parse(&long), Err(PinsError::Malformed));
}
