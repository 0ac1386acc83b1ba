//! The one check of `pkg`, loader and kernel: each refusal by its name, and any bytes at all.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod repo;

use ed25519_dalek::Signer as _;
use plyos_ids::{Kind, KindSet, LayerId};
use plyos_trust::{
    admission::{Admission, Admitted, Floors, LayerFacts, Machine, PinnedRoots, admit},
    certificate::{Certificate, CertificateError, Statement},
    key::{PublicKey, Signature},
    keyring::{self, Keyring, KeyringError, LayerKey, Refusal, Revocation},
    signatures::{Signatures, SignaturesError},
};
use proptest::prelude::*;
use repo::{key, public};

const LAYER: LayerId = LayerId::from_bytes([9; 32]);
const SIGNER: u8 = 101;
const ROOTS: [u8; 3] = [100, 110, 111];

/// All that the question is made of; [`Case::good`] is admitted, and each test spoils one thing.
struct Case {
    keyring: Vec<u8>,
    certificate: Vec<u8>,
    layer: LayerId,
    kind: Kind,
    name: &'static str,
    arch: &'static str,
    abi: Option<&'static str>,
    compatible: Vec<String>,
    roots: Vec<PublicKey>,
    floors: Floors,
    machine: Vec<String>,
}

fn sign(message: &[u8], seeds: &[u8]) -> Signatures {
    let sign = |seed: &u8| Signature {
        key_id: public(*seed).key_id(),
        algorithm: 1,
        bytes: key(*seed).sign(message).to_bytes().to_vec(),
    };
    Signatures::new(seeds.iter().map(sign).collect()).unwrap()
}

fn keyring(roots: &[u8], change: impl FnOnce(&mut keyring::Statement)) -> Vec<u8> {
    let kinds = KindSet::default().with(Kind::Package);
    let keys = vec![LayerKey::new(&public(SIGNER), kinds)];
    let mut statement = keyring::Statement { version: 4, issued_at: 5, keys, revocations: Vec::new() };
    change(&mut statement);
    statement.normalise();
    let signatures = sign(&statement.message().unwrap(), roots);
    Keyring::new(statement, signatures).unwrap().emit().unwrap()
}

fn certificate(seeds: &[u8], epoch: u32) -> Vec<u8> {
    let statement = Statement { layer: LAYER, issued_at: 5, epoch };
    Certificate::new(statement, sign(&statement.message(), seeds)).emit()
}

impl Case {
    fn good() -> Self {
        Self {
            keyring: keyring(&ROOTS[..2], |_| {}),
            certificate: certificate(&[SIGNER], 2),
            layer: LAYER,
            kind: Kind::Package,
            name: "openssl",
            arch: "amd64",
            abi: Some("linux"),
            compatible: Vec::new(),
            roots: ROOTS.map(public).to_vec(),
            floors: Floors { keyring: 4, epoch: 2 },
            machine: vec!["acme,board-2".into(), "acme,board".into()],
        }
    }

    fn verdict(&self) -> Result<Admitted, Refusal> {
        admit(&Admission {
            keyring: &self.keyring,
            certificate: &self.certificate,
            layer: LayerFacts {
                id: self.layer,
                kind: self.kind,
                name: self.name,
                arch: self.arch,
                abi: self.abi,
                compatible: &self.compatible,
            },
            roots: PinnedRoots { keys: &self.roots, threshold: 2 },
            floors: self.floors,
            machine: Machine { arch: "amd64", abis: &["linux", "plyos-0"], compatible: &self.machine },
        })
    }
}

/// The refusal of the good case after `spoil`.
fn refused(spoil: impl FnOnce(&mut Case)) -> Refusal {
    let mut case = Case::good();
    assert!(case.verdict().is_ok(), "what is spoilt was good before");
    spoil(&mut case);
    case.verdict().unwrap_err()
}

#[test]
fn good_layer_is_admitted() {
    let key_id = public(SIGNER).key_id();
    let expected = Admitted { layer: LAYER, epoch: 2, key_id, keyring_version: 4 };
    assert_eq!(Case::good().verdict(), Ok(expected));
    let mut any = Case::good();
    (any.arch, any.abi) = ("any", None);
    any.compatible = vec!["other,board".into(), "acme,board".into()];
    assert_eq!(any.verdict(), Ok(expected));
}

#[test]
fn too_few_root_signatures() {
    let too_few = |found| Refusal::TooFewRootSignatures { found, needed: 2 };
    assert_eq!(refused(|case| case.keyring = keyring(&ROOTS[..1], |_| {})), too_few(1));
    assert_eq!(refused(|case| case.keyring = keyring(&[SIGNER, 55], |_| {})), too_few(0));
    assert_eq!(refused(|case| case.roots = vec![public(ROOTS[0]); 3]), too_few(1));
    let other = refused(|case| {
        // Another time of issue than the one that was signed.
        case.keyring[40] ^= 1;
    });
    assert_eq!(other, too_few(0));
}

