//! Whom the kernel trusts: the pinned roots alone, whatever the store says.

use plyos_blockstore::{RecordType, open};
use plyos_ids::Kind;
use plyos_kernel_logic::{Level, NoneGood, Options, boot};
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::GenerationLayer;
use plyos_test_stores::maker::{As, LAYERS, NOW, REPOSITORY, ROOT, listed, pins};
use plyos_test_stores::means::means;
use plyos_trust::keyring::Revocation;
use plyos_trust::pins::{PinnedSet, Pins};

use crate::world::{World, start, write};

fn refused_with(world: &World, pins: Pins) -> String {
    let refused: NoneGood = boot(world.device(), pins, means().0, Options::default(), NOW).unwrap_err();
    refused.to_string()
}

fn refused(world: &World) -> String {
    refused_with(world, pins(&[ROOT]))
}

/// A world whose one generation has this layer, made of a small tree.
fn with_layer(make: impl FnOnce(&mut World, &std::path::Path) -> GenerationLayer) -> World {
    let mut world = World::new();
    let folder = world.trees.path().join("small");
    write(&folder, "usr/bin/small", b"small");
    let layer = make(&mut world, &folder);
    world.maker.activate(&[layer], As::Good);
    world
}

fn small(kind: Kind) -> Descriptor {
    Descriptor::new(kind, "small", "1", "any").unwrap()
}

#[test]
fn a_kernel_with_other_roots_boots_nothing() {
    let reason = refused_with(&World::one(), pins(&[2]));
    assert!(reason.contains("no keyring of the store is signed by the pinned roots"), "{reason}");
}

#[test]
fn any_of_several_sets_is_enough() {
    let sets = [2, ROOT, 3].map(|seed| pins(&[seed]).sets()[0].clone());
    let several = Pins::new(sets).unwrap();
    assert!(boot(World::one().device(), several, means().0, Options::default(), NOW).is_ok());
    let keys = [ROOT, 2].map(|seed| *plyos_custody::Signer::public(&plyos_test_stores::maker::key(seed)));
    let both = Pins::new([PinnedSet::new(2, keys).unwrap()]).unwrap();
    assert!(refused_with(&World::one(), both).contains("signed by 1 of the root keys and 2 are needed"));
}

#[test]
fn names_of_repositories_give_nothing_and_take_nothing() {
    // The layer says that it comes from a repository whose keyring is somebody else's; another keyring speaks for it.
    let world = with_layer(|world, folder| {
        world.maker.keyring("stranger", 9, &[5], &[6], &[]);
        let layer = world.maker.layer(folder, &small(Kind::Package));
        GenerationLayer { repo: "stranger".into(), ..layer }
    });
    assert!(start(world.device()).0.is_ok());
    // A keyring under the right name that the roots did not sign.
    let world = with_layer(|world, folder| {
        world.maker.keyring(REPOSITORY, 2, &[5], &[LAYERS], &[]);
        world.maker.layer(folder, &small(Kind::Package))
    });
    assert!(refused(&world).contains("no keyring of the store is signed"), "{}", refused(&world));
}

#[test]
fn unsigned_layers_and_such_without_a_certificate() {
    let unsigned = with_layer(|world, folder| GenerationLayer {
        unsigned: true,
        ..world.maker.layer(folder, &small(Kind::Package))
    });
    assert!(refused(&unsigned).contains("package/small 1: it is unsigned"), "{}", refused(&unsigned));
    let bare = with_layer(|world, folder| {
        let id = world.maker.uncertified(folder, &small(Kind::Package), usize::MAX);
        listed(&small(Kind::Package), id)
    });
    assert!(refused(&bare).contains("it has no certificate in the store"), "{}", refused(&bare));
}

#[test]
fn certificates_by_strangers_for_others_or_below_the_floor() {
    let stranger = with_layer(|world, folder| {
        let layer = world.maker.layer(folder, &small(Kind::Package));
        world.maker.certify(layer.id, 1, 12);
        layer
    });
    assert!(refused(&stranger).contains("no key of the keyring signed the layer"), "{}", refused(&stranger));
    let floor = with_layer(|world, folder| {
        let layer = world.maker.layer(folder, &small(Kind::Package));
        world.maker.floor(&layer, 2);
        layer
    });
    assert!(refused(&floor).contains("security epoch 1 is below 2"), "{}", refused(&floor));
    let renamed = with_layer(|world, folder| {
        let layer = world.maker.layer(folder, &small(Kind::Package));
        GenerationLayer { version: "2".into(), ..layer }
    });
    assert!(refused(&renamed).contains("the generation lists it as"), "{}", refused(&renamed));
}

