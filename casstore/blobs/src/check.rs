//! Whether all that is there is whole: every tag has its manifest, every manifest its parts, every blob its bytes.
//!
//! [`Storage::check`] reads while others push and delete; what goes away meanwhile is not missed. It names what is damaged and who
//! needs it. `repair.rs` takes away what cannot be had, so that a push brings it again.

use std::collections::BTreeMap;

use futures_util::stream::{StreamExt, TryStreamExt};
use object_store::path::Path;

use crate::digest::Digest;
use crate::error::StoreError;
use crate::garbage::{read_manifest, repositories};
use crate::hasher::Hasher;
use crate::keys;
use crate::named::{self, Manner};
use crate::names::RepositoryName;
use crate::recipe::{Body, LONGEST_RECIPE, Recipe};
use crate::storage::Storage;

/// Blobs looked at together.
const AT_A_TIME: usize = 8;
/// Damaged or missing blobs that are remembered, at some 300 bytes of memory each. What is above is counted.
const MOST_BAD: usize = 100_000;
/// Who needs a blob: so many are named.
const MOST_NAMED: usize = 16;

/// How thorough a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// That everything is there, with its length. Manifests and small blobs are read and hashed.
    Lengths,
    /// Every byte is read and hashed.
    Bytes,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is damaged or missing: a digest, or a key.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
    /// Who needs it: repositories that hold it, `NAME@DIGEST` of manifests, `NAME:TAG` of tags; the first few.
    pub needed_by: Vec<String>,
    /// Whether it was taken away, so that a push brings it again.
    pub removed: bool,
}

/// What a check saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Blobs, and their bytes.
    pub blobs: u64,
    /// Bytes of blobs, as clients see them.
    pub bytes: u64,
    /// Repositories that hold anything.
    pub repositories: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// Damaged blobs that were too many to say more of.
    pub more: u64,
}

/// A blob or manifest that cannot be had.
#[derive(Debug, Default)]
pub(crate) struct Bad {
    pub(crate) why: String,
    pub(crate) needed_by: Vec<String>,
    /// What leads to it, to be removed so that it is pushed again.
    pub(crate) leads: Vec<Path>,
    /// The recipe that was found wanting, if there was one: a push puts another in its place.
    pub(crate) recipe: Option<RecipeHash>,
}

/// BLAKE3 of a recipe as it is stored.
pub(crate) type RecipeHash = [u8; 32];

impl Bad {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }

    fn needed(&mut self, by: String) {
        if self.needed_by.len() < MOST_NAMED && !self.needed_by.contains(&by) {
            self.needed_by.push(by);
        }
    }
}

/// What a check gathers.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) seen: Checked,
    /// Blobs that cannot be had, because of their recipe, their data, or because there is no recipe.
    pub(crate) blobs: BTreeMap<Digest, Bad>,
    /// Keys that are wrong in themselves: a tag without manifest, a link that cannot be read.
    pub(crate) keys: BTreeMap<String, Bad>,
}

impl Storage {
    /// Looks at everything. `tell` hears how many bytes of blobs have been looked at.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed; damage is a [`Finding`].
    pub async fn check(&self, depth: Depth, tell: impl FnMut(u64)) -> Result<Checked, StoreError> {
        Ok(self.gather(depth, tell).await?.into_checked())
    }

    pub(crate) async fn gather(
        &self,
        depth: Depth,
        mut tell: impl FnMut(u64),
    ) -> Result<Gathered, StoreError> {
        let mut gathered = Gathered::default();
        let mut judged = self
            .blobs
            .list()
            .map(|listed| async move {
                let (digest, _) = listed?;
                Ok::<_, StoreError>((digest, self.judge(&digest, depth).await?))
            })
            .buffer_unordered(AT_A_TIME);
        while let Some((digest, judgement)) = judged.try_next().await? {
            match judgement {
                Judgement::Gone => {}
                Judgement::Whole(size) => {
                    gathered.seen.blobs += 1;
                    gathered.seen.bytes += size;
                    tell(gathered.seen.bytes);
                }
                Judgement::Bad(why, recipe) => {
                    gathered.seen.blobs += 1;
                    if let Some(bad) = gathered.bad_blob(digest, &why) {
                        bad.recipe = recipe;
                    }
                }
            }
        }
        drop(judged);
        let mut all = repositories(self);
        while let Some(name) = all.try_next().await? {
            gathered.seen.repositories += 1;
            self.gather_repository(&name, &mut gathered).await?;
        }
        Ok(gathered)
    }

