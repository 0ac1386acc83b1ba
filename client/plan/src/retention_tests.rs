//! What stays and what goes.

use super::*;
use alloc::vec;
use proptest::prelude::*;

const NOW: u64 = 1000 * DAY;

fn layer(byte: u8) -> LayerId {
    LayerId::from_bytes([byte; 32])
}

fn manifest(byte: u8) -> ManifestDigest {
    ManifestDigest::from_bytes([byte; 32])
}

fn id(number: u64) -> GenerationId {
    GenerationId::from_bytes([number as u8; 32])
}

fn generation(number: u64, days_ago: u64, layers: &[u8]) -> GenerationFacts {
    let layers = layers.iter().map(|byte| layer(*byte)).collect();
    GenerationFacts { number, id: id(number), used_at: NOW - days_ago * DAY, layers }
}

fn stored(byte: u8, days_ago: u64) -> LayerFacts {
    LayerFacts { id: layer(byte), manifest: Some(manifest(byte)), added_at: NOW - days_ago * DAY }
}

/// Ten generations, one each ten days, the newest today; each has layer 100 and one of its own. 9 and 10 are in slots.
fn ten() -> Inventory {
    let own: Vec<u8> = (1..=10).collect();
    let mut layers: Vec<LayerFacts> = own.iter().map(|n| stored(*n, 10 * (10 - u64::from(*n)))).collect();
    layers.push(stored(100, 90));
    Inventory {
        generations: (1..=10).map(|n| generation(n, 10 * (10 - n), &[n as u8, 100])).collect(),
        certificates: layers.iter().map(|layer| layer.id).collect(),
        manifests: layers.iter().filter_map(|layer| layer.manifest).collect(),
        layers,
        active: Some(10),
        slots: vec![9, 10],
        now: NOW,
        ..Inventory::default()
    }
}

fn gone(plan: &Plan) -> Vec<u64> {
    plan.generations.iter().map(|(number, _)| *number).collect()
}

