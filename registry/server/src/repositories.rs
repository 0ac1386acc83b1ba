//! Which repositories there are, as far as somebody may know, and `/v2/_catalog`, the list of them. Not in the specification, but
//! docker's registry has it, and people and `skopeo sync` ask for it.

use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use plyos_blobs::{RepositoryName, StoreError};
use serde_json::json;

use crate::access::Caller;
use crate::paging::Page;
use crate::refusal::Refusal;
use crate::router::{Registry, is_read};

/// Names that are read for one page, each of them a few looks at the storage. Who may know of none of so many gets no more.
const MOST_READ: usize = 2000;
/// Names that are read at a time after the first page was not enough.
const BATCH: usize = 256;

/// Repositories that somebody may know of.
pub(crate) struct Visible {
    pub(crate) names: Vec<RepositoryName>,
    /// Whether to ask for those after the last of them. Names that may not be known are never told, so not where to go on either.
    pub(crate) more: bool,
}

/// The first `most` repositories after `last` that `may_see` takes.
pub(crate) async fn visible(
    registry: &Registry,
    last: Option<&str>,
    most: usize,
    may_see: impl Fn(&str) -> bool,
) -> Result<Visible, StoreError> {
    let (mut names, mut last, mut read) = (Vec::new(), last.map(str::to_owned), 0);
    let mut wanted = most.saturating_add(1);
    let mut end = most == 0;
    while !end {
        let found = registry.storage.repositories.names(last.as_deref(), wanted).await?;
        end = found.len() < wanted;
        read += found.len();
        last = found.last().map(ToString::to_string);
        names.extend(found.into_iter().filter(|name| may_see(name.as_str())));
        if names.len() > most {
            names.truncate(most);
            return Ok(Visible { names, more: true });
        }
        if read >= MOST_READ && !end {
            return Ok(Visible { more: !names.is_empty(), names });
        }
        wanted = BATCH;
    }
    Ok(Visible { names, more: false })
}

pub(crate) async fn answer(registry: &Registry, request: &Parts) -> Result<Response, Refusal> {
    if !is_read(&request.method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let page = Page::asked(request, registry.config.limits.tags)?;
    let may_see = |name: &str| Caller::of(request).is_some_and(|caller| caller.may_see(name));
    let Visible { names, more } = visible(registry, page.last.as_deref(), page.most, may_see).await?;

    let listed: Vec<&str> = names.iter().map(RepositoryName::as_str).collect();
    let body = json!({ "repositories": listed }).to_string();
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let (true, Some(last)) = (more, names.last()) {
        page.link(&mut response, "/v2/_catalog", last.as_str(), &[]);
    }
    Ok(response)
}
