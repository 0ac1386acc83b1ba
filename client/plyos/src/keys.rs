//! `plyos keys`: key pairs as files.

use crate::cli::KeyRole;
use crate::passphrase::Source;
use clap::Subcommand;
use plyos_custody::{
    Signer as _,
    keys::{self, Label, Protection},
};
use plyos_report::{ExitCode, Failure, OrFail, Progress, print_json, say};
use serde_json::json;
use std::path::{Path, PathBuf};

/// `plyos keys`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make an Ed25519 key pair: NAME.key (mode 0600) and NAME.pub
    #[command(after_help = "Examples:
  plyos keys new release
  plyos keys new root-anna --dir ~/keys --role root --encrypt")]
    New {
        /// Name of the files
        name: String,
        /// Where to put them
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// What the key is for
        #[arg(long, value_enum, default_value = "layer")]
        role: KeyRole,
        /// Encrypt the secret with a passphrase
        #[arg(long)]
        encrypt: bool,
    },
    /// Say whose key a file holds; no passphrase is needed
    #[command(after_help = "Examples:
  plyos keys show repo/keys/layer.key
  plyos --json keys show anna.pub")]
    Show {
        /// A .key or .pub file
        file: PathBuf,
    },
    /// Encrypt a key file, or give it another passphrase; the key stays the same
    #[command(
        after_help = "The old passphrase, if there is one, comes from --passphrase-file or PLYOS_PASSPHRASE or is asked
for; the new one from --new-passphrase-file, or is asked for.
Examples:
  plyos keys protect repo/keys/root.key
  plyos keys protect repo/keys/timestamp.key --plain"
    )]
    Protect {
        /// A .key file
        file: PathBuf,
        /// Where the new passphrase stands
        #[arg(long, value_name = "FILE", conflicts_with = "plain")]
        new_passphrase_file: Option<PathBuf>,
        /// Keep it in the clear from now on
        #[arg(long)]
        plain: bool,
    },
}

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

/// Runs one of them.
pub fn run(command: &KeysCommand, passphrases: &Source, progress: &Progress) -> Result<(), Failure> {
    match command {
        KeysCommand::New { name, dir, role, encrypt } => {
            let passphrase = encrypt.then(|| passphrases.for_new(name)).transpose()?;
            let protection = passphrase.as_ref().map_or(Protection::Owner, Protection::Passphrase);
            new(name, dir, (*role).into(), protection, progress)
        }
        KeysCommand::Show { file } => {
            let public = file.extension().is_some_and(|extension| extension == "pub");
            let label = if public { keys::public(file) } else { keys::look(file) };
            show(file, &label.or_fail(ExitCode::Failure, "reading the key")?, progress);
            Ok(())
        }
        KeysCommand::Protect { file, new_passphrase_file, plain } => {
            let new = Source::new(new_passphrase_file.as_deref());
            let what = file.display().to_string();
            let passphrase = (!plain).then(|| new.for_new(&what)).transpose()?;
            let protection = passphrase.as_ref().map_or(Protection::Owner, Protection::Passphrase);
            let label = keys::protect(file, passphrases, protection)
                .or_fail(ExitCode::Failure, "changing how the key is kept")?;
            show(file, &label, progress);
            Ok(())
        }
    }
}

/// Makes a key pair; files that exist are never written over.
fn new(
    name: &str,
    dir: &Path,
    role: keys::Role,
    protection: Protection<'_>,
    progress: &Progress,
) -> Result<(), Failure> {
    let key =
        keys::new_protected(dir, name, role, protection).or_fail(ExitCode::Failure, "making the key")?;
    let id = key.public().key_id().to_hex();
    let (secret, public) = (dir.join(format!("{name}.key")), dir.join(format!("{name}.pub")));
    if progress.json() {
        print_json(&json!({"key_id": id, "secret": secret, "public": public}));
    } else {
        say!("key {id}");
        say!("  secret {} (keep it safe, and off the registry)", secret.display());
        say!("  public {}", public.display());
    }
    Ok(())
}

fn show(file: &Path, label: &Label, progress: &Progress) {
    let id = label.public.key_id().to_hex();
    if progress.json() {
        let role = label.role.as_str();
        print_json(&json!({"key_id": id, "role": role, "encrypted": label.encrypted, "file": file}));
    } else {
        let encrypted = if label.encrypted { ", encrypted" } else { "" };
        say!("key {id}\n  role {}{encrypted}\n  file {}", label.role, file.display());
    }
}
