use alloc::{format, string::ToString, vec};

use plyos_bytemap::{Field, put};
use proptest::prelude::*;

use super::*;

fn layer(kind: Kind, name: &str, id: u8) -> GenerationLayer {
    GenerationLayer {
        id: LayerId::from_bytes([id; 32]),
        kind,
        mount: Mount::of(kind, name),
        asked: id.is_multiple_of(2),
        unsigned: false,
        epoch: id.into(),
        name: name.into(),
        version: format!("1.{id}"),
        arch: "amd64".into(),
        repo: "main".into(),
    }
}

fn parts() -> GenerationParts {
    GenerationParts {
        number: 7,
        parent: 5,
        created_at: 1_700_000_000,
        state_version: 2,
        tries: 3,
        health: Some(Health {
            kind: HealthKind::Http,
            spec: "http://localhost/".into(),
            timeout: 30,
            hold: 7,
        }),
        created_by: "pkg install jq".into(),
        layers: vec![
            layer(Kind::Site, "docs", 9),
            layer(Kind::Package, "jq", 4),
            layer(Kind::Package, "curl", 3),
            layer(Kind::Base, "plyos", 2),
            layer(Kind::Kernel, "plyos", 1),
        ],
    }
}

fn sample() -> Vec<u8> {
    Generation::new(parts()).unwrap().emit()
}

/// The sample with one field of the header or of layer record `n` set.
fn with(at: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = sample();
    bytes[at..at + value.len()].copy_from_slice(value);
    bytes
}

const FIRST: usize = 160;
const RECORD: usize = 96;

#[test]
fn what_is_written_is_read_again() {
    let generation = Generation::new(parts()).unwrap();
    let names: Vec<_> = generation.layers.iter().map(|layer| (layer.kind, layer.name.as_str())).collect();
    let sorted = [
        (Kind::Kernel, "plyos"),
        (Kind::Base, "plyos"),
        (Kind::Package, "curl"),
        (Kind::Package, "jq"),
        (Kind::Site, "docs"),
    ];
    assert_eq!(names, sorted);
    let bytes = generation.emit();
    let read = Generation::parse(&bytes).unwrap();
    assert_eq!(read, generation);
    assert_eq!(read.emit(), bytes);
    assert_eq!(read.id().as_bytes(), blake3::hash(&bytes).as_bytes());
    assert_eq!(read.layer(Kind::Package, "jq").unwrap().id, LayerId::from_bytes([4; 32]));
    assert_eq!(read.into_parts().number, 7);
}

#[test]
fn the_layer_set_is_the_hash_of_the_sorted_ids() {
    let concatenated = [[1u8; 32], [2; 32], [3; 32], [4; 32], [9; 32]].concat();
    let generation = Generation::new(parts()).unwrap();
    assert_eq!(generation.layer_set().as_bytes(), blake3::hash(&concatenated).as_bytes());
    assert_eq!(&generation.emit()[56..88], generation.layer_set().as_bytes());
    let empty = Generation::new(GenerationParts { layers: vec![], ..parts() }).unwrap();
    assert_eq!(empty.layer_set().as_bytes(), blake3::hash(b"").as_bytes());
    assert_eq!(Generation::parse(&empty.emit()), Ok(empty));
}

#[test]
fn feature_bits_that_may_be_ignored_stay_in_the_identity() {
    let bytes = with(12, &[5]);
    let read = Generation::parse(&bytes).unwrap();
    assert_eq!(read.emit(), bytes);
    assert_ne!(read.id(), Generation::new(parts()).unwrap().id());
}

