//! `plyos keys`: key pairs as files.

use crate::cli::KeyRole;
use plyos_custody::{Signer as _, keys};
use plyos_report::{ExitCode, Failure, OrFail, Progress, print_json};
use serde_json::json;
use std::path::Path;

impl From<KeyRole> for keys::Role {
    fn from(role: KeyRole) -> Self {
        match role {
            KeyRole::Root => Self::Root,
            KeyRole::Targets => Self::Targets,
            KeyRole::Snapshot => Self::Snapshot,
            KeyRole::Timestamp => Self::Timestamp,
            KeyRole::Layer => Self::Layer,
        }
    }
}

/// Makes a key pair; files that exist are never written over.
pub fn new(name: &str, dir: &Path, role: KeyRole, progress: &Progress) -> Result<(), Failure> {
    let key = keys::new(dir, name, role.into()).or_fail(ExitCode::Failure, "making the key")?;
    let id = key.public().key_id().to_hex();
    let (secret, public) = (dir.join(format!("{name}.key")), dir.join(format!("{name}.pub")));
    if progress.json() {
        print_json(&json!({"key_id": id, "secret": secret, "public": public}));
    } else {
        println!("key {id}");
        println!("  secret {} (keep it safe, and off the registry)", secret.display());
        println!("  public {}", public.display());
    }
    Ok(())
}
