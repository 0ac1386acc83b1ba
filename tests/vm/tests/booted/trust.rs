//! Whom the machine trusts, as the publisher has said since: what `pkg update` brought into the store counts at the next boot.

use plyos_storefile::{Floors, RecordType, Store};
use plyos_test_system::publisher::Layer;
use plyos_test_system::world::World;
use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Kind, Vm};

use crate::outcome::{goes_back_to_2, goes_on, is_rescue};
use crate::versions::{site, world};

/// The site in its second version, as the catalog calls it.
const SECOND: &str = "site/docs/2/amd64";

/// `plyos` with these words and the publisher's workspace.
fn plyos(world: &World, words: &[&str]) {
    let workspace = world.publisher.workspace();
    world.publisher.plyos([words, &["--repo", workspace.to_str().unwrap()]].concat()).ok();
}

/// Signs the catalog anew, and lets the target know. Gives its store.
fn updated(world: &World) -> StoreImage {
    world.publisher.publish(&[]);
    world.target.pkg(&["update"]).ok();
    StoreImage::of(world)
}

#[test]
fn a_revoked_layer_is_passed_over_and_a_revoked_key_leaves_nothing() {
    let world = world();
    plyos(&world, &["keyring", "revoke", "--layer", SECOND]);
    let image = updated(&world);
    for kind in Kind::BOTH {
        goes_back_to_2(&image, kind, "was revoked by its publisher");
    }
    // The machine is in generation 2 and is asked for the other one.
    let mut vm = Vm::boot(&image.machine(Kind::Microvm));
    let refused = vm.run("switch 3").line().to_owned();
    assert!(
        refused.contains("cannot switch to generation 3: ") && refused.contains("was revoked"),
        "{refused}"
    );
    assert_eq!(vm.run("cat /www/docs/version").line(), "1");
    goes_on(vm);
    plyos(&world, &["keyring", "revoke", "--key", "layer"]);
    let image = updated(&world);
    for kind in Kind::BOTH {
        is_rescue(&image.machine(kind), "which signed the layer was revoked");
    }
}

#[test]
fn layers_of_a_key_that_took_over_are_all_that_is_left() {
    let world = world();
    let keys = world.publisher.workspace().join("keys");
    let new = ["keys", "new", "layer-2", "--dir", keys.to_str().unwrap(), "--role", "layer"];
    world.publisher.plyos(new).ok();
    plyos(&world, &["keyring", "rotate", "layer", "layer-2"]);
    world.publisher.publish(&[]);
    // The base is signed by both keys, each version of the site by one of them.
    plyos(&world, &["certify", "base/plain/1/amd64", SECOND, "--key", "layer-2"]);
    updated(&world);
    plyos(&world, &["keyring", "revoke", "--key", "layer"]);
    let image = updated(&world);
    for kind in Kind::BOTH {
        let mut vm = Vm::start(&image.machine(kind));
        let greeting = vm.wait_for_prompt();
        assert!(greeting.contains("generation 3 of 2 layers"), "{greeting}");
        let refused = vm.run("switch 2").line().to_owned();
        assert!(refused.contains("which signed the layer was revoked"), "{refused}");
        goes_on(vm);
    }
}

/// Raises the floor of the site in a store, as a promotion of `pkg` does.
fn raise(image: &StoreImage, epoch: u32) {
    let mut writer = Store::writer(image.path(), std::time::Duration::from_secs(10)).unwrap();
    let mut floors = Floors::default();
    floors.raise(plyos_ids::Kind::Site, "docs", epoch).unwrap();
    writer.put_record(RecordType::Floors, &RecordType::ONLY, &floors.emit()).unwrap();
    let active = writer.slots().active().unwrap().generation;
    writer.commit(Some(active)).unwrap();
}

#[test]
fn what_is_below_the_floor_is_not_mounted() {
    let world = world();
    // A third version with a newer security epoch: where it is good, the floor is that, and what was before it is below.
    world.release(&site(3), &Layer::new("site", "docs", "3"));
    plyos(&world, &["certify", "site/docs/3/amd64", "--epoch", "3"]);
    world.target.pkg(&["update"]).ok();
    let said = world.target.pkg(&["upgrade"]).ok();
    assert!(said.stderr.contains("generation 3 falls below the security floor"), "{}", said.stderr);
    let image = StoreImage::of(&world);
    for kind in Kind::BOTH {
        let mut vm = Vm::boot(&image.machine(kind));
        assert_eq!(vm.run("cat /www/docs/version").line(), "3");
        let refused = vm.run("switch 3").line().to_owned();
        assert!(refused.contains("cannot switch to generation 3: "), "{refused}");
        assert!(refused.contains("security epoch 1 is below 3"), "{refused}");
        goes_on(vm);
    }
    // The newer one damaged, so that only the other is left.
    let damaged = image.copied();
    damaged.flip(damaged.layer("docs").index.offset + 100);
    is_rescue(&damaged.machine(Kind::Q35), "security epoch 1 is below 3");
    raise(&image, 9);
    is_rescue(&image.machine(Kind::Microvm), "security epoch 3 is below 9");
}
