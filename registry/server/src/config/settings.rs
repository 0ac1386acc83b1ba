//! The table of settings: every key with what it is for and where its value goes.
//!
//! File, environment, flags, `--print-config` and the test of the operator's page all read this table, so a key that is
//! here is everywhere. Rules, groups and storage options are tables of their own (see `rules`).

use super::Config;
use super::value::Field;

/// One key.
pub(super) struct Setting<'a> {
    /// As in the file: `SECTION.NAME`, or `NAME`.
    pub(super) key: &'static str,
    /// What it is for, for `--print-config`.
    pub(super) about: &'static str,
    pub(super) field: Field<'a>,
}

/// All of them, section by section.
pub(super) fn settings(config: &mut Config) -> Vec<Setting<'_>> {
    let Config { access, tls, metrics, log, clean_up, packing, limits, .. } = config;
    let table = [
        ("listen", "address and port; port 0 takes a free one", Field::Address(&mut config.listen)),
        ("storage", "a directory, or a bucket: s3://NAME/PREFIX", Field::Text(&mut config.storage)),
        (
            "spools",
            "directory for what arrives for a bucket; empty: the system's for temporary files",
            Field::Path(&mut config.spools),
        ),
        (
            "public-url",
            "what clients reach the server by, if a proxy stands before it: https://HOST",
            Field::OptionalText(&mut config.public_url),
        ),
        ("anonymous-pull", "whether anyone may read", Field::Switch(&mut config.anonymous_pull)),
        (
            "anonymous-push",
            "whether anyone may push, publish and delete",
            Field::Switch(&mut config.anonymous_push),
        ),
        (
            "deletes",
            "whether tags, manifests and blobs can be deleted, by whoever has the right",
            Field::Switch(&mut config.deletes),
        ),
        ("access.htpasswd", "accounts, as written by htpasswd -B", Field::Path(&mut access.htpasswd)),
        (
            "access.token-key",
            "file of 32 bytes or more to sign tokens with, the same for all servers on one bucket; empty: made at start",
            Field::Path(&mut access.token_key),
        ),
        ("access.token-lifetime", "how long a token holds", Field::Time(&mut access.token_lifetime)),
        ("access.service", "the name that tokens are made out to", Field::Text(&mut access.service)),
        (
            "access.password-burst",
            "password checks that one address may cause at once, then one every 2s",
            Field::Rate(&mut access.password_burst),
        ),
        ("tls.certificate", "certificate chain, PEM; empty: plain HTTP", Field::Path(&mut tls.certificate)),
        ("tls.key", "its private key, PEM", Field::Path(&mut tls.key)),
        (
            "metrics.listen",
            "an address of its own for /metrics; empty: none",
            Field::OptionalAddress(&mut metrics.listen),
        ),
        (
            "metrics.on-main-port",
            "whether the main address serves /metrics, to anyone",
            Field::Switch(&mut metrics.on_main_port),
        ),
        (
            "log.level",
            "error, warn, info (changes and failures), debug (every request), or RUST_LOG directives",
            Field::Text(&mut log.level),
        ),
        ("log.json", "one JSON object a line", Field::Switch(&mut log.json)),
        (
            "clean-up.every",
            "how often what nothing refers to is deleted; 0s: never",
            Field::Time(&mut clean_up.every),
        ),
        (
            "clean-up.grace",
            "what is younger is left alone: the time between a blob and its manifest",
            Field::Time(&mut clean_up.grace),
        ),
        (
            "clean-up.untagged",
            "how long manifests stay that no tag, index or subject keeps; 0s: for ever",
            Field::Time(&mut clean_up.untagged),
        ),
        (
            "clean-up.rate",
            "operations on the storage a second; 0: as many as it takes",
            Field::Rate(&mut clean_up.rate),
        ),
        (
            "clean-up.patience",
            "how long pushes of what is just being deleted wait for a server that died over it",
            Field::Time(&mut clean_up.patience),
        ),
        (
            "packing",
            "whether pushed blobs share what they have in common, in the background",
            Field::Switch(packing),
        ),
        ("limits.manifest-bytes", "size of a manifest", Field::Memory(&mut limits.manifest_bytes)),
        (
            "limits.manifest-references",
            "descriptors in a manifest",
            Field::Count(&mut limits.manifest_references),
        ),
        ("limits.blob-bytes", "size of a blob", Field::Bytes(&mut limits.blob_bytes)),
        ("limits.catalog-file-bytes", "size of a catalog file", Field::Bytes(&mut limits.catalog_file_bytes)),
        ("limits.ranges", "ranges in one request", Field::Count(&mut limits.ranges)),
        ("limits.tags", "tags in one answer", Field::Count(&mut limits.tags)),
        (
            "limits.cache-bytes",
            "memory for what was just read; 0: none",
            Field::Memory(&mut limits.cache_bytes),
        ),
        ("limits.open-uploads", "upload sessions open at a time", Field::Count(&mut limits.open_uploads)),
        (
            "limits.upload-idle",
            "how long a client may send nothing of a body",
            Field::Time(&mut limits.upload_idle),
        ),
        (
            "limits.upload-expiry",
            "how long an upload session is kept that nobody writes to",
            Field::Time(&mut limits.upload_expiry),
        ),
        (
            "limits.response-idle",
            "how long a client may take nothing of an answer",
            Field::Time(&mut limits.response_idle),
        ),
        (
            "limits.minimum-rate",
            "bytes a second that a body must move at; 0: any",
            Field::Bytes(&mut limits.minimum_rate),
        ),
        (
            "limits.rate-grace",
            "how long a body may be waited for before its rate counts",
            Field::Time(&mut limits.rate_grace),
        ),
        (
            "limits.header-time",
            "how long a request's head may take, from the end of the request before; also a TLS handshake",
            Field::Time(&mut limits.header_time),
        ),
        ("limits.head-bytes", "size of a request's head", Field::Memory(&mut limits.head_bytes)),
        ("limits.connections", "connections at a time; more wait", Field::Count(&mut limits.connections)),
        (
            "limits.connections-per-address",
            "connections of one address (a /64 of IPv6); more are closed; 0: any",
            Field::Count(&mut limits.connections_per_address),
        ),
        (
            "limits.requests-per-second",
            "requests a second of one address, and at once; more get 429; 0: any",
            Field::Rate(&mut limits.requests_per_second),
        ),
        (
            "limits.shutdown-grace",
            "how long requests may go on after the server was asked to stop",
            Field::Time(&mut limits.shutdown_grace),
        ),
    ];
    table.into_iter().map(|(key, about, field)| Setting { key, about, field }).collect()
}
