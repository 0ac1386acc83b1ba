//! `pkg update`: the TUF client workflow with the store as its memory.

use crate::catalogs::{KEYRING, verify_keyring};
use crate::renewal;
use crate::repositories::{self, Repository, State};
use crate::target::{Act, Target, record};
use plyos_report::{ExitCode, Failure, OrFail, print_json};
use plyos_storefile::RecordType;
use plyos_storefile::{Store, Writer};
use plyos_transfer::{TransferError, catalog};
use plyos_trust::keyring::Keyring;
use plyos_trust::tuf::{self, Catalog, Held, Step, TargetName, TufError, Update};
use serde_json::json;
use std::collections::BTreeMap;

/// Longest keyring that is fetched.
const KEYRING_LIMIT: u64 = 1 << 20;

/// `pkg update`
pub async fn update(target: &Target, act: Act) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let known = repositories::list(&target.store()?)?;
    let mut followed = known.into_iter().filter(|repository| repository.state == State::Enabled).peekable();
    if followed.peek().is_none() {
        let line = "no repository is known that is enabled; add one with `pkg repo add URL --root FILE`";
        return Err(Failure::new(ExitCode::NotFound, line));
    }
    target.need_network("fetching the newest catalogs")?;
    let mut first: Option<Failure> = None;
    for repository in followed {
        let outcome = match update_one(target, &repository, act).await {
            Ok(outcome) => outcome,
            // The others go on: one server that is down must not keep the fixes of the rest away.
            Err(failure) => {
                rows.push(json!({"name": repository.name, "problem": failure.message}));
                match &first {
                    Some(_) => target.progress.warn(&failure.message),
                    None => first = Some(failure),
                }
                continue;
            }
        };
        target.progress.step(&format!(
            "{}: {} layers on offer, signed {}, {}",
            repository.name,
            outcome.offers,
            outcome.signed,
            match (outcome.changed, act) {
                (true, Act::Now) => "updated",
                (true, Act::DryRun) => "would be updated",
                (false, _) => "nothing new",
            }
        ));
        rows.push(json!({
            "name": repository.name, "offers": outcome.offers, "signed_at": outcome.signed,
            "changed": outcome.changed, "downloaded_bytes": outcome.downloaded, "dry_run": act == Act::DryRun, "problem": null,
        }));
    }
    if target.progress.json() {
        print_json(&json!(rows));
    }
    first.map_or(Ok(()), Err)
}

struct Outcome {
    offers: usize,
    signed: String,
    changed: bool,
    downloaded: u64,
}

async fn update_one(target: &Target, repository: &Repository, act: Act) -> Result<Outcome, Failure> {
    let store = target.store()?;
    let remote = catalog::Catalog::new(target.client(&store, repository)?, &repository.url)?;
    let now = target.now(&store);
    let held = held(&store, repository)?;
    let root = held.get(tuf::ROOT).cloned().ok_or_else(|| {
        Failure::new(
            ExitCode::Store,
            format!("'{}' has no trusted root in the store; add it again", repository.name),
        )
    })?;
    let doing = format!("the catalog of '{}' is refused", repository.name);
    let refused = |error: TufError| Failure::new(ExitCode::Signature, format!("{doing}: {error}"));
    let mut update =
        Update::new(root, Held::from_files(held.clone()), now, tuf::Limits::default()).map_err(refused)?;
    let mut downloaded = 0;
    let catalog = match follow(&mut update, &remote, &refused, &mut downloaded).await {
        Ok(catalog) => catalog,
        Err(failure) => {
            // Roots that were verified on the way count even when what follows them is refused.
            let trusted = update.trusted_files();
            drop(store);
            if act == Act::Now {
                keep_metadata(target, repository, &trusted, &held)?;
            }
            return Err(failure);
        }
    };
    let keyring = fetch_keyring(&remote, &store, repository, &catalog, &mut downloaded).await?;
    let changed = catalog.files != held;
    drop(store);
    match act {
        Act::Now => keep(target, repository, &catalog, &held, &keyring)?,
        Act::DryRun => verify_keyring(&keyring, &catalog, repository).map(drop)?,
    }
    let signed = catalog.signed_at.map_or_else(|| "at an unknown time".to_owned(), plyos_trust::time::print);
    Ok(Outcome { offers: catalog.targets.len().saturating_sub(1), signed, changed, downloaded })
}

/// Runs the client workflow to its end.
async fn follow(
    update: &mut Update,
    remote: &catalog::Catalog,
    refused: &impl Fn(TufError) -> Failure,
    downloaded: &mut u64,
) -> Result<Catalog, Failure> {
    loop {
        match update.next() {
            Step::Done(catalog) => return Ok(*catalog),
            Step::Fetch { path, max_len, optional } => {
                let bytes = remote.get(&path, max_len).await.map_err(too_long_is_refused)?;
                if bytes.is_none() && !optional {
                    return Err(TransferError::NotFound {
                        what: format!("fetching {path} from {}", remote.url()),
                    }
                    .into());
                }
                *downloaded += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                update.supply(bytes.map(|bytes| bytes.to_vec())).map_err(refused)?;
            }
        }
    }
}

/// Metadata that is longer than it may be is an attack on trust, not a broken line.
fn too_long_is_refused(error: TransferError) -> Failure {
    match error {
        TransferError::Length { .. } => Failure::new(ExitCode::Signature, error.to_string()),
        other => other.into(),
    }
}

