//! Where a layer lies: `HOST[:PORT]/REPO[:TAG]` or `…@sha256:HEX`.
//!
//! Plain HTTP is used to loopback addresses only; every other host is spoken to over TLS.

use plyos_ids::ManifestDigest;
use std::fmt;
use std::net::IpAddr;

/// A place in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host with its port.
    pub host: String,
    /// Repository name.
    pub repository: String,
    /// Tag or digest.
    pub version: Version,
}

/// What names a manifest in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// A tag.
    Tag(String),
    /// The manifest's digest.
    Digest(ManifestDigest),
}

/// Why a text is no reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{text}' is not a place in a registry: {why}; write HOST:PORT/REPO:TAG, as in 127.0.0.1:5000/base:1"
)]
pub struct ReferenceError {
    text: String,
    why: &'static str,
}

impl Reference {
    /// Parses a reference; the grammar of repository names and tags is that of OCI distribution 1.1.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let fail = |why| ReferenceError { text: text.to_owned(), why };
        let rest = text.strip_prefix("docker://").unwrap_or(text);
        let (host, path) = rest.split_once('/').ok_or_else(|| fail("it has no '/' after the host"))?;
        if !is_host(host) {
            return Err(fail("its host is not a name or address"));
        }
        let (repository, version) = match path.split_once('@') {
            Some((repository, digest)) => {
                let digest = digest.strip_prefix("sha256:").and_then(|hex| ManifestDigest::parse(hex).ok());
                (repository, Version::Digest(digest.ok_or_else(|| fail("its digest is not sha256:HEX"))?))
            }
            None => match path.rsplit_once(':') {
                Some((repository, tag)) if is_tag(tag) => (repository, Version::Tag(tag.to_owned())),
                Some(_) => {
                    return Err(fail("its tag has other characters than letters, digits, '_', '.' and '-'"));
                }
                None => (path, Version::Tag("latest".to_owned())),
            },
        };
        if !is_repository(repository) {
            return Err(fail(
                "its repository is not lower-case words with single '.', '_', '-' or '/' between them",
            ));
        }
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), version })
    }

    /// URL below `/v2/REPO/`.
    pub fn url(&self, rest: &str) -> String {
        format!("{}://{}/v2/{}/{rest}", scheme(&self.host), self.host, self.repository)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}/{}:{tag}", self.host, self.repository),
            Version::Digest(digest) => write!(f, "{}/{}@{digest}", self.host, self.repository),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// `http` to loopback, `https` to all else.
pub fn scheme(host: &str) -> &'static str {
    if is_loopback(host) { "http" } else { "https" }
}

/// Whether a host, with or without a port, is this machine.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b))
}

fn is_tag(tag: &str) -> bool {
    let first = tag.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    first && tag.len() <= 128 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn is_repository(name: &str) -> bool {
    let component = |part: &str| {
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    name.len() <= 255 && name.split('/').all(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip() {
        for text in ["127.0.0.1:5000/base:1", "localhost/a/b-c.d:v1.2_x", "registry.example:443/x:latest"] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), text);
        }
        let digest = format!("h/x@sha256:{}", "ab".repeat(32));
        assert_eq!(Reference::parse(&digest).unwrap().to_string(), digest);
        assert_eq!(Reference::parse("h/x").unwrap().to_string(), "h/x:latest");
    }

    #[test]
    fn malformed_references_are_refused() {
        for text in [
            "",
            "base:1",
            "h/",
            "h/UPPER:1",
            "h/../x:1",
            "h/x:",
            "h/x:a/b",
            "h/x@sha256:12",
            "h h/x:1",
            "h/-x:1",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn plain_http_to_loopback_only() {
        assert_eq!(
            Reference::parse("127.0.0.1:1/x:1").unwrap().url("tags/list"),
            "http://127.0.0.1:1/v2/x/tags/list"
        );
        assert_eq!(scheme("[::1]:5000"), "http");
        assert_eq!(scheme("localhost:5000"), "http");
        for host in ["10.0.0.1:5000", "example.org", "127.0.0.1.example.org", "localhost.example.org:80"] {
            assert_eq!(scheme(host), "https", "{host}");
        }
    }
}
