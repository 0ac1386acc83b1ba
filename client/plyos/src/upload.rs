//! Building a layer and uploading it side by side.
//!
//! The blob's digest is known at its end only, so it goes into an upload session as it is made ([`plyos_transfer::upload`]). A registry that
//! composes blobs is sent only what an earlier version did not have ([`plyos_transfer::compose`]). A registry that
//! does not take all that, or a connection that breaks, does not end the push: the layer is built again into a temporary file, quickly
//! with a frame cache, and sent from there. A failure of the tree cancels the session.

use crate::base;
use plyos_ids::ChunkId;
use plyos_layer_build::oci::{self, Image};
use plyos_layer_build::{BuildError, BuildOptions, Built, Sink, Tree, build};
use plyos_layer_format::descriptor::Descriptor;
use plyos_report::{ExitCode, Failure, OrFail, Progress};
use plyos_transfer::TransferError;
use plyos_transfer::compose::Composer;
use plyos_transfer::registry::Registry;
use plyos_transfer::upload::{self, Session};
use std::io;

/// What is built, and where it goes.
pub struct Shipment<'a> {
    /// Where.
    pub registry: &'a Registry,
    /// What is in it.
    pub tree: &'a Tree,
    /// What is said of it.
    pub descriptor: &'a Descriptor,
    /// How it is built.
    pub options: &'a BuildOptions<'a>,
    /// Who is told how far it is.
    pub progress: &'a Progress,
}

/// A layer of which the registry has all but the manifest.
pub struct Shipped {
    /// The layer.
    pub built: Built,
    /// Its config, which is there, and its manifest.
    pub image: Image,
    /// Whether the registry had the blob before.
    pub was_there: bool,
    /// Bytes of the blob that were not sent, because an earlier version's blob has them.
    pub copied: u64,
}

