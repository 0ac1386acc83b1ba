//! Carrying a blob from beside a catalog to the destination: streamed, hashed on the way, visible only when it is whole and right.

use plyos_report::{ExitCode, Failure, OrFail, Progress};
use plyos_transfer::TransferError;
use plyos_transfer::catalog::Catalog;
use sha2::{Digest as _, Sha256};

use super::destination::{Destination, Wrote};
use super::origin::Blob;

/// Carries one blob over, unless it is there with its size.
pub async fn carry(
    source: &Catalog,
    destination: &Destination,
    blob: &Blob,
    progress: &Progress,
) -> Result<Wrote, Failure> {
    let path = format!("blobs/sha256/{}", blob.digest.to_hex());
    if destination.size(&path).await? == Some(blob.size) {
        return Ok(Wrote::There);
    }
    let mut body = source.open_blob(&blob.digest).await?;
    let mut writing = destination.begin(&path).await?;
    let (mut hasher, mut got) = (Sha256::new(), 0u64);
    let failed = loop {
        match body.next().await {
            Ok(Some(piece)) => {
                got += piece.len() as u64;
                if got > blob.size {
                    break Some(length(body.what(), format!("more than {} bytes came", blob.size)));
                }
                hasher.update(&piece);
                writing.write(piece).await?;
            }
            Ok(None) if got < blob.size => {
                break Some(length(body.what(), format!("{got} of {} bytes came", blob.size)));
            }
            Ok(None) if hasher.clone().finalize().as_slice() != blob.digest.as_bytes() => {
                let (what, expected) = (body.what().to_owned(), blob.digest.to_string());
                break Some(TransferError::Digest { what, expected });
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    if let Some(error) = failed {
        writing.abort().await;
        return Err(error.into());
    }
    writing.finish().await.or_fail(ExitCode::Failure, format_args!("writing {path}"))?;
    progress.step(&format!("wrote {path}"));
    Ok(Wrote::New(got))
}

fn length(what: &str, why: String) -> TransferError {
    TransferError::Length { what: what.to_owned(), why }
}
