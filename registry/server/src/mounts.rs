//! Mounting: a repository takes a blob that another one holds ("Mounting a blob from another repository").

use plyos_blobs::{Digest, RepositoryName, StoreError};

use crate::access::Caller;
use crate::router::Registry;

/// Repositories that are asked for a blob when the client does not say which has it. If none has, the client sends the
/// blob, which costs it no more than a registry without mounts.
const MOST_ASKED: usize = 128;

/// Lets `name` hold a blob that the repository `from` holds, or, if that is not said, any repository. Says whether it
/// does. From where the caller may not read, nothing is taken; who may not read everything has to say where.
pub(crate) async fn mount(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    from: Option<&str>,
    caller: Option<&Caller>,
) -> Result<bool, StoreError> {
    let (repositories, blobs) = (&registry.storage.repositories, &registry.storage.blobs);
    let may_read = |from: &RepositoryName| caller.is_some_and(|caller| caller.may_read(from.as_str()));
    let held = match from.map(str::parse) {
        Some(Ok(from)) => may_read(&from) && repositories.confirm_link(&from, digest).await?,
        Some(Err(_)) => false,
        None if !caller.is_some_and(Caller::may_read_all) => false,
        None if repositories.confirm_link(name, digest).await? => true,
        // Bytes that no repository holds any more are not there, so a blob that was deleted stays deleted.
        None if blobs.find(digest).await?.is_none() => false,
        None => repositories.holder(digest, MOST_ASKED).await?.is_some(),
    };
    if !held {
        return Ok(false);
    }
    registry.storage.publish_link(name, digest).await
}
