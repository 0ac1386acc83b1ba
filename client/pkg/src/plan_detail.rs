//! What `-v` says of a plan: of each change the whole reason, where the layer comes from, and what else was on offer.
//!
//! The plan itself is [`crate::plan_view`]'s; these are lines beside it, on stderr.

use crate::catalogs::Offers;
use crate::install::machine;
use plyos_plan::resolve::{Change, Installed, Why, passed_over};
use plyos_report::human;

/// The lines for a plan; `why` has the reason of each change.
pub fn lines(offers: &Offers, installed: &[Installed], changes: &[Change], why: &[Why]) -> Vec<String> {
    let mut lines = Vec::new();
    for (change, why) in changes.iter().zip(why) {
        let reason = match why {
            // All of them, where the plan names a few.
            Why::NeededBy(names) => format!("needed by {}", names.join(", ")),
            other => other.to_string(),
        };
        match change {
            Change::Add { offer, .. } | Change::Replace { offer, .. } => {
                let Some(facts) = offers.facts.get(*offer) else { continue };
                lines.push(format!("{}/{} {}: {reason}", facts.kind, facts.name, facts.version));
                lines.push(format!("  from {}", source(offers, *offer)));
                lines.push(format!("  layer {}", facts.layer));
                let passed_over = passed_over(*offer, &offers.facts, installed, machine());
                lines.extend(passed_over.iter().map(|sentence| format!("  not taken: {sentence}")));
                let beaten = offers.beaten(facts.kind, &facts.name);
                lines.extend(beaten.map(|(repository, version)| {
                    format!("  not taken: {version} of '{repository}', which has a lower priority")
                }));
            }
            Change::Remove { kind, name } => lines.push(format!("{kind}/{name}: goes, {reason}")),
            Change::Ask { kind, name } => lines.push(format!("{kind}/{name}: stays, {reason}")),
        }
    }
    lines
}

/// Where an offer comes from.
fn source(offers: &Offers, number: usize) -> String {
    let Some(offer) = offers.all.get(number) else { return "a file, on your own word".to_owned() };
    let blob = human(offer.custom.size.blob);
    match offers.repository(offer) {
        Ok(trusted) => {
            let repository = &trusted.repository;
            let place = offer.custom.registry.as_deref().unwrap_or(&repository.url);
            format!("'{}', channel {}: {blob} at {place}", repository.name, repository.channel)
        }
        Err(_) => "an unknown repository".to_owned(),
    }
}
