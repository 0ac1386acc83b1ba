//! Every key of the storage, in one place; the table with what they hold is in docs/registry-plan.md.
//!
//! What goes into a key is a type that only its grammar can make, so no key leads out of its place. The `…_of` functions read
//! listed keys back; what they do not know was not put there by this store and is passed over.

use object_store::path::Path;

use crate::digest::{Algorithm, Digest, bytes_of, hex};
use crate::names::{RepositoryName, Tag};

/// What `layout` holds: storage of another layout is refused.
pub(crate) const LAYOUT: &str = "plyos-registry 2\n";

/// The key that says which layout the storage has.
pub(crate) fn layout() -> Path {
    Path::from_iter(["layout"])
}

/// An object of immutable bytes: 16 bytes of chance.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataId([u8; 16]);

impl DataId {
    /// A new one.
    pub(crate) fn random() -> std::io::Result<Self> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(bytes))
    }

    /// From its bytes, as recipes hold them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Parses the 32 lower-case hexadecimal digits that stand for it in keys.
    pub fn from_hex(text: &str) -> Option<Self> {
        bytes_of(text).ok().map(Self)
    }
}

impl std::fmt::Display for DataId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl std::fmt::Debug for DataId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// All data objects.
pub(crate) fn all_data() -> Path {
    Path::from_iter(["data"])
}

/// `data/ID`
pub(crate) fn data(id: &DataId) -> Path {
    plain(format!("data/{id}"))
}

/// The id that a listed data object has.
pub(crate) fn data_of(key: &Path) -> Option<DataId> {
    DataId::from_hex(key.filename()?)
}

/// All upload sessions.
pub(crate) fn all_uploads() -> Path {
    Path::from_iter(["uploads"])
}

/// `uploads/ID`, the session whose new bytes will be the data object `ID`. In a local storage its name is longer.
pub(crate) fn upload(id: &DataId) -> Path {
    plain(format!("uploads/{id}"))
}

/// All recipes.
pub(crate) fn all_recipes() -> Path {
    Path::from_iter(["blobs"])
}

/// `blobs/ALG/HEX`
pub(crate) fn recipe(digest: &Digest) -> Path {
    plain(format!("blobs/{}", two(digest)))
}

/// All piece lists.
pub(crate) fn all_pieces() -> Path {
    Path::from_iter(["pieces"])
}

/// `pieces/ALG/HEX`
pub(crate) fn pieces(digest: &Digest) -> Path {
    plain(format!("pieces/{}", two(digest)))
}

/// The digest that the last two segments of a listed key name: a recipe, a piece list, a link of a blob or a manifest.
pub(crate) fn digest_of(key: &Path) -> Option<Digest> {
    let mut segments = key.as_ref().rsplit('/');
    let (hex, algorithm) = (segments.next()?, segments.next()?);
    Digest::from_hex(algorithm.parse().ok()?, hex).ok()
}

/// All that repositories hold.
pub(crate) fn all_repositories() -> Path {
    Path::from_iter(["repositories"])
}

/// Where names that start with `prefix` and a slash are looked for.
pub(crate) fn repositories_below(prefix: &str) -> Path {
    if prefix.is_empty() { all_repositories() } else { plain(format!("repositories/{prefix}")) }
}

/// `repositories/NAME/_blobs`
pub(crate) fn links(repository: &RepositoryName) -> Path {
    plain(format!("repositories/{repository}/_blobs"))
}

/// `repositories/NAME/_blobs/ALG/HEX`
pub(crate) fn link(repository: &RepositoryName, digest: &Digest) -> Path {
    plain(format!("repositories/{repository}/_blobs/{}", two(digest)))
}

/// `repositories/NAME/_manifests`
pub(crate) fn manifests(repository: &RepositoryName) -> Path {
    plain(format!("repositories/{repository}/_manifests"))
}

/// `repositories/NAME/_manifests/ALG/HEX`
pub(crate) fn manifest(repository: &RepositoryName, digest: &Digest) -> Path {
    plain(format!("repositories/{repository}/_manifests/{}", two(digest)))
}

/// `repositories/NAME/_tags`
pub(crate) fn tags(repository: &RepositoryName) -> Path {
    plain(format!("repositories/{repository}/_tags"))
}

/// `repositories/NAME/_tags/TAG`
pub(crate) fn tag(repository: &RepositoryName, tag: &Tag) -> Path {
    plain(format!("repositories/{repository}/_tags/{tag}"))
}

/// `repositories/NAME/_referrers`
pub(crate) fn all_referrers(repository: &RepositoryName) -> Path {
    plain(format!("repositories/{repository}/_referrers"))
}

/// `repositories/NAME/_referrers/ALG-HEX`
pub(crate) fn referrers(repository: &RepositoryName, subject: &Digest) -> Path {
    plain(format!("repositories/{repository}/_referrers/{}", one(subject)))
}

/// `repositories/NAME/_referrers/ALG-HEX/ALG-HEX`
pub(crate) fn referrer(repository: &RepositoryName, subject: &Digest, referrer: &Digest) -> Path {
    plain(format!("repositories/{repository}/_referrers/{}/{}", one(subject), one(referrer)))
}

/// All claims of writers.
pub(crate) fn all_claims() -> Path {
    Path::from_iter(["claims"])
}

/// `claims/ID`
pub(crate) fn claim(id: &DataId) -> Path {
    plain(format!("claims/{id}"))
}

/// All tombstones of clean-ups.
pub(crate) fn all_condemned() -> Path {
    Path::from_iter(["condemned"])
}

/// `condemned/ID`
pub(crate) fn condemned(id: &DataId) -> Path {
    plain(format!("condemned/{id}"))
}

/// The digest that a single segment names, as below `_referrers`.
pub(crate) fn digest_of_segment(segment: &str) -> Option<Digest> {
    let (algorithm, hex) = segment.split_once('-')?;
    Digest::from_hex(algorithm.parse::<Algorithm>().ok()?, hex).ok()
}

fn two(digest: &Digest) -> String {
    format!("{}/{}", digest.algorithm(), digest.hex())
}

fn one(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm(), digest.hex())
}

/// The alphabets of names, tags and digests need no escape.
fn plain(key: String) -> Path {
    Path::from(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_back() {
        let repository: RepositoryName = "library/jq".parse().unwrap();
        for algorithm in Algorithm::ALL {
            let digest = algorithm.digest(b"x");
            assert_eq!(recipe(&digest).as_ref(), format!("blobs/{algorithm}/{}", digest.hex()));
            for key in [recipe(&digest), link(&repository, &digest), manifest(&repository, &digest)] {
                assert_eq!(digest_of(&key), Some(digest), "{key}");
            }
            let key = referrer(&repository, &digest, &digest);
            assert_eq!(key.filename().and_then(digest_of_segment), Some(digest));
        }
        let id = DataId::random().unwrap();
        assert_eq!(data_of(&data(&id)), Some(id));
    }

    #[test]
    fn strange_keys_name_nothing() {
        for key in ["blobs", "blobs/sha256/zz", "blobs/md5/00", "data/00", "data/0g"] {
            assert_eq!(digest_of(&Path::from(key)), None, "{key}");
            assert_eq!(data_of(&Path::from(key)), None, "{key}");
        }
        assert_eq!(digest_of_segment("sha256:00"), None);
    }

    #[test]
    fn tags_keep_their_spelling() {
        let tag_key = tag(&"a".parse().unwrap(), &"V1..2_x-y".parse().unwrap());
        assert_eq!(tag_key.as_ref(), "repositories/a/_tags/V1..2_x-y");
    }
}