#[test]
fn a_layer_that_any_trusted_keyring_revokes() {
    let own = with_layer(|world, folder| {
        let layer = world.maker.layer(folder, &small(Kind::Package));
        world.maker.keyring(REPOSITORY, 2, &[ROOT], &[LAYERS], &[Revocation::Layer(layer.id)]);
        layer
    });
    assert!(refused(&own).contains("was revoked"), "{}", refused(&own));
    let other = with_layer(|world, folder| {
        let layer = world.maker.layer(folder, &small(Kind::Package));
        world.maker.keyring("other", 2, &[ROOT], &[], &[Revocation::Layer(layer.id)]);
        layer
    });
    assert!(refused(&other).contains("was revoked"), "{}", refused(&other));
    let key = with_layer(|world, folder| {
        let layer = world.maker.layer(folder, &small(Kind::Package));
        let id = plyos_custody::Signer::public(&plyos_test_stores::maker::key(LAYERS)).key_id();
        world.maker.keyring(REPOSITORY, 2, &[ROOT], &[LAYERS], &[Revocation::Key(id)]);
        layer
    });
    assert!(refused(&key).contains("revoked"), "{}", refused(&key));
    // A stranger's revocation is nobody's.
    let stranger = with_layer(|world, folder| {
        let layer = world.maker.layer(folder, &small(Kind::Package));
        world.maker.keyring("stranger", 2, &[5], &[], &[Revocation::Layer(layer.id)]);
        layer
    });
    assert!(start(stranger.device()).0.is_ok());
}

#[test]
fn layers_for_other_machines_or_another_state() {
    let arm = with_layer(|world, folder| {
        world.maker.layer(folder, &Descriptor::new(Kind::Package, "small", "1", "arm64").unwrap())
    });
    assert!(refused(&arm).contains("arm64"), "{}", refused(&arm));
    let linux = with_layer(|world, folder| {
        let mut descriptor = Descriptor::new(Kind::Package, "small", "1", "amd64").unwrap();
        descriptor.set_abi(Some("linux")).unwrap();
        world.maker.layer(folder, &descriptor)
    });
    assert!(refused(&linux).contains("linux"), "{}", refused(&linux));
    let state = with_layer(|world, folder| {
        world.maker.writer().set_state_version(7);
        let mut descriptor = small(Kind::Package);
        descriptor.set_state_versions(Some(3), Some(5)).unwrap();
        world.maker.layer(folder, &descriptor)
    });
    assert!(refused(&state).contains("version 3 to 5, and that is 7"), "{}", refused(&state));
}

/// Where the keyring of a repository lies.
fn keyring(world: &World, repository: &str) -> u64 {
    let key = (RecordType::Keyring, *blake3::hash(repository.as_bytes()).as_bytes());
    open(&world.device()).unwrap().chosen.directory.records[&key].extent.offset
}

#[test]
fn a_keyring_that_cannot_be_read_might_revoke() {
    let mut world = World::new();
    let site = world.site.clone();
    world.maker.keyring("other", 2, &[ROOT], &[], &[Revocation::Layer(site.id)]);
    world.maker.activate(&[site], As::Good);
    assert!(refused(&world).contains("was revoked"), "{}", refused(&world));
    let device = world.device();
    let offset = keyring(&world, "other");
    device.flip(offset + 50);
    assert!(refused(&world).contains("does not match its hash"), "{}", refused(&world));
    device.flip(offset + 50);
    device.break_range(offset..offset + 1);
    assert!(refused(&world).contains("the disk says no"), "{}", refused(&world));
}

#[test]
fn a_keyring_of_somebody_else_is_told_of_and_too_many_are_refused() {
    let mut world = World::one();
    world.maker.keyring("stranger", 1, &[5], &[6], &[]);
    world.maker.commit();
    let (system, lines) = start(world.device());
    assert!(system.is_ok());
    let told = lines.of(Level::Warning);
    assert!(
        matches!(&*told, [line] if line.starts_with("a keyring of the store does not count: ")),
        "{told:?}"
    );
    for number in 0..63 {
        world.maker.keyring(&number.to_string(), 1, &[5], &[6], &[]);
    }
    world.maker.commit();
    assert!(refused(&world).contains("more than 64 keyrings"), "{}", refused(&world));
}

#[test]
fn the_floor_of_keyrings_is_that_of_a_single_one() {
    let mut world = World::one();
    world.maker.writer().set_keyring_floor(5);
    world.maker.commit();
    assert!(refused(&world).contains("no keyring of the store is signed"), "{}", refused(&world));
    // Another repository's versions are its own: here the floor may come from them.
    world.maker.keyring("other", 5, &[ROOT], &[], &[]);
    world.maker.commit();
    assert!(start(world.device()).0.is_ok());
}
