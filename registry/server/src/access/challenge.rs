//! `WWW-Authenticate`: what credentials are wanted, and where tokens are to be had (RFC 6750, Docker's token
//! specification).
//!
//! Only `Bearer` is offered, since clients take the first scheme that they know and some cannot read two; Basic is taken
//! without being offered.

use axum::http::header::{HOST, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use super::Settings;
use super::demand::Demand;
use super::rights::Right;
use crate::refusal::{Code, Refusal};

/// Why credentials are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// None came.
    Missing,
    /// Those that came are no good.
    Invalid,
    /// The token does not say enough; another one might.
    Scope,
}

/// Asks for credentials that meet `demand`.
pub(super) fn refuse(
    settings: &Settings,
    request: &Parts,
    demand: Demand<'_>,
    reason: Reason,
    message: &str,
) -> Refusal {
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, message);
    let realm = realm(settings, request);
    let mut challenge = format!("Bearer realm=\"{realm}\",service=\"{}\"", quotable(&settings.service));
    if let Some(scope) = scope(demand) {
        challenge += &format!(",scope=\"{scope}\"");
    }
    challenge += match reason {
        Reason::Missing => "",
        Reason::Invalid => ",error=\"invalid_token\"",
        Reason::Scope => ",error=\"insufficient_scope\"",
    };
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => refusal.header(WWW_AUTHENTICATE, challenge),
        Err(_) => refusal,
    }
}

/// What a token must say. Who pushes also reads, so both are asked for at once.
fn scope(demand: Demand<'_>) -> Option<String> {
    let (rights, resource) = match demand {
        Demand::Login => return None,
        Demand::List => return Some("registry:catalog:*".to_owned()),
        Demand::Right(Right::Pull, resource) | Demand::ReadAll(resource) => ("pull", resource),
        Demand::Right(Right::Push, resource) => ("pull,push", resource),
        Demand::Right(Right::Delete, resource) => ("delete", resource),
    };
    Some(format!("{}:{}:{rights}", resource.kind(), resource.name()))
}

/// The address of `/token` as the client can reach it.
fn realm(settings: &Settings, request: &Parts) -> String {
    if let Some(url) = &settings.public_url {
        return format!("{}/token", url.trim_end_matches('/'));
    }
    let scheme = if settings.tls { "https" } else { "http" };
    let host = host(&request.headers).or_else(|| request.uri.authority().map(|authority| authority.as_str()));
    format!("{scheme}://{}/token", host.filter(|host| is_host(host)).unwrap_or("localhost"))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST)?.to_str().ok()
}

/// What comes from outside goes into a quoted string, so nothing but a host may.
fn is_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
}

fn quotable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::rights::Resource;
    use axum::http::Request;
    use axum::response::IntoResponse;

    fn challenge(public_url: Option<&str>, host: &str, demand: Demand<'_>, reason: Reason) -> String {
        let settings = Settings {
            service: "here".to_owned(),
            token_lifetime: 1,
            public_url: public_url.map(str::to_owned),
            tls: false,
        };
        let (parts, ()) = Request::builder().header("host", host).body(()).unwrap().into_parts();
        let response = refuse(&settings, &parts, demand, reason, "no").into_response();
        response.headers()["www-authenticate"].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_challenge_says_where_and_for_what() {
        let push = Demand::Right(Right::Push, Resource::Repository("a/b"));
        assert_eq!(
            challenge(None, "r.example:5000", push, Reason::Missing),
            "Bearer realm=\"http://r.example:5000/token\",service=\"here\",scope=\"repository:a/b:pull,push\""
        );
        assert_eq!(
            challenge(Some("https://r.example/"), "x", Demand::Login, Reason::Invalid),
            "Bearer realm=\"https://r.example/token\",service=\"here\",error=\"invalid_token\""
        );
        let catalog = Demand::Right(Right::Pull, Resource::Catalog("main"));
        assert!(
            challenge(None, "x", catalog, Reason::Scope)
                .contains("scope=\"catalog:main:pull\",error=\"insufficient")
        );
        for host in ["a\"b", "a/b", "a,b", ""] {
            assert!(
                challenge(None, host, Demand::Login, Reason::Missing).contains("\"http://localhost/token\""),
                "{host}"
            );
        }
    }
}
