//! `pkg repo add`: first contact, with a root that the user vouches for.

use crate::log;
use crate::repositories::{self, Repository, State};
use crate::target::Target;
use plyos_report::{ExitCode, Failure, OrFail, print_json};
use plyos_storefile::{RecordType, Writer};
use plyos_transfer::{Authorities, Http, catalog};
use plyos_trust::tuf::{self, Held, Update};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Longest root file that is read.
const ROOT_LIMIT: u64 = 512 << 10;

/// What is to be trusted.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    /// Address of the catalog.
    pub url: &'a str,
    /// File or SHA-256 of its root.
    pub root: &'a str,
    /// What to call it; the last part of the address by default.
    pub name: Option<&'a str>,
    /// The line that is followed.
    pub channel: &'a str,
    /// Its priority.
    pub priority: i64,
    /// File with the authority of its servers.
    pub ca: Option<&'a Path>,
}

/// `pkg repo add`
pub async fn add(target: &Target, new: &New<'_>) -> Result<(), Failure> {
    let New { url, root, name, .. } = *new;
    let ca = new.ca.map(repositories::read_ca).transpose()?;
    let authorities = match &ca {
        Some(pem) => Authorities::of_pem(pem.as_bytes()).or_fail(ExitCode::Usage, "reading --ca")?,
        None => Authorities::default(),
    };
    let remote = catalog::Catalog::new(Http::trusting(&authorities)?, url)?;
    let name = match name {
        Some(name) => name,
        None => remote.url().rsplit('/').next().unwrap_or_default(),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let line = format!(
            "'{name}' is no name for a repository; choose one with --name (letters, digits, '.', '_', '-')"
        );
        return Err(Failure::new(ExitCode::Usage, line));
    }
    let trusted = trusted_root(target, &remote, root).await?;
    // The state machine refuses a root that its own keys did not sign.
    let doing = "the root metadata is refused";
    Update::new(trusted.clone(), Held::default(), 0, tuf::Limits::default())
        .or_fail(ExitCode::Signature, doing)?;

    let mut writer = target.writer_or_new()?;
    let repository = Repository {
        name: name.to_owned(),
        url: remote.url().to_owned(),
        channel: new.channel.to_owned(),
        priority: new.priority,
        state: State::Enabled,
        ca,
    };
    let all = repositories::list(&writer)?;
    let outcome = match all.iter().find(|known| known.name == name) {
        None => Outcome::Added,
        Some(known) if known.url != repository.url => {
            let line =
                format!("'{name}' is the name of another repository ({}); choose one with --name", known.url);
            return Err(Failure::new(ExitCode::Conflict, line));
        }
        Some(known) if !matches!(repositories::kept(&writer, known, tuf::ROOT), Ok(Some(_))) => {
            Outcome::RootAgain
        }
        // Layers from it are judged by the root that it had, so that is the one that comes back.
        Some(known) if known.state == State::Removed => Outcome::Back,
        Some(_) => Outcome::Known,
    };
    if matches!(outcome, Outcome::Added | Outcome::Back) {
        put(target, &mut writer, RecordType::Repository, repository.key(), &repository.emit())?;
    }
    if matches!(outcome, Outcome::Added | Outcome::RootAgain) {
        put(target, &mut writer, RecordType::TufMetadata, repository.role_key(tuf::ROOT), &trusted)?;
    }
    if outcome != Outcome::Known {
        log::done(target, &mut writer, &format!("pkg repo add {} --name {name}", repository.url))?;
        writer.commit(None).map_err(|error| target.fail(&error))?;
    }
    if target.progress.json() {
        print_json(&json!({
            "name": repository.name, "url": repository.url, "known": outcome != Outcome::Added,
            "root_sha256": hex(&Sha256::digest(&trusted)),
        }));
        return Ok(());
    }
    target.progress.step(&match outcome {
        Outcome::Added => format!("Added '{name}' ({}). Next: pkg update", repository.url),
        Outcome::RootAgain => format!("'{name}' has its trusted root again. Next: pkg update"),
        Outcome::Back => format!("'{name}' is back, with the root that it had. Next: pkg update"),
        Outcome::Known => format!("'{name}' is known already; its trusted root stays as it is"),
    });
    Ok(())
}

/// What became of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is new.
    Added,
    /// Its root was lost.
    RootAgain,
    /// It had been removed.
    Back,
    /// Nothing changed.
    Known,
}

fn put(
    target: &Target,
    writer: &mut Writer,
    record_type: RecordType,
    key: [u8; 32],
    bytes: &[u8],
) -> Result<(), Failure> {
    writer.put_record(record_type, &key, bytes).map_err(|error| target.fail(&error))
}

/// The root that the user vouches for: a file, or the repository's first root if it has the given SHA-256.
async fn trusted_root(target: &Target, remote: &catalog::Catalog, root: &str) -> Result<Vec<u8>, Failure> {
    let is_hash = root.len() == 64 && root.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_hash || Path::new(root).exists() {
        let doing = format!("reading the root metadata {root} (give a file, or the SHA-256 of 1.root.json)");
        let length = std::fs::metadata(root).or_fail(ExitCode::NotFound, &doing)?.len();
        if length > ROOT_LIMIT {
            return Err(Failure::new(ExitCode::Signature, format!("{doing}: it is longer than 512 KiB")));
        }
        return std::fs::read(root).or_fail(ExitCode::NotFound, &doing);
    }
    let path = "metadata/1.root.json";
    target.need_network(&format!("fetching {path} (--root FILE needs no network)"))?;
    let found = remote.get(path, ROOT_LIMIT).await?.ok_or_else(|| {
        Failure::new(
            ExitCode::NotFound,
            format!("{} has no {path}; is it the address of a catalog?", remote.url()),
        )
    })?;
    let hash = hex(&Sha256::digest(&found));
    if hash != root.to_ascii_lowercase() {
        let line = format!(
            "{path} of {} has the SHA-256 {hash}, not the one given; it is not trusted",
            remote.url()
        );
        return Err(Failure::new(ExitCode::Signature, line));
    }
    Ok(found.to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
