//! Whatever is done to the bytes of a repository, an update fails or offers exactly what was signed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

mod repo;

use plyos_trust::tuf::{Catalog, Envelope, Held, Limits, Root, Snapshot, Targets, Timestamp, Update};
use proptest::prelude::*;
use repo::{NOW, Repo, run};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_repository_offers_what_was_signed_or_nothing(
        file in 0usize..5, at in any::<prop::sample::Index>(), byte in any::<u8>(), insert in any::<bool>(),
    ) {
        let mut repo = Repo::new();
        let honest = repo.update().unwrap();
        let root = repo.first_root();
        let path = repo.files.keys().nth(file).unwrap().clone();
        let bytes = repo.files.get_mut(&path).unwrap();
        let at = at.index(bytes.len());
        if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
        let root = if path.contains("root") { repo.first_root() } else { root };
        if let Ok(catalog) = repo.update_from(root, Held::default()) {
            prop_assert_eq!(&catalog.targets, &honest.targets);
            prop_assert_eq!(catalog.snapshot, honest.snapshot);
        }
    }

    #[test]
    fn mutated_kept_files_are_refused_or_say_the_same(
        file in 0usize..5, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let honest = Repo::new().update().unwrap();
        let mut files = honest.files.clone();
        let role = files.keys().nth(file).unwrap().clone();
        let bytes = files.get_mut(&role).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(catalog) = Catalog::load(files, NOW, Limits::default()) {
            prop_assert_eq!(catalog.targets, honest.targets);
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), json in "[\\[\\]{}\":,a-z0-9_. -]{0,200}") {
        for input in [&bytes[..], json.as_bytes()] {
            if let Ok(envelope) = Envelope::parse("targets", input) {
                let _ = (Root::parse(&envelope), Timestamp::parse(&envelope));
                let _ = (Snapshot::parse(&envelope), Targets::parse(&envelope, 32));
            }
            let _ = Update::new(input.to_vec(), Held::default(), NOW, Limits::default());
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    let text = format!("{{\"signed\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Envelope::parse("targets", text.as_bytes()).is_err());
}

#[test]
fn kept_files_load_again() {
    let catalog = Repo::new().update().unwrap();
    assert_eq!(Catalog::load(catalog.files.clone(), NOW, Limits::default()).unwrap(), catalog);
    let mut update =
        Update::new(catalog.files["root"].clone(), Held::default(), NOW, Limits::default()).unwrap();
    assert_eq!(run(&mut update, &Repo::new().files).unwrap(), catalog);
}