fn held(store: &Store, repository: &Repository) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let mut files = BTreeMap::new();
    for role in std::iter::once(tuf::ROOT).chain(repositories::roles()) {
        let kept = match repositories::kept(store, repository, role) {
            // What is damaged is fetched again; only the root cannot be believed without the one before it.
            Err(_) if role != tuf::ROOT => None,
            kept => kept?,
        };
        if let Some(bytes) = kept {
            files.insert(role.to_owned(), bytes);
        }
    }
    Ok(files)
}

/// The keyring that the catalog names, from the store when it is the same, verified and not older than the one held.
async fn fetch_keyring(
    remote: &catalog::Catalog,
    store: &Store,
    repository: &Repository,
    catalog: &Catalog,
    downloaded: &mut u64,
) -> Result<Vec<u8>, Failure> {
    let doing = format!("the keyring of '{}' is refused", repository.name);
    let name = TargetName::parse(KEYRING).or_fail(ExitCode::Failure, &doing)?;
    let file = catalog.get(&name).ok_or_else(|| {
        Failure::new(ExitCode::Signature, format!("the catalog of '{}' names no keyring", repository.name))
    })?;
    let held = record(store, RecordType::Keyring, &repository.key()).unwrap_or_default();
    if let Some(held) = held.as_ref().filter(|held| file.check(&name, held).is_ok()) {
        verify_keyring(held, catalog, repository)?;
        return Ok(held.clone());
    }
    let limit = file.length.min(KEYRING_LIMIT);
    let path = catalog.path_of(&name, file);
    let bytes =
        remote.get(&path, limit).await.map_err(too_long_is_refused)?.ok_or_else(|| {
            TransferError::NotFound { what: format!("fetching {path} from {}", remote.url()) }
        })?;
    *downloaded += bytes.len() as u64;
    file.check(&name, &bytes).or_fail(ExitCode::Signature, &doing)?;
    let held_version = held.and_then(|held| Keyring::parse(&held).ok()).map_or(0, |held| held.version());
    verify_keyring(&bytes, catalog, repository)?
        .at_least(held_version)
        .or_fail(ExitCode::Signature, &doing)?;
    Ok(bytes.to_vec())
}

/// Puts the files of roles that changed and removes those that are gone; says whether anything did.
fn put_metadata(
    writer: &mut Writer,
    repository: &Repository,
    files: &BTreeMap<String, Vec<u8>>,
    held: &BTreeMap<String, Vec<u8>>,
) -> Result<bool, Failure> {
    let mut dirty = false;
    for (role, bytes) in files {
        if held.get(role) != Some(bytes) {
            put(writer, RecordType::TufMetadata, repository.role_key(role), bytes)?;
            dirty = true;
        }
    }
    for role in held.keys().filter(|role| !files.contains_key(*role)) {
        writer.remove_record(RecordType::TufMetadata, &repository.role_key(role));
        dirty = true;
    }
    Ok(dirty)
}

/// Another `pkg update` may have kept newer metadata since this one began: that must not be written over.
fn unchanged(
    writer: &Writer,
    repository: &Repository,
    before: &BTreeMap<String, Vec<u8>>,
) -> Result<(), Failure> {
    if held(writer, repository)? == *before {
        return Ok(());
    }
    let line = format!("another pkg updated '{}' at the same time; run the command again", repository.name);
    Err(Failure::new(ExitCode::Store, line))
}

/// Keeps metadata alone, after an update that failed half-way.
fn keep_metadata(
    target: &Target,
    repository: &Repository,
    files: &BTreeMap<String, Vec<u8>>,
    held: &BTreeMap<String, Vec<u8>>,
) -> Result<(), Failure> {
    if files.get(tuf::ROOT) == held.get(tuf::ROOT) {
        return Ok(());
    }
    let mut writer = target.writer()?;
    unchanged(&writer, repository, held)?;
    put_metadata(&mut writer, repository, files, held)?;
    writer.commit(None).map_err(|error| target.fail(&error))
}

/// Writes what changed, in one commit.
fn keep(
    target: &Target,
    repository: &Repository,
    catalog: &Catalog,
    held: &BTreeMap<String, Vec<u8>>,
    keyring: &[u8],
) -> Result<(), Failure> {
    let mut writer = target.writer()?;
    unchanged(&writer, repository, held)?;
    let mut dirty = put_metadata(&mut writer, repository, &catalog.files, held)?;
    if record(&writer, RecordType::Keyring, &repository.key()).unwrap_or_default().as_deref() != Some(keyring)
    {
        put(&mut writer, RecordType::Keyring, repository.key(), keyring)?;
        dirty = true;
    }
    let verified = verify_keyring(keyring, catalog, repository)?;
    dirty |= renewal::certificates(&mut writer, repository, catalog, &verified)?;
    if let Some(signed_at) = catalog.signed_at.filter(|at| *at > writer.superblock().time_floor) {
        writer.set_time_floor(signed_at);
        dirty = true;
    }
    if dirty {
        writer.commit(None).map_err(|error| target.fail(&error))?;
    }
    Ok(())
}

fn put(writer: &mut Writer, record_type: RecordType, key: [u8; 32], bytes: &[u8]) -> Result<(), Failure> {
    writer
        .put_record(record_type, &key, bytes)
        .map_err(|error| Failure::new(ExitCode::Store, format!("writing a {record_type:?} record: {error}")))
}
