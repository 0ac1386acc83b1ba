//! Delegations of a targets role, and which target names they cover (section 4.5, DELEGATIONS).

use alloc::{collections::BTreeSet, string::String, vec::Vec};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    ROOT, RoleKeys, SNAPSHOT, TARGETS, TIMESTAMP, TargetName, TufError, fields::Fields, role_keys::read_keys,
};
use crate::key::to_hex;

/// Which target names a delegation covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paths {
    /// Patterns, see [`path_matches`].
    Patterns(Vec<String>),
    /// Prefixes of the SHA-256 of the name, in hexadecimal digits.
    HashPrefixes(Vec<String>),
}

/// Trust in another role for some targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Name of the role, and of its file.
    pub name: String,
    /// Who signs it.
    pub keys: RoleKeys,
    /// What it may speak of.
    pub paths: Paths,
    /// Whether later delegations are not asked for names that this one covers.
    pub terminating: bool,
}

impl Delegation {
    /// Whether the role is trusted to speak of `name`.
    pub fn covers(&self, name: &TargetName) -> bool {
        match &self.paths {
            Paths::Patterns(patterns) => patterns.iter().any(|pattern| path_matches(pattern, name.as_str())),
            Paths::HashPrefixes(prefixes) => {
                let digits = to_hex(&Sha256::digest(name.as_str()));
                prefixes.iter().any(|prefix| digits.starts_with(prefix.as_str()))
            }
        }
    }

    /// Reads all delegations of a targets file, in order of appearance.
    pub(super) fn read_all(fields: &Fields<'_>, limit: usize) -> Result<Vec<Self>, TufError> {
        let table = read_keys(fields)?;
        let roles = fields.array("roles", "its delegations name no roles")?;
        if roles.len() > limit {
            return Err(TufError::TooManyDelegations { found: roles.len(), limit });
        }
        let all = roles
            .iter()
            .map(|role| {
                let role = Fields::of(fields.role(), role, "a delegation is not an object")?;
                Ok(Self {
                    name: read_name(&role)?,
                    keys: RoleKeys::read(&role, &table)?,
                    paths: read_paths(&role)?,
                    terminating: read_terminating(&role)?,
                })
            })
            .collect::<Result<Vec<_>, TufError>>()?;
        let names: BTreeSet<&str> = all.iter().map(|delegation| delegation.name.as_str()).collect();
        // "The rolename MUST be unique in the delegations object."
        if names.len() != all.len() {
            return Err(fields.error("it delegates twice to one role"));
        }
        Ok(all)
    }
}

/// Off-spec: the specification allows any text as a role's name and has it escaped in the file's name. Here it is a
/// file's name as it stands, so that two names never meet in one file.
fn read_name(role: &Fields<'_>) -> Result<String, TufError> {
    let name = role.text("name", "a delegation has no name")?;
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let top_level = [ROOT, TIMESTAMP, SNAPSHOT, TARGETS, "mirrors"].contains(&name);
    if top_level || !(1..=64).contains(&name.len()) || !name.bytes().all(letters) {
        return Err(role.error("a delegated role's name is reserved, or not of `a-z 0-9 _ -`"));
    }
    Ok(name.into())
}

fn read_paths(role: &Fields<'_>) -> Result<Paths, TufError> {
    let owned = |texts: Vec<&str>| texts.into_iter().map(String::from).collect();
    match (role.get("paths"), role.get("path_hash_prefixes")) {
        (Some(_), None) => Ok(Paths::Patterns(owned(
            role.texts("paths", "a delegation's paths are not a list of patterns")?,
        ))),
        (None, Some(_)) => {
            let what = "a delegation's path_hash_prefixes are not a list of prefixes";
            Ok(Paths::HashPrefixes(owned(role.texts("path_hash_prefixes", what)?)))
        }
        _ => Err(role.error("a delegation needs either paths or path_hash_prefixes")),
    }
}

fn read_terminating(role: &Fields<'_>) -> Result<bool, TufError> {
    match role.get("terminating") {
        None => Ok(false),
        Some(Value::Bool(terminating)) => Ok(*terminating),
        Some(_) => Err(role.error("a delegation's terminating is neither true nor false")),
    }
}

/// Whether `path` matches `pattern` (PATHPATTERN): `*` stands for any run of characters and `?` for one, neither for
/// `/`; all else for itself. Part by part, with one point of return for each part, so that the time is bounded by the
/// product of the lengths.
pub fn path_matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_matches(pattern.as_bytes(), part.as_bytes()) => {}
            _ => return false,
        }
    }
}

fn part_matches(mut pattern: &[u8], mut part: &[u8]) -> bool {
    // Where the last star stands and what of `part` it has not taken yet.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, part) {
            ([], []) => return true,
            ([b'*', after @ ..], _) => {
                star = Some((after, part));
                pattern = after;
            }
            ([b'?', after @ ..], [_, rest @ ..]) => (pattern, part) = (after, rest),
            ([expected, after @ ..], [found, rest @ ..]) if expected == found => {
                (pattern, part) = (after, rest)
            }
            _ => match star {
                Some((after, [_, rest @ ..])) => {
                    star = Some((after, rest));
                    (pattern, part) = (after, rest);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_the_specification() {
        for (pattern, path, matches) in [
            ("targets/*.tgz", "targets/foo.tgz", true),
            ("targets/*.tgz", "targets/foo.txt", false),
            ("foo-version-?.tgz", "foo-version-2.tgz", true),
            ("foo-version-?.tgz", "foo-version-alpha.tgz", false),
            ("*.tgz", "foo.tgz", true),
            ("*.tgz", "targets/foo.tgz", false),
            ("foo.tgz", "foo.tgz", true),
            ("foo.tgz", "bar.tgz", false),
            ("package/*/*/*", "package/a/1/amd64", true),
            ("package/*/*/*", "package/a/1", false),
            ("package/*/*/*", "package/a/1/x/y", false),
            ("package/*/*/*", "base/a/1/amd64", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("*", "", true),
        ] {
            assert_eq!(path_matches(pattern, path), matches, "{pattern} {path}");
        }
    }

    proptest! {
        #[test]
        fn ends_and_a_pattern_of_its_own_parts_matches(path in "[a-c/]{0,12}", pattern in "[a-c*?/]{0,12}") {
            let _ = path_matches(&pattern, &path);
            prop_assert!(path_matches(&path, &path));
            let stars: Vec<&str> = path.split('/').map(|_| "*").collect();
            prop_assert!(path_matches(&stars.join("/"), &path));
        }
    }
}
