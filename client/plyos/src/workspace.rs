//! The publisher's workspace as commands open it, and the ways they name keys.

use crate::passphrase::Source;
use plyos_custody::keys;
use plyos_custody::repository::{RepositoryError, Workspace};
use plyos_ids::KeyId;
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use plyos_trust::key::PublicKey;
use std::path::{Path, PathBuf};

/// Digits of a key id that are enough to name it, if only one begins so.
const LEAST_DIGITS: usize = 8;

/// Opens the workspace in `dir`.
pub fn open(dir: &Path, passphrases: &Source) -> Result<Workspace, Failure> {
    let workspace = Workspace::open(dir).map_err(|error| failure("opening the repository", error))?;
    Ok(workspace.with_passphrases(Box::new(passphrases.clone())))
}

/// The failure of a workspace's command.
pub fn failure(doing: &str, error: RepositoryError) -> Failure {
    let code = match &error {
        RepositoryError::NoRepository(_) | RepositoryError::NoSuchKey(_) => ExitCode::NotFound,
        RepositoryError::KeyringRefused(_)
        | RepositoryError::Refused(_)
        | RepositoryError::LayerRefused { .. }
        | RepositoryError::NoLayerKey { .. }
        | RepositoryError::TooFewKeys { .. } => ExitCode::Signature,
        _ => ExitCode::Failure,
    };
    Failure::new(code, format!("{doing}: {error}"))
}

/// Key files that are named by path, or by their names in the workspace.
pub fn key_paths(workspace: &Workspace, names: &[String]) -> Vec<PathBuf> {
    let path = |name: &String| {
        let path = PathBuf::from(name);
        if name.contains('/') || path.is_file() {
            path
        } else {
            workspace.key_path(name.trim_end_matches(".key"))
        }
    };
    names.iter().map(path).collect()
}

/// A public key that is named by a .pub or .key file, or by its name in the workspace.
pub fn public_key(workspace: &Workspace, name: &str, role: keys::Role) -> Result<PublicKey, Failure> {
    let mut path = PathBuf::from(name);
    if !path.is_file() && !name.contains('/') {
        path = workspace.key_path(name.trim_end_matches(".pub")).with_extension("pub");
    }
    let secret = path.extension().is_some_and(|extension| extension == "key");
    let label = if secret { keys::look(&path) } else { keys::public(&path) };
    let label = label.or_fail(ExitCode::NotFound, format_args!("looking for key '{name}'"))?;
    if label.role == role {
        return Ok(label.public);
    }
    let line = format!("key {} is for role {}, and {role} is needed", path.display(), label.role);
    Err(Failure::new(ExitCode::Usage, line))
}

/// A key among `known` that is named by the digits its id begins with, by a file, or by its name in the workspace.
pub fn key_id(
    workspace: &Workspace,
    name: &str,
    role: keys::Role,
    known: &[KeyId],
) -> Result<KeyId, Failure> {
    if name.len() >= LEAST_DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let mut found = known.iter().filter(|id| id.to_hex().starts_with(&name.to_lowercase()));
        return match (found.next(), found.next()) {
            (Some(id), None) => Ok(*id),
            (None, _) => KeyId::parse(name).or_fail(
                ExitCode::NotFound,
                format_args!("no key there begins with {name}; `plyos keyring show` lists them"),
            ),
            _ => Err(Failure::new(
                ExitCode::Usage,
                format!("several keys begin with {name}; give more digits"),
            )),
        };
    }
    Ok(public_key(workspace, name, role)?.key_id())
}

/// Says which layers on offer targets would refuse now, and what to do.
pub fn warn_of_refused(workspace: &Workspace, progress: &Progress) -> Result<usize, Failure> {
    let refused =
        workspace.refused_offers().map_err(|error| failure("looking at what is on offer", error))?;
    if let Some((name, refusal)) = refused.first() {
        progress.warn(&format!(
            "targets will refuse {} of the layers on offer (first: {name}: {refusal}); `plyos certify --all` gives them new certificates",
            refused.len()
        ));
    }
    Ok(refused.len())
}
