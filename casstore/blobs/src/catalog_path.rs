//! Names in the catalog tree: one segment for the catalog, then a relative path.
//!
//! The alphabet is what package versions and TUF file names need (`1.root.json`, `2:1.6~rc1+b2-1`), and no more.
//! A segment that starts with a dot is refused, which takes `.`, `..` and hidden files together.

use std::fmt;
use std::str::FromStr;

use crate::names::NameError;

/// Deepest path; TUF targets need six segments.
const MOST_SEGMENTS: usize = 8;
/// Longest segment in bytes, what file systems take for one name, less the suffix of a temporary name.
const LONGEST_SEGMENT: usize = 240;

/// The name of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CatalogName(String);

/// The path of a file within a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CatalogPath(String);

fn is_segment(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+~:@=-".contains(c);
    !text.is_empty() && text.len() <= LONGEST_SEGMENT && !text.starts_with('.') && text.chars().all(allowed)
}

impl FromStr for CatalogName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_segment(text) { Ok(Self(text.to_owned())) } else { Err(NameError::Catalog) }
    }
}

impl FromStr for CatalogPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if !text.split('/').all(is_segment) || text.split('/').count() > MOST_SEGMENTS {
            return Err(NameError::CatalogPath);
        }
        Ok(Self(text.to_owned()))
    }
}

impl CatalogName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CatalogPath {
    /// The path as text, with slashes between segments.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first segment: `metadata`, `targets`, `blobs`.
    pub fn first(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether the file name carries a version or a digest (`1.root.json`, `HEX.amd64`), as TUF's consistent
    /// snapshots do, so that its content never changes.
    pub fn is_immutable(&self) -> bool {
        let Some((prefix, _)) = self.file_name().split_once('.') else { return false };
        let version = prefix.bytes().all(|b| b.is_ascii_digit());
        let digest = prefix.len() == 64 && prefix.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        version || digest
    }
}

impl fmt::Display for CatalogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CatalogPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_their_tree() {
        for good in
            ["timestamp.json", "metadata/1.root.json", "targets/package/jq/2:1.6~rc1+b2-1/a=b@c.amd64"]
        {
            assert!(good.parse::<CatalogPath>().is_ok(), "{good}");
        }
        let long = "a".repeat(241);
        for bad in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/..",
            "a/../b",
            ".hidden",
            "a/.b",
            "a b",
            "a\\b",
            "a%2fb",
            "a#1",
            "a?b",
            "a\0b",
            "é",
            "1/2/3/4/5/6/7/8/9",
            &long,
        ] {
            assert_eq!(bad.parse::<CatalogPath>(), Err(NameError::CatalogPath), "{bad:?}");
        }
        assert!("a/b".parse::<CatalogName>().is_err());
    }

    #[test]
    fn versions_and_digests_are_immutable() {
        let hex = "0".repeat(64);
        for (path, immutable) in [
            ("metadata/1.root.json".to_string(), true),
            (format!("targets/package/jq/1.6-2/{hex}.amd64"), true),
            ("metadata/timestamp.json".to_string(), false),
            ("metadata/root.json".to_string(), false),
            (hex, false),
        ] {
            assert_eq!(path.parse::<CatalogPath>().unwrap().is_immutable(), immutable, "{path}");
        }
    }
}
