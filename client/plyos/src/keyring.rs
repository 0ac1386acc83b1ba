//! `plyos keyring`: which keys may certify layers, and what is revoked.

use crate::passphrase::Source;
use crate::workspace::{self, failure, key_id, public_key, warn_of_refused};
use clap::{Args, Subcommand};
use plyos_custody::keys::Role;
use plyos_custody::repository::{KeyringEdit, Powers, Workspace, powers};
use plyos_ids::{Kind, KindSet, LayerId};
use plyos_report::{ExitCode, Failure, OrFail, Progress, print_json, say};
use plyos_trust::custom::LayerCustom;
use plyos_trust::keyring::{LayerKey, Revocation};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// `plyos keyring`
#[derive(Debug, Subcommand)]
pub enum KeyringCommand {
    /// Show the keys with their powers, and the revocations
    #[command(after_help = "Examples:
  plyos keyring show --repo ./repo
  plyos --json keyring show --repo ./repo | jq '.keys[].key_id'")]
    Show {
        /// The workspace made by `plyos repo init`
        #[arg(long)]
        repo: PathBuf,
    },
    /// Let another key certify layers
    #[command(after_help = "Without --kind it may sign every kind but config, without --prefix any name.
Examples:
  plyos keyring add --repo ./repo team.pub --kind package --prefix lib --prefix openssl
  plyos keyring add --repo ./repo team.pub --propose ring.proposal   # root keys are elsewhere")]
    Add {
        /// The key: a .pub file, or its name in the workspace
        key: String,
        /// Its powers
        #[command(flatten)]
        powers: PowersArgs,
        /// Where and how
        #[command(flatten)]
        change: Change,
    },
    /// Change the powers of a key; what is not given stays
    #[command(after_help = "Examples:
  plyos keyring set --repo ./repo 3f2a91cc --least-epoch 4
  plyos keyring set --repo ./repo team --kind site --kind model --any-name")]
    Set {
        /// The key: the first digits of its id, a .pub file, or its name in the workspace
        key: String,
        /// Its powers
        #[command(flatten)]
        powers: PowersArgs,
        /// Any name, from now on
        #[arg(long, conflicts_with = "prefix")]
        any_name: bool,
        /// Where and how
        #[command(flatten)]
        change: Change,
    },
    /// Give a new key the powers of an old one; both are valid until the old one is revoked or removed
    #[command(after_help = "A rotation, whole:
  plyos keys new layer-2 --dir repo/keys
  plyos keyring rotate --repo ./repo layer layer-2
  plyos certify --repo ./repo --all            # now by both keys
  plyos keyring remove --repo ./repo layer     # or: revoke --key layer
  plyos publish --repo ./repo")]
    Rotate {
        /// The key there is
        old: String,
        /// The key to come: a .pub file, or its name in the workspace
        new: String,
        /// Where and how
        #[command(flatten)]
        change: Change,
    },
    /// Take a key out: its certificates are refused, and it may come back
    #[command(after_help = "Examples:
  plyos keyring remove --repo ./repo layer")]
    Remove {
        /// The key
        key: String,
        /// Where and how
        #[command(flatten)]
        change: Change,
    },
    /// Refuse a key's certificates, or a layer, for ever
    #[command(after_help = "Examples:
  plyos keyring revoke --repo ./repo --key layer
  plyos keyring revoke --repo ./repo --layer package/openssl/3.0/amd64
  plyos keyring revoke --repo ./repo --layer blake3:5f0c…")]
    Revoke {
        /// A key: the first digits of its id, a .pub file, or its name in the workspace; may be repeated
        #[arg(long, required_unless_present = "layer")]
        key: Vec<String>,
        /// A layer: its target name on offer, or blake3:HEX; may be repeated
        #[arg(long)]
        layer: Vec<String>,
        /// Where and how
        #[command(flatten)]
        change: Change,
    },
}

/// Where a change is made, and whether at once.
#[derive(Debug, Args)]
pub struct Change {
    /// The workspace made by `plyos repo init`
    #[arg(long)]
    repo: PathBuf,
    /// Change nothing; write a proposal for the holders of the root keys to sign
    #[arg(long, value_name = "FILE")]
    propose: Option<PathBuf>,
}

/// Powers of a key.
#[derive(Debug, Args)]
pub struct PowersArgs {
    /// Kind that it may sign: kernel, base, package, model, site, config; may be repeated
    #[arg(long, value_parser = kind)]
    kind: Vec<Kind>,
    /// Prefix of names that it may sign; may be repeated
    #[arg(long)]
    prefix: Vec<String>,
    /// Least security epoch that it may sign
    #[arg(long, value_name = "EPOCH")]
    least_epoch: Option<u32>,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::parse(text).ok_or_else(|| "not one of kernel, base, package, model, site, config".into())
}

/// Runs one of them.
pub fn run(
    command: &KeyringCommand,
    passphrases: &Source,
    now: u64,
    progress: &Progress,
) -> Result<(), Failure> {
    let change = match command {
        KeyringCommand::Show { repo } => {
            show(&workspace::open(repo, passphrases)?, progress);
            return Ok(());
        }
        KeyringCommand::Add { change, .. }
        | KeyringCommand::Set { change, .. }
        | KeyringCommand::Rotate { change, .. }
        | KeyringCommand::Remove { change, .. }
        | KeyringCommand::Revoke { change, .. } => change,
    };
    let mut workspace = workspace::open(&change.repo, passphrases)?;
    let edits = edits(command, &workspace)?;
    if let Some(path) = &change.propose {
        let proposal =
            workspace.propose(None, &edits, now).map_err(|error| failure("proposing the keyring", error))?;
        return crate::ceremony::write_new(path, &proposal, progress);
    }
    workspace.edit_keyring(&edits, now).map_err(|error| {
        let mut failure = failure("changing the keyring", error);
        if failure.code == ExitCode::Signature {
            failure.message += "; with root keys elsewhere, add --propose FILE";
        }
        failure
    })?;
    let refused = warn_of_refused(&workspace, progress)?;
    let version = workspace.keyring().version();
    if progress.json() {
        print_json(&json!({"version": version, "refused_offers": refused}));
    } else {
        say!("keyring version {version}; next: plyos publish --repo {}", change.repo.display());
    }
    Ok(())
}

