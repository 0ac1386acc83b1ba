//! What a push can build on: an earlier version of the layer in the same repository, whose frames need not be sent again.

use crate::remote::Remote;
use plyos_layer_format::frames::Form;
use plyos_layer_format::index::Chunk;
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_transfer::compose::Base;
use plyos_transfer::registry::Registry;

/// The greatest version among the repository's tags, if that is a layer of ours in the same form. What cannot be had or read is no
/// base: it would only save bytes.
pub async fn find(registry: &Registry, form: Form) -> Option<Base> {
    let tags = registry.tags().await.ok()?;
    let newest = tags.iter().max_by(|left, right| plyos_plan::version::compare(left, right))?;
    read(registry.at_tag(newest), form).await.ok().flatten()
}

async fn read(registry: Registry, form: Form) -> Result<Option<Base>, Failure> {
    let remote = Remote::of(registry).await?;
    if remote.manifest.form != form {
        return Ok(None);
    }
    let index = remote.checked()?;
    let table = remote.table(index.header().chunk_count).await?;
    let chunks: Result<Vec<Chunk>, _> = index.chunks().collect();
    let chunks = chunks.or_fail(ExitCode::Signature, "reading the chunk list")?;
    Ok(Some(Base::new(&remote.manifest, &table, chunks.into_iter().map(|chunk| chunk.id))))
}
