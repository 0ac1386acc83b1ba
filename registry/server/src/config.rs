//! What an operator decides: where things lie, who may do what, and how much is taken from one client.
//!
//! [`Config`] is the decided value that the server runs on. It is put together by [`Loaded`] from a file, the
//! environment and flags; `settings` is the one table of all keys, with what each is for.

mod loaded;
mod rules;
mod settings;
mod value;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use plyos_blobs::Policy;

pub use loaded::{ConfigError, Loaded, Sources};
pub use rules::{RightName, Rule};

/// How the registry is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that `plyos serve` listens on.
    pub listen: SocketAddr,
    /// What clients reach the server by, where that is not what they say in `Host`: behind a proxy.
    pub public_url: Option<String>,
    /// The directory or the bucket's URL that everything lies in.
    pub storage: String,
    /// What a bucket needs beside its URL, in the words of the `object_store` crate.
    pub storage_options: BTreeMap<String, String>,
    /// Where what arrives for a bucket lies until there is a part of it; the system's temporary directory if not given.
    pub spools: Option<PathBuf>,
    /// Whether anyone may read.
    pub anonymous_pull: bool,
    /// Whether anyone may push, publish and delete.
    pub anonymous_push: bool,
    /// Whether tags, manifests and blobs can be deleted at all, by whoever has the right.
    pub deletes: bool,
    /// Accounts, rules and tokens.
    pub access: AccessConfig,
    /// The certificate chain and its key, as PEM files. Without them the server speaks plain HTTP.
    pub tls: TlsConfig,
    /// Where metrics are served.
    pub metrics: MetricsConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What is deleted when nothing refers to it, and when.
    pub clean_up: CleanUpConfig,
    /// Whether blobs that were pushed share what they have in common with others of their repository.
    pub packing: bool,
    /// Bounds on what clients may ask for.
    pub limits: Limits,
}

impl Config {
    /// A registry over `storage` (a directory, or a bucket's URL) that anyone may read and nobody write, with the
    /// usual limits.
    pub fn new(storage: impl AsRef<Path>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 5000)),
            public_url: None,
            storage: storage.as_ref().to_string_lossy().into_owned(),
            storage_options: BTreeMap::new(),
            spools: None,
            anonymous_pull: true,
            anonymous_push: false,
            deletes: true,
            access: AccessConfig::default(),
            tls: TlsConfig::default(),
            metrics: MetricsConfig::default(),
            log: LogConfig::default(),
            clean_up: CleanUpConfig::default(),
            packing: true,
            limits: Limits::default(),
        }
    }
}

/// Who has an account, and what the rules say of them.
#[derive(Clone, Debug)]
pub struct AccessConfig {
    /// Accounts: `NAME:BCRYPT` lines, as `htpasswd -B` writes them.
    pub htpasswd: Option<PathBuf>,
    /// At least 32 bytes that tokens are signed with; all servers on one bucket need the same. Without it a key is
    /// made at every start.
    pub token_key: Option<PathBuf>,
    /// How long a token holds.
    pub token_lifetime: Duration,
    /// The name that tokens are made out to.
    pub service: String,
    /// Password checks that one address may cause at once; after that one every two seconds.
    pub password_burst: u32,
    /// Names of accounts under one name, which rules write as `@NAME`.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Who may do what where.
    pub rules: Vec<Rule>,
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            htpasswd: None,
            token_key: None,
            // Docker's own clients count with no less than a minute.
            token_lifetime: Duration::from_secs(300),
            service: "plyos-registry".to_owned(),
            password_burst: 20,
            groups: BTreeMap::new(),
            rules: Vec::new(),
        }
    }
}

/// The server's certificate.
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    /// The chain, leaf first, as PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, as PEM.
    pub key: Option<PathBuf>,
}