#[test]
fn duplicate_signatures() {
    let copy_first = |bytes: &mut Vec<u8>, first: usize| {
        let copy = bytes[first..first + 104].to_vec();
        bytes[first + 104..first + 208].copy_from_slice(&copy);
    };
    let keyring = refused(|case| {
        let first = case.keyring.len() - 208;
        copy_first(&mut case.keyring, first);
    });
    assert_eq!(keyring, KeyringError::Signatures(SignaturesError::DuplicateOrUnsorted).into());
    let certificate = refused(|case| {
        case.certificate = certificate(&[SIGNER, 55], 2);
        copy_first(&mut case.certificate, 96);
    });
    assert_eq!(certificate, CertificateError::Signatures(SignaturesError::DuplicateOrUnsorted).into());
}

#[test]
fn keyring_rollback() {
    let refusal = refused(|case| case.floors.keyring = 5);
    assert_eq!(refusal, Refusal::KeyringRollback { offered: 4, held: 5 });
}

#[test]
fn unknown_key() {
    assert_eq!(refused(|case| case.certificate = certificate(&[55], 2)), Refusal::UnknownKey);
}

#[test]
fn wrong_kind_and_wrong_prefix() {
    let key = public(SIGNER).key_id();
    assert_eq!(refused(|case| case.kind = Kind::Base), Refusal::WrongKind { key, kind: Kind::Base });
    let prefixed = keyring(&ROOTS, |ring| ring.keys[0].prefixes = vec!["openss".into(), "zlib".into()]);
    assert_eq!(
        refused(|case| (case.keyring, case.name) = (prefixed, "libssl")),
        Refusal::WrongPrefix { key, name: "libssl".into() }
    );
}

#[test]
fn revoked_key_and_revoked_layer() {
    let key = public(SIGNER).key_id();
    let ring = keyring(&ROOTS, |ring| ring.revocations = vec![Revocation::Key(key)]);
    assert_eq!(refused(|case| case.keyring = ring), Refusal::RevokedKey(key));
    let ring = keyring(&ROOTS, |ring| ring.revocations = vec![Revocation::Layer(LAYER)]);
    assert_eq!(refused(|case| case.keyring = ring), Refusal::RevokedLayer(LAYER));
}

#[test]
fn below_epoch() {
    let refusal = refused(|case| case.floors.epoch = 3);
    assert_eq!(refusal, Refusal::BelowFloor { epoch: 2, floor: 3 });
    let ring = keyring(&ROOTS, |ring| ring.keys[0].least_epoch = 3);
    let key = public(SIGNER).key_id();
    assert_eq!(refused(|case| case.keyring = ring), Refusal::BelowLeastEpoch { key, epoch: 2, least: 3 });
}

#[test]
fn altered_descriptor_is_another_layer() {
    let altered = LayerId::from_bytes([8; 32]);
    let refusal = refused(|case| case.layer = altered);
    assert_eq!(refusal, Refusal::OtherLayer { found: LAYER, wanted: altered });
}

#[test]
fn signature_of_another_message() {
    let refusal = refused(|case| case.certificate[72] = 3);
    assert_eq!(refusal, Refusal::BadSignature(public(SIGNER).key_id()));
}

#[test]
fn wrong_architecture_abi_and_hardware_are_of_the_machine() {
    let arch = refused(|case| case.arch = "arm64");
    assert_eq!(arch, Refusal::WrongArchitecture { found: "arm64".into(), machine: "amd64".into() });
    let abi = refused(|case| case.abi = Some("plyos-9"));
    assert_eq!(abi, Refusal::WrongAbi { found: "plyos-9".into(), machine: "linux, plyos-0".into() });
    let hardware = refused(|case| case.compatible = vec!["acme,boar".into(), "acme".into()]);
    let machine = "acme,board-2, acme,board".into();
    assert_eq!(hardware, Refusal::NotCompatible { found: "acme,boar, acme".into(), machine });
    let unknown = refused(|case| (case.compatible, case.machine) = (vec!["acme,board".into()], Vec::new()));
    for refusal in [arch, abi, hardware, unknown] {
        assert!(refusal.is_of_the_machine(), "{refusal}");
    }
}

#[test]
fn what_a_layer_says_is_not_believed_before_it_is_signed_for() {
    let refusal = refused(|case| (case.arch, case.certificate) = ("arm64", certificate(&[55], 2)));
    assert_eq!(refusal, Refusal::UnknownKey);
    assert!(!refusal.is_of_the_machine());
}

proptest! {
    #[test]
    fn any_bytes_get_a_verdict_and_are_never_admitted(keyring in proptest::collection::vec(any::<u8>(), 0..400),
                                                      certificate in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut case = Case::good();
        case.keyring = keyring;
        prop_assert!(case.verdict().is_err());
        let mut case = Case::good();
        case.certificate = certificate;
        prop_assert!(case.verdict().is_err());
    }

    #[test]
    fn one_other_byte_never_changes_what_is_admitted(in_keyring: bool, at in any::<prop::sample::Index>(), byte: u8) {
        let mut case = Case::good();
        let bytes = if in_keyring { &mut case.keyring } else { &mut case.certificate };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(admitted) = case.verdict() {
            prop_assert_eq!(Ok(admitted), Case::good().verdict());
        }
    }

    #[test]
    fn cut_off_anywhere_is_refused(in_keyring: bool, at in any::<prop::sample::Index>()) {
        let mut case = Case::good();
        let bytes = if in_keyring { &mut case.keyring } else { &mut case.certificate };
        bytes.truncate(at.index(bytes.len()));
        prop_assert!(case.verdict().is_err());
    }
}
