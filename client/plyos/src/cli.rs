//! The command line of `plyos`.

use crate::cache::CacheCommand;
use crate::ceremony::CeremonyCommand;
use crate::certify::Certify;
use crate::export_static::ExportStatic;
use crate::image::ImageCommand;
use crate::keyring::KeyringCommand;
use crate::keys::KeysCommand;
use crate::login::{Login, Logout};
use crate::push_options::Push;
use crate::registry::Registry;
use crate::serve_options::Serve;
use clap::{Args, Parser, Subcommand, ValueEnum};
use plyos_report::manual::Shell;
use std::path::PathBuf;

/// Publish whole systems as layers: push trees to a registry, sign catalogs, serve both.
#[derive(Debug, Parser)]
#[command(
    name = "plyos",
    version,
    after_help = "Examples:
  plyos serve --listen 127.0.0.1:5000 --storage ./registry --anonymous-push
  plyos repo init ./repo --catalog http://127.0.0.1:5000/catalog/main
  plyos push ./tree 127.0.0.1:5000/hello:1 --kind package --name hello --version 1
  plyos publish --repo ./repo 127.0.0.1:5000/hello:1

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 signature or hash,
6 architecture, 7 store, 8 network."
)]
pub struct Cli {
    /// Facts as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing but results and failures
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Where the passphrase of encrypted keys stands (else PLYOS_PASSPHRASE, else asked for on a terminal)
    #[arg(long, global = true, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `plyos` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make key pairs, and keep them
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Set up a repository's signing workspace
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Say which keys may certify layers, and what is revoked
    #[command(subcommand)]
    Keyring(KeyringCommand),
    /// Change what the root keys vouch for: propose, sign, commit
    #[command(subcommand)]
    Ceremony(CeremonyCommand),
    /// Turn a directory, archive, package or image into a layer and push it to a registry
    #[command(visible_alias = "import")]
    Push(Box<Push>),
    /// Look at the cache of compressed frames that pushes share, or make it smaller
    #[command(subcommand)]
    Cache(CacheCommand),
    /// Sign pushed layers into the catalog and upload it
    Publish(Publish),
    /// Give layers on offer new certificates
    Certify(Certify),
    /// Write a catalog and its blobs as plain files, for nginx, a CDN or a bucket
    ExportStatic(ExportStatic),
    /// Make disk images to boot from
    #[command(subcommand)]
    Image(ImageCommand),
    /// Run a registry with its catalogs in one process
    Serve(Box<Serve>),
    /// Look after a registry's storage
    Registry(Registry),
    /// Keep the password of a registry, for this tool and pkg
    Login(Login),
    /// Forget it
    Logout(Logout),
    /// Show a pushed layer: what it is, its tree, its chunks, its sizes
    Inspect(Inspect),
    /// Show what is different between two pushed layers, and what an upgrade would move
    Diff(DiffArgs),
    /// Print completions for a shell
    #[command(after_help = "Example:
  plyos completions bash > /etc/bash_completion.d/plyos")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a man page for each command
    #[command(after_help = "Example:
  plyos man /usr/local/share/man/man1 && man plyos-push")]
    Man {
        /// Folder for the pages; made when it is missing
        dir: PathBuf,
    },
}

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyRole {
    /// Root metadata and the keyring
    Root,
    /// What the catalog offers
    Targets,
    /// The set of metadata files
    Snapshot,
    /// Freshness
    Timestamp,
    /// Certificates of layers
    Layer,
}

/// `plyos repo`
#[derive(Debug, Subcommand)]
pub enum RepoCommand {
    /// Make a workspace: keys, root metadata, an empty catalog
    #[command(after_help = "The workspace holds secret keys: keep it off the registry.
Examples:
  plyos repo init ./repo --catalog http://127.0.0.1:5000/catalog/main
  plyos repo init ./repo --catalog http://127.0.0.1:5000/catalog/main \\
    --root-keys 3 --root-threshold 2 --encrypt
  pkg repo add http://127.0.0.1:5000/catalog/main --root ./repo/metadata/1.root.json")]
    Init {
        /// The workspace's folder, made new
        dir: PathBuf,
        /// Address that targets will fetch the catalog from, and `publish` uploads it to
        #[arg(long)]
        catalog: String,
        /// Root keys to make
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        root_keys: u32,
        /// How many of them must sign
        #[arg(long, value_name = "NUMBER", default_value_t = 1)]
        root_threshold: u32,
        /// Encrypt every key with a passphrase
        #[arg(long)]
        encrypt: bool,
    },
}

/// `plyos publish`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plyos publish --repo ./repo 127.0.0.1:5000/hello:1 127.0.0.1:5000/docs:3
  plyos publish --repo ./repo                 # signs what is there again, with fresh times
  plyos publish --repo ./repo --blobs-in-registry --no-upload registry.example/team/docs:3
  plyos export-static ./public --repo ./repo  # then the catalog alone goes to a web server")]
pub struct Publish {
    /// Pushed layers to offer
    pub places: Vec<String>,
    /// The workspace made by `plyos repo init`
    #[arg(long)]
    pub repo: PathBuf,
    /// Line that offers them: stable, beta, nightly; may be repeated
    #[arg(long, default_value = "stable")]
    pub channel: Vec<String>,
    /// Security epoch of the certificates
    #[arg(long, default_value_t = 1)]
    pub epoch: u32,
    /// Layer key to certify with: a .key file, or its name in the workspace; may be repeated. Without it every one signs
    /// that the keyring lets
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,
    /// Let targets fetch the blobs from where they were pushed to, any OCI registry; the catalog says so
    #[arg(long)]
    pub blobs_in_registry: bool,
    /// Sign only; `plyos export-static` writes the files
    #[arg(long)]
    pub no_upload: bool,
}

/// `plyos diff`
#[derive(Debug, Args)]
#[command(
    after_help = "Only the indexes are fetched, and the newer one's frame table. In the list of files, A is added,
D removed, M another content, T another type, m only another mode, owner, time or attribute,
? perhaps another content: small files in other chunks, pushed with --mtime keep, of which only
the bytes could tell.
Examples:
  plyos diff 127.0.0.1:5000/docs:3 127.0.0.1:5000/docs:4
  plyos diff 127.0.0.1:5000/docs:3 127.0.0.1:5000/docs:4 --files
  plyos --json diff 127.0.0.1:5000/docs:3 127.0.0.1:5000/docs:4 | jq .upgrade.bytes"
)]
pub struct DiffArgs {
    /// The older layer: HOST:PORT/REPO:TAG
    pub from: String,
    /// The newer layer: HOST:PORT/REPO:TAG
    pub to: String,
    /// List every path that is different
    #[arg(long)]
    pub files: bool,
}

/// `plyos inspect`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plyos inspect 127.0.0.1:5000/hello:1
  plyos inspect 127.0.0.1:5000/hello:1 --tree --chunks
  plyos inspect 127.0.0.1:5000/hello:1 --descriptor | jq .depends")]
pub struct Inspect {
    /// Where the layer lies: HOST:PORT/REPO:TAG
    pub place: String,
    /// Every entry of the tree
    #[arg(long)]
    pub tree: bool,
    /// Every chunk
    #[arg(long)]
    pub chunks: bool,
    /// The descriptor alone, as JSON
    #[arg(long, conflicts_with_all = ["tree", "chunks"])]
    pub descriptor: bool,
}
