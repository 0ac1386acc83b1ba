//! A catalog's static files: fetched by targets, uploaded by publishers.

use crate::coding;
use crate::http::{Http, TransferError, accept, read_bounded};
use crate::pace::Pace;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use plyos_ids::BlobDigest;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, Response, Url};

/// All but the unreserved characters of RFC 3986 and the slash.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
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
        if !parsed.username().is_empty() || parsed.password().is_some() {
            let url = "…".to_owned();
            return Err(AddressError {
                url,
                why: "a password in it would be kept and shown; use `plyos login HOST`",
            });
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

    /// URL of a blob that lies beside the catalog.
    pub fn blob_url(&self, digest: &BlobDigest) -> String {
        self.file_url(&format!("blobs/sha256/{}", digest.to_hex()))
    }

    pub(crate) const fn http(&self) -> &Http {
        &self.http
    }

    /// A whole blob that lies beside the catalog, to be read piece by piece. What it holds is not trusted.
    pub async fn open_blob(&self, digest: &BlobDigest) -> Result<Body, TransferError> {
        let what = format!("fetching blob {digest} from {}", self.base);
        let url = self.blob_url(digest);
        let get = self.http.request(Method::GET, &url).header(ACCEPT_ENCODING, "identity");
        let response = coding::plain(&what, accept(&what, self.http.send(&what, get).await?).await?)?;
        Ok(Body { what, response, pace: Pace::new() })
    }

    /// A file of at most `limit` bytes with its version there, to be replaced by [`Catalog::put`]; `None` when there is none.
    pub async fn get_version(
        &self,
        path: &str,
        limit: u64,
    ) -> Result<Option<(Bytes, Version)>, TransferError> {
        let what = format!("fetching {path} from {}", self.base);
        // Of the plain bytes: a compressed form has a version of its own.
        let get = self.http.request(Method::GET, &self.file_url(path)).header(ACCEPT_ENCODING, "identity");
        let response = match accept(&what, self.http.send(&what, get).await?).await {
            Err(TransferError::NotFound { .. }) => return Ok(None),
            other => coding::plain(&what, other?)?,
        };
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        // A weak one says that two files mean the same, not that they are the same.
        let version = Version(etag.filter(|etag| etag.starts_with('"')));
        Ok(Some((read_bounded(&what, response, limit).await?, version)))
    }

    /// Uploads a file.
    pub async fn put(&self, path: &str, bytes: &[u8], replace: &Replace) -> Result<(), TransferError> {
        let what = format!("uploading {path} to {}", self.base);
        let put = self
            .http
            .request(Method::PUT, &self.file_url(path))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(bytes.to_vec());
        let put = match replace {
            Replace::Never => put.header(IF_NONE_MATCH, "*"),
            Replace::Only(Version(Some(etag))) => put.header(IF_MATCH, etag),
            // The best that can be had of a server that tells no versions.
            Replace::Only(Version(None)) => put.header(REPLACE, "1"),
        };
        accept(&what, self.http.send(&what, put).await?).await.map(|_| ())
    }

    fn file_url(&self, path: &str) -> String {
        // Buckets read a '+' as a space and sign other characters differently, so all but the unreserved ones are escaped.
        format!("{}/{}", self.base, utf8_percent_encode(path, ESCAPED))
    }
}

/// A body that is read piece by piece.
#[derive(Debug)]
pub struct Body {
    what: String,
    response: Response,
    pace: Pace,
}

impl Body {
    /// What is being done, for messages.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        self.pace.next(&self.what, &mut self.response).await
    }
}

/// Which bytes a file had on the server, in the server's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(Option<String>);

/// Whether an upload may replace a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replace {
    /// A name is written once. The same bytes may be written again.
    Never,
    /// Only the file that was seen; another one in its place refuses the upload (412).
    Only(Version),
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
