//! Trust: certificate, keyring, pinned roots, TUF files.

use plyos_trust::certificate::Certificate;
use plyos_trust::keyring::{self, Keyring};
use plyos_trust::pins::Pins;
use plyos_trust::tuf::{Catalog, Envelope, Limits, Root, Snapshot, Targets, Timestamp};
use std::collections::BTreeMap;

/// A certificate has one spelling.
pub fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::parse(data) {
        assert_eq!(certificate.emit(), data, "emit(parse(x)) must be x");
        let _ = certificate.message();
    }
}

/// A keyring has one spelling, and nobody's keys never make it trusted.
pub fn keyring(data: &[u8]) {
    if let Ok(claimed) = Keyring::parse(data) {
        assert_eq!(claimed.emit().ok().as_deref(), Some(data), "emit(parse(x)) must be x");
        assert!(keyring::verify(&claimed, &[], 1).is_err());
    }
}

/// Pinned roots have one spelling, and every set of them asks for a signature.
pub fn pins(data: &[u8]) {
    if let Ok(pins) = Pins::parse(data) {
        assert_eq!(pins.emit(), data, "emit(parse(x)) must be x");
        assert!(!pins.sets().is_empty());
        assert!(pins.sets().iter().all(|set| (1..=set.keys().len()).contains(&(set.threshold() as usize))));
        assert!(pins.trust(data, 0).is_err(), "pins are no keyring");
    }
}

/// TUF files are read or refused; a catalog is never trusted that its own root does not vouch for.
pub fn tuf(data: &[u8]) {
    for role in ["root", "timestamp", "snapshot", "targets", "package"] {
        let Ok(envelope) = Envelope::parse(role, data) else { continue };
        if let Ok(root) = Root::parse(&envelope) {
            let _ = root.root().verify(&envelope);
        }
        let _ = Timestamp::parse(&envelope);
        let _ = Snapshot::parse(&envelope);
        let _ = Targets::parse(&envelope, Limits::default().delegations);
    }
    let files = ["root", "timestamp", "snapshot", "targets"].map(|role| (role.to_owned(), data.to_vec()));
    // One file cannot be all four.
    assert!(Catalog::load(BTreeMap::from(files), 0, Limits::default()).is_err());
}
