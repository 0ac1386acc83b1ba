//! Removing layers: nothing else changes, so what stays must not need what goes. [`superfluous`] finds what nothing needs.

use super::Change;
use super::facts::{Facts, Installed};
use super::refusal::NoPlan;
use super::request::find_installed;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Plans a removal; what is removed may not be needed by what stays.
///
/// # Errors
/// [`NoPlan::NotFound`], [`NoPlan::Ambiguous`], [`NoPlan::StillNeeded`].
pub fn remove(installed: &[Installed], names: &[alloc::string::String]) -> Result<Vec<Change>, NoPlan> {
    let mut going = BTreeSet::new();
    for text in names {
        going.insert(installed_layer(installed, text)?);
    }
    let numbered = || (0..).zip(installed.iter().map(|present| &present.facts));
    let stays: Vec<&Facts> =
        numbered().filter(|(number, _)| !going.contains(number)).map(|(_, facts)| facts).collect();
    let mut gone: Vec<&Facts> =
        numbered().filter(|(number, _)| going.contains(number)).map(|(_, facts)| facts).collect();
    if let Some((lost, by)) = missed(&stays, &gone).next() {
        return Err(NoPlan::StillNeeded { name: lost.name.clone(), needed_by: by.name.clone() });
    }
    gone.sort_by_key(|facts| facts.key());
    Ok(gone.into_iter().map(|facts| Change::Remove { kind: facts.kind, name: facts.name.clone() }).collect())
}

/// What is missed when some layers go: each that a layer which stays needs, with that layer, where no other that stays will do.
pub fn missed<'a>(stays: &[&'a Facts], gone: &[&'a Facts]) -> impl Iterator<Item = (&'a Facts, &'a Facts)> {
    let needs = stays.iter().flat_map(|by| by.depends.iter().map(move |need| (*by, need)));
    let unmet = needs.filter(|(_, need)| !stays.iter().any(|other| other.answers(need)));
    unmet.filter_map(|(by, need)| gone.iter().find(|lost| lost.answers(need)).map(|lost| (*lost, by)))
}

/// What came with others and nothing needs any more: neither what was asked for, nor what is held, nor what those need, in
/// turn. Of several layers that meet a need all stay, for a plan may have chosen either.
pub fn superfluous(installed: &[Installed]) -> Vec<Change> {
    let mut needed: BTreeSet<usize> = BTreeSet::new();
    let wanted = (0..).zip(installed).filter(|(_, present)| present.asked || present.held);
    let mut open: Vec<usize> = wanted.map(|(number, _)| number).collect();
    while let Some(number) = open.pop() {
        let Some(present) = installed.get(number) else { continue };
        if !needed.insert(number) {
            continue;
        }
        let meets = |other: &Installed| present.facts.depends.iter().any(|need| other.facts.answers(need));
        open.extend((0..).zip(installed).filter(|(_, other)| meets(other)).map(|(other, _)| other));
    }
    let mut gone: Vec<&Facts> = (0..)
        .zip(installed)
        .filter(|(number, _)| !needed.contains(number))
        .map(|(_, present)| &present.facts)
        .collect();
    gone.sort_by_key(|facts| facts.key());
    gone.into_iter().map(|facts| Change::Remove { kind: facts.kind, name: facts.name.clone() }).collect()
}

/// The installed layer that a text names, by its number.
///
/// # Errors
/// [`NoPlan::NotFound`], [`NoPlan::Ambiguous`].
pub fn installed_layer(installed: &[Installed], text: &str) -> Result<usize, NoPlan> {
    match find_installed(installed, text)?.as_slice() {
        [one] => Ok(*one),
        several => {
            let found = several.iter().filter_map(|number| installed.get(*number));
            let choices = found.map(|i| alloc::format!("{}/{}", i.facts.kind, i.facts.name)).collect();
            Err(NoPlan::Ambiguous { name: text.into(), choices })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, installed};
    use super::*;
    use alloc::string::String;

    fn gone(present: &[Installed]) -> Vec<String> {
        let name = |change: Change| match change {
            Change::Remove { name, .. } => name,
            other => panic!("{other:?}"),
        };
        superfluous(present).into_iter().map(name).collect()
    }

    #[test]
    fn what_nothing_needs_goes_with_what_only_it_needed() {
        let mut present = [
            installed(facts("app", "1", &["lib"]), true),
            installed(facts("lib", "1", &["base-lib"]), false),
            installed(facts("base-lib", "1", &[]), false),
            installed(facts("left", "1", &["left-too"]), false),
            installed(facts("left-too", "1", &["left"]), false),
        ];
        assert_eq!(gone(&present), ["left", "left-too"]);
        present[3].held = true;
        assert_eq!(gone(&present), [""; 0]);
        assert_eq!(gone(&present[1..3]), ["base-lib", "lib"]);
    }
}
