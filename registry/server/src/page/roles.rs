//! What a catalog's TUF metadata says to people: versions, expiry, who signed, what is on offer.
//!
//! Pure, and no verification: a registry vouches for nothing, and says so on the page. Signatures are counted by the key
//! ids that the root or the delegation names, as they stand there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{bounded, shown};

/// Most values of a file, which bound its memory: some 15 for each target.
const MOST_VALUES: usize = 250_000;

/// Who may sign a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Holders {
    pub(super) keys: BTreeSet<String>,
    pub(super) threshold: u64,
}

/// A metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) name: String,
    pub(super) version: u64,
    /// As it is written, for the page.
    pub(super) expires: String,
    /// Seconds since 1970; `None` where it cannot be read.
    pub(super) expires_at: Option<i64>,
    /// Key ids that signed.
    pub(super) signed_by: BTreeSet<String>,
    pub(super) bytes: usize,
}

/// Something on offer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) name: String,
    /// Bytes of the layer's blob.
    pub(super) size: u64,
    pub(super) channels: String,
    pub(super) layer: String,
    /// The manifest's digest in hexadecimal.
    pub(super) manifest: String,
}

impl Role {
    /// Reads a metadata file of the role `name`; `None` if it is none, or too large to be looked at.
    pub(super) fn parse(name: &str, bytes: &[u8]) -> Option<(Self, Value)> {
        let mut file = bounded::parse(bytes, MOST_VALUES)?;
        let signed = file.as_object_mut()?.remove("signed")?;
        let signatures = file.get("signatures").and_then(Value::as_array);
        let expires = signed.get("expires").and_then(Value::as_str).unwrap_or_default();
        let role = Self {
            name: shown::text(name),
            version: signed.get("version").and_then(Value::as_u64)?,
            expires_at: shown::parse_time(expires),
            expires: shown::text(expires),
            signed_by: signatures
                .into_iter()
                .flatten()
                .take(64)
                .filter_map(|one| text(one, "keyid"))
                .collect(),
            bytes: bytes.len(),
        };
        Some((role, signed))
    }

    /// How many of the keys that count have signed.
    pub(super) fn signatures(&self, holders: &Holders) -> usize {
        self.signed_by.intersection(&holders.keys).count()
    }
}

/// The holders that root metadata names for a role.
pub(super) fn holders(root: &Value, role: &str) -> Holders {
    root.get("roles").and_then(|roles| roles.get(role)).map(holders_of).unwrap_or_default()
}

/// The holders that the top-level targets name for a delegated role.
pub(super) fn delegated(targets: &Value, role: &str) -> Holders {
    let roles = targets.get("delegations").and_then(|all| all.get("roles")).and_then(Value::as_array);
    let mut named =
        roles.into_iter().flatten().filter(|one| one.get("name").and_then(Value::as_str) == Some(role));
    named.next().map(holders_of).unwrap_or_default()
}

fn holders_of(role: &Value) -> Holders {
    let keys = role.get("keyids").and_then(Value::as_array).into_iter().flatten().take(64);
    Holders {
        keys: keys.filter_map(Value::as_str).map(shown::text).collect(),
        threshold: role.get("threshold").and_then(Value::as_u64).unwrap_or(0),
    }
}

/// The roles with their versions that a timestamp or a snapshot lists; `None` entries are passed over.
pub(super) fn listed(signed: &Value) -> Vec<(String, u64)> {
    let meta = signed.get("meta").and_then(Value::as_object);
    let entries = meta.into_iter().flatten().take(64);
    entries
        .filter_map(|(file, entry)| {
            Some((file.strip_suffix(".json")?.to_owned(), entry.get("version").and_then(Value::as_u64)?))
        })
        .collect()
}

/// What a role offers, in the order of names; taken out, so that it is in memory once.
pub(super) fn take_targets(signed: &mut Value) -> Vec<Target> {
    let all = signed.as_object_mut().and_then(|signed| signed.remove("targets"));
    let all = all.as_ref().and_then(Value::as_object);
    all.into_iter().flatten().map(|(name, entry)| target(name, entry)).collect()
}

fn target(name: &str, entry: &Value) -> Target {
    let custom = entry.get("custom").unwrap_or(&Value::Null);
    let channels = custom.get("channels").and_then(Value::as_array);
    let channels = channels.into_iter().flatten().take(8).filter_map(Value::as_str).map(shown::text);
    let blob = custom.get("size").and_then(|size| size.get("blob")).and_then(Value::as_u64);
    let hash = entry.get("hashes").and_then(|hashes| text(hashes, "sha256"));
    Target {
        name: shown::text(name),
        size: blob.or_else(|| entry.get("length").and_then(Value::as_u64)).unwrap_or(0),
        channels: channels.collect::<Vec<_>>().join(", "),
        layer: text(custom, "layer").unwrap_or_default(),
        manifest: hash.unwrap_or_default(),
    }
}

fn text(value: &Value, member: &str) -> Option<String> {
    value.get(member).and_then(Value::as_str).map(shown::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_signatures_by_named_keys_count() {
        let root = json!({ "roles": { "timestamp": { "keyids": ["a", "b"], "threshold": 2 } } });
        let file = json!({
            "signed": { "version": 3, "expires": "2026-11-28T08:00:00Z", "meta": { "snapshot.json": { "version": 7 } } },
            "signatures": [{ "keyid": "a" }, { "keyid": "a" }, { "keyid": "c" }],
        });
        let (role, signed) = Role::parse("timestamp", file.to_string().as_bytes()).unwrap();
        let holders = holders(&root, "timestamp");
        assert_eq!((role.version, role.signatures(&holders), holders.threshold), (3, 1, 2));
        assert_eq!(role.expires_at, Some(1_795_852_800));
        assert_eq!(listed(&signed), [("snapshot".to_owned(), 7)]);
    }

    #[test]
    fn any_document_is_read_without_harm() {
        for file in [json!(null), json!({ "signed": 1 }), json!({ "signed": { "version": -1 } })] {
            assert_eq!(Role::parse("x", file.to_string().as_bytes()), None, "{file}");
        }
        for mut signed in
            [json!(null), json!({ "meta": 1, "targets": [], "roles": "x", "delegations": { "roles": 1 } })]
        {
            assert_eq!((listed(&signed).len(), take_targets(&mut signed).len()), (0, 0));
            assert_eq!(
                (holders(&signed, "x"), delegated(&signed, "x")),
                (Holders::default(), Holders::default())
            );
        }
        let mut odd =
            json!({ "targets": { "<b>": { "custom": { "channels": [1, "s"], "size": "x" }, "length": 9 } } });
        let found = take_targets(&mut odd);
        assert_eq!((found[0].size, found[0].channels.as_str()), (9, "s"));
    }
}
