//! A catalog's static files: fetched by targets, uploaded by publishers.

use crate::http::{Http, TransferError, accept, get_range};
use bytes::Bytes;
use plyos_ids::BlobDigest;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Method, Url};

const REPLACE: HeaderName = HeaderName::from_static("x-plyos-replace");

/// The files below one URL.
#[derive(Debug, Clone)]
pub struct Catalog {
    http: Http,
    base: String,
}

/// Why a catalog's address was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{url}' is not a catalog's address: {why}")]
pub struct AddressError {
    url: String,
    why: &'static str,
}

impl Catalog {
    /// The catalog at `url`: https, or http to this machine.
    pub fn new(http: Http, url: &str) -> Result<Self, AddressError> {
        let fail = |why| AddressError { url: url.to_owned(), why };
        let parsed =
            Url::parse(url).map_err(|_| fail("write http://127.0.0.1:PORT/catalog/NAME or https://…"))?;
        match parsed.scheme() {
            "https" => {}
            "http" if parsed.host_str().is_some_and(crate::reference::is_loopback) => {}
            "http" => return Err(fail("plain http is allowed to this machine only; use https")),
            _ => return Err(fail("it must start with https:// (or http:// to this machine)")),
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(fail("it may have no '?' or '#'"));
        }
        Ok(Self { http, base: url.trim_end_matches('/').to_owned() })
    }

    /// The address without a trailing slash.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// A file of at most `limit` bytes; `None` when there is none. What it holds is not trusted.
    pub async fn get(&self, path: &str, limit: u64) -> Result<Option<Bytes>, TransferError> {
        let what = format!("fetching {path} from {}", self.base);
        self.http.get_bounded(&what, &self.file_url(path), limit).await
    }

    /// A range of a blob that lies beside the catalog. What it holds is not trusted.
    pub async fn blob_range(
        &self,
        digest: &BlobDigest,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, TransferError> {
        let what = format!("fetching {length} bytes of blob {} from {}", short(digest), self.base);
        let url = self.file_url(&format!("blobs/sha256/{}", digest.to_hex()));
        get_range(&self.http, &what, &url, offset, length).await
    }

    /// Uploads a file; `replace` allows other bytes under a name that exists.
    pub async fn put(&self, path: &str, bytes: &[u8], replace: Replace) -> Result<(), TransferError> {
        let what = format!("uploading {path} to {}", self.base);
        let mut put = self
            .http
            .request(Method::PUT, &self.file_url(path))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec());
        if replace == Replace::Allowed {
            put = put.header(REPLACE, "1");
        }
        accept(&what, self.http.send(&what, put).await?).await.map(|_| ())
    }

    fn file_url(&self, path: &str) -> String {
        // '+' stands for itself in a path; everything else that names use is unreserved.
        format!("{}/{path}", self.base)
    }
}

/// Whether an upload may replace a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// It may.
    Allowed,
    /// A name is written once.
    Never,
}

fn short(digest: &BlobDigest) -> String {
    digest.to_hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let http = Http::new().unwrap();
        for good in [
            "http://127.0.0.1:5000/catalog/x",
            "https://example.org/c/",
            "http://localhost:1/x",
            "http://[::1]:2/x",
        ] {
            assert!(Catalog::new(http.clone(), good).is_ok(), "{good}");
        }
        for bad in
            ["http://example.org/c", "ftp://127.0.0.1/x", "127.0.0.1:5000/x", "https://example.org/c?x=1", ""]
        {
            assert!(Catalog::new(http.clone(), bad).is_err(), "{bad}");
        }
    }
}
