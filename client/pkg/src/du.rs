//! `pkg du`: what holds how much of the store, shared and own. One pass over the maps.

use crate::inventory::{self, Held};
use crate::target::Target;
use plyos_blockstore::layout::UNIT;
use plyos_blockstore::{Holders, LayerState};
use plyos_ids::LayerId;
use plyos_report::{Failure, human, print_json, say};
use plyos_storefile::Store;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Units of a layer or generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sizes {
    /// In all.
    all: u64,
    /// What would become free without it.
    own: u64,
}

impl Sizes {
    fn json(self) -> Value {
        json!({"bytes": self.all * UNIT, "shared_bytes": (self.all - self.own) * UNIT, "own_bytes": self.own * UNIT})
    }
}

/// `pkg du`
pub fn run(target: &Target) -> Result<(), Failure> {
    let store = target.store()?;
    let held = inventory::read(target, &store)?;
    let mut holders = Holders::default();
    for (number, entry) in (0u32..).zip(store.layers()) {
        holders.add(number, &inventory::units_of(target, &store, entry)?);
    }
    // For each layer the generations that need it, both by their place in their lists.
    let ids: Vec<LayerId> = store.layers().map(|entry| entry.id).collect();
    let place: BTreeMap<&LayerId, usize> = ids.iter().zip(0..).collect();
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); ids.len()];
    for (number, generation) in held.inventory.generations.iter().enumerate() {
        for at in generation.layers.iter().filter_map(|id| place.get(id)) {
            if let Some(list) = needed_by.get_mut(*at) {
                list.push(number);
            }
        }
    }
    let mut layers = vec![Sizes::default(); ids.len()];
    let mut generations = vec![Sizes::default(); held.inventory.generations.len()];
    for share in holders.shares() {
        let each: Vec<usize> = share.holders.iter().map(|holder| *holder as usize).collect();
        add(&mut layers, &each, share.units, each.len() == 1);
        let orphan = each.iter().any(|at| needed_by.get(*at).is_none_or(Vec::is_empty));
        let mut needing: Vec<usize> =
            each.iter().filter_map(|at| needed_by.get(*at)).flatten().copied().collect();
        needing.sort_unstable();
        needing.dedup();
        add(&mut generations, &needing, share.units, needing.len() == 1 && !orphan);
    }
    if target.progress.json() {
        print_json(&all_json(&store, &held, &layers, &generations, &needed_by));
    } else {
        print(&store, &held, &layers, &generations);
    }
    Ok(())
}

fn add(sizes: &mut [Sizes], each: &[usize], units: u64, own: bool) {
    for at in each {
        if let Some(size) = sizes.get_mut(*at) {
            size.all += units;
            size.own += if own { units } else { 0 };
        }
    }
}

fn all_json(
    store: &Store,
    held: &Held,
    layers: &[Sizes],
    generations: &[Sizes],
    needed_by: &[Vec<usize>],
) -> Value {
    let facts = &held.inventory.generations;
    let with = |mut value: Value, sizes: &Sizes| {
        if let (Some(object), Value::Object(more)) = (value.as_object_mut(), sizes.json()) {
            object.extend(more);
        }
        value
    };
    let layers: Vec<Value> = store
        .layers()
        .zip(layers)
        .zip(needed_by)
        .map(|((entry, sizes), needed)| {
            let numbers: Vec<u64> = needed.iter().filter_map(|at| facts.get(*at)).map(|g| g.number).collect();
            let row = json!({"layer": entry.id.to_string(), "name": held.names.get(&entry.id), "generations": numbers,
                             "complete": entry.state == LayerState::Complete});
            with(row, sizes)
        })
        .collect();
    let mut rows: Vec<_> = facts.iter().zip(generations).collect();
    rows.sort_by_key(|(facts, _)| facts.number);
    let generations: Vec<Value> = rows
        .into_iter()
        .map(|(facts, sizes)| {
            let row = json!({"generation": facts.number, "active": held.inventory.active == Some(facts.number),
                             "pinned": held.inventory.pins.contains(&facts.id)});
            with(row, sizes)
        })
        .collect();
    json!({"bytes": store.superblock().store_len(), "capacity_bytes": inventory::capacity(store), "layers": layers, "generations": generations})
}

fn print(store: &Store, held: &Held, layers: &[Sizes], generations: &[Sizes]) {
    let line = |name: &str, sizes: &Sizes| {
        let shared = sizes.all - sizes.own;
        say!(
            "{:>10} {:>10} {:>10}  {name}",
            human(sizes.all * UNIT),
            human(shared * UNIT),
            human(sizes.own * UNIT)
        );
    };
    say!("{:>10} {:>10} {:>10}", "in all", "shared", "own");
    let mut rows: Vec<_> = store.layers().zip(layers).collect();
    rows.sort_by_key(|(entry, sizes)| (std::cmp::Reverse(sizes.all), entry.id));
    for (entry, sizes) in rows {
        let name = held.names.get(&entry.id).cloned().unwrap_or_else(|| match entry.state {
            LayerState::Complete => format!("in no generation, {}", entry.id),
            LayerState::Partial => format!("a download that broke off, {}", entry.id),
        });
        line(&name, sizes);
    }
    let mut rows: Vec<_> = held.inventory.generations.iter().zip(generations).collect();
    rows.sort_by_key(|(facts, _)| facts.number);
    for (facts, sizes) in rows {
        let active = if held.inventory.active == Some(facts.number) { ", active" } else { "" };
        let pinned = if held.inventory.pins.contains(&facts.id) { ", pinned" } else { "" };
        line(&format!("generation {}{active}{pinned}", facts.number), sizes);
    }
}
