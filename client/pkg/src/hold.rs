//! `pkg hold` and `unhold`: layers that no plan changes or takes away. A hold is a name in the settings; it outlives the
//! generation and ends when the layer goes.

use crate::active;
use crate::catalogs::not_installed;
use crate::log;
use crate::settings::Settings;
use crate::target::Target;
use plyos_plan::resolve;
use plyos_report::{ExitCode, Failure, print_json};
use serde_json::json;
use std::collections::BTreeSet;

/// What becomes of the named layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// They stay as they are.
    Hold,
    /// Plans may change them again.
    Release,
}

/// `pkg hold NAME…` and `pkg unhold NAME…`
pub fn change(target: &Target, names: &[String], hold: Hold) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    let mut settings = Settings::load(&writer)?;
    let installed = active::installed(target, &writer)?;
    let mut chosen = BTreeSet::new();
    for name in names {
        // One whose layer is not here at the moment (after a rollback) can be released all the same.
        let kept =
            |held: &&String| *held == name || held.split_once('/').is_some_and(|(_, bare)| bare == name);
        if let (Hold::Release, Some(held)) = (hold, settings.holds.iter().find(kept)) {
            chosen.insert(held.clone());
            continue;
        }
        let layer = resolve::installed_layer(&installed, name).map_err(not_installed)?;
        chosen.extend(installed.get(layer).map(|i| format!("{}/{}", i.facts.kind, i.facts.name)));
    }
    let before = settings.holds.clone();
    match hold {
        Hold::Hold => settings.holds.extend(chosen.iter().cloned()),
        Hold::Release => {
            if let Some(free) = chosen.iter().find(|name| !before.contains(*name)) {
                let line = format!("{free} is not held; `pkg list` shows what is");
                return Err(Failure::new(ExitCode::NotFound, line));
            }
            settings.holds.retain(|name| !chosen.contains(name));
        }
    }
    if settings.holds != before {
        settings.put(target, &mut writer)?;
        let verb = if hold == Hold::Hold { "hold" } else { "unhold" };
        log::done(target, &mut writer, &format!("pkg {verb} {}", names.join(" ")))?;
        writer.commit(None).map_err(|error| target.fail(&error))?;
    }
    let held = hold == Hold::Hold;
    if target.progress.json() {
        print_json(&chosen.iter().map(|name| json!({"name": name, "held": held})).collect());
        return Ok(());
    }
    for name in &chosen {
        target.progress.step(&match hold {
            Hold::Hold => format!("{name} is held: no plan changes it. `pkg unhold {name}` lets it."),
            Hold::Release => format!("{name} is not held any more."),
        });
    }
    Ok(())
}
