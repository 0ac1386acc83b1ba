//! Signing a catalog and putting it where targets fetch it, as one set.
//!
//! A reader sees the old catalog until the last request, which replaces `timestamp.json`; everything else has names of its
//! own. That request holds only if the server still has the timestamp that was seen before the first: of two publishers
//! at once one wins, and the other is told. A publisher that is killed has changed nothing that anyone reads; what it left
//! is used again by the next run, or stepped over by a higher version number.

use crate::workspace::failure;
use plyos_custody::repository::{PublishFile, Standing, Workspace};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_transfer::TransferError;
use plyos_transfer::catalog::{Catalog, Replace, Version};

/// The one file that is replaced.
const TIMESTAMP: &str = "metadata/timestamp.json";
/// Longest timestamp; real ones have less than 1 KiB.
const TIMESTAMP_LIMIT: u64 = 64 << 10;
/// Longest file that is fetched to compare it.
const COMPARE_LIMIT: u64 = 64 << 20;
/// How often names that are taken are stepped over. Each takes a publisher that died, or one at the same moment.
const ATTEMPTS: usize = 4;

/// A file that was uploaded.
#[derive(Debug)]
pub struct Uploaded {
    /// Path below the catalog's URL.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// A name that the server has with other bytes.
struct Taken {
    path: String,
}

/// Fails if the catalog on the server is not the one that this workspace published last. To be asked early, before a
/// layer is signed; asked again by [`sign_and_upload`].
pub async fn check(workspace: &Workspace, catalog: &Catalog) -> Result<(), Failure> {
    standing(workspace, catalog).await.map(drop)
}

/// Signs what differs from the offer and puts it where targets fetch it.
pub async fn sign_and_upload(
    workspace: &mut Workspace,
    catalog: &Catalog,
    now: u64,
) -> Result<Vec<Uploaded>, Failure> {
    let (standing, seen) = standing(workspace, catalog).await?;
    let signing = |error| failure("signing the catalog", error);
    let mut files = workspace.publish(now).map_err(signing)?;
    for _ in 0..ATTEMPTS {
        if standing == Standing::Empty {
            files = workspace.files().map_err(signing)?;
        }
        let Err(taken) = upload(catalog, &files, seen.as_ref()).await? else {
            workspace.mark_published(&files).or_fail(ExitCode::Failure, "noting what was uploaded")?;
            let uploaded = |file: PublishFile| Uploaded { bytes: file.bytes.len() as u64, path: file.path };
            return Ok(files.into_iter().map(uploaded).collect());
        };
        let Some(role) = role_of(&taken.path) else { return Err(other_publisher(catalog, &taken.path)) };
        files = workspace.publish_anew(&[role], now).map_err(signing)?;
    }
    Err(other_publisher(catalog, "what is being published"))
}

async fn standing(workspace: &Workspace, catalog: &Catalog) -> Result<(Standing, Option<Version>), Failure> {
    let seen = catalog.get_version(TIMESTAMP, TIMESTAMP_LIMIT).await?;
    let bytes = seen.as_ref().map(|(bytes, _)| bytes.as_ref());
    let standing =
        workspace.standing(bytes).map_err(|error| failure("looking at what was published", error))?;
    match standing {
        Standing::Foreign => Err(other_publisher(catalog, TIMESTAMP)),
        standing => Ok((standing, seen.map(|(_, version)| version))),
    }
}

/// Uploads in the given order, which puts what is referred to before what refers to it and `timestamp.json` last.
async fn upload(
    catalog: &Catalog,
    files: &[PublishFile],
    seen: Option<&Version>,
) -> Result<Result<(), Taken>, Failure> {
    for file in files {
        let timestamp = file.path == TIMESTAMP;
        let replace = match seen {
            Some(version) if timestamp => Replace::Only(version.clone()),
            _ => Replace::Never,
        };
        match catalog.put(&file.path, &file.bytes, &replace).await {
            Ok(()) => {}
            Err(TransferError::Refused { status: 409 | 412, .. }) => {
                // A server may refuse even the same bytes; and the answer to an upload that worked may have been lost.
                let there = catalog.get(&file.path, COMPARE_LIMIT).await?;
                match there.is_some_and(|there| there == file.bytes) {
                    true => {}
                    false if timestamp => return Err(other_publisher(catalog, &file.path)),
                    false => return Ok(Err(Taken { path: file.path.clone() })),
                }
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(Ok(()))
}

/// The role of a metadata file whose version may be stepped over: any but the root, of which targets need every version.
fn role_of(path: &str) -> Option<&str> {
    let name = path.strip_prefix("metadata/")?.strip_suffix(".json")?;
    let (version, role) = name.split_once('.')?;
    let numbered = version.bytes().all(|b| b.is_ascii_digit());
    (numbered && role != "root").then_some(role)
}

fn other_publisher(catalog: &Catalog, path: &str) -> Failure {
    let line = format!(
        "uploading {path} to {}: what is there is not what this workspace published last, so another workspace has published; \
         targets see that one: publish from there, or to another catalog",
        catalog.url()
    );
    Failure::new(ExitCode::Conflict, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_roles_with_free_versions_are_stepped_over() {
        assert_eq!(role_of("metadata/5.package.json"), Some("package"));
        assert_eq!(role_of("metadata/12.snapshot.json"), Some("snapshot"));
        for path in [
            "metadata/2.root.json",
            "metadata/timestamp.json",
            "targets/keyring/ab.keyring",
            "metadata/x.package.json",
        ] {
            assert_eq!(role_of(path), None, "{path}");
        }
    }
}