fn edits(command: &KeyringCommand, workspace: &Workspace) -> Result<Vec<KeyringEdit>, Failure> {
    let known: Vec<_> = workspace.keyring().statement().keys.iter().map(|key| key.key_id).collect();
    let id = |name: &String| key_id(workspace, name, Role::Layer, &known);
    let new_key = |name: &str| public_key(workspace, name, Role::Layer);
    Ok(match command {
        KeyringCommand::Show { .. } => Vec::new(),
        KeyringCommand::Add { key, powers, .. } => {
            let kinds = if powers.kind.is_empty() { all_but_config() } else { set(&powers.kind) };
            vec![KeyringEdit::Add(LayerKey {
                prefixes: powers.prefix.clone(),
                least_epoch: powers.least_epoch.unwrap_or_default(),
                ..LayerKey::new(&new_key(key)?, kinds)
            })]
        }
        KeyringCommand::Set { key, powers, any_name, .. } => {
            let prefixes = (*any_name || !powers.prefix.is_empty()).then(|| powers.prefix.clone());
            let kinds = (!powers.kind.is_empty()).then(|| set(&powers.kind));
            vec![KeyringEdit::Set(id(key)?, Powers { kinds, prefixes, least_epoch: powers.least_epoch })]
        }
        KeyringCommand::Rotate { old, new, .. } => {
            vec![KeyringEdit::Rotate { old: id(old)?, new: new_key(new)? }]
        }
        KeyringCommand::Remove { key, .. } => vec![KeyringEdit::Remove(id(key)?)],
        KeyringCommand::Revoke { key, layer, .. } => {
            let keys = key.iter().map(|name| id(name).map(KeyringEdit::RevokeKey));
            let layers = layer.iter().map(|name| layer_id(workspace, name).map(KeyringEdit::RevokeLayer));
            keys.chain(layers).collect::<Result<_, _>>()?
        }
    })
}

fn set(kinds: &[Kind]) -> KindSet {
    kinds.iter().fold(KindSet::default(), |set, kind| set.with(*kind))
}

fn all_but_config() -> KindSet {
    set(&Kind::ALL.into_iter().filter(|kind| *kind != Kind::Config).collect::<Vec<_>>())
}

/// A layer by its identity or by its target name on offer.
fn layer_id(workspace: &Workspace, name: &str) -> Result<LayerId, Failure> {
    if let Some(digits) = name.strip_prefix(LayerId::PREFIX) {
        return LayerId::parse(digits).or_fail(ExitCode::Usage, format_args!("reading layer '{name}'"));
    }
    let offered = workspace.offered().iter().find(|(target, _)| target.as_str() == name);
    let (_, file) = offered.ok_or_else(|| {
        let line =
            format!("{name} is not on offer; name the layer as blake3:HEX, or as KIND/NAME/VERSION/ARCH");
        Failure::new(ExitCode::NotFound, line)
    })?;
    let custom = LayerCustom::parse(&file.custom)
        .or_fail(ExitCode::Failure, format_args!("reading the offer of {name}"))?;
    Ok(custom.layer)
}

fn show(workspace: &Workspace, progress: &Progress) {
    let statement = workspace.keyring().statement();
    let files = workspace.key_files().unwrap_or_default();
    let file_of = |key: &LayerKey| -> Option<&Path> {
        let found = files.iter().find(|(_, label)| label.public.key_id() == key.key_id);
        found.map(|(path, _)| path.as_path())
    };
    let revoked = |key: &LayerKey| statement.revocations.contains(&Revocation::Key(key.key_id));
    if progress.json() {
        let kinds = |key: &LayerKey| -> Vec<&str> {
            let kinds = Kind::ALL.into_iter().filter(|kind| key.kinds.contains(*kind));
            kinds.map(Kind::as_str).collect()
        };
        let keys: Vec<Value> = statement
            .keys
            .iter()
            .map(|key| {
                json!({
                    "key_id": key.key_id.to_hex(), "kinds": kinds(key), "prefixes": key.prefixes,
                    "least_epoch": key.least_epoch, "revoked": revoked(key), "file": file_of(key),
                })
            })
            .collect();
        let revocations: Vec<Value> = statement
            .revocations
            .iter()
            .map(|entry| match entry {
                Revocation::Key(id) => json!({"key": id.to_hex()}),
                Revocation::Layer(id) => json!({"layer": id.to_string()}),
            })
            .collect();
        print_json(&json!({"version": statement.version, "keys": keys, "revocations": revocations}));
        return;
    }
    say!("keyring version {}", statement.version);
    for key in &statement.keys {
        let state = if revoked(key) { " (revoked)" } else { "" };
        say!("key {}{state}\n  {}", key.key_id, powers(key));
        if let Some(path) = file_of(key) {
            say!("  file {}", path.display());
        }
    }
    for entry in &statement.revocations {
        match entry {
            Revocation::Key(id) => say!("revoked key {id}"),
            Revocation::Layer(id) => say!("revoked layer {id}"),
        }
    }
}
