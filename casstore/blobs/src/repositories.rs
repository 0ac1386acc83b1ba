//! What each repository knows: the blobs it holds (`links.rs`), manifests (`manifests.rs`), tags (`tags.rs`) and referrers
//! (`referrers.rs`); and which repositories there are.
//!
//! They are written in this order: blob, link, manifest, referrer, tag. So a power cut leaves at worst something unused.

use object_store::path::Path;

use crate::blobs::Blobs;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::hot::Hot;
use crate::keys;
use crate::names::RepositoryName;
use crate::objects::Objects;

/// Longest link that is read back: a digest, or a media type, which RFC 6838 limits to 255 bytes.
pub(crate) const LONGEST_LINK: usize = 255;

/// Links, manifests, tags and referrers of all repositories. Cloning gives another handle on them.
#[derive(Clone, Debug)]
pub struct Repositories {
    pub(crate) objects: Objects,
    pub(crate) blobs: Blobs,
    pub(crate) hot: Hot,
}

impl Repositories {
    pub(crate) fn new(objects: Objects, blobs: Blobs, hot: Hot) -> Self {
        Self { objects, blobs, hot }
    }

    /// The first `most` repositories after `last` that hold a manifest, sorted by their names as paths: `a/b` comes before `a-b`.
    pub async fn names(&self, last: Option<&str>, most: usize) -> Result<Vec<RepositoryName>, StoreError> {
        let after: Vec<&str> = last.map(|last| last.split('/').collect()).unwrap_or_default();
        let mut found = Vec::new();
        // Prefixes that are still to be looked into, the next one last.
        let mut ahead = vec![String::new()];
        while let Some(prefix) = ahead.pop() {
            if let Ok(name) = prefix.parse::<RepositoryName>()
                && prefix.split('/').collect::<Vec<_>>() > after
                && self.exists(&name).await?
            {
                found.push(name);
                if found.len() >= most {
                    break;
                }
            }
            ahead.extend(self.below(&prefix).await?.into_iter().rev().filter(|child| {
                // What ends before `last` begins is passed over unread.
                let path: Vec<&str> = child.split('/').collect();
                path >= after || after.starts_with(&path)
            }));
        }
        found.truncate(most);
        Ok(found)
    }

    /// The prefixes of names right below a prefix, sorted.
    async fn below(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let mut below = self.objects.children(&keys::repositories_below(prefix)).await?;
        // What a repository holds begins with an underscore, as no part of a name does.
        below.retain(|child| !child.starts_with('_'));
        Ok(below.iter().map(|child| join(prefix, child)).collect())
    }

    /// A repository that holds a blob, if one of the first `most` prefixes of names does.
    pub async fn holder(&self, digest: &Digest, most: usize) -> Result<Option<RepositoryName>, StoreError> {
        let mut ahead = vec![String::new()];
        let mut looked = 0;
        while let Some(prefix) = ahead.pop()
            && looked < most
        {
            looked += 1;
            if let Ok(name) = prefix.parse::<RepositoryName>()
                && self.confirm_link(&name, digest).await?
            {
                return Ok(Some(name));
            }
            ahead.extend(self.below(&prefix).await?.into_iter().rev());
        }
        Ok(None)
    }

    pub(crate) async fn read_link(&self, path: &Path) -> Result<Option<String>, StoreError> {
        let Some(bytes) = self.objects.read_small(path, LONGEST_LINK).await? else { return Ok(None) };
        let damaged = |_| StoreError::Damaged { path: path.to_string(), why: "it is no text" };
        String::from_utf8(bytes.into()).map(Some).map_err(damaged)
    }
}

fn join(prefix: &str, child: &str) -> String {
    if prefix.is_empty() { child.to_owned() } else { format!("{prefix}/{child}") }
}
