//! `/v2/_catalog`: the repositories there are. Not in the specification, but docker's registry has it, and people and
//! `skopeo sync` ask for it.

use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::access::Caller;
use crate::paging::Page;
use crate::refusal::Refusal;
use crate::router::{Registry, is_read};

pub(crate) async fn answer(registry: &Registry, request: &Parts) -> Result<Response, Refusal> {
    if !is_read(&request.method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let page = Page::asked(request, registry.config.limits.tags)?;
    let repositories = &registry.storage.repositories;
    let mut names = repositories.names(page.last.as_deref(), page.lookahead()).await?;
    let more = page.cut(&mut names);

    let may_see = |name: &str| Caller::of(request).is_some_and(|caller| caller.may_see(name));
    let listed: Vec<&str> = names.iter().map(|name| name.as_str()).filter(|name| may_see(name)).collect();
    let body = json!({ "repositories": listed }).to_string();
    let mut response = ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    if let (true, Some(last)) = (more, names.last()) {
        page.link(&mut response, "/v2/_catalog", last.as_str(), &[]);
    }
    Ok(response)
}
