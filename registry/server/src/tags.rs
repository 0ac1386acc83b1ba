//! `/v2/NAME/tags/list`: the tags of a repository, a page at a time ("Listing Tags").

use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use plyos_blobs::RepositoryName;
use serde_json::json;

use crate::paging::Page;
use crate::refusal::{Code, Refusal};
use crate::router::{Registry, is_read};

pub(crate) async fn answer(
    registry: &Registry,
    name: &RepositoryName,
    request: &Parts,
) -> Result<Response, Refusal> {
    if !is_read(&request.method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let page = Page::asked(request, registry.config.limits.tags)?;
    let repositories = &registry.storage.repositories;
    let mut tags = repositories.tags(name, page.last.as_deref(), page.lookahead()).await?;
    if tags.is_empty() && !repositories.exists(name).await? {
        return Err(Refusal::missing(Code::NameUnknown, format!("there is no repository {name}")));
    }
    let more = page.cut(&mut tags);

    let body = json!({ "name": name.as_str(), "tags": tags }).to_string();
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let (true, Some(last)) = (more, tags.last()) {
        page.link(&mut response, &format!("/v2/{name}/tags/list"), last, &[]);
    }
    Ok(response)
}
