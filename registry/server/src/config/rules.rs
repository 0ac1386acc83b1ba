//! The part of the configuration that is no single value: rules, groups, storage options.
//!
//! These stand in the file only. What the rules mean is decided by `crate::access`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What may be done to a repository or a catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RightName {
    /// Reading.
    Pull,
    /// Adding and replacing; for a catalog, publishing.
    Push,
    /// Deleting tags, manifests and blobs.
    Delete,
}

/// Gives rights to accounts on repositories. Rules only add up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Accounts; `@GROUP`; `*` for whoever has an account; `anonymous` for those without.
    pub who: Vec<String>,
    /// Repositories by pattern (`*` within a path segment, `**` across), catalogs as `catalog:PATTERN`.
    pub repositories: Vec<String>,
    /// What they may.
    pub rights: Vec<RightName>,
}

/// The tables of the file that the table of settings does not know.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Tables {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) storage_options: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) groups: BTreeMap<String, Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) rules: Vec<Rule>,
}

/// Their names, for suggestions.
pub(super) const TABLES: [&str; 3] = ["storage-options", "groups", "rules"];

/// What stands for a secret where the configuration is shown.
const MASKED: &str = "********";

/// Hides the values of storage options that may be secrets.
pub(super) fn masked(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let secret = |key: &str| {
        let key = key.to_ascii_lowercase();
        ["secret", "key", "token", "password", "credential"].iter().any(|word| key.contains(word))
    };
    let show = |(key, value): (&String, &String)| {
        (key.clone(), if secret(key) { MASKED.to_owned() } else { value.clone() })
    };
    options.iter().map(show).collect()
}

/// Hides what stands before the host of a URL.
pub(super) fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASKED}@{host}{path}"),
        None => url.to_owned(),
    }
}
