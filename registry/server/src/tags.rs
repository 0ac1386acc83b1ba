//! `/v2/NAME/tags/list`: the tags of a repository, a page at a time.

use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use plyos_blobs::RepositoryName;
use serde_json::json;

use crate::refusal::{Code, Refusal};
use crate::router::{Registry, is_read, query};

pub(crate) async fn answer(
    registry: &Registry,
    name: &RepositoryName,
    request: &Parts,
) -> Result<Response, Refusal> {
    if !is_read(&request.method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let most = registry.config.limits.tags;
    let page = match query(request, "n").map(|n| n.parse::<usize>()) {
        None => most,
        Some(Ok(n)) => n.min(most),
        Some(Err(_)) => return Err(Refusal::bad(Code::Unsupported, "n is a number of tags")),
    };
    let last = query(request, "last");
    let repositories = &registry.storage.repositories;
    // One more than is sent, to know whether another page follows.
    let mut tags = repositories.tags(name, last.as_deref(), page.saturating_add(1)).await?;
    if tags.is_empty() && !repositories.exists(name).await? {
        return Err(Refusal::missing(Code::NameUnknown, format!("there is no repository {name}")));
    }
    let more = tags.len() > page;
    tags.truncate(page);

    let body = json!({ "name": name.as_str(), "tags": tags }).to_string();
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let (true, Some(last)) = (more, tags.last()) {
        let link = format!("</v2/{name}/tags/list?n={page}&last={last}>; rel=\"next\"");
        if let Ok(link) = HeaderValue::try_from(link) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}
