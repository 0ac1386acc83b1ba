//! Taking away what leads to blobs that cannot be had, so that clients push them again: a client that is told that a blob is here does
//! not send it.
//!
//! Removed are the links to such a blob in all repositories, its recipe, a manifest whose own bytes are gone, and tags without
//! manifest. Manifests that name a missing part stay: once the part is pushed they are whole again.

use object_store::path::Path;

use crate::candidates::Candidates;
use crate::check::{Bad, Checked, Depth, Finding, RecipeHash};
use crate::claims::Moment;
use crate::clean::{MARGIN, Policy, Run, write_tombstone};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::keys;
use crate::marks::Mark;
use crate::names::RepositoryName;
use crate::recipe::LONGEST_RECIPE;
use crate::storage::Storage;

impl Storage {
    /// Looks at everything as [`Storage::check`] does, and takes away what leads to what cannot be had. Safe while others push.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store failed.
    pub async fn repair(&self, depth: Depth, tell: impl FnMut(u64)) -> Result<Checked, StoreError> {
        let gathered = self.gather(depth, tell).await?;
        let mut checked = gathered.seen;
        for (digest, bad) in gathered.blobs {
            let removed = self.remove_bad(&digest, &bad).await?;
            let Bad { why, needed_by, .. } = bad;
            checked.findings.push(Finding { what: digest.to_string(), why, needed_by, removed });
        }
        for (key, Bad { why, needed_by, .. }) in gathered.keys {
            let removed = self.remove_tag(&Path::from(key.as_str())).await?;
            checked.findings.push(Finding { what: key, why, needed_by, removed });
        }
        Ok(checked)
    }

    /// Removes what leads to a blob, unless somebody is just pushing it or it has become whole.
    async fn remove_bad(&self, digest: &Digest, bad: &Bad) -> Result<bool, StoreError> {
        let policy = Policy::default();
        let doomed: Vec<Path> = bad.leads.iter().cloned().chain([keys::recipe(digest)]).collect();
        // From before the tombstone is there, so that this stops early rather than late.
        let begun = Moment::now();
        let tombstone = write_tombstone(self, policy.patience + MARGIN, doomed.iter()).await?;
        let removed = self.remove_unclaimed(digest, &doomed, bad.recipe, &policy, begun).await;
        // An error may mean that a delete is still under way: then the tombstone is left to expire.
        if removed.is_ok() {
            self.objects.delete(&tombstone).await?;
        }
        removed
    }

    async fn remove_unclaimed(
        &self,
        digest: &Digest,
        doomed: &[Path],
        judged: Option<RecipeHash>,
        policy: &Policy,
        begun: Moment,
    ) -> Result<bool, StoreError> {
        let mut run = Run::begin(self, policy).await?;
        let mut candidates = Candidates::new(doomed.iter().map(Mark::of).collect());
        run.strike_claimed(&mut candidates).await?;
        let claimed = doomed.iter().any(|key| !candidates.has(&Mark::of(key)));
        // Whoever pushed it again has written another recipe. Reading the blob once more would take longer than a tombstone may stand.
        if claimed || self.recipe_hash(digest).await? != judged {
            return Ok(false);
        }
        // The recipe goes last: while there is a link, whatever is left is found again.
        for key in doomed.iter().filter(|key| **key != keys::recipe(digest)) {
            if run.must_stop(begun) {
                return Ok(false);
            }
            match repository_of_link(key) {
                Some(repository) => self.repositories.unlink(&repository, digest).await?,
                None => run.delete_manifest(key).await?,
            }
            let (folder, _) = key.as_ref().rsplit_once('/').unwrap_or_default();
            run.unsettled.insert(Path::from(folder));
        }
        run.settle().await?;
        if run.must_stop(begun) {
            return Ok(false);
        }
        self.blobs.delete(digest).await?;
        Ok(true)
    }

    /// The recipe that stands, as [`Bad::recipe`] remembers one.
    async fn recipe_hash(&self, digest: &Digest) -> Result<Option<RecipeHash>, StoreError> {
        match self.objects.read_small(&keys::recipe(digest), LONGEST_RECIPE).await {
            Ok(bytes) => Ok(bytes.map(|bytes| *blake3::hash(&bytes).as_bytes())),
            // It is longer than any recipe.
            Err(StoreError::Damaged { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Removes a tag that names nothing. Other keys that are wrong in themselves stay for the operator to look at.
    async fn remove_tag(&self, key: &Path) -> Result<bool, StoreError> {
        let Some((name, tag)) =
            key.as_ref().strip_prefix("repositories/").and_then(|rest| rest.split_once("/_tags/"))
        else {
            return Ok(false);
        };
        let (Ok(name), Ok(tag)) = (name.parse(), tag.parse()) else { return Ok(false) };
        // It may have been pushed again meanwhile.
        let named = match self.repositories.tag(&name, &tag).await {
            Ok(named) => named,
            Err(StoreError::Damaged { .. }) => None,
            Err(e) => return Err(e),
        };
        if let Some(digest) = named
            && self.repositories.confirm_manifest(&name, &digest).await?.is_some()
        {
            return Ok(false);
        }
        self.repositories.delete_tag(&name, &tag).await?;
        Ok(true)
    }
}

/// The repository that a link to a blob belongs to.
fn repository_of_link(key: &Path) -> Option<RepositoryName> {
    let (name, _) = key.as_ref().strip_prefix("repositories/")?.split_once("/_blobs/")?;
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use object_store::memory::InMemory;

    use super::*;
    use crate::check::Judgement;
    use crate::digest::Algorithm;
    use crate::storage::Settings;

    async fn push(storage: &Storage, repository: &RepositoryName, bytes: &Bytes) -> Digest {
        let digest = Digest::of(bytes);
        let upload = storage.uploads.begin_once(Algorithm::Sha256).await.unwrap();
        let upload = upload.append(vec![bytes.clone()]).await.unwrap();
        storage.publish_blob(repository, upload, &digest).await.unwrap();
        digest
    }

    #[tokio::test]
    async fn what_was_pushed_since_it_was_judged_stays() {
        let storage = Storage::remote(Arc::new(InMemory::new()), &Settings::default()).await.unwrap();
        let (name, bytes) = ("a".parse().unwrap(), Bytes::from(vec![7; 100_000]));
        for pushed_again in [true, false] {
            let digest = push(&storage, &name, &bytes).await;
            let recipe = storage.blobs.confirm_recipe(&digest).await.unwrap().unwrap();
            let damaged = Bytes::from(vec![8; bytes.len()]);
            storage.objects.write_small(&keys::data(&recipe.extents()[0].data), damaged).await.unwrap();
            let gathered = storage.gather(Depth::Bytes, |_| ()).await.unwrap();
            if pushed_again {
                push(&storage, &name, &bytes).await;
            }
            let removed = storage.remove_bad(&digest, &gathered.blobs[&digest]).await.unwrap();
            assert_eq!(removed, !pushed_again);
            let whole = matches!(storage.judge(&digest, Depth::Bytes).await.unwrap(), Judgement::Whole(_));
            assert_eq!(whole, pushed_again);
            assert_eq!(storage.repositories.confirm_link(&name, &digest).await.unwrap(), pushed_again);
        }
    }
}