#[test]
fn rules_of_a_generation() {
    let refused = |change: fn(&mut GenerationParts)| {
        let mut parts = parts();
        change(&mut parts);
        Generation::new(parts).unwrap_err()
    };
    assert_eq!(refused(|p| p.number = 0), GenerationError::NumberZero);
    assert_eq!(refused(|p| p.parent = 7), GenerationError::Parent { number: 7, parent: 7 });
    assert!(matches!(refused(|p| p.health.as_mut().unwrap().timeout = 0), GenerationError::Health(_)));
    assert!(matches!(refused(|p| p.health.as_mut().unwrap().spec.clear()), GenerationError::Health(_)));
    assert_eq!(
        refused(|p| p.layers.push(layer(Kind::Kernel, "other", 8))),
        GenerationError::Several(Kind::Kernel)
    );
    assert_eq!(
        refused(|p| p.layers.push(layer(Kind::Base, "other", 8))),
        GenerationError::Several(Kind::Base)
    );
    let twice = GenerationError::Twice { kind: Kind::Package, name: "jq".into() };
    assert_eq!(refused(|p| p.layers.push(layer(Kind::Package, "jq", 8))), twice);
    assert!(matches!(refused(|p| p.layers.push(layer(Kind::Site, "jq", 4))), GenerationError::SameLayer(_)));
    assert!(matches!(
        refused(|p| p.layers[0].mount.path = "/www/other".into()),
        GenerationError::Mount { .. }
    ));
    assert!(matches!(
        refused(|p| p.layers[1].mount.mount_type = MountType::Root),
        GenerationError::Mount { .. }
    ));
    for name in ["", "Jq", "../jq", "a/b", "j q"] {
        let mut parts = parts();
        parts.layers.push(layer(Kind::Site, name, 8));
        assert!(matches!(Generation::new(parts), Err(GenerationError::Layer { .. })), "{name:?}");
    }
    assert!(matches!(refused(|p| p.layers[0].version = "a b".into()), GenerationError::Layer { .. }));
    assert!(matches!(refused(|p| p.layers[0].arch = "x86".into()), GenerationError::Layer { .. }));
    assert_eq!(refused(|p| p.created_by = "x".repeat(65_536)), GenerationError::LongText("command"));
}

#[test]
fn services_need_no_specification() {
    let health = Some(Health { kind: HealthKind::Services, spec: String::new(), timeout: 1, hold: 0 });
    let generation = Generation::new(GenerationParts { health, ..parts() }).unwrap();
    assert_eq!(Generation::parse(&generation.emit()), Ok(generation));
}

#[test]
fn limits() {
    let many = |count: usize, repo: &str| {
        let layers = (0..count).map(|n| {
            let mut layer = layer(Kind::Site, &format!("s{n}"), 0);
            layer.id =
                LayerId::from_bytes(core::array::from_fn(|i| n.to_le_bytes().get(i).copied().unwrap_or(0)));
            layer.repo = repo.into();
            layer
        });
        Generation::new(GenerationParts { layers: layers.collect(), ..parts() })
    };
    let most = many(MAX_LAYERS, "main").unwrap();
    assert_eq!(Generation::parse(&most.emit()), Ok(most));
    assert_eq!(many(MAX_LAYERS + 1, "main"), Err(GenerationError::TooManyLayers(MAX_LAYERS + 1)));
    assert!(matches!(many(100, &"r".repeat(60_000)), Err(GenerationError::TooLong(_))));
    assert_eq!(Generation::parse(&vec![0; MAX_LEN + 1]), Err(GenerationError::TooLong(MAX_LEN as u64 + 1)));
}

#[test]
fn malformed_bytes_by_defect() {
    let malformed = |bytes: &[u8], reason: &str| match Generation::parse(bytes) {
        Err(GenerationError::Malformed(found)) => assert_eq!(found, reason),
        other => panic!("{reason}: {other:?}"),
    };
    assert!(matches!(Generation::parse(&with(0, b"X")), Err(GenerationError::Preamble(_))));
    assert!(matches!(Generation::parse(&with(16, &[1])), Err(GenerationError::Preamble(_))));
    assert!(matches!(Generation::parse(&sample()[..sample().len() - 1]), Err(GenerationError::Preamble(_))));
    malformed(&[sample(), vec![0]].concat(), "bytes follow its end");
    malformed(&with(124, &[1]), "reserved bytes of its header are in use");
    malformed(&with(56, &[0]), "its layer set is not that of its layers");
    malformed(&with(92, &[4]), "its lengths do not add up");
    malformed(&with(100, &[0]), "its lengths do not add up");
    malformed(&with(95, &[9]), "its health check is of no known kind");
    malformed(&with(95, &[0]), "it has parts of a health check but none");
    malformed(&with(FIRST + 32, &[7]), "a layer is of no known kind");
    malformed(&with(FIRST + 33, &[6]), "a layer has a mount of no known type");
    malformed(&with(FIRST + 34, &[4]), "reserved bytes or flags of a layer are in use");
    malformed(&with(FIRST + 95, &[1]), "reserved bytes or flags of a layer are in use");
    malformed(&with(FIRST + 40, &[0, 0, 0, 0]), "a string is not where its writer put it");
    malformed(&with(FIRST + 5 * RECORD, &[0xff]), "a string is not UTF-8");
    // The last string shorter by one: its last byte belongs to nobody.
    malformed(&with(FIRST + 4 * RECORD + 76, &[3]), "bytes of its heap belong to no string");
    malformed(&with(FIRST + 4 * RECORD + 76, &[5]), "a string lies outside of the heap");
    assert_eq!(Generation::parse(&with(92, &[1, 0x10])), Err(GenerationError::TooManyLayers(4097)));
    assert!(matches!(
        Generation::parse(&with(FIRST + 33, &[5])),
        Err(GenerationError::Malformed("its layers are not sorted"))
    ));
}

