//! From a request's path to checked names.
//!
//! Repository names hold slashes, so the OCI paths are read from the right, where the fixed words stand. A path is
//! split first and each segment decoded once afterwards: `%2F` therefore never makes a segment, and `%2e%2e` meets
//! the same grammar as `..`. Nothing behind this module sees a raw path.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use plyos_blobs::{Algorithm, CatalogName, CatalogPath, Digest, RepositoryName, Tag, UploadId};

use crate::refusal::{Code, Refusal};

/// What an OCI path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Oci {
    /// `/v2/`
    Base,
    /// `/v2/NAME/blobs/DIGEST`
    Blob(RepositoryName, Digest),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(RepositoryName),
    /// `/v2/NAME/blobs/uploads/ID`
    Upload(RepositoryName, UploadId),
    /// `/v2/NAME/manifests/REFERENCE`
    Manifest(RepositoryName, Reference),
    /// `/v2/NAME/tags/list`
    Tags(RepositoryName),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(RepositoryName, Digest),
    /// `/v2/_catalog`
    Repositories,
    /// `/v2/_oci/ext/discover`
    Extensions,
}

impl Oci {
    /// The repository that it is about, if it is about one.
    pub(crate) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Base | Self::Repositories | Self::Extensions => None,
            Self::Blob(name, _)
            | Self::Uploads(name)
            | Self::Upload(name, _)
            | Self::Manifest(name, _)
            | Self::Tags(name)
            | Self::Referrers(name, _) => Some(name),
        }
    }
}

/// How a manifest is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Digest(Digest),
    Tag(Tag),
}

/// What a catalog path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Catalog {
    /// `/catalog/NAME/blobs/sha256/HEX`
    Blob(Digest),
    /// `/catalog/NAME/PATH`
    File(CatalogName, CatalogPath),
}

/// Reads what follows `/v2/`.
pub(crate) fn oci(rest: &str) -> Result<Oci, Refusal> {
    let segments = decode(rest)?;
    let segments: Vec<&str> = segments.iter().map(Cow::as_ref).collect();
    match segments.as_slice() {
        [] | [""] => Ok(Oci::Base),
        ["_catalog"] => Ok(Oci::Repositories),
        ["_oci", "ext", "discover"] => Ok(Oci::Extensions),
        [name @ .., "tags", "list"] => Ok(Oci::Tags(repository(name)?)),
        [name @ .., "manifests", reference] => {
            Ok(Oci::Manifest(repository(name)?, self::reference(reference)?))
        }
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
            Ok(Oci::Uploads(repository(name)?))
        }
        [name @ .., "blobs", "uploads", id] => Ok(Oci::Upload(repository(name)?, id.parse()?)),
        [name @ .., "referrers", digest] => Ok(Oci::Referrers(repository(name)?, digest.parse()?)),
        [name @ .., "blobs", digest] => Ok(Oci::Blob(repository(name)?, digest.parse()?)),
        _ => Err(Refusal::nowhere()),
    }
}

/// Reads what follows `/catalog/`.
pub(crate) fn catalog(rest: &str) -> Result<Catalog, Refusal> {
    let segments = decode(rest)?;
    let Some((name, path)) = segments.split_first() else { return Err(Refusal::nowhere()) };
    if path.iter().any(|segment| segment.contains('/')) {
        return Err(plyos_blobs::NameError::CatalogPath.into());
    }
    let (name, path): (CatalogName, CatalogPath) = (name.parse()?, path.join("/").parse()?);
    match path.as_str().strip_prefix("blobs/sha256/") {
        Some(hex) => Ok(Catalog::Blob(Digest::from_hex(Algorithm::Sha256, hex)?)),
        // Kept free, so that what is there is always a blob.
        None if path.first() == "blobs" => Err(Refusal::nowhere()),
        None => Ok(Catalog::File(name, path)),
    }
}

/// The catalog of what follows `/catalog/`.
pub(crate) fn catalog_name(rest: &str) -> Result<CatalogName, Refusal> {
    let segments = decode(rest)?;
    Ok(segments.first().map(Cow::as_ref).unwrap_or_default().parse()?)
}

fn repository(segments: &[&str]) -> Result<RepositoryName, Refusal> {
    if segments.iter().any(|segment| segment.contains('/')) {
        return Err(plyos_blobs::NameError::Repository.into());
    }
    Ok(segments.join("/").parse()?)
}

