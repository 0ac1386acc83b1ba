//! `/v2/NAME/referrers/DIGEST`: the manifests whose `subject` is DIGEST ("Listing Referrers"). Never 404: who is
//! referred to need not be here.

use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use plyos_blobs::{Digest, RepositoryName};
use serde::Deserialize;

use crate::paging::Page;
use crate::refusal::Refusal;
use crate::router::{Registry, is_read, query};

/// What a list of referrers is.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const HEAD: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":["#;
const TAIL: &[u8] = b"]}";

/// Most bytes of the descriptors of one answer. Clients read it as a manifest, so it may be no larger than one.
pub(crate) const MOST_BYTES: usize = 4 * 1024 * 1024 - 8 * 1024;
/// Most descriptors of one answer, which leaves room for the commas.
const MOST: usize = 1000;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

pub(crate) async fn answer(
    registry: &Registry,
    name: &RepositoryName,
    subject: &Digest,
    request: &Parts,
) -> Result<Response, Refusal> {
    if !is_read(&request.method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let page = Page::asked(request, MOST.min(registry.config.limits.tags))?;
    let last = page.last.as_deref().map(str::parse::<Digest>).transpose()?;
    let wanted_type = query(request, "artifactType").filter(|wanted| !wanted.is_empty());
    let wanted = |descriptor: &[u8]| match &wanted_type {
        None => true,
        Some(wanted) => artifact_type(descriptor).as_ref() == Some(wanted),
    };
    let bounds = (page.most, MOST_BYTES);
    let repositories = &registry.storage.repositories;
    let listed = repositories.referrers(name, subject, last.as_ref(), bounds, wanted).await?;

    let mut body = BytesMut::from(HEAD);
    for (number, (_, descriptor)) in listed.found.iter().enumerate() {
        if number > 0 {
            body.put_u8(b',');
        }
        // Written by this registry, so it is JSON.
        body.put_slice(descriptor);
    }
    body.put_slice(TAIL);
    let mut response = ([(header::CONTENT_TYPE, INDEX)], body.freeze()).into_response();
    if wanted_type.is_some() {
        response.headers_mut().insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    if let (true, Some((last, _))) = (listed.more, listed.found.last()) {
        let filter = wanted_type.as_deref().map(|wanted| ("artifactType", wanted));
        let path = format!("/v2/{name}/referrers/{subject}");
        page.link(&mut response, &path, &last.to_string(), filter.as_slice());
    }
    Ok(response)
}

fn artifact_type(descriptor: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        artifact_type: Option<String>,
    }
    serde_json::from_slice::<Typed>(descriptor).ok()?.artifact_type
}
