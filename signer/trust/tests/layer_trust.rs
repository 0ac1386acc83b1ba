//! Certificates and keyrings: their bytes, and who is refused why.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod repo;

use ed25519_dalek::Signer as _;
use plyos_ids::{KeyId, Kind, KindSet, LayerId};
use plyos_trust::{
    certificate::{Certificate, CertificateError, Statement},
    key::Signature,
    keyring::{self, Keyring, KeyringError, LayerKey, Refusal, Revocation, VerifiedKeyring},
    signatures::{Signatures, SignaturesError},
};
use proptest::prelude::*;
use repo::{key, public};

const LAYER: LayerId = LayerId::from_bytes([9; 32]);
const ROOT: u8 = 100;
const SIGNER: u8 = 101;

fn signature(message: &[u8], seed: u8) -> Signature {
    Signature {
        key_id: public(seed).key_id(),
        algorithm: 1,
        bytes: key(seed).sign(message).to_bytes().to_vec(),
    }
}

fn certificate(seeds: &[u8], epoch: u32) -> Certificate {
    let statement = Statement { layer: LAYER, issued_at: 5, epoch };
    let signatures = seeds.iter().map(|seed| signature(&statement.message(), *seed)).collect();
    Certificate::new(statement, Signatures::new(signatures).unwrap())
}

fn statement(change: impl FnOnce(&mut keyring::Statement)) -> keyring::Statement {
    let kinds = KindSet::default().with(Kind::Package).with(Kind::Site);
    let keys = vec![LayerKey::new(&public(SIGNER), kinds)];
    let mut statement = keyring::Statement { version: 4, issued_at: 5, keys, revocations: Vec::new() };
    change(&mut statement);
    statement.normalise();
    statement
}

fn ring(seeds: &[u8], change: impl FnOnce(&mut keyring::Statement)) -> Keyring {
    let statement = statement(change);
    let message = statement.message().unwrap();
    let signatures = seeds.iter().map(|seed| signature(&message, *seed)).collect();
    Keyring::new(statement, Signatures::new(signatures).unwrap()).unwrap()
}

fn verified(change: impl FnOnce(&mut keyring::Statement)) -> VerifiedKeyring {
    keyring::verify(&ring(&[ROOT], change), &[public(ROOT)], 1).unwrap()
}

fn accept(keyring: &VerifiedKeyring, certificate: &Certificate) -> Result<u32, Refusal> {
    keyring.accept(certificate, LAYER, Kind::Package, "openssl", 2).map(|accepted| accepted.epoch)
}

#[test]
fn good_certificate_is_accepted() {
    assert_eq!(accept(&verified(|_| {}), &certificate(&[SIGNER], 2)), Ok(2));
}

#[test]
fn one_good_signature_among_strangers_is_enough() {
    assert_eq!(accept(&verified(|_| {}), &certificate(&[55, SIGNER, 56], 2)), Ok(2));
}

#[test]
fn each_refusal_has_its_reason() {
    let id = public(SIGNER).key_id();
    let good = certificate(&[SIGNER], 2);
    let plain = verified(|_| {});
    assert_eq!(accept(&plain, &certificate(&[55], 2)), Err(Refusal::UnknownKey));
    assert_eq!(
        plain.accept(&good, LAYER, Kind::Base, "openssl", 0),
        Err(Refusal::WrongKind { key: id, kind: Kind::Base })
    );
    let other = LayerId::from_bytes([8; 32]);
    assert_eq!(
        plain.accept(&good, other, Kind::Package, "openssl", 0),
        Err(Refusal::OtherLayer { found: LAYER, wanted: other })
    );
    assert_eq!(accept(&plain, &certificate(&[SIGNER], 1)), Err(Refusal::BelowFloor { epoch: 1, floor: 2 }));
    let prefixed = verified(|ring| ring.keys[0].prefixes = vec!["open".into(), "zlib".into()]);
    assert_eq!(accept(&prefixed, &good), Ok(2));
    let prefixed = verified(|ring| ring.keys[0].prefixes = vec!["openssl-".into()]);
    assert_eq!(accept(&prefixed, &good), Err(Refusal::WrongPrefix { key: id, name: "openssl".into() }));
    let revoked = verified(|ring| ring.revocations = vec![Revocation::Key(id)]);
    assert_eq!(accept(&revoked, &good), Err(Refusal::RevokedKey(id)));
    let revoked = verified(|ring| ring.revocations = vec![Revocation::Layer(LAYER)]);
    assert_eq!(accept(&revoked, &good), Err(Refusal::RevokedLayer(LAYER)));
    let newer = verified(|ring| ring.keys[0].least_epoch = 3);
    assert_eq!(accept(&newer, &good), Err(Refusal::BelowLeastEpoch { key: id, epoch: 2, least: 3 }));
    assert_eq!(accept(&newer, &certificate(&[SIGNER], 3)), Ok(3));
}

