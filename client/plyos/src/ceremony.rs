//! `plyos ceremony`: changing what the root keys vouch for, when their holders are several or elsewhere.
//!
//! One proposes, each holder signs on a machine of his own, one commits. What travels is a file; nothing of it is trusted.

use crate::cli::KeyRole;
use crate::passphrase::Source;
use crate::workspace::{self, failure, key_id, public_key, warn_of_refused};
use clap::{Args, Subcommand};
use plyos_custody::keys::{self, Role};
use plyos_custody::repository::{Proposal, RootEdit, Workspace};
use plyos_ids::KeyId;
use plyos_report::{ExitCode, Failure, OrFail, Progress, print_json, say, tell};
use plyos_trust::tuf::Root;
use serde_json::{Value, json};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of a proposal's file that are read.
const MAX_LEN: u64 = 8 << 20;

/// `plyos ceremony`
#[derive(Debug, Subcommand)]
pub enum CeremonyCommand {
    /// Write a proposal of new root metadata; `plyos keyring … --propose` writes one of a new keyring
    #[command(after_help = "Without a change it proposes the same root with a longer life.
Examples:
  plyos ceremony propose --repo ./repo --out root.proposal \\
    --add root=anna.pub --add root=ben.pub --threshold root=2
  plyos ceremony propose --repo ./repo --out root.proposal \\
    --add targets=targets-2 --remove targets=targets
  plyos ceremony propose --repo ./repo --out root.proposal    # renew before it expires")]
    Propose(Propose),
    /// Show a proposal and sign it with a root key; needs no workspace and no network
    #[command(after_help = "It shows what would change and asks on the terminal; scripts say --yes.
Examples:
  plyos ceremony sign root.proposal --key ~/keys/anna.key
  plyos ceremony sign root.proposal --key /media/stick/ben.key --out ben.proposal")]
    Sign {
        /// The proposal
        file: PathBuf,
        /// A root key
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Write the signed proposal there instead of into FILE
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Show what a proposal changes, and who is still to sign
    #[command(after_help = "Examples:
  plyos ceremony show root.proposal
  plyos --json ceremony show root.proposal | jq .signed")]
    Show {
        /// The proposal
        file: PathBuf,
    },
    /// Make the change, if enough root keys signed it; then run `plyos publish`
    #[command(after_help = "Several files are copies of one proposal, each signed by another holder.
Examples:
  plyos ceremony commit --repo ./repo root.proposal
  plyos ceremony commit --repo ./repo anna.proposal ben.proposal && plyos publish --repo ./repo")]
    Commit {
        /// The workspace made by `plyos repo init`
        #[arg(long)]
        repo: PathBuf,
        /// Signed proposals
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// `plyos ceremony propose`
#[derive(Debug, Args)]
pub struct Propose {
    /// The workspace made by `plyos repo init`
    #[arg(long)]
    repo: PathBuf,
    /// Where to write the proposal
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Let another key sign for a role (root, targets, snapshot, timestamp): a .pub file, or its name in the workspace
    #[arg(long, value_name = "ROLE=KEY", value_parser = with_role)]
    add: Vec<(KeyRole, String)>,
    /// Take a key from a role: the first digits of its id, a .pub file, or its name in the workspace
    #[arg(long, value_name = "ROLE=KEY", value_parser = with_role)]
    remove: Vec<(KeyRole, String)>,
    /// How many keys of a role must sign
    #[arg(long, value_name = "ROLE=NUMBER", value_parser = with_role)]
    threshold: Vec<(KeyRole, String)>,
}

fn with_role(text: &str) -> Result<(KeyRole, String), String> {
    let (role, rest) = text.split_once('=').ok_or("expected ROLE=…")?;
    let role = <KeyRole as clap::ValueEnum>::from_str(role, false)?;
    if role == KeyRole::Layer {
        return Err("layer keys stand in the keyring; use `plyos keyring`".into());
    }
    Ok((role, rest.to_owned()))
}

/// Runs one of them.
pub fn run(
    command: &CeremonyCommand,
    passphrases: &Source,
    now: u64,
    progress: &Progress,
) -> Result<(), Failure> {
    match command {
        CeremonyCommand::Propose(args) => {
            let workspace = workspace::open(&args.repo, passphrases)?;
            let edits = root_edits(args, &workspace)?;
            let proposal = workspace
                .propose(Some(&edits), &[], now)
                .map_err(|error| failure("proposing the root", error))?;
            write_new(&args.out, &proposal, progress)
        }
        CeremonyCommand::Sign { file, key, out, yes } => {
            sign(file, key, out.as_deref().unwrap_or(file), *yes, passphrases, progress)
        }
        CeremonyCommand::Show { file } => show(file, &read(file)?, progress),
        CeremonyCommand::Commit { repo, files } => commit(repo, files, passphrases, now, progress),
    }
}

fn root_edits(args: &Propose, workspace: &Workspace) -> Result<Vec<RootEdit>, Failure> {
    let root = workspace.root().map_err(|error| failure("reading the root", error))?;
    let mut edits = Vec::new();
    for (role, name) in &args.add {
        let role = Role::from(*role);
        edits.push(RootEdit::Add(role, public_key(workspace, name, role)?));
    }
    for (role, name) in &args.remove {
        let role = Role::from(*role);
        edits.push(RootEdit::Remove(role, key_id(workspace, name, role, &ids(&root, role))?));
    }
    for (role, number) in &args.threshold {
        let number =
            number.parse().or_fail(ExitCode::Usage, format_args!("reading the threshold '{number}'"))?;
        edits.push(RootEdit::Threshold(Role::from(*role), number));
    }
    Ok(edits)
}

fn ids(root: &Root, role: Role) -> Vec<KeyId> {
    let keys = match role {
        Role::Root => root.root().keys(),
        Role::Targets => root.targets().keys(),
        Role::Snapshot => root.snapshot().keys(),
        Role::Timestamp => root.timestamp().keys(),
        Role::Layer => Vec::new(),
    };
    keys.iter().map(|key| key.key_id()).collect()
}

fn sign(
    file: &Path,
    key: &Path,
    out: &Path,
    yes: bool,
    passphrases: &Source,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut proposal = read(file)?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            let line = "signing a proposal is asked for on a terminal; look at it with `plyos ceremony show`, then say --yes";
            return Err(Failure::new(ExitCode::Usage, line));
        }
        tell!("{}", lines(&proposal)?.join("\n"));
        plyos_report::prompt!("Sign this with {}? [y/N] ", key.display());
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).or_fail(ExitCode::Failure, "reading the answer")?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::new(ExitCode::Failure, "nothing was signed"));
        }
    }
    let secret =
        keys::open_with(key, Role::Root, passphrases).or_fail(ExitCode::Failure, "opening the root key")?;
    proposal.sign(&secret).or_fail(ExitCode::Signature, format_args!("signing {}", file.display()))?;
    write(out, &proposal)?;
    show(out, &proposal, progress)
}

