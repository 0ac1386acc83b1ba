//! `pkg repo`: whom this machine trusts, and whose offers count before whose. [`add`] is first contact, [`remove`] its end.

pub mod add;
pub mod remove;

use crate::active;
use crate::catalogs;
use crate::log;
use crate::repositories::{self, Repository, State};
use crate::target::{Target, record};
use plyos_report::{ExitCode, Failure, OrFail, print_json, say};
use plyos_storefile::{RecordType, Store};
use plyos_trust::keyring::Keyring;
use plyos_trust::tuf::{self, Envelope, Root};
use serde_json::{Value, json};
use std::path::Path;

fn to_json(repository: &Repository) -> Value {
    json!({"name": repository.name, "url": repository.url, "channel": repository.channel,
           "priority": repository.priority, "state": repository.state.as_str(), "own_ca": repository.ca.is_some()})
}

/// `pkg repo list`
pub fn list(target: &Target) -> Result<(), Failure> {
    let repositories = repositories::list(&target.store()?)?;
    if target.progress.json() {
        print_json(&repositories.iter().map(to_json).collect());
        return Ok(());
    }
    for Repository { name, url, channel, priority, state, .. } in &repositories {
        say!("{name:<16} {:<9} {priority:>4} {channel:<8} {url}", state.as_str());
    }
    if repositories.is_empty() {
        target.progress.step("No repository is known; `pkg repo add URL --root FILE` adds one.");
    }
    Ok(())
}

/// `KIND/NAME VERSION` of the layers of the active generation that came from a repository.
fn installed_from(store: &Store, repository: &Repository) -> Result<Vec<String>, Failure> {
    let generation = active::active_generation(store)?;
    let layers = generation.iter().flat_map(|generation| generation.layers.iter());
    let from = layers.filter(|layer| layer.repo == repository.name);
    Ok(from.map(|layer| format!("{}/{} {}", layer.kind, layer.name, layer.version)).collect())
}

/// `pkg repo show`
pub fn show(target: &Target, name: &str) -> Result<(), Failure> {
    let store = target.store()?;
    let repository = repositories::find(&store, name)?;
    let doing = format!("reading the root of '{name}'");
    let root = match repositories::kept(&store, &repository, tuf::ROOT)? {
        Some(bytes) => {
            let envelope = Envelope::parse(tuf::ROOT, &bytes).or_fail(ExitCode::Signature, &doing)?;
            Some(Root::parse(&envelope).or_fail(ExitCode::Signature, &doing)?)
        }
        None => None,
    };
    let keyring = record(&store, RecordType::Keyring, &repository.key())?;
    let keyring = keyring.and_then(|bytes| Keyring::parse(&bytes).ok()).map(|keyring| keyring.version());
    // What it offers may be out of date or never fetched; everything else can be told all the same.
    let offered = catalogs::trusted(&store, repository.clone(), target.now(&store));
    let installed = installed_from(&store, &repository)?;
    if target.progress.json() {
        let mut value = to_json(&repository);
        let more = json!({
            "root_version": root.as_ref().map(|root| root.header().version), "root_expires": root.as_ref().map(|root| root.header().expires),
            "root_keys": root.as_ref().map(|root| root.root().keys().len()),
            "root_threshold": root.as_ref().map(|root| root.root().threshold()), "keyring_version": keyring,
            "offers": offered.as_ref().ok().map(offers), "signed_at": offered.as_ref().ok().and_then(|o| o.catalog.signed_at),
            "expires": offered.as_ref().ok().map(|o| o.catalog.timestamp.header().expires),
            "problem": offered.as_ref().err().map(|failure| &failure.message), "installed": installed,
        });
        if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
            value.extend(more);
        }
        print_json(&value);
        return Ok(());
    }
    say!("{}  {}", repository.name, repository.url);
    say!("state         {}", repository.state.as_str());
    say!("priority      {}", repository.priority);
    say!("channel       {}", repository.channel);
    if repository.ca.is_some() {
        say!("authority     its own, beside the public ones (--ca)");
    }
    match &root {
        Some(root) => say!(
            "root          version {}, {} of {} keys sign, until {}",
            root.header().version,
            root.root().threshold(),
            root.root().keys().len(),
            plyos_trust::time::print(root.header().expires)
        ),
        None => say!("root          missing; `pkg repo add` brings it back"),
    }
    say!("keyring       {}", keyring.map_or("none yet".to_owned(), |version| format!("version {version}")));
    match &offered {
        Ok(trusted) => say!(
            "catalog       {} layers, until {}",
            offers(trusted),
            plyos_trust::time::print(trusted.catalog.timestamp.header().expires)
        ),
        Err(failure) => say!("catalog       {failure}"),
    }
    say!("installed     {} layers from it", installed.len());
    installed.iter().for_each(|layer| say!("              {layer}"));
    Ok(())
}

/// How many layers a catalog offers: all its targets but the keyring.
fn offers(trusted: &catalogs::Trusted) -> usize {
    trusted.catalog.targets.len().saturating_sub(1)
}

/// What is to change of a repository; what is not said stays.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// The line that is followed.
    pub channel: Option<&'a str>,
    /// Its priority.
    pub priority: Option<i64>,
    /// Whether it is used.
    pub state: Option<State>,
    /// File with the authority of its servers; `none` for the public ones alone.
    pub ca: Option<&'a Path>,
}

/// `pkg repo set`
pub fn set(target: &Target, name: &str, changes: &Changes<'_>) -> Result<(), Failure> {
    let ca = match changes.ca {
        Some(none) if none == Path::new("none") => Some(None),
        Some(file) => Some(Some(repositories::read_ca(file)?)),
        None => None,
    };
    let mut writer = target.writer()?;
    let before = repositories::find(&writer, name)?;
    if before.state == State::Removed {
        let line = format!("'{name}' was removed; `pkg repo add {} --root FILE` brings it back", before.url);
        return Err(Failure::new(ExitCode::Conflict, line));
    }
    let after = Repository {
        channel: changes.channel.unwrap_or(&before.channel).to_owned(),
        priority: changes.priority.unwrap_or(before.priority),
        state: changes.state.unwrap_or(before.state),
        ca: ca.unwrap_or_else(|| before.ca.clone()),
        ..before.clone()
    };
    if after != before {
        writer
            .put_record(RecordType::Repository, &after.key(), &after.emit())
            .map_err(|error| target.fail(&error))?;
        let Repository { channel, priority, state, .. } = &after;
        let command =
            format!("pkg repo set {name} --channel {channel} --priority {priority} ({})", state.as_str());
        let command = if after.ca == before.ca { command } else { command + " --ca" };
        log::done(target, &mut writer, &command)?;
        writer.commit(None).map_err(|error| target.fail(&error))?;
    }
    if target.progress.json() {
        print_json(&to_json(&after));
    } else {
        let Repository { channel, priority, state, .. } = &after;
        target.progress.step(&format!(
            "'{name}' is {}, follows {channel}, and has the priority {priority}.",
            state.as_str()
        ));
    }
    Ok(())
}
