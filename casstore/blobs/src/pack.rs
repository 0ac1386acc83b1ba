//! Packing: a blob that shares pieces with others of its repository gives up its own copy of them.
//!
//! A [`Packer`] cuts a blob into pieces ([`cut`](crate::cut)), keeps the list, compares it with the lists of the newest blobs of
//! the same repository ([`pack_plan`](crate::pack_plan)), and if that saves enough, writes what is new as one data object and
//! replaces the blob's recipe. The old data object is left to the clean-up. Blobs are packed after they were committed, so that no
//! push waits for it.
//!
//! Nothing is taken on trust: the bytes that the new recipe gives are read and hashed, and only the blob's digest lets it
//! replace the old one. Readers do not notice.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;

use crate::blobs::Blobs;
use crate::claims::{Claims, Names};
use crate::cut::PieceCutter;
use crate::digest::Digest;
use crate::error::{StoreError, UploadError};
use crate::keys::{self, DataId};
use crate::names::RepositoryName;
use crate::objects::Objects;
use crate::pack_plan::{Plan, Reference, plan};
use crate::pieces::{LONGEST_LIST, MOST_PIECES, Piece, PieceList};
use crate::recipe::{Body, Recipe};
use crate::storage::Storage;
use crate::upload::{Sealed, blocking};
use crate::uploads::Uploads;

/// Smaller blobs are left alone: no saving would be worth the request.
const LEAST_BLOB: u64 = 1024 * 1024;
/// Newest blobs of a repository that are asked for a piece list; most are configs and have none.
const MOST_ASKED: usize = 128;
/// Blobs that a blob is compared with, so that layers of the last few versions of an image are among them.
const MOST_REFERENCES: usize = 32;
/// Pieces that a blob is compared with, at some 60 bytes of memory each.
const MOST_COMPARED: usize = 256 * 1024;

/// What became of a blob that was to be packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// It is not there, or was replaced meanwhile.
    Gone,
    /// It is too small, or has more pieces than are compared.
    Unsuited,
    /// It shares too little; it stays as it is.
    Kept,
    /// A piece list of another blob is wrong: what would have been packed is not this blob. It stays as it is.
    Misled,
    /// It was packed.
    Packed {
        /// Bytes that only this blob held before.
        held: u64,
        /// Bytes that only this blob holds now.
        holds: u64,
    },
}

/// More pieces than a list holds.
struct TooMany;

/// Packs blobs, one at a time; the memory of one packing is bounded by some 32 MiB. Cloning gives another handle.
#[derive(Clone, Debug)]
pub struct Packer {
    objects: Objects,
    blobs: Blobs,
    uploads: Uploads,
    claims: Claims,
}

impl Storage {
    /// What packs this storage's blobs.
    pub fn packer(&self) -> Packer {
        let (objects, blobs) = (self.objects.clone(), self.blobs.clone());
        Packer { objects, blobs, uploads: self.uploads.clone(), claims: self.claims.clone() }
    }
}

impl Packer {
    /// Whether a blob of this size may be packed at all.
    pub fn suits(size: u64) -> bool {
        size >= LEAST_BLOB
    }

    /// Packs a blob of a repository if that saves enough; keeps its piece list in any case.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed; the blob is then as it was.
    pub async fn pack(&self, repository: &RepositoryName, digest: &Digest) -> Result<Packing, StoreError> {
        let Some(recipe) = self.blobs.confirm_recipe(digest).await? else { return Ok(Packing::Gone) };
        if !Self::suits(recipe.size()) || matches!(recipe.body(), Body::Inline(_)) {
            return Ok(Packing::Unsuited);
        }
        let pieces = match self.read_list(digest, recipe.size()).await? {
            Some(pieces) => pieces,
            None => match self.cut(digest, recipe.size()).await? {
                Some(pieces) => pieces,
                None => return Ok(Packing::Unsuited),
            },
        };
        let references = self.references(repository, digest).await?;
        let own = Arc::clone(&recipe);
        let plan =
            blocking("compare a blob with others", move || Ok(plan(&own, &pieces, &references))).await?;
        if !plan.is_worth_it() {
            return Ok(Packing::Kept);
        }
        self.carry_out(digest, &recipe, plan).await
    }

    /// The pieces of a blob of `size` bytes, if there is a list that can be read; a damaged one is made anew by [`Packer::pack`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed.
    pub async fn read_list(&self, digest: &Digest, size: u64) -> Result<Option<Vec<Piece>>, StoreError> {
        let Some(bytes) = self.objects.read_small(&keys::pieces(digest), LONGEST_LIST).await? else {
            return Ok(None);
        };
        let list = PieceList::parse(&bytes).ok().filter(|list| list.blob_size() == size);
        Ok(list.map(|list| list.pieces))
    }