impl Shipment<'_> {
    /// Builds, and uploads blob and config.
    pub async fn run(&self) -> Result<Shipped, Failure> {
        let session = self.begin().await?;
        let base = if session.composes() { base::find(self.registry, self.options.form).await } else { None };
        let (mut writer, reader) = upload::channel();
        let sending = match &base {
            None => tokio::spawn(session.send(reader)),
            Some(_) => tokio::spawn(session.send_composed(reader)),
        };
        // The writer goes away with its body's end, whether the build went well or not.
        let built = tokio::task::block_in_place(|| {
            let (built, copied) = match &base {
                None => (self.build(&mut writer)?, 0),
                Some(base) => {
                    let mut out = Composed(Composer::new(&mut writer, base));
                    let built = self.build(&mut out)?;
                    (built, out.0.finish().map_err(BuildError::Write)?)
                }
            };
            writer.finish().map_err(BuildError::Write)?;
            Ok((built, copied))
        });
        let sent = sending.await.or_fail(ExitCode::Failure, "uploading the layer")?;
        match (built, sent) {
            (Ok((built, copied)), Ok(session)) => {
                let image = self.image(&built)?;
                match self.finish(&built, &image, session).await {
                    // The frames that were copied are not those that were made: another encoder made them.
                    Err(TransferError::Refused { status: 400, .. }) if copied > 0 => {
                        self.progress.detail("the registry's frames are others; sending the layer whole");
                        self.run_from_file().await
                    }
                    finished => Ok(Shipped { was_there: finished?, built, image, copied }),
                }
            }
            (Err(error), Ok(session)) => {
                session.cancel().await;
                Err(tree_failure(&error))
            }
            // What the network did has stopped the build, or would have.
            (Ok(_) | Err(BuildError::Write(_)), Err(broken)) => {
                broken.session.cancel().await;
                if is_forbidden(&broken.error) {
                    return Err(broken.error.into());
                }
                self.progress
                    .detail(&format!("{}; sending the layer again from a temporary file", broken.error));
                self.run_from_file().await
            }
            (Err(error), Err(broken)) => {
                broken.session.cancel().await;
                Err(tree_failure(&error))
            }
        }
    }

    /// Builds into a temporary file and sends that, once more if the connection breaks.
    async fn run_from_file(&self) -> Result<Shipped, Failure> {
        // Asked first: a registry that cannot be reached is not worth building for.
        let session = self.begin().await?;
        let file = tempfile::NamedTempFile::new()
            .or_fail(ExitCode::Failure, "making a temporary file for the blob")?;
        let built = tokio::task::block_in_place(|| self.build(&mut file.as_file()));
        let built = match built {
            Ok(built) => built,
            Err(error) => {
                session.cancel().await;
                return Err(tree_failure(&error));
            }
        };
        let image = self.image(&built)?;
        self.registry.push_small(&image.config_digest, &image.config).await?;
        if self.registry.has_blob(&built.blob_sha256).await? {
            session.cancel().await;
            return Ok(Shipped { built, image, was_there: true, copied: 0 });
        }
        let bar = self.progress.bytes("uploading", built.blob_len);
        let put = async |session: Session| {
            bar.set_position(0);
            let shown = bar.clone();
            let count = move |bytes| shown.inc(bytes);
            session.put_file(&built.blob_sha256, file.path(), built.blob_len, count).await
        };
        match put(session).await {
            Err(TransferError::Network { .. }) => put(self.begin().await?).await?,
            other => other?,
        }
        bar.finish_and_clear();
        Ok(Shipped { built, image, was_there: false, copied: 0 })
    }

    async fn begin(&self) -> Result<Session, TransferError> {
        let place = self.registry.place();
        let what = format!("uploading the layer to {}/{}", place.host, place.repository);
        self.registry.begin_upload(&what).await
    }

    /// Ends a session that holds the whole blob, and uploads the config meanwhile: both wait for the registry's disk. Whether the
    /// registry had the blob before.
    async fn finish(&self, built: &Built, image: &Image, session: Session) -> Result<bool, TransferError> {
        let config = self.registry.push_small(&image.config_digest, &image.config);
        let (was_there, ()) = tokio::try_join!(self.commit(built, session), config)?;
        Ok(was_there)
    }

    /// Whether the registry had the blob before; if not, the session becomes it.
    async fn commit(&self, built: &Built, session: Session) -> Result<bool, TransferError> {
        if self.registry.has_blob(&built.blob_sha256).await? {
            session.cancel().await;
            return Ok(true);
        }
        match session.finish(&built.blob_sha256).await {
            // The answer to a try that went well may have been lost: then the session is gone and the blob is there.
            Err(TransferError::NotFound { .. }) if self.registry.has_blob(&built.blob_sha256).await? => {}
            other => other?,
        }
        Ok(false)
    }

    fn image(&self, built: &Built) -> Result<Image, Failure> {
        oci::image(built, self.descriptor).or_fail(ExitCode::Failure, "making the manifest")
    }

    fn build(&self, out: &mut impl Sink) -> Result<Built, BuildError> {
        let bar = self.progress.bytes("compressing and uploading", 0);
        let built = build(self.tree, self.descriptor, self.options, out, &|at| {
            bar.set_length(at.stream_len);
            bar.set_position(at.stream_done);
        });
        bar.finish_and_clear();
        built
    }
}

/// A blob on its way as instructions.
struct Composed<'a>(Composer<'a>);

impl Sink for Composed<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.bytes(bytes)
    }

    fn frame(&mut self, chunk: &ChunkId, stored: &[u8]) -> io::Result<()> {
        self.0.frame(chunk, stored)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tree_failure(error: &BuildError) -> Failure {
    Failure::new(ExitCode::Failure, format!("building the layer: {error}"))
}

/// Whether another way of sending would be refused as well.
fn is_forbidden(error: &TransferError) -> bool {
    matches!(error, TransferError::Refused { status: 401 | 403, .. })
}
