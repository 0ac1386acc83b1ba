//! How a sealed upload becomes what it was sent for: a data object that recipes point into, or a file under a name of its own.

use object_store::path::Path;

use crate::error::StoreError;
use crate::keys;
use crate::objects::{IfExists, Landed, Objects};
use crate::recipe::Extent;
use crate::staged_file::{StagedFile, file_name};
use crate::staged_parts::Certainty;
use crate::upload::{Held, Medium, Sealed};

impl Objects {
    /// Makes the new bytes of an upload a data object, and says where all its bytes lie. The upload is spent unless this fails.
    pub(crate) async fn land_data(&self, sealed: Sealed) -> Result<(Vec<Extent>, Certainty), StoreError> {
        let this = self.clone();
        undisturbed(async move {
            let mut sealed = sealed;
            let certainty = this.land_own(&mut sealed).await?;
            let extents = sealed.extents();
            sealed.spend().await;
            Ok((extents, certainty))
        })
        .await
    }

    /// Gives an upload, all of whose bytes are new, a name of its own. The upload is spent unless this fails.
    pub(crate) async fn land(
        &self,
        sealed: Sealed,
        to: &Path,
        if_exists: IfExists,
    ) -> Result<Landed, StoreError> {
        let (this, to) = (self.clone(), to.clone());
        undisturbed(async move {
            let mut sealed = sealed;
            let progress = sealed.upload.progress.clone();
            let landed = match sealed.upload.held.as_mut() {
                Some(Held { medium: Medium::File(file), .. }) => {
                    this.land_file(file, progress.own_len(), &to, if_exists).await?
                }
                Some(Held { medium: Medium::Parts(parts), .. }) => {
                    parts.land_at(&progress, &to, if_exists).await?
                }
                None => Landed::Existed,
            };
            sealed.spend().await;
            Ok(landed)
        })
        .await
    }

    async fn land_own(&self, sealed: &mut Sealed) -> Result<Certainty, StoreError> {
        let progress = sealed.upload.progress.clone();
        let certain = if progress.is_doubtful() { Certainty::Hearsay } else { Certainty::Certain };
        match sealed.upload.held.as_mut() {
            Some(Held { medium: Medium::Parts(parts), .. }) => parts.land_data(&progress).await,
            Some(Held { medium: Medium::File(file), .. }) if progress.own_len() > 0 => {
                let to = keys::data(&progress.own());
                self.land_file(file, progress.own_len(), &to, IfExists::Replace).await?;
                Ok(certain)
            }
            _ => Ok(certain),
        }
    }

    async fn land_file(
        &self,
        file: &StagedFile,
        length: u64,
        to: &Path,
        if_exists: IfExists,
    ) -> Result<Landed, StoreError> {
        file.flush(length).await?;
        let from = Path::from_iter(["uploads", file_name(file.path())]);
        self.rename(&from, to, if_exists).await
    }
}

/// Runs to its end whatever becomes of the request that waits for it: an upload's lock must not be free while its bytes land.
pub(crate) async fn undisturbed<T, E>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    tokio::spawn(work).await.unwrap_or_else(|e| {
        let source = std::io::Error::other(e);
        Err(StoreError::Staging { doing: "land an upload", source }.into())
    })
}
