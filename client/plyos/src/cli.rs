//! The command line of `plyos`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
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

Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 conflict, 5 signature or hash, 6 architecture, 7 store, 8 network."
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
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `plyos` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make key pairs
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Set up a repository's signing workspace
    #[command(subcommand)]
    Repo(RepoCommand),
    /// Turn a directory into a layer and push it to a registry
    Push(Box<Push>),
    /// Sign pushed layers into the catalog and upload it
    Publish(Publish),
    /// Run a registry with its catalogs in one process
    Serve(Serve),
    /// Show a pushed layer: what it is, its tree, its chunks, its sizes
    Inspect(Inspect),
}

/// `plyos keys`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make an Ed25519 key pair: NAME.key (mode 0600) and NAME.pub
    #[command(after_help = "Examples:
  plyos keys new release
  plyos keys new release --dir ~/keys --role layer")]
    New {
        /// Name of the files
        name: String,
        /// Where to put them
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// What the key is for
        #[arg(long, value_enum, default_value = "layer")]
        role: KeyRole,
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
  pkg repo add http://127.0.0.1:5000/catalog/main --root ./repo/metadata/1.root.json")]
    Init {
        /// The workspace's folder, made new
        dir: PathBuf,
        /// Address that targets will fetch the catalog from, and `publish` uploads it to
        #[arg(long)]
        catalog: String,
    },
}

/// `plyos push`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plyos push ./tree 127.0.0.1:5000/hello:1 --kind package --name hello --version 1
  plyos push ./site 127.0.0.1:5000/docs:3 --kind site --name docs --version 3 --arch any
  plyos push ./rootfs 127.0.0.1:5000/base:12 --kind base --name debian --version 12 --owner keep

A package's files lie below usr/ (and etc/pkg/defaults/); a site's or model's root is its own folder.")]
pub struct Push {
    /// The tree to ship
    pub dir: PathBuf,
    /// Where to push it: HOST:PORT/REPO:TAG (plain HTTP to this machine, TLS elsewhere)
    pub place: String,
    /// What it is: base, package, model, site
    #[arg(long)]
    pub kind: String,
    /// Name
    #[arg(long)]
    pub name: String,
    /// Version
    #[arg(long = "version", value_name = "VERSION")]
    pub layer_version: String,
    /// Architecture: amd64, arm64, riscv64 or any
    #[arg(long, default_value_t = default_arch())]
    pub arch: String,
    /// ABI of its programs: linux or plyos-0
    #[arg(long)]
    pub abi: Option<String>,
    /// One line for people
    #[arg(long)]
    pub summary: Option<String>,
    /// Licence
    #[arg(long)]
    pub license: Option<String>,
    /// Home page
    #[arg(long)]
    pub homepage: Option<String>,
    /// What it needs: "NAME" or "NAME >= VERSION"; may be repeated
    #[arg(long, value_name = "NEED")]
    pub depends: Vec<String>,
    /// Another name it answers to; may be repeated
    #[arg(long, value_name = "NAME")]
    pub provides: Vec<String>,
    /// What it cannot stand beside; may be repeated
    #[arg(long, value_name = "NAME")]
    pub conflicts: Vec<String>,
    /// A layer whose files it may replace; may be repeated
    #[arg(long, value_name = "NAME")]
    pub replaces: Vec<String>,
    /// zstd level: 3 quick, 9 default, 19 for a release
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(i32).range(1..=22))]
    pub level: i32,
    /// Who owns the files: root (0:0 for all) or as in the tree
    #[arg(long, value_enum, default_value = "keep")]
    pub owner: OwnerRule,
    /// File times: from the content (a file's time changes exactly when its bytes do), or as in the tree
    #[arg(long, value_enum, default_value = "content")]
    pub mtime: MtimeChoice,
    /// Leave out a path and all below it; may be repeated
    #[arg(long, value_name = "PATH")]
    pub exclude: Vec<String>,
}

/// Owners in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OwnerRule {
    /// Everything belongs to 0:0
    Root,
    /// As in the tree
    Keep,
}

/// Times in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MtimeChoice {
    /// A fixed epoch plus a hash of the content
    Content,
    /// The tree's own, whole seconds
    Keep,
}

fn default_arch() -> String {
    plyos_plan::machine_arch(std::env::consts::ARCH).to_owned()
}

/// `plyos publish`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plyos publish --repo ./repo 127.0.0.1:5000/hello:1 127.0.0.1:5000/docs:3
  plyos publish --repo ./repo                 # signs what is there again, with fresh times")]
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
}

/// `plyos serve`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  plyos serve --listen 127.0.0.1:5000 --storage ./registry --anonymous-push
  plyos serve --listen 127.0.0.1:0 --storage ./registry     # a free port; the address is printed")]
pub struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:5000")]
    pub listen: SocketAddr,
    /// Folder that holds everything
    #[arg(long)]
    pub storage: PathBuf,
    /// Let anyone who reaches the address push
    #[arg(long)]
    pub anonymous_push: bool,
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
