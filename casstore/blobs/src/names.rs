//! Repository names and tags, by the grammar of OCI distribution 1.1 ("Pulling manifests").
//!
//! The grammar leaves no room for `..`, an empty segment or a leading underscore, so a name is also a safe path
//! and cannot meet the `_manifests` and `_tags` that lie beside it.

use std::fmt;
use std::str::FromStr;

/// Longest repository name in bytes; clients leave room for a host name within their 255.
const LONGEST_NAME: usize = 255;
/// Longest tag in bytes, by the specification.
const LONGEST_TAG: usize = 128;

/// The name of a repository: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, and more of the same after slashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepositoryName(String);

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(String);

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a repository name.
    #[error(
        "a repository name is at most 255 characters of a-z, 0-9, separated inside by . _ __ - and between by /"
    )]
    Repository,
    /// Not a tag.
    #[error("a tag is at most 128 characters of A-Z, a-z, 0-9, _ . - and starts with none of . -")]
    Tag,
    /// Not the name of a catalog.
    #[error("a catalog name is one path segment of A-Z, a-z, 0-9, . _ + ~ : @ = - that starts with no dot")]
    Catalog,
    /// Not the path of a catalog file.
    #[error(
        "a catalog path is at most 8 segments of A-Z, a-z, 0-9, . _ + ~ : @ = - of which none starts with a dot"
    )]
    CatalogPath,
}

impl RepositoryName {
    /// The name as text, with slashes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.len() > LONGEST_NAME || !text.split('/').all(is_component) {
            return Err(NameError::Repository);
        }
        Ok(Self(text.to_owned()))
    }
}

fn is_component(component: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    // What is left between letters and digits are the separators, or nothing.
    component.starts_with(letter)
        && component.ends_with(letter)
        && component
            .split(letter)
            .all(|between| matches!(between, "" | "." | "_" | "__") || between.chars().all(|c| c == '-'))
}

impl Tag {
    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let allowed = text.chars().all(|c| word(c) || c == '.' || c == '-');
        if text.len() > LONGEST_TAG || !text.starts_with(word) || !allowed {
            return Err(NameError::Tag);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_the_grammar() {
        for good in ["a", "0", "library/jq", "a.b_c__d-e---f/g1", &"a".repeat(255)] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        for bad in [
            "", "/", "a/", "/a", "a//b", ".", "..", "a/..", "../a", "A", "a___b", "a..b", "a._b", "_a", "a_",
            "-a", "a-", "a/_tags", "a b", "a\0", "a%2fb", "é", "a\n", &long,
        ] {
            assert_eq!(bad.parse::<RepositoryName>(), Err(NameError::Repository), "{bad:?}");
        }
    }

    #[test]
    fn tags_follow_the_grammar() {
        for good in ["a", "_", "1.6-2", "V1..2", &"t".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        let long = "t".repeat(129);
        for bad in ["", ".", "..", ".a", "-a", "a/b", "a:b", "a+b", "a~b", "é", "a\n", &long] {
            assert_eq!(bad.parse::<Tag>(), Err(NameError::Tag), "{bad:?}");
        }
    }
}
