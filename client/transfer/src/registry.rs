//! OCI distribution 1.1: pushing small blobs and manifests (large blobs: [`crate::upload`]), pulling manifests (blobs: [`crate::pull`]).

use crate::http::{Http, TransferError, accept, read_bounded};
use crate::reference::{Reference, Version};
use bytes::Bytes;
use oci_spec::distribution::TagList;
use plyos_ids::{BlobDigest, ManifestDigest};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};

/// Media type of the manifests that we push and pull.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Longest manifest that is accepted.
pub const MANIFEST_LIMIT: u64 = 4 * 1024 * 1024;

/// Longest list of tags that is read.
const TAGS_LIMIT: u64 = 1 << 20;

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

    pub(crate) fn http(&self) -> &Http {
        &self.http
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

    /// Uploads a small blob unless the registry holds it.
    pub async fn push_small(&self, digest: &BlobDigest, bytes: &[u8]) -> Result<(), TransferError> {
        if self.has_blob(digest).await? {
            return Ok(());
        }
        let what = format!("uploading blob {digest} to {}/{}", self.place.host, self.place.repository);
        self.begin_upload(&what).await?.put(digest, bytes).await
    }

    /// Some tags of the repository, as many as the registry gives at once; none if there is no repository yet.
    pub async fn tags(&self) -> Result<Vec<String>, TransferError> {
        let what = format!("listing the tags of {}/{}", self.place.host, self.place.repository);
        let url = self.place.url("tags/list");
        let listed = self.http.get_bounded(&what, &url, TAGS_LIMIT).await?;
        // A list that does not parse, such as one with `null` for no tags, is as good as none.
        let listed = listed.and_then(|bytes| serde_json::from_slice::<TagList>(&bytes).ok());
        Ok(listed.map(|list| list.tags().clone()).unwrap_or_default())
    }

    /// The same repository by another tag.
    pub fn at_tag(&self, tag: &str) -> Self {
        let place = Reference { version: Version::Tag(tag.to_owned()), ..self.place.clone() };
        Self { http: self.http.clone(), place }
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
        self.manifest_as(MANIFEST).await
    }

    /// [`Registry::manifest`] of any of the media types in `accept_types`, which a header lists.
    pub async fn manifest_as(&self, accept_types: &str) -> Result<Bytes, TransferError> {
        let what = format!("fetching the manifest of {}", self.place);
        let url = self.place.url(&format!("manifests/{}", self.place.version));
        let get = self.http.request(Method::GET, &url).header(ACCEPT, accept_types);
        let response = accept(&what, self.http.send(&what, get).await?).await?;
        let manifest = read_bounded(&what, response, MANIFEST_LIMIT).await?;
        match self.place.version {
            Version::Digest(digest) if digest != digest_of(&manifest) => {
                Err(TransferError::Digest { what, expected: digest.to_string() })
            }
            _ => Ok(manifest),
        }
    }
}

/// SHA-256 of a manifest.
pub fn digest_of(manifest: &[u8]) -> ManifestDigest {
    ManifestDigest::from_bytes(Sha256::digest(manifest).into())
}
