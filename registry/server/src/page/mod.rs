//! The page for people: `/` and what lies below `/ui/`.
//!
//! Rendered here, of what the storage says at the moment; no script, nothing to build. Three layers:
//!
//! - pure: `image`, `roles`, `bounded`, `footprint`, `order`, `shown` turn hostile documents into bounded, plain facts;
//! - `survey` and `catalog_facts` read what those need, within a bound for each page;
//! - `overview`, `repository`, `image_view`, `compare`, `catalog_view` are the pages, `picture` their bars, `frame` what is
//!   around all of them. Everything from outside goes through the templates' escaping, and the policy in `frame` would keep
//!   it from running if it did not.

mod bounded;
mod catalog_facts;
mod catalog_view;
mod compare;
mod footprint;
mod frame;
mod image;
mod image_view;
mod order;
mod overview;
mod picture;
mod repository;
mod roles;
mod shown;
mod survey;

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use plyos_blobs::{CatalogName, RepositoryName, StoreError};

pub(crate) use self::catalog_facts::Offers;
use self::frame::Place;
use crate::router::{Registry, is_read, query};

/// Asks a browser for a name and a password.
const ASK: &str = "Basic realm=\"registry\", charset=\"UTF-8\"";

/// Answers a request for a page.
pub(crate) async fn answer(registry: &Registry, request: &Parts) -> Response {
    let response = if is_read(&request.method) {
        found(registry, request).await.unwrap_or_else(|error| {
            tracing::warn!(%error, path = request.uri.path(), "could not make a page");
            let message = "The storage did not answer as it should. The server's log says more.";
            failure(StatusCode::INTERNAL_SERVER_ERROR, "Something failed", message)
        })
    } else {
        failure(StatusCode::METHOD_NOT_ALLOWED, "Only to be read", "Pages are read with GET.")
    };
    frame::for_method(&request.method, response)
}

async fn found(registry: &Registry, request: &Parts) -> Result<Response, StoreError> {
    let caller = match registry.access.identify(request).await {
        Ok(caller) => caller,
        Err(refusal) => return Ok(refused(refusal.into_response().status())),
    };
    let (path, last) = (request.uri.path(), query(request, "last"));
    let said = |name: &str| query(request, name).unwrap_or_default();
    let (page, name) = path.strip_prefix("/ui/").unwrap_or_default().split_once('/').unwrap_or(("", ""));
    // What may not be pulled looks like what is not there.
    let repository = name.parse::<RepositoryName>().ok().filter(|name| caller.may_read(name.as_str()));
    let catalog = name.parse::<CatalogName>().ok().filter(|name| caller.may_read_catalog(name.as_str()));
    let made = match (path, page) {
        ("/" | "/ui/", _) => Some(overview::show(registry, &caller, last.as_deref()).await?),
        ("/ui/style.css", _) => Some(frame::style()),
        ("/ui/icon.svg", _) => Some(frame::icon()),
        ("/ui/sign-in", _) if registry.access.has_accounts() => Some(match caller.account() {
            Some(_) => Redirect::to("/ui/").into_response(),
            None => refused(StatusCode::UNAUTHORIZED),
        }),
        (_, "catalog") => match catalog {
            Some(name) => catalog_view::show(registry, &name, last.as_deref()).await?,
            None => None,
        },
        (_, page) => match (page, repository) {
            ("repository", Some(name)) => repository::show(registry, &name, last.as_deref()).await?,
            ("image", Some(name)) => image_view::show(registry, &name, &said("tag")).await?,
            ("compare", Some(name)) => compare::show(registry, &name, &said("from"), &said("to")).await?,
            _ => None,
        },
    };
    let message = "It may have been removed, or you may not see it.";
    Ok(made.unwrap_or_else(|| failure(StatusCode::NOT_FOUND, "Not found", message)))
}

/// What a browser is told whose credentials are missing or wrong, or come too often.
fn refused(status: StatusCode) -> Response {
    let mut response = match status {
        StatusCode::UNAUTHORIZED => failure(status, "Sign in", "This needs a name and its password."),
        status => failure(status, "Not now", "The server does not take this sign-in; try again in a moment."),
    };
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(ASK));
    }
    response
}

fn failure(status: StatusCode, title: &str, message: &str) -> Response {
    let content = html! { h1 { (title) } p .lead { (message) } p { a href="/ui/" { "To the overview" } } };
    frame::page(status, &Place { title, above: &[] }, &content)
}
