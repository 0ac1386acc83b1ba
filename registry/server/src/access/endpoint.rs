//! `/token`: passwords, or nothing, against a short-lived token, in both forms that Docker's clients use.
//!
//! `GET ?service=…&scope=…` with Basic credentials, and the OAuth 2 form of `POST` (`grant_type=password`). A token says
//! the part of the scopes asked for that the account has; that may be nothing, and clients then find out when they
//! use it. There are no refresh tokens: clients keep the password.

use axum::Json;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::challenge::{self, Reason};
use super::demand::Demand;
use super::gate::{address, now};
use super::policy::Policy;
use super::rights::{ALL, Resource, Rights};
use super::token::{self, Claims, Grant};
use super::{Access, Decided};
use crate::receive::{self, Bound, Room};
use crate::refusal::{Code, Refusal};
use crate::router::is_read;

/// Most bytes of a form.
const LARGEST_FORM: u64 = 16 * 1024;
/// Most scopes that a token is asked for.
const MOST_SCOPES: usize = 64;

/// Answers a request for a token.
pub(crate) async fn answer(
    access: &Access,
    request: &Parts,
    body: &mut Body,
    idle: std::time::Duration,
    room: &Room,
) -> Result<Response, Refusal> {
    let decided = access.now();
    match request.method {
        ref method if is_read(method) => decided.by_query(request).await,
        Method::POST => {
            let bound = Bound { what: "a form", limit: LARGEST_FORM, idle };
            let (form, _room) = receive::into_memory(body, &request.headers, bound, room).await?;
            decided.by_form(request, &form).await
        }
        _ => Err(Refusal::method("GET, HEAD, POST")),
    }
}

impl Decided {
    async fn by_query(&self, request: &Parts) -> Result<Response, Refusal> {
        let account = match request.headers.get(header::AUTHORIZATION) {
            None => None,
            Some(value) => {
                let text = value.to_str().ok().and_then(|text| text.split_once(' '));
                let basic = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
                let account = match basic {
                    Some((_, encoded)) => self.basic(encoded.trim(), address(request)).await?,
                    None => None,
                };
                Some(account.ok_or_else(|| self.wrong(request))?)
            }
        };
        let query = request.uri.query().unwrap_or_default();
        let scopes = values(query.as_bytes(), "scope");
        self.give(account.as_deref(), &scopes)
    }

    async fn by_form(&self, request: &Parts, form: &[u8]) -> Result<Response, Refusal> {
        let one = |name| values(form, name).into_iter().next().unwrap_or_default();
        if one("grant_type") != "password" {
            // RFC 6749, 5.2.
            let error = json!({ "error": "unsupported_grant_type" });
            return Ok((StatusCode::BAD_REQUEST, Json(error)).into_response());
        }
        let (name, password) = (one("username"), one("password"));
        if !self.password(&name, &password, address(request)).await? {
            return Err(self.wrong(request));
        }
        self.give(Some(&name), &values(form, "scope"))
    }

    fn wrong(&self, request: &Parts) -> Refusal {
        let message = "the user name or the password is wrong";
        challenge::refuse(&self.settings, request, Demand::Login, Reason::Invalid, message)
    }

    fn give(&self, account: Option<&str>, scopes: &[String]) -> Result<Response, Refusal> {
        // Several may come in one value, with spaces between.
        let scopes: Vec<&str> =
            scopes.iter().flat_map(|scopes| scopes.split(' ')).filter(|s| !s.is_empty()).collect();
        if scopes.len() > MOST_SCOPES {
            return Err(Refusal::bad(Code::Unsupported, format!("at most {MOST_SCOPES} scopes")));
        }
        let access = scopes.into_iter().filter_map(|scope| granted(&self.policy, account, scope)).collect();
        let (now, lifetime) = (now(), self.settings.token_lifetime);
        let claims = Claims::new(&self.settings.service, account, access, now, lifetime);
        let token = token::sign(&self.key, &claims).map_err(|error| {
            tracing::error!(%error, "cannot make a token");
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown, "no token can be made now")
        })?;
        let body = json!({ "token": token, "access_token": token, "expires_in": lifetime });
        let unstored = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(([unstored], Json(body)).into_response())
    }
}

/// What an account has of a scope `TYPE:NAME:RIGHT,…`; names may hold colons, as those of hosts do.
fn granted(policy: &Policy, account: Option<&str>, scope: &str) -> Option<Grant> {
    let (kind, rest) = scope.split_once(':')?;
    // Docker writes `repository(plugin):…` for a class of repositories.
    let kind = kind.split('(').next().unwrap_or(kind);
    let (name, words) = rest.rsplit_once(':')?;
    let resource = Resource::of(kind, name)?;
    let asked = Rights::of_words(words.split(','));
    let had = ALL.into_iter().filter(|right| asked.has(*right) && policy.allows(account, *right, resource));
    let actions: Vec<String> = had.collect::<Rights>().words().into_iter().map(str::to_owned).collect();
    (!actions.is_empty()).then(|| Grant { kind: kind.to_owned(), name: name.to_owned(), actions })
}

/// All values of a name in a query or form.
fn values(pairs: &[u8], name: &str) -> Vec<String> {
    form_urlencoded::parse(pairs)
        .filter(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, RightName, Rule};

    #[test]
    fn scopes_are_cut_down_to_what_the_account_has() {
        let mut config = Config::new("");
        let (who, repositories) =
            (vec!["ann".to_owned()], vec!["team/**".to_owned(), "catalog:main".to_owned()]);
        config.access.rules = vec![Rule { who, repositories, rights: vec![RightName::Push] }];
        let policy = Policy::compile(&config).unwrap();
        let actions = |account, scope| granted(&policy, account, scope).map(|grant| grant.actions.join(","));
        assert_eq!(actions(Some("ann"), "repository:team/a:pull,push,delete").unwrap(), "pull,push");
        assert_eq!(actions(Some("ann"), "repository(plugin):team/a:*").unwrap(), "pull,push");
        assert_eq!(actions(Some("ann"), "catalog:main:push").unwrap(), "push");
        assert_eq!(actions(None, "repository:team/a:pull,push").unwrap(), "pull");
        for scope in
            ["repository:other:push", "repository:team/a:delete", "registry:catalog:*", "x", "a:b", ""]
        {
            assert_eq!(actions(Some("ann"), scope), None, "{scope}");
        }
    }
}