    /// Whether a blob can be had.
    pub(crate) async fn judge(&self, digest: &Digest, depth: Depth) -> Result<Judgement, StoreError> {
        let mut before = None;
        loop {
            let bytes = match self.objects.read_small(&keys::recipe(digest), LONGEST_RECIPE).await {
                Ok(None) => return Ok(Judgement::Gone),
                Ok(Some(bytes)) => bytes,
                Err(e @ StoreError::Damaged { .. }) => return Ok(Judgement::Bad(e.to_string(), None)),
                Err(e) => return Err(e),
            };
            let flaw = match Recipe::parse(&bytes) {
                Ok(recipe) => match self.flaw(digest, &recipe, depth).await? {
                    None => return Ok(Judgement::Whole(recipe.size())),
                    Some(flaw) => flaw,
                },
                Err(e) => format!("its recipe cannot be used: {e}"),
            };
            // Another recipe may have taken its place meanwhile, and its data be gone rightly.
            if before.as_ref() == Some(&bytes) {
                return Ok(Judgement::Bad(flaw, Some(*blake3::hash(&bytes).as_bytes())));
            }
            before = Some(bytes);
        }
    }

    /// What keeps a blob from being had by this recipe, if anything does.
    async fn flaw(
        &self,
        digest: &Digest,
        recipe: &Recipe,
        depth: Depth,
    ) -> Result<Option<String>, StoreError> {
        let mut hasher = Hasher::new(digest.algorithm());
        match recipe.body() {
            Body::Inline(bytes) => hasher.update(bytes),
            Body::Extents(extents) if depth == Depth::Lengths => {
                return Ok(match self.check_data(extents.iter()).await {
                    Ok(()) => None,
                    Err(StoreError::SourceGone) => {
                        Some(String::from("a data object is gone, or shorter than its recipe says"))
                    }
                    Err(e) => return Err(e),
                });
            }
            Body::Extents(extents) => {
                for extent in extents {
                    let range = extent.offset..extent.offset.saturating_add(extent.length);
                    let content = match self.blobs.data().open(&extent.data, range).await {
                        Err(e @ StoreError::Damaged { .. }) => return Ok(Some(e.to_string())),
                        content => content?,
                    };
                    let Some(mut content) = content else {
                        return Ok(Some(format!("data object {} is gone", extent.data)));
                    };
                    loop {
                        match content.stream.try_next().await {
                            Ok(Some(piece)) => hasher.update(&piece),
                            Ok(None) => break,
                            Err(e @ StoreError::Damaged { .. }) => return Ok(Some(e.to_string())),
                            Err(e) => return Err(e),
                        }
                    }
                }
            }
        }
        let actual = hasher.finish();
        Ok((actual != *digest).then(|| format!("its bytes are those of {actual}")))
    }