#[test]
fn signature_over_another_statement_is_refused() {
    let id = public(SIGNER).key_id();
    let mut raised = certificate(&[SIGNER], 2);
    raised.statement.epoch = 7;
    assert_eq!(accept(&verified(|_| {}), &raised), Err(Refusal::BadSignature(id)));
    let mut later = certificate(&[SIGNER], 2);
    later.statement.issued_at += 1;
    assert_eq!(accept(&verified(|_| {}), &later), Err(Refusal::BadSignature(id)));
}

#[test]
fn keyring_signature_does_not_serve_as_a_certificate() {
    // The same key signs both; the text before the statement keeps them apart.
    let statement = Statement { layer: LAYER, issued_at: 5, epoch: 2 };
    let bare = statement.message().split_off("plyos-certificate-v1\0".len());
    let message = [b"plyos-keyring-v1\0", &bare[..]].concat();
    let forged = Certificate::new(statement, Signatures::new(vec![signature(&message, SIGNER)]).unwrap());
    assert!(matches!(accept(&verified(|_| {}), &forged), Err(Refusal::BadSignature(_))));
}

#[test]
fn signature_of_an_unknown_algorithm_is_kept_and_not_counted() {
    let mut strange = signature(b"", SIGNER);
    strange.algorithm = 2;
    strange.bytes = vec![1; 2420];
    let statement = Statement { layer: LAYER, issued_at: 5, epoch: 2 };
    let certificate = Certificate::new(statement, Signatures::new(vec![strange.clone()]).unwrap());
    assert_eq!(Certificate::parse(&certificate.emit()), Ok(certificate.clone()));
    assert_eq!(accept(&verified(|_| {}), &certificate), Err(Refusal::UnknownAlgorithm(2)));
    let other = signature(&statement.message(), 102);
    let both = Certificate::new(statement, Signatures::new(vec![strange, other]).unwrap());
    let ring =
        verified(|ring| ring.keys.push(LayerKey::new(&public(102), KindSet::default().with(Kind::Package))));
    assert_eq!(accept(&ring, &both), Ok(2));
}

#[test]
fn too_few_root_signatures() {
    let roots = [public(ROOT), public(110), public(111)];
    let too_few = |found| Err(Refusal::TooFewRootSignatures { found, needed: 2 });
    let result = |seeds: &[u8]| keyring::verify(&ring(seeds, |_| {}), &roots, 2).map(|_| ());
    assert_eq!(result(&[ROOT]), too_few(1));
    assert_eq!(result(&[ROOT, 55, SIGNER]), too_few(1));
    assert_eq!(result(&[ROOT, 111]), Ok(()));
    let listed_twice = [public(ROOT), public(ROOT)];
    assert_eq!(keyring::verify(&ring(&[ROOT], |_| {}), &listed_twice, 2).map(|_| ()), too_few(1));
    assert_eq!(keyring::verify(&ring(&[ROOT], |_| {}), &roots, 0), Err(Refusal::NoThreshold));
}

#[test]
fn duplicate_signatures_are_refused() {
    let message = Statement { layer: LAYER, issued_at: 5, epoch: 2 }.message();
    let twice = vec![signature(&message, SIGNER), signature(&message, SIGNER)];
    assert_eq!(Signatures::new(twice), Err(SignaturesError::DuplicateOrUnsorted));
    let mut bytes = certificate(&[SIGNER, 55], 2).emit();
    let (first, second) = (96, 96 + 104);
    let copy = bytes[first..second].to_vec();
    bytes[second..second + 104].copy_from_slice(&copy);
    let error = CertificateError::Signatures(SignaturesError::DuplicateOrUnsorted);
    assert_eq!(Certificate::parse(&bytes), Err(error));
}

