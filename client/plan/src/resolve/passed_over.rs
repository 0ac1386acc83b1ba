//! What else was on offer under the name of a layer that a plan brings, and why it was not taken.

use super::facts::{Facts, Installed, Machine, made_for};
use crate::version;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Older versions that are told one by one.
const NAMED: usize = 5;

/// A sentence for each offer of the kind and name of `chosen` (the number of an offer) that was passed over; one for all older ones. What keeps
/// a newer one out beside machine and `upgrade-from` is a matter of the whole plan ([`super::KeptBack`] says more).
pub fn passed_over(
    chosen: usize,
    offers: &[Facts],
    installed: &[Installed],
    machine: Machine<'_>,
) -> Vec<String> {
    let Some(taken) = offers.get(chosen) else { return Vec::new() };
    let present = installed.iter().find(|present| present.facts.key() == taken.key());
    let mut sentences = Vec::new();
    let mut older: Vec<&str> = Vec::new();
    let others = offers.iter().enumerate().filter(|(number, _)| *number != chosen);
    for (_, offer) in others.filter(|(_, offer)| offer.key() == taken.key()) {
        let version = &offer.version;
        if !machine.takes(offer) {
            sentences.push(format!(
                "{version} is for {}, and this machine is {}",
                made_for(offer),
                machine.arch
            ));
            continue;
        }
        match version::compare(version, &taken.version) {
            Ordering::Less => older.push(version),
            Ordering::Equal if offer.layer == taken.layer => {
                sentences.push(format!("{version} is on offer a second time, as the same layer"));
            }
            Ordering::Equal => {
                sentences.push(format!("{version} is on offer a second time, as another layer"))
            }
            Ordering::Greater => {
                let too_far = present
                    .zip(offer.upgrade_from.as_deref())
                    .filter(|(present, least)| version::compare(&present.facts.version, least).is_lt());
                sentences.push(match too_far {
                    Some((present, least)) => format!(
                        "{version} upgrades from {least} or newer only, and {} is installed",
                        present.facts.version
                    ),
                    None => format!("{version} is newer; the request or another layer keeps it out"),
                });
            }
        }
    }
    older.sort_by(|left, right| version::compare(right, left));
    older.dedup();
    let more = older.len().saturating_sub(NAMED);
    older.truncate(NAMED);
    if !older.is_empty() {
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        sentences.push(format!("older: {}{rest}", older.join(", ")));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;
    use plyos_ids::{Kind, LayerId};

    fn tool(version: &str, arch: &str) -> Facts {
        Facts {
            kind: Kind::Package,
            name: "tool".to_owned(),
            version: version.to_owned(),
            arch: arch.to_owned(),
            abi: None,
            compatible: Vec::new(),
            provides: Vec::new(),
            depends: Vec::new(),
            conflicts: Vec::new(),
            replaces: Vec::new(),
            upgrade_from: None,
            layer: LayerId::from_bytes([version.len() as u8; 32]),
        }
    }

    #[test]
    fn each_has_its_reason() {
        let machine = Machine { arch: "amd64", abis: &[], compatible: &[] };
        let far = Facts { upgrade_from: Some("2".to_owned()), ..tool("4", "amd64") };
        let other = Facts { name: "other".to_owned(), ..tool("9", "any") };
        let offers = [
            tool("2", "amd64"),
            tool("1.9", "any"),
            tool("3", "arm64"),
            far,
            other,
            tool("1.10", "any"),
            tool("2.5", "any"),
            tool("2", "any"),
        ];
        let installed = [Installed { facts: tool("1", "amd64"), asked: true, held: false }];
        assert_eq!(
            passed_over(0, &offers, &installed, machine),
            [
                "3 is for arm64, and this machine is amd64",
                "4 upgrades from 2 or newer only, and 1 is installed",
                "2.5 is newer; the request or another layer keeps it out",
                "2 is on offer a second time, as the same layer",
                "older: 1.10, 1.9",
            ]
        );
        assert_eq!(passed_over(4, &offers, &installed, machine), [""; 0]);
        assert_eq!(passed_over(99, &offers, &installed, machine), [""; 0]);
    }

    #[test]
    fn many_older_ones_are_counted() {
        let machine = Machine { arch: "amd64", abis: &[], compatible: &[] };
        let offers: Vec<Facts> = (0..9).rev().map(|n| tool(&format!("1.{n}"), "any")).collect();
        assert_eq!(passed_over(0, &offers, &[], machine), ["older: 1.7, 1.6, 1.5, 1.4, 1.3 and 3 more"]);
    }
}