/// Who may read `/metrics`, and where.
#[derive(Clone, Debug, Default)]
pub struct MetricsConfig {
    /// An address of its own, plain HTTP.
    pub listen: Option<SocketAddr>,
    /// Whether the main address serves them too, to anyone.
    pub on_main_port: bool,
}

/// What is deleted when nothing refers to it, and when. Any number of servers on one bucket may do it.
#[derive(Clone, Debug)]
pub struct CleanUpConfig {
    /// How often; 0 for never.
    pub every: Duration,
    /// What is younger is left alone: the time that clients have between a blob and its manifest.
    pub grace: Duration,
    /// How long manifests are kept that no tag, index or subject keeps; 0 for ever.
    pub untagged: Duration,
    /// Operations on the storage a second; 0 for as many as it takes.
    pub rate: u32,
    /// How long pushes of what is being deleted wait for a clean-up that died.
    pub patience: Duration,
}

impl Default for CleanUpConfig {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            every: Duration::from_secs(24 * 3600),
            grace: policy.grace,
            untagged: Duration::ZERO,
            rate: 200,
            patience: policy.patience,
        }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Least severity, or directives as `RUST_LOG` takes them.
    pub level: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), json: false }
    }
}

/// Bounds on what clients may ask for, each of which would otherwise be theirs to choose.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a manifest, which is held in memory while it is checked.
    pub manifest_bytes: usize,
    /// Descriptors in a manifest, each of which is looked up.
    pub manifest_references: usize,
    /// Bytes of a blob, which fill the disk.
    pub blob_bytes: u64,
    /// Bytes of a catalog file, which is hashed when first asked for.
    pub catalog_file_bytes: u64,
    /// Ranges in one request, each of which opens the object.
    pub ranges: usize,
    /// Tags in one answer, which are sorted in memory.
    pub tags: usize,
    /// Bytes of memory for what was just read; 0 for none.
    pub cache_bytes: usize,
    /// Upload sessions open at a time, each of which keeps a file.
    pub open_uploads: usize,
    /// How long an upload may send nothing before its request ends; what came is kept.
    pub upload_idle: Duration,
    /// How long a session is kept that nobody writes to.
    pub upload_expiry: Duration,
    /// How long a client may take nothing of an answer.
    pub response_idle: Duration,
    /// Bytes a second that a body must move at, up or down, once it has been waited for `rate_grace`; 0 for any.
    pub minimum_rate: u64,
    /// How long a body may be waited for before its rate counts.
    pub rate_grace: Duration,
    /// How long a client may take to send a request's head, counted from the end of the request before, and for a
    /// TLS handshake.
    pub header_time: Duration,
    /// Bytes of a request's head: its line and its headers.
    pub head_bytes: usize,
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// Connections of one address at a time (of one /64 of IPv6); more are closed. 0 for any.
    pub connections_per_address: usize,
    /// Requests a second of one address, and as many at once; more get 429. 0 for any.
    pub requests_per_second: u32,
    /// How long requests may go on after the server was asked to stop.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // What the specification asks registries to take at least.
            manifest_bytes: 4 * 1024 * 1024,
            manifest_references: 4096,
            // The largest single files of published models are some tens of gigabytes.
            blob_bytes: 256 * 1024 * 1024 * 1024,
            catalog_file_bytes: 64 * 1024 * 1024,
            ranges: 1024,
            tags: 1000,
            cache_bytes: 32 * 1024 * 1024,
            open_uploads: 4096,
            upload_idle: Duration::from_secs(60),
            upload_expiry: Duration::from_secs(24 * 3600),
            // A client that copies to another registry waits for that one.
            response_idle: Duration::from_secs(120),
            minimum_rate: 1024,
            rate_grace: Duration::from_secs(30),
            header_time: Duration::from_secs(30),
            head_bytes: 64 * 1024,
            connections: 4096,
            connections_per_address: 512,
            // Behind a proxy all requests come from one address.
            requests_per_second: 0,
            shutdown_grace: Duration::from_secs(30),
        }
    }
}