#[test]
fn strings_shared_by_two_references_are_refused() {
    // `version` of the first layer made to point at its name.
    let mut bytes = sample();
    let name: [u8; 8] = bytes[FIRST + 40..FIRST + 48].try_into().unwrap();
    put(&mut bytes, Field { name: "VERSION", offset: FIRST + 48, size: 8 }, &name);
    assert_eq!(
        Generation::parse(&bytes),
        Err(GenerationError::Malformed("a string is not where its writer put it"))
    );
}

#[test]
fn layers_out_of_order() {
    // curl and jq are records 2 and 3 and have strings of different lengths, so whole generations are compared.
    let mut generation = Generation::new(parts()).unwrap();
    generation.parts.layers.swap(2, 3);
    assert_eq!(
        Generation::parse(&generation.emit()),
        Err(GenerationError::Malformed("its layers are not sorted"))
    );
}

#[test]
fn a_layer_listed_under_another_name() {
    let layer = layer(Kind::Package, "jq", 4);
    let descriptor = |kind, name, version| Descriptor::new(kind, name, version, "amd64").unwrap();
    assert_eq!(layer.agrees_with(&descriptor(Kind::Package, "jq", "1.4")), Ok(()));
    for other in [
        descriptor(Kind::Site, "jq", "1.4"),
        descriptor(Kind::Package, "yq", "1.4"),
        descriptor(Kind::Package, "jq", "1.3"),
        Descriptor::new(Kind::Package, "jq", "1.4", "arm64").unwrap(),
    ] {
        let error = layer.agrees_with(&other).unwrap_err();
        assert!(error.to_string().contains("lists it as package/jq/1.4/amd64"), "{error}");
    }
}

fn any_layer() -> impl Strategy<Value = GenerationLayer> {
    let kind = prop::sample::select(vec![Kind::Package, Kind::Model, Kind::Site, Kind::Config]);
    (
        kind,
        any::<[u8; 32]>(),
        any::<[bool; 2]>(),
        any::<u32>(),
        "[a-z0-9][a-z0-9+._-]{0,9}",
        "[0-9A-Z][0-9.~:-]{0,5}",
        ".{0,9}",
    )
        .prop_map(|(kind, id, [asked, unsigned], epoch, name, version, repo)| GenerationLayer {
            id: LayerId::from_bytes(id),
            kind,
            mount: Mount::of(kind, &name),
            asked,
            unsigned,
            epoch,
            name,
            version,
            arch: "any".into(),
            repo,
        })
}

prop_compose! {
    fn any_generation()(
        numbers in (1u64.., any::<u64>(), any::<u64>(), any::<u32>(), any::<u8>()),
        health in prop::option::of((1u8..=4, ".{1,20}", 1u32.., any::<u32>())),
        created_by in ".{0,40}",
        layers in prop::collection::btree_map("[a-z]{1,3}", any_layer(), 0..12),
    ) -> Generation {
        let (number, parent, created_at, state_version, tries) = numbers;
        let health = health.map(|(kind, spec, timeout, hold)| Health { kind: HealthKind::from_number(kind).unwrap(), spec, timeout, hold });
        let layers = layers.into_iter().map(|(name, mut layer)| {
            layer.mount = Mount::of(layer.kind, &name);
            layer.name = name;
            layer
        });
        let parts = GenerationParts {
            number, parent: parent % number, created_at, state_version, tries, health, created_by, layers: layers.collect(),
        };
        Generation::new(parts).unwrap()
    }
}

proptest! {
    #[test]
    fn round_trip(generation in any_generation()) {
        let bytes = generation.emit();
        prop_assert_eq!(Generation::parse(&bytes).unwrap(), generation);
    }

    #[test]
    fn what_is_accepted_has_one_spelling(generation in any_generation(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = generation.emit();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(read) = Generation::parse(&bytes) {
            prop_assert_eq!(read.emit(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), whole in any::<bool>()) {
        if whole && bytes.len() >= 160 {
            let length = bytes.len() as u64;
            plyos_bytemap::Preamble::v1(*b"PLYGENER", 160, length).emit(&mut bytes);
            bytes[124..160].fill(0);
        }
        let _ = Generation::parse(&bytes);
    }
}
