//! Taking away what leads to blobs that cannot be had, so that clients push them again: a client that is told that a blob is here does
//! not send it.
//!
//! Removed are the links to such a blob in all repositories, its recipe, a manifest whose own bytes are gone, and tags without
//! manifest. Manifests that name a missing part stay: once the part is pushed they are whole again.

use object_store::path::Path;

use crate::candidates::Candidates;
use crate::check::{Bad, Checked, Depth, Finding, Judgement};
use crate::clean::{Policy, Run, write_tombstone};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::keys;
use crate::marks::Mark;
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
            let removed = self.remove_bad(&digest, &bad, depth).await?;
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
    async fn remove_bad(&self, digest: &Digest, bad: &Bad, depth: Depth) -> Result<bool, StoreError> {
        let policy = Policy::default();
        let doomed: Vec<Path> = bad.leads.iter().cloned().chain([keys::recipe(digest)]).collect();
        let tombstone = write_tombstone(self, policy.patience, doomed.iter()).await?;
        let removed = self.remove_unclaimed(digest, &doomed, depth, &policy).await;
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
        depth: Depth,
        policy: &Policy,
    ) -> Result<bool, StoreError> {
        let run = Run::begin(self, policy).await?;
        let mut candidates = Candidates::new(doomed.iter().map(Mark::of).collect());
        run.strike_claimed(&mut candidates).await?;
        let claimed = doomed.iter().any(|key| !candidates.has(&Mark::of(key)));
        if claimed || matches!(self.judge(digest, depth).await?, Judgement::Whole(_)) {
            return Ok(false);
        }
        // The recipe goes last: while there is a link, whatever is left is found again.
        for key in doomed {
            self.objects.delete(key).await?;
        }
        self.blobs.delete(digest).await?;
        Ok(true)
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