    /// Cuts a blob and keeps its list; `None` if it went away or has too many pieces.
    async fn cut(&self, digest: &Digest, size: u64) -> Result<Option<Vec<Piece>>, StoreError> {
        let Some(mut content) = self.blobs.open(digest, 0..size).await? else { return Ok(None) };
        let mut pieces = Vec::new();
        let mut sink = |piece: &[u8]| {
            pieces.push(Piece::of(piece));
            if pieces.len() <= MOST_PIECES { Ok(()) } else { Err(TooMany) }
        };
        let mut cutter = PieceCutter::new();
        let mut result = Ok(());
        while let Some(portion) = content.stream.try_next().await?
            && result.is_ok()
        {
            result = cutter.feed(&portion, &mut sink);
        }
        if result.and_then(|()| cutter.finish(&mut sink)).is_err() {
            return Ok(None);
        }
        let list = PieceList { pieces };
        self.objects.write_small(&keys::pieces(digest), Bytes::from(list.emit())).await?;
        Ok(Some(list.pieces))
    }

    /// The blobs of a repository, in the order in which it got them.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if they cannot be listed.
    pub async fn oldest_first(&self, repository: &RepositoryName) -> Result<Vec<Digest>, StoreError> {
        let mut links = self.objects.list(keys::links(repository));
        let mut found = Vec::new();
        while let Some(link) = links.try_next().await? {
            found.extend(keys::digest_of(&link.location).map(|digest| (link.last_modified, digest)));
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, digest)| digest).collect())
    }

    /// The newest other blobs of a repository with their pieces, newest first.
    async fn references(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Vec<Reference>, StoreError> {
        let mut newest = BTreeSet::new();
        let mut links = self.objects.list(keys::links(repository));
        while let Some(link) = links.try_next().await? {
            if let Some(other) = keys::digest_of(&link.location).filter(|other| other != digest) {
                newest.insert((link.last_modified, other));
                if newest.len() > MOST_ASKED {
                    newest.pop_first();
                }
            }
        }
        let mut references: Vec<Reference> = Vec::new();
        let mut compared = 0;
        for (_, other) in newest.into_iter().rev() {
            let Some(recipe) = self.blobs.recipe(&other).await?.filter(|recipe| Self::suits(recipe.size()))
            else {
                continue;
            };
            let Some(pieces) = self.read_list(&other, recipe.size()).await? else { continue };
            compared += pieces.len();
            if compared > MOST_COMPARED || references.len() == MOST_REFERENCES {
                break;
            }
            references.push(Reference { pieces, recipe });
        }
        Ok(references)
    }

    /// Writes what is new and replaces the recipe, under a claim on all that the new recipe needs.
    async fn carry_out(
        &self,
        digest: &Digest,
        recipe: &Arc<Recipe>,
        plan: Plan,
    ) -> Result<Packing, StoreError> {
        // More extents than a recipe takes: the blob stays as it is, and nothing is written. Which data object it is makes no difference.
        if plan.recipe(DataId::from_bytes([0; 16])).is_err() {
            return Ok(Packing::Unsuited);
        }
        let Some(sealed) = self.write(digest, &plan).await? else { return Ok(Packing::Gone) };
        let Ok(better) = plan.recipe(sealed.data()) else { return Ok(Packing::Unsuited) };
        let names = Names::new().blob(digest).data(&sealed.data());
        let claim =
            self.claims.claim(better.extents().iter().fold(names, |n, extent| n.data(&extent.data))).await?;
        let (this, digest, before) = (self.clone(), *digest, Arc::clone(recipe));
        claim.publish(async move { this.replace(sealed, &digest, &before, &better, &plan).await }).await
    }

    async fn replace(
        &self,
        sealed: Sealed,
        digest: &Digest,
        before: &Recipe,
        better: &Recipe,
        plan: &Plan,
    ) -> Result<Packing, StoreError> {
        let own = sealed.data();
        self.objects.land_data(sealed).await?;
        if self.blobs.digest(better, digest.algorithm()).await? != *digest {
            self.blobs.data().delete(&own).await?;
            return Ok(Packing::Misled);
        }
        if self.blobs.replace_recipe(digest, before, better).await? {
            Ok(Packing::Packed { held: plan.held, holds: plan.written })
        } else {
            // Not deleted here: should the new recipe stand in spite of the answer, it would be without its data.
            Ok(Packing::Gone)
        }
    }

    /// Brings together what is new, to be one data object; `None` if the blob went away.
    async fn write(&self, digest: &Digest, plan: &Plan) -> Result<Option<Sealed>, StoreError> {
        let begun = self.uploads.begin_once(digest.algorithm()).await;
        let mut upload = begun.map_err(|e| match e {
            UploadError::Store(e) => e,
            e => StoreError::staging("write a pack")(std::io::Error::other(e)),
        })?;
        for range in plan.to_write() {
            let Some(mut content) = self.blobs.open(digest, range).await? else { return Ok(None) };
            while let Some(portion) = content.stream.try_next().await? {
                upload = upload.append(vec![portion]).await?;
            }
        }
        Ok(Some(upload.seal()))
    }
}