fn commit(
    repo: &Path,
    files: &[PathBuf],
    passphrases: &Source,
    now: u64,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut proposals = files.iter().map(|file| read(file));
    let mut proposal =
        proposals.next().unwrap_or_else(|| Err(Failure::new(ExitCode::Usage, "no proposal")))?;
    for other in proposals {
        proposal.merge(other?).or_fail(ExitCode::Usage, "putting the signatures together")?;
    }
    let mut workspace = workspace::open(repo, passphrases)?;
    workspace.commit(&proposal, now).map_err(|error| failure("committing the proposal", error))?;
    let refused = warn_of_refused(&workspace, progress)?;
    let root = workspace.root().map_err(|error| failure("reading the root", error))?.header().version;
    let keyring = workspace.keyring().version();
    if progress.json() {
        print_json(&json!({"root": root, "keyring": keyring, "refused_offers": refused}));
    } else {
        say!("root version {root}, keyring version {keyring}; next: plyos publish --repo {}", repo.display());
    }
    Ok(())
}

/// Writes a proposal that nobody has signed.
pub fn write_new(path: &Path, proposal: &Proposal, progress: &Progress) -> Result<(), Failure> {
    write(path, proposal)?;
    show(path, proposal, progress)
}

fn show(path: &Path, proposal: &Proposal, progress: &Progress) -> Result<(), Failure> {
    if progress.json() {
        let doing = "reading the proposal";
        let changes = proposal.changes().or_fail(ExitCode::Failure, doing)?;
        let signed = proposal.signed().or_fail(ExitCode::Failure, doing)?;
        let signed: Vec<Value> = signed
            .iter()
            .map(|part| json!({"what": part.what, "signatures": part.found, "needed": part.needed}))
            .collect();
        let outcome = proposal.outcome().or_fail(ExitCode::Failure, doing)?;
        print_json(&json!({"proposal": path, "changes": changes, "outcome": outcome, "signed": signed}));
        return Ok(());
    }
    say!("{}:\n{}", path.display(), lines(proposal)?.join("\n"));
    Ok(())
}

/// What changes, and how far it is signed.
fn lines(proposal: &Proposal) -> Result<Vec<String>, Failure> {
    let doing = "reading the proposal";
    let mut lines = vec!["changes, if the file says truly what was before:".to_owned()];
    lines.extend(proposal.changes().or_fail(ExitCode::Failure, doing)?);
    lines.push("what will hold, all of it:".into());
    lines.extend(proposal.outcome().or_fail(ExitCode::Failure, doing)?);
    for part in proposal.signed().or_fail(ExitCode::Failure, doing)? {
        lines.push(format!("signed: {} of {} ({})", part.found, part.needed, part.what));
    }
    Ok(lines.into_iter().map(|line| format!("  {line}")).collect())
}

fn read(path: &Path) -> Result<Proposal, Failure> {
    let doing = format!("reading {}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).or_fail(ExitCode::NotFound, &doing)?;
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).or_fail(ExitCode::Failure, &doing)?;
    Proposal::parse(&bytes).or_fail(ExitCode::Failure, &doing)
}

/// In one step, so that a proposal that others signed already is never lost half-way.
fn write(path: &Path, proposal: &Proposal) -> Result<(), Failure> {
    let doing = format!("writing {}", path.display());
    let bytes = proposal.emit().or_fail(ExitCode::Failure, &doing)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).or_fail(ExitCode::Failure, &doing)?;
    file.write_all(&bytes).or_fail(ExitCode::Failure, &doing)?;
    file.as_file().sync_all().or_fail(ExitCode::Failure, &doing)?;
    file.persist(path).or_fail(ExitCode::Failure, &doing)?;
    Ok(())
}