fn reference(text: &str) -> Result<Reference, Refusal> {
    // Only a digest has a colon.
    if text.contains(':') { Ok(Reference::Digest(text.parse()?)) } else { Ok(Reference::Tag(text.parse()?)) }
}

fn decode(path: &str) -> Result<Vec<Cow<'_, str>>, Refusal> {
    let decode = |segment| percent_decode_str(segment).decode_utf8();
    let segments: Result<Vec<_>, _> = path.split('/').map(decode).collect();
    segments.map_err(|_| Refusal::bad(Code::NameInvalid, "the path is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ID: &str = "00112233445566778899aabbccddeeff";

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn names_may_hold_the_fixed_words() {
        let digest = DIGEST.parse().unwrap();
        assert_eq!(oci("").unwrap(), Oci::Base);
        assert_eq!(oci(&format!("a/blobs/{DIGEST}")).unwrap(), Oci::Blob(name("a"), digest));
        assert_eq!(oci("a/blobs/uploads/").unwrap(), Oci::Uploads(name("a")));
        assert_eq!(oci("a/blobs/uploads").unwrap(), Oci::Uploads(name("a")));
        assert_eq!(oci("blobs/uploads/blobs/uploads/").unwrap(), Oci::Uploads(name("blobs/uploads")));
        let upload = oci(&format!("a/b/blobs/uploads/{ID}")).unwrap();
        assert_eq!(upload, Oci::Upload(name("a/b"), ID.parse().unwrap()));
        assert_eq!(oci("tags/list/tags/list").unwrap(), Oci::Tags(name("tags/list")));
        let referrers = oci(&format!("referrers/referrers/{DIGEST}")).unwrap();
        assert_eq!(referrers, Oci::Referrers(name("referrers"), digest));
        assert_eq!(oci("_catalog").unwrap(), Oci::Repositories);
        let tag = Reference::Tag("1.0".parse().unwrap());
        assert_eq!(oci("a/manifests/manifests/1.0").unwrap(), Oci::Manifest(name("a/manifests"), tag));
        let escaped = format!("a/manifests/{}", DIGEST.replace(':', "%3A"));
        assert_eq!(oci(&escaped).unwrap(), Oci::Manifest(name("a"), Reference::Digest(digest)));
    }

    #[test]
    fn no_path_leads_out() {
        for path in [
            "../tags/list",
            "a/../b/tags/list",
            "%2e%2e/tags/list",
            "a%2Fb/tags/list",
            "a%2f..%2fb/tags/list",
            "/tags/list",
            "tags/list",
            "A/tags/list",
            "a//b/tags/list",
            "a/manifests/..",
            "a/manifests/%2e%2e",
            "a/manifests/x%2Fy",
            "a/manifests/",
            "a/blobs/sha256:..",
            "a/blobs/..",
            "a/referrers/..",
            "a/referrers/t",
            "a/_catalog",
            "a/blobs/uploads/..",
            "a/blobs/uploads/%2e%2e%2fx",
            "a%00/tags/list",
            "a%ff/tags/list",
            "%252e%252e/tags/list",
        ] {
            assert!(oci(path).is_err(), "{path}");
        }
        let hex = &DIGEST[7..];
        for path in [
            "",
            "a",
            "a/",
            "../x",
            "a/../x",
            "a/%2e%2e/x",
            "a/x%2Fy",
            "a/..%2Fx",
            "%2e%2e/x",
            "a/.x",
            "a/x/",
            "a//x",
            "a/blobs/x",
            "a/blobs/sha256/x",
            "a/blobs/sha256/..",
            "a/x%00",
            "a/x%23y",
            "a/x%ff",
        ] {
            assert!(catalog(path).is_err(), "{path}");
        }
        assert_eq!(
            catalog(&format!("a/blobs/sha256/{hex}")).unwrap(),
            Catalog::Blob(DIGEST.parse().unwrap())
        );
        let file = Catalog::File("a".parse().unwrap(), "metadata/1.root.json".parse().unwrap());
        assert_eq!(catalog("a/metadata/1.root.json").unwrap(), file);
        assert_eq!(catalog("a/metadata/1%2Eroot.json").unwrap(), file);
    }
}
