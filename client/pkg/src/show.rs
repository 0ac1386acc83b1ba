//! Commands that show what there is: `init`, `search`, `info`, `list`.

use crate::active::{generation, installed};
use crate::catalogs::{Offer, Offers};
use crate::install::machine;
use crate::settings::Settings;
use crate::target::Target;
use crate::trial;
use plyos_layer_format::descriptor::Descriptor;
use plyos_namespace::generation::GenerationLayer;
use plyos_plan::resolve::{self, split_name};
use plyos_plan::version;
use plyos_report::{ExitCode, Failure, human, print_json};
use serde_json::json;
use std::collections::BTreeMap;

/// `pkg init`
pub fn init(target: &Target, size: Option<u64>) -> Result<(), Failure> {
    if target.path().is_file() {
        let line = format!("{} exists; remove it first, or name another file", target.path().display());
        return Err(Failure::new(ExitCode::Store, line));
    }
    target.create(size)?;
    let store = target.store()?;
    let bytes = store.superblock().store_len();
    if target.progress.json() {
        print_json(&json!({"store": target.path(), "bytes": bytes}));
    } else {
        target.progress.step(&format!("Made a store of {} at {}", human(bytes), target.path().display()));
    }
    Ok(())
}

/// `pkg search`: the newest version of each layer whose name or summary holds the text.
pub fn search(target: &Target, text: &str) -> Result<(), Failure> {
    let store = target.store()?;
    let offers = Offers::load(target, &store)?;
    let needle = text.to_lowercase();
    let mut newest: BTreeMap<(&str, plyos_ids::Kind), &Offer> = BTreeMap::new();
    for offer in &offers.all {
        let descriptor = &offer.descriptor;
        let summary = descriptor.summary().to_lowercase();
        if !descriptor.name().contains(&needle) && !summary.contains(&needle) {
            continue;
        }
        let slot = newest.entry((descriptor.name(), descriptor.kind())).or_insert(offer);
        if version::compare(descriptor.version(), slot.descriptor.version()).is_gt() {
            *slot = offer;
        }
    }
    if newest.is_empty() && !target.progress.json() {
        let near = resolve::similar(offers.facts.iter().map(|facts| facts.name.as_str()), text);
        let hint =
            if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(", ")) };
        let line = format!("nothing on offer has '{text}' in its name or summary{hint}");
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    if target.progress.json() {
        print_json(&newest.values().map(|offer| offer_json(&offers, offer)).collect());
        return Ok(());
    }
    for offer in newest.values() {
        let d = &offer.descriptor;
        println!(
            "{:<28} {:<20} {:>9}  {}",
            format!("{}/{}", d.kind(), d.name()),
            d.version(),
            human(offer.custom.size.blob),
            d.summary()
        );
    }
    Ok(())
}

fn offer_json(offers: &Offers, offer: &Offer) -> serde_json::Value {
    json!({
        "descriptor": offer.descriptor.to_json(),
        "layer": offer.custom.layer.to_string(),
        "manifest": offer.file.manifest().to_string(),
        "channels": offer.custom.channels,
        "bytes": {"blob": offer.custom.size.blob, "content": offer.custom.size.content},
        "repository": offers.repository(offer).map(|trusted| trusted.repository.name.clone()).ok(),
    })
}

/// `pkg info`
pub fn info(target: &Target, name: &str) -> Result<(), Failure> {
    let store = target.store()?;
    let present = installed(target, &store)?;
    let (kind, bare) = split_name(name);
    let here = present.iter().find(|i| i.facts.name == bare && kind.is_none_or(|kind| kind == i.facts.kind));
    let offers = Offers::load(target, &store);
    let offered = match &offers {
        Ok(offers) => resolve::choose(&offers.facts, machine(), name).map(|number| (offers, number)),
        Err(failure) if here.is_none() => return Err(failure.clone()),
        Err(_) => Err(resolve::NoPlan::NotFound { name: name.to_owned(), similar: Vec::new() }),
    };
    let installed_version = here.map(|i| i.facts.version.clone());
    match offered {
        Ok((offers, number)) => {
            let Some(offer) = offers.all.get(number) else { return Ok(()) };
            if target.progress.json() {
                let mut value = offer_json(offers, offer);
                if let Some(object) = value.as_object_mut() {
                    object.insert("installed".into(), json!(installed_version));
                }
                print_json(&value);
                return Ok(());
            }
            print_descriptor(&offer.descriptor);
            let state =
                installed_version.map_or_else(|| "no".to_owned(), |version| format!("yes, {version}"));
            println!("installed     {state}");
            println!(
                "download      {}, {} installed",
                human(offer.custom.size.blob),
                human(offer.custom.size.content)
            );
            println!("channels      {}", offer.custom.channels.join(", "));
            println!("repository    {}", offers.repository(offer)?.repository.name);
            println!("identity      {}", offer.custom.layer);
            Ok(())
        }
        Err(error) => match here {
            Some(here) => {
                if target.progress.json() {
                    print_json(&json!({"name": here.facts.name, "installed": here.facts.version}));
                } else {
                    println!(
                        "{}/{} {} is installed and not on offer any more",
                        here.facts.kind, here.facts.name, here.facts.version
                    );
                }
                Ok(())
            }
            None => Err(match &offers {
                Ok(offers) => offers.no_plan(error),
                Err(_) => crate::catalogs::no_plan(error),
            }),
        },
    }
}

fn print_descriptor(d: &Descriptor) {
    println!("{}/{} {} for {}", d.kind(), d.name(), d.version(), d.arch());
    let texts = [
        ("summary", d.summary()),
        ("license", d.license()),
        ("homepage", d.homepage()),
        ("abi", d.abi().unwrap_or_default()),
    ];
    for (name, value) in texts {
        if !value.is_empty() {
            println!("{name:<13} {value}");
        }
    }
    let lists = [
        ("needs", d.depends()),
        ("provides", d.provides()),
        ("conflicts", d.conflicts()),
        ("replaces", d.replaces()),
    ];
    for (name, values) in lists {
        if !values.is_empty() {
            println!("{name:<13} {}", values.join(", "));
        }
    }
}

/// `pkg list`
pub fn list(target: &Target) -> Result<(), Failure> {
    let store = target.store()?;
    // As `pkg ls` and a mount show it.
    let slot = trial::shown(&store);
    let generation = slot.map(|slot| generation(&store, &slot.generation)).transpose()?;
    let holds = Settings::load(&store)?.holds;
    let held = |layer: &GenerationLayer| holds.contains(&format!("{}/{}", layer.kind, layer.name));
    let layers = generation.iter().flat_map(|generation| generation.layers.iter());
    if target.progress.json() {
        let rows: Vec<_> = layers
            .map(|layer| {
                json!({"kind": layer.kind.as_str(), "name": layer.name, "version": layer.version, "arch": layer.arch,
                       "mount": layer.mount.path, "asked": layer.asked, "held": held(layer), "unsigned": layer.unsigned, "layer": layer.id.to_string(), "repository": layer.repo})
            })
            .collect();
        print_json(&json!(rows));
        return Ok(());
    }
    for layer in layers {
        let notes =
            [(!layer.asked, "needed by another"), (held(layer), "held"), (layer.unsigned, "unsigned")];
        let notes: Vec<&str> = notes.into_iter().filter(|(is, _)| *is).map(|(_, note)| note).collect();
        let why = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
        println!(
            "{:<28} {:<20} {}{why}",
            format!("{}/{}", layer.kind, layer.name),
            layer.version,
            layer.mount.path
        );
    }
    Ok(())
}
