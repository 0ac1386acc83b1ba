//! OCI distribution 1.1: pushing blobs and manifests, pulling manifests and ranges of blobs.

use crate::http::{Http, TransferError, accept, get_range, read_bounded};
use crate::reference::{Reference, Version};
use bytes::Bytes;
use futures_util::TryStreamExt;
use plyos_ids::{BlobDigest, ManifestDigest};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// Media type of the manifests that we push and pull.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Longest manifest that is accepted.
pub const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;

/// Where a blob's bytes come from.
pub enum BlobSource<'a> {
    /// From memory.
    Bytes(&'a [u8]),
    /// From a file, streamed.
    File(&'a Path),
}

/// One repository of a registry.
#[derive(Debug, Clone)]
pub struct Registry {
    http: Http,
    place: Reference,
}

impl Registry {
    /// The repository that `place` names.
    pub fn new(http: Http, place: Reference) -> Self {
        Self { http, place }
    }

    /// The reference it was made from.
    pub fn place(&self) -> &Reference {
        &self.place
    }

    /// URL of a blob.
    pub fn blob_url(&self, digest: &BlobDigest) -> String {
        self.place.url(&format!("blobs/{digest}"))
    }

    /// Whether the registry holds a blob.
    pub async fn has_blob(&self, digest: &BlobDigest) -> Result<bool, TransferError> {
        let what = format!("asking {} for blob {digest}", self.place.host);
        let response = self.http.send(&what, self.http.request(Method::HEAD, &self.blob_url(digest))).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            _ => accept(&what, response).await.map(|_| true),
        }
    }

    /// Uploads a blob unless the registry holds it; returns the bytes sent. `progress` is called with each part's length.
    pub async fn push_blob(
        &self,
        digest: &BlobDigest,
        length: u64,
        source: BlobSource<'_>,
        progress: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<u64, TransferError> {
        if self.has_blob(digest).await? {
            return Ok(0);
        }
        let what = format!("uploading blob {digest} to {}/{}", self.place.host, self.place.repository);
        let start =
            self.http.request(Method::POST, &self.place.url("blobs/uploads/")).header(CONTENT_LENGTH, 0);
        let response = accept(&what, self.http.send(&what, start).await?).await?;
        let location =
            response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let base = response.url().clone();
        let mut target = location.and_then(|location| base.join(&location).ok()).ok_or_else(|| {
            TransferError::Refused {
                what: what.clone(),
                status: 202,
                detail: ": it named no upload location".into(),
            }
        })?;
        target.query_pairs_mut().append_pair("digest", &digest.to_string());
        let body = match source {
            BlobSource::Bytes(bytes) => {
                progress(bytes.len() as u64);
                reqwest::Body::from(bytes.to_vec())
            }
            BlobSource::File(path) => {
                let file = tokio::fs::File::open(path)
                    .await
                    .map_err(|source| TransferError::File { path: path.display().to_string(), source })?;
                let stream = tokio_util::io::ReaderStream::with_capacity(file, 256 * 1024)
                    .inspect_ok(move |part| progress(part.len() as u64));
                reqwest::Body::wrap_stream(stream)
            }
        };
        let put = self
            .http
            .request(Method::PUT, target.as_str())
            .header(CONTENT_LENGTH, length)
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body);
        accept(&what, self.http.send(&what, put).await?).await?;
        Ok(length)
    }

    /// Uploads a manifest under the reference's tag or digest.
    pub async fn push_manifest(&self, manifest: &[u8]) -> Result<ManifestDigest, TransferError> {
        let what = format!("pushing the manifest of {}", self.place);
        let url = self.place.url(&format!("manifests/{}", self.place.version));
        let put = self.http.request(Method::PUT, &url).header(CONTENT_TYPE, MANIFEST).body(manifest.to_vec());
        accept(&what, self.http.send(&what, put).await?).await?;
        Ok(digest_of(manifest))
    }

    /// Fetches the manifest that the reference names, exact bytes; checked when the reference is a digest.
    pub async fn manifest(&self) -> Result<Bytes, TransferError> {
        let what = format!("fetching the manifest of {}", self.place);
        let url = self.place.url(&format!("manifests/{}", self.place.version));
        let get = self.http.request(Method::GET, &url).header(ACCEPT, MANIFEST);
        let response = accept(&what, self.http.send(&what, get).await?).await?;
        let manifest = read_bounded(&what, response, MANIFEST_LIMIT).await?;
        match self.place.version {
            Version::Digest(digest) if digest != digest_of(&manifest) => {
                Err(TransferError::Digest { what, expected: digest.to_string() })
            }
            _ => Ok(manifest),
        }
    }

    /// Reads a range of a blob.
    pub async fn blob_range(
        &self,
        digest: &BlobDigest,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, TransferError> {
        let what = format!("reading blob {digest} from {}", self.place.host);
        get_range(&self.http, &what, &self.blob_url(digest), offset, length).await
    }
}

/// SHA-256 of a manifest.
pub fn digest_of(manifest: &[u8]) -> ManifestDigest {
    ManifestDigest::from_bytes(Sha256::digest(manifest).into())
}