#[test]
fn the_larger_of_number_and_days_counts() {
    let all = ten();
    assert_eq!(gone(&plan(&all, Policy::USUAL)), [1, 2, 3, 4, 5], "5 recent ones, 3 within 30 days");
    let long = plan(&all, Policy { days: 75, ..Policy::USUAL });
    assert_eq!(gone(&long), [1, 2], "10 to 3 are younger than 75 days");
    assert_eq!(long.stay[&3], [Reason::Young]);
    assert_eq!(long.stay[&6], [Reason::Recent, Reason::Young]);
    assert_eq!(long.stay[&10], [Reason::Active, Reason::Slot, Reason::Recent, Reason::Young]);
    assert_eq!(gone(&plan(&all, Policy::NOTHING)), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_generation_takes_with_it_what_only_it_needed() {
    let mut all = ten();
    all.pins = vec![id(2)];
    all.leased = [4].into();
    let plan = plan(&all, Policy::NOTHING);
    assert_eq!(gone(&plan), [1, 3, 5, 6, 7, 8]);
    let expected = [1, 3, 5, 6, 7, 8];
    assert_eq!(plan.layers, expected.map(layer).into());
    assert_eq!(plan.certificates, expected.map(layer));
    assert_eq!(plan.manifests, expected.map(manifest));
    assert_eq!(plan.stay[&2], [Reason::Pinned]);
    assert_eq!(plan.stay[&4], [Reason::Leased]);
}

#[test]
fn what_was_used_again_is_recent_whatever_its_number() {
    let mut all = ten();
    all.generations[0].used_at = NOW;
    assert_eq!(plan(&all, Policy { keep: 2, ..Policy::NOTHING }).stay[&1], [Reason::Recent]);
}

#[test]
fn a_broken_download_may_go_on_for_a_while() {
    let mut all = ten();
    all.layers.extend([stored(201, 6), stored(202, 8), stored(203, 0)]);
    all.layers[13].added_at = NOW + 5 * DAY;
    all.manifests.push(manifest(201));
    let usual = plan(&all, Policy::USUAL);
    assert_eq!(usual.downloads, [layer(201), layer(203)].into());
    assert!(usual.layers.contains(&layer(202)) && !usual.layers.contains(&layer(201)));
    assert!(!usual.manifests.contains(&manifest(201)), "its manifest stays with it");
    let all_of_it = plan(&all, Policy { download_days: 0, ..Policy::USUAL });
    assert!([201, 202, 203].iter().all(|byte| all_of_it.layers.contains(&layer(*byte))));
}

#[test]
fn a_layer_that_goes_with_its_generation_is_no_download() {
    let mut all = ten();
    all.layers[0].added_at = NOW;
    let plan = plan(&all, Policy { download_days: 7, ..Policy::NOTHING });
    assert!(plan.layers.contains(&layer(1)));
}

#[test]
fn records_of_nothing_go() {
    let mut all = ten();
    all.certificates.push(layer(250));
    all.manifests.push(manifest(251));
    all.pins = vec![id(99), id(10)];
    let plan = plan(&all, Policy { keep: 10, ..Policy::NOTHING });
    assert!(plan.generations.is_empty() && plan.layers.is_empty());
    assert_eq!(plan.certificates, [layer(250)]);
    assert_eq!(plan.manifests, [manifest(251)]);
    assert_eq!(plan.pins, [id(99)]);
    assert!(!plan.is_empty());
}

#[test]
fn an_empty_store_has_nothing_to_lose() {
    assert!(plan(&Inventory::default(), Policy::NOTHING).is_empty());
}

fn inventories() -> impl Strategy<Value = (Inventory, Policy)> {
    let generation = (0u64..60, proptest::collection::vec(0u8..12, 0..5));
    // By identity, as in a store: no layer twice.
    let layer_facts = proptest::collection::btree_map(0u8..14, 0u64..20, 0..12);
    let facts = (
        proptest::collection::vec(generation, 0..8),
        layer_facts,
        proptest::collection::vec(0u64..10, 0..3),
        proptest::collection::vec(0u64..10, 0..3),
        proptest::collection::btree_set(0u64..10, 0..3),
        proptest::option::of(0u64..10),
    );
    let policy = (0u32..6, 0u32..40, 0u32..10);
    (facts, policy).prop_map(
        |((generations, layers, slots, pins, leased, active), (keep, days, download_days))| {
            let inventory = Inventory {
                generations: (1u64..)
                    .zip(&generations)
                    .map(|(n, (ago, layers))| self::generation(n, *ago, layers))
                    .collect(),
                certificates: layers.keys().map(|byte| layer(*byte)).collect(),
                manifests: layers.keys().map(|byte| manifest(*byte)).collect(),
                layers: layers.iter().map(|(byte, ago)| stored(*byte, *ago)).collect(),
                pins: pins.into_iter().map(id).collect(),
                active,
                slots,
                leased,
                now: NOW,
            };
            (inventory, Policy { keep, days, download_days })
        },
    )
}

proptest! {
    #[test]
    fn what_is_named_pinned_or_leased_stays_whole((all, policy) in inventories()) {
        let plan = plan(&all, policy);
        let gone_numbers = gone(&plan);
        for generation in &all.generations {
            let number = generation.number;
            let held = all.active == Some(number)
                || all.slots.contains(&number)
                || all.leased.contains(&number)
                || all.pins.contains(&generation.id);
            prop_assert!(!(held && gone_numbers.contains(&number)), "generation {} was held", number);
            prop_assert!(gone_numbers.contains(&number) != plan.stay.contains_key(&number));
            if plan.stay.contains_key(&number) {
                prop_assert!(!plan.stay[&number].is_empty());
                for layer in &generation.layers {
                    prop_assert!(!plan.layers.contains(layer), "generation {} lost a layer", number);
                    prop_assert!(!plan.certificates.contains(layer));
                }
            }
        }
        for layer in all.layers.iter().filter(|layer| !plan.layers.contains(&layer.id)) {
            prop_assert!(layer.manifest.is_none_or(|digest| !plan.manifests.contains(&digest)));
            let needed = all.generations.iter().any(|g| plan.stay.contains_key(&g.number) && g.layers.contains(&layer.id));
            prop_assert!(needed || plan.downloads.contains(&layer.id), "a layer stayed for nothing");
        }
        for id in &all.pins {
            prop_assert_eq!(plan.pins.contains(id), !all.generations.iter().any(|g| g.id == *id));
        }
    }

    #[test]
    fn doing_it_again_takes_nothing_more((all, policy) in inventories()) {
        let first = plan(&all, policy);
        let mut left = all.clone();
        left.generations.retain(|g| first.stay.contains_key(&g.number));
        left.layers.retain(|l| !first.layers.contains(&l.id));
        left.certificates.retain(|l| !first.certificates.contains(l));
        left.manifests.retain(|m| !first.manifests.contains(m));
        left.pins.retain(|p| !first.pins.contains(p));
        let second = plan(&left, policy);
        prop_assert!(second.is_empty(), "{:?}", second);
    }

    #[test]
    fn keeping_more_takes_less((all, policy) in inventories()) {
        let less = plan(&all, policy);
        let more = plan(&all, Policy { keep: policy.keep + 1, days: policy.days + 10, download_days: policy.download_days });
        prop_assert!(gone(&more).iter().all(|number| gone(&less).contains(number)));
    }
}
