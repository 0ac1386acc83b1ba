//! Removing layers: nothing else changes, so what stays must not need what goes.

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
        match find_installed(installed, text)?.as_slice() {
            [one] => {
                going.insert(*one);
            }
            several => {
                let found = several.iter().filter_map(|number| installed.get(*number));
                let choices = found.map(|i| alloc::format!("{}/{}", i.facts.kind, i.facts.name)).collect();
                return Err(NoPlan::Ambiguous { name: text.clone(), choices });
            }
        }
    }
    let numbered = || (0..).zip(installed.iter().map(|present| &present.facts));
    let stays: Vec<&Facts> =
        numbered().filter(|(number, _)| !going.contains(number)).map(|(_, facts)| facts).collect();
    let mut gone: Vec<&Facts> =
        numbered().filter(|(number, _)| going.contains(number)).map(|(_, facts)| facts).collect();
    for facts in &stays {
        for need in &facts.depends {
            let met = stays.iter().any(|other| other.answers(need));
            if let (false, Some(lost)) = (met, gone.iter().find(|g| g.answers(need))) {
                return Err(NoPlan::StillNeeded { name: lost.name.clone(), needed_by: facts.name.clone() });
            }
        }
    }
    gone.sort_by_key(|facts| facts.key());
    Ok(gone.into_iter().map(|facts| Change::Remove { kind: facts.kind, name: facts.name.clone() }).collect())
}
