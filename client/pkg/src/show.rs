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
use plyos_report::{ExitCode, Failure, human, plain, print_json, say};
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
        say!(
            "{:<28} {:<20} {:>9}  {}",
            format!("{}/{}", d.kind(), d.name()),
            d.version(),
            human(offer.custom.size.blob),
            plain(d.summary())
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
            descriptor_lines(&offer.descriptor).iter().for_each(|line| say!("{line}"));
            let state =
                installed_version.map_or_else(|| "no".to_owned(), |version| format!("yes, {version}"));
            say!("installed     {state}");
            say!(
                "download      {}, {} installed",
                human(offer.custom.size.blob),
                human(offer.custom.size.content)
            );
            say!("channels      {}", plain(&offer.custom.channels.join(", ")));
            say!("repository    {}", offers.repository(offer)?.repository.name);
            say!("identity      {}", offer.custom.layer);
            Ok(())
        }
        Err(error) => match here {
            Some(here) => {
                if target.progress.json() {
                    print_json(&json!({"name": here.facts.name, "installed": here.facts.version}));
                } else {
                    say!(
                        "{}/{} {} is installed and not on offer any more",
                        here.facts.kind,
                        here.facts.name,
                        here.facts.version
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

/// What a publisher says of a layer, in lines that steer no terminal.
fn descriptor_lines(d: &Descriptor) -> Vec<String> {
    let mut lines = vec![format!("{}/{} {} for {}", d.kind(), d.name(), d.version(), d.arch())];
    let texts = [
        ("summary", d.summary().to_owned()),
        ("license", d.license().to_owned()),
        ("homepage", d.homepage().to_owned()),
        ("abi", d.abi().unwrap_or_default().to_owned()),
        ("needs", d.depends().join(", ")),
        ("provides", d.provides().join(", ")),
        ("conflicts", d.conflicts().join(", ")),
        ("replaces", d.replaces().join(", ")),
    ];
    let there = texts.iter().filter(|(_, value)| !value.is_empty());
    lines.extend(there.map(|(name, value)| format!("{name:<13} {}", plain(value))));
    lines
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
        say!(
            "{:<28} {:<20} {}{why}",
            format!("{}/{}", layer.kind, layer.name),
            layer.version,
            layer.mount.path
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_ids::Kind;

    #[test]
    fn what_a_publisher_says_stays_on_its_line() {
        let mut d = Descriptor::new(Kind::Site, "docs", "1", "any").unwrap();
        d.set_summary("\u{1b}[2J\u{9b}H\u{202e}good\nlicense       free").unwrap();
        d.set_homepage("https://x/\u{7}").unwrap();
        let sign = '\u{fffd}';
        let summary = format!("summary       {sign}[2J{sign}H{sign}good{sign}license       free");
        assert_eq!(descriptor_lines(&d)[1..], [summary, format!("homepage      https://x/{sign}")]);
    }
}