    async fn gather_repository(
        &self,
        name: &RepositoryName,
        gathered: &mut Gathered,
    ) -> Result<(), StoreError> {
        let mut links = self.objects.list(keys::links(name));
        while let Some(meta) = links.try_next().await? {
            let Some(digest) = keys::digest_of(&meta.location) else { continue };
            self.gather_blob(&digest, gathered).await?;
            if let Some(bad) = gathered.blobs.get_mut(&digest) {
                bad.needed(name.to_string());
                bad.leads.push(meta.location);
            }
        }
        let mut manifests = self.objects.list(keys::manifests(name));
        while let Some(meta) = manifests.try_next().await? {
            let Some(digest) = keys::digest_of(&meta.location) else { continue };
            gathered.seen.manifests += 1;
            self.gather_manifest(name, &digest, &meta.location, gathered).await?;
        }
        let mut tags = self.objects.list(keys::tags(name));
        while let Some(meta) = tags.try_next().await? {
            let Some(tag) = meta.location.filename().and_then(|tag| tag.parse().ok()) else { continue };
            gathered.seen.tags += 1;
            let why = match self.repositories.tag(name, &tag).await {
                Ok(None) => continue,
                Ok(Some(digest)) if self.repositories.confirm_manifest(name, &digest).await?.is_some() => {
                    continue;
                }
                Ok(Some(digest)) => format!("it names {digest}, which {name} has not"),
                Err(e @ StoreError::Damaged { .. }) => e.to_string(),
                Err(e) => return Err(e),
            };
            gathered.bad_key(&meta.location, why, format!("{name}:{tag}"));
        }
        Ok(())
    }

    async fn gather_manifest(
        &self,
        name: &RepositoryName,
        digest: &Digest,
        key: &Path,
        gathered: &mut Gathered,
    ) -> Result<(), StoreError> {
        let own = format!("{name}@{digest}");
        if let Err(e) = self.repositories.confirm_manifest(name, digest).await {
            let StoreError::Damaged { .. } = e else { return Err(e) };
            gathered.bad_key(key, e.to_string(), own);
            return Ok(());
        }
        let bytes = match read_manifest(self, name, key).await? {
            Ok(bytes) => bytes,
            Err(why) => {
                let bad = gathered.bad_blob(*digest, &why);
                if let Some(bad) = bad {
                    bad.needed(own);
                    bad.leads.push(key.clone());
                }
                return Ok(());
            }
        };
        let mut parts = Vec::new();
        named::digests(&bytes, |manner, digest| {
            if manner == Manner::Part {
                parts.push(digest);
            }
        });
        for part in parts {
            self.gather_blob(&part, gathered).await?;
            if let Some(bad) = gathered.blobs.get_mut(&part) {
                bad.needed(own.clone());
            } else if !self.repositories.confirm_link(name, &part).await? {
                gathered.bad_key(
                    &keys::link(name, &part),
                    format!("{name} does not hold {part}"),
                    own.clone(),
                );
            }
        }
        Ok(())
    }

    /// Notes a blob that is needed and is not there.
    async fn gather_blob(&self, digest: &Digest, gathered: &mut Gathered) -> Result<(), StoreError> {
        let there =
            gathered.blobs.contains_key(digest) || self.objects.head(&keys::recipe(digest)).await?.is_some();
        if !there {
            gathered.bad_blob(*digest, "it is gone");
        }
        Ok(())
    }
}

/// How a blob stands.
#[derive(Debug)]
pub(crate) enum Judgement {
    Gone,
    /// With its size.
    Whole(u64),
    /// Why, and by which recipe, if that could be read.
    Bad(String, Option<RecipeHash>),
}

impl Gathered {
    fn bad_blob(&mut self, digest: Digest, why: &str) -> Option<&mut Bad> {
        if self.blobs.len() >= MOST_BAD && !self.blobs.contains_key(&digest) {
            self.seen.more += 1;
            return None;
        }
        Some(self.blobs.entry(digest).or_insert_with(|| Bad::new(why)))
    }

    fn bad_key(&mut self, key: &Path, why: String, needed_by: String) {
        if self.keys.len() >= MOST_BAD {
            self.seen.more += 1;
            return;
        }
        self.keys.entry(key.to_string()).or_insert_with(|| Bad::new(why)).needed(needed_by);
    }

    fn into_checked(self) -> Checked {
        let blobs = self.blobs.into_iter().map(|(digest, bad)| (digest.to_string(), bad));
        let findings = blobs.chain(self.keys).map(|(what, Bad { why, needed_by, .. })| Finding {
            what,
            why,
            needed_by,
            removed: false,
        });
        Checked { findings: findings.collect(), ..self.seen }
    }
}