#[test]
fn keyring_rollback() {
    let held = verified(|_| {});
    assert!(held.clone().at_least(4).is_ok());
    assert_eq!(held.at_least(5), Err(Refusal::KeyringRollback { offered: 4, held: 5 }));
}

#[test]
fn certificate_bytes_are_those_of_the_page() {
    let bytes = certificate(&[SIGNER], 0x0403_0201).emit();
    assert_eq!((&bytes[..8], bytes.len()), (&b"PLYCERTF"[..], 96 + 40 + 64));
    assert_eq!(bytes[32..64], [9; 32]);
    assert_eq!(bytes[72..77], [1, 2, 3, 4, 1]);
    assert_eq!(bytes[88..96], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[96..128], public(SIGNER).key_id().as_bytes()[..]);
    assert_eq!(bytes[128..136], [1, 0, 64, 0, 0, 0, 0, 0]);
    let message = [b"plyos-certificate-v1\0", &bytes[32..88]].concat();
    assert_eq!(Certificate::parse(&bytes).unwrap().message(), message);
    assert!(public(SIGNER).verify(&message, &bytes[136..]).is_ok());
}

#[test]
fn keyring_bytes_are_those_of_the_page() {
    let ring = ring(&[ROOT], |ring| {
        ring.keys[0].prefixes = vec!["ab".into()];
        ring.revocations = vec![Revocation::Layer(LAYER)];
    });
    let bytes = ring.emit().unwrap();
    let signed_len = 32 + 48 + 32 + 3 + 40;
    assert_eq!(bytes.len(), 32 + signed_len + 8 + 40 + 64);
    assert_eq!(bytes[48..56], [signed_len as u8, 0, 0, 0, 1, 0, 1, 0]);
    assert_eq!(bytes[64..96], public(SIGNER).key_id().as_bytes()[..]);
    assert_eq!(bytes[96..104], [1, 0, 32, 0, 1 << 3 | 1 << 5, 0, 1, 0]);
    assert_eq!(bytes[112..144], public(SIGNER).as_bytes()[..]);
    assert_eq!(&bytes[144..147], b"\x02ab");
    assert_eq!(bytes[147..155], [2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[187..195], [1, 0, 0, 0, 0, 0, 0, 0]);
    let message = [b"plyos-keyring-v1\0", &bytes[32..32 + signed_len]].concat();
    assert!(public(ROOT).verify(&message, &bytes[195 + 40..]).is_ok());
}

#[test]
fn statements_that_break_a_rule_make_no_keyring() {
    let try_new = |change: &dyn Fn(&mut keyring::Statement)| {
        let mut statement = statement(|_| {});
        change(&mut statement);
        let signatures = Signatures::new(vec![signature(b"", ROOT)]).unwrap();
        Keyring::new(statement, signatures).map(|_| ())
    };
    assert_eq!(try_new(&|_| {}), Ok(()));
    assert_eq!(try_new(&|ring| ring.version = 0), Err(KeyringError::Malformed));
    assert_eq!(try_new(&|ring| ring.keys[0].key_id = KeyId::default()), Err(KeyringError::Key));
    assert_eq!(try_new(&|ring| ring.keys[0].algorithm = 0), Err(KeyringError::Key));
    assert_eq!(try_new(&|ring| ring.keys[0].kinds = KindSet(1)), Err(KeyringError::Kinds(1)));
    assert_eq!(try_new(&|ring| ring.keys[0].prefixes = vec!["".into()]), Err(KeyringError::Malformed));
    assert_eq!(try_new(&|ring| ring.keys[0].prefixes = vec!["A".into()]), Err(KeyringError::Malformed));
    let twice = Err(KeyringError::DuplicateOrUnsorted("keys"));
    assert_eq!(try_new(&|ring| ring.keys.push(ring.keys[0].clone())), twice);
    let many = Err(KeyringError::TooMany("revocations"));
    let revoked = Revocation::Layer(LAYER);
    assert_eq!(try_new(&|ring| ring.revocations = vec![revoked; 4097]), many);
    let unsorted = Err(KeyringError::DuplicateOrUnsorted("revocations"));
    assert_eq!(
        try_new(&|ring| ring.revocations = vec![revoked, Revocation::Key(KeyId::default())]),
        unsorted
    );
}

#[test]
fn bytes_that_the_total_length_takes_in_and_nobody_reads_are_refused() {
    let longer = |mut bytes: Vec<u8>| {
        bytes.push(0);
        let total = bytes.len() as u64;
        bytes[24..32].copy_from_slice(&total.to_le_bytes());
        bytes
    };
    let certificate = longer(certificate(&[SIGNER], 2).emit());
    assert_eq!(Certificate::parse(&certificate), Err(CertificateError::Malformed));
    let keyring = longer(ring(&[ROOT], |_| {}).emit().unwrap());
    assert_eq!(Keyring::parse(&keyring), Err(KeyringError::Malformed));
}

/// Every byte whose change must be seen: what parses and is not the same must not verify.
fn assert_no_other_is_trusted(bytes: &[u8], at: usize, byte: u8) {
    let mut mutated = bytes.to_vec();
    mutated[at] = byte;
    if let Ok(keyring) = Keyring::parse(&mutated) {
        assert_eq!(keyring.emit().unwrap(), mutated);
        if let Ok(verified) = keyring::verify(&keyring, &[public(ROOT)], 1) {
            let honest = Keyring::parse(bytes).unwrap();
            assert_eq!(verified.statement(), honest.statement(), "byte {at}");
        }
    }
}

proptest! {
    #[test]
    fn certificates_round_trip(layer: [u8; 32], issued_at: u64, epoch: u32, lengths in proptest::collection::vec(1usize..=4096, 1..=4)) {
        let list = lengths.iter().zip(0u8..).map(|(length, n)| Signature {
            key_id: KeyId::from_bytes([n; 32]),
            algorithm: 7,
            bytes: vec![n; *length],
        });
        let statement = Statement { layer: LayerId::from_bytes(layer), issued_at, epoch };
        let certificate = Certificate::new(statement, Signatures::new(list.collect()).unwrap());
        let bytes = certificate.emit();
        prop_assert_eq!(Certificate::parse(&bytes), Ok(certificate));
        prop_assert!(Certificate::parse(&bytes[..bytes.len() - 1]).is_err());
        prop_assert!(Certificate::parse(&[&bytes[..], &[0]].concat()).is_err(), "bytes after the end");
    }

    #[test]
    fn mutated_certificates_never_panic_and_are_never_another_accepted_one(at in 0usize..200, byte: u8) {
        let honest = certificate(&[SIGNER], 2);
        let mut bytes = honest.emit();
        bytes[at] = byte;
        if let Ok(certificate) = Certificate::parse(&bytes) {
            prop_assert_eq!(certificate.emit(), bytes);
            if accept(&verified(|_| {}), &certificate).is_ok() {
                prop_assert_eq!(certificate.statement, honest.statement);
            }
        }
    }

    #[test]
    fn keyrings_round_trip(version in 1u64.., seeds in proptest::collection::btree_set(any::<u8>(), 0..5),
                           prefixes in proptest::collection::btree_set("[a-z0-9][a-z0-9+._-]{0,63}", 0..4),
                           mask in 0u16..64, layers in proptest::collection::vec(any::<[u8; 32]>(), 0..5)) {
        let ring = ring(&[ROOT], |ring| {
            ring.version = version;
            ring.keys = seeds.iter().map(|seed| LayerKey {
                prefixes: prefixes.iter().cloned().collect(),
                ..LayerKey::new(&public(*seed), KindSet(mask << 1))
            }).collect();
            ring.revocations = layers.iter().map(|id| Revocation::Layer(LayerId::from_bytes(*id))).collect();
        });
        let bytes = ring.emit().unwrap();
        prop_assert_eq!(Keyring::parse(&bytes), Ok(ring));
        prop_assert!(Keyring::parse(&bytes[..bytes.len() - 1]).is_err());
        prop_assert!(Keyring::parse(&[&bytes[..], &[0]].concat()).is_err(), "bytes after the end");
    }

    #[test]
    fn mutated_keyrings_never_panic_and_are_never_another_trusted_one(at in any::<prop::sample::Index>(), byte: u8) {
        let bytes = ring(&[ROOT], |ring| {
            ring.keys[0].prefixes = vec!["ab".into()];
            ring.revocations = vec![Revocation::Layer(LAYER)];
        }).emit().unwrap();
        assert_no_other_is_trusted(&bytes, at.index(bytes.len()), byte);
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Certificate::parse(&bytes), Keyring::parse(&bytes));
    }
}
