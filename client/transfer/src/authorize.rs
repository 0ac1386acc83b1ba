//! Credentials on requests: what servers ask for in a 401 is fetched, remembered for the place it is good for, and
//! renewed before it ends.
//!
//! A place is a repository or a catalog of one server. A password goes to the server that it was kept for, and to
//! where that server sends for tokens, over TLS or within this machine only; never along a redirect to another host
//! (reqwest drops it there).

use crate::challenge::Challenge;
use crate::credentials::{Credentials, Source};
use crate::http::{TransferError, accept, read_bounded};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Request, Url};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Largest answer with a token.
const LARGEST_ANSWER: u64 = 1024 * 1024;
/// How long a token holds that does not say (Docker's token specification).
const USUAL_LIFETIME: u64 = 60;
/// A token that ends sooner is renewed first.
const MARGIN: Duration = Duration::from_secs(10);

/// What was learnt of servers in this run.
#[derive(Debug)]
pub(crate) struct Authorizer {
    source: Source,
    known: Mutex<HashMap<Place, Known>>,
}

/// What credentials are good for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    origin: String,
    name: String,
}

#[derive(Debug, Clone)]
struct Known {
    header: HeaderValue,
    /// When it ends, and where there is another.
    renewal: Option<(Instant, Challenge)>,
}

impl Authorizer {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, known: Mutex::default() }
    }

    /// Puts what is known on a request, renewed if need be.
    pub(crate) async fn authorize(
        &self,
        client: &Client,
        request: &mut Request,
    ) -> Result<(), TransferError> {
        let place = Place::of(request.url());
        let known = self.lock().get(&place).cloned();
        let header = match known {
            None => return Ok(()),
            Some(Known { renewal: Some((until, challenge)), .. }) if until <= Instant::now() + MARGIN => {
                self.fetch(client, request.url(), &challenge).await?
            }
            Some(Known { header, .. }) => Some(header),
        };
        if let Some(header) = header {
            request.headers_mut().insert(AUTHORIZATION, header);
        }
        Ok(())
    }

    /// Fetches what a refusal of `url` asks for. Says whether trying again makes sense.
    pub(crate) async fn meet(
        &self,
        client: &Client,
        url: &Url,
        refusal: &HeaderMap,
    ) -> Result<bool, TransferError> {
        let headers = refusal.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = Challenge::best(headers) else { return Ok(false) };
        Ok(self.fetch(client, url, &challenge).await?.is_some())
    }

    /// Gets credentials and remembers them; `None` if there are none for this.
    async fn fetch(
        &self,
        client: &Client,
        url: &Url,
        challenge: &Challenge,
    ) -> Result<Option<HeaderValue>, TransferError> {
        let place = Place::of(url);
        let credentials = self.source.find(url.authority(), &place.name);
        let known = match (challenge, credentials) {
            (Challenge::Basic, None) => return Ok(None),
            (Challenge::Basic, Some(credentials)) => {
                if !is_private(url) {
                    return Ok(None);
                }
                Known { header: basic(&credentials), renewal: None }
            }
            (Challenge::Bearer { realm, service, scope }, credentials) => {
                let what = match &credentials {
                    Some(credentials) => format!("logging in to {} as {}", url.authority(), credentials.user),
                    None => format!("asking for a token of {}", url.authority()),
                };
                let query = [("service", service), ("scope", scope)];
                let query = query.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
                let (token, lifetime) = ask(client, &what, realm, query, credentials.as_ref()).await?;
                let until = Instant::now() + Duration::from_secs(lifetime);
                Known {
                    header: secret(&format!("Bearer {token}")),
                    renewal: Some((until, challenge.clone())),
                }
            }
        };
        self.lock().insert(place, known.clone());
        Ok(Some(known.header))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for a token; with it comes how many seconds it holds.
async fn ask<'a>(
    client: &Client,
    what: &str,
    realm: &str,
    query: impl Iterator<Item = (&'a str, &'a str)>,
    credentials: Option<&Credentials>,
) -> Result<(String, u64), TransferError> {
    let refused = |why: &str| TransferError::Refused {
        what: what.to_owned(),
        status: 401,
        detail: format!(", and sends for a token to '{realm}', {why}"),
    };
    let mut url = Url::parse(realm).map_err(|_| refused("which is no address"))?;
    if !is_private(&url) {
        return Err(refused("where a password could be overheard; the server must name an https:// address"));
    }
    url.query_pairs_mut().extend_pairs(query);
    let mut request = client.get(url);
    if let Some(credentials) = credentials {
        request = request.header(AUTHORIZATION, basic(credentials));
    }
    let response = request.send().await.map_err(|error| TransferError::network(what, &error))?;
    let body = read_bounded(what, accept(what, response).await?, LARGEST_ANSWER).await?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = answer.get("token").or_else(|| answer.get("access_token")).and_then(Value::as_str);
    let token = token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    let token = token.ok_or_else(|| refused("which gave none"))?;
    let lifetime = answer.get("expires_in").and_then(Value::as_u64).unwrap_or(USUAL_LIFETIME);
    // A day is as good as for ever, and cannot overflow a clock.
    Ok((token.to_owned(), lifetime.min(86_400)))
}

fn basic(credentials: &Credentials) -> HeaderValue {
    let encoded = BASE64_STANDARD.encode(format!("{}:{}", credentials.user, credentials.password));
    secret(&format!("Basic {encoded}"))
}

/// A header that is not shown in logs. Its text is all graphic ASCII.
fn secret(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// Whether nobody on the way can listen.
fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || url.host_str().is_some_and(crate::reference::is_loopback)
}

impl Place {
    fn of(url: &Url) -> Self {
        Self { origin: format!("{}://{}", url.scheme(), url.authority()), name: name(url.path()) }
    }
}

/// The repository of a path below `/v2/`, or the catalog's folder; nothing for other paths, which share their server's.
fn name(path: &str) -> String {
    if let Some(rest) = path.strip_prefix("/v2/") {
        let end = ["/blobs/", "/manifests/", "/tags/", "/referrers/"]
            .iter()
            .filter_map(|word| rest.rfind(word))
            .max();
        return end.and_then(|end| rest.get(..end)).unwrap_or_default().to_owned();
    }
    match path.strip_prefix("/catalog/").and_then(|rest| rest.split('/').next()) {
        Some(catalog) => format!("catalog:{catalog}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_repositories_and_catalogs() {
        for (path, expected) in [
            ("/v2/", ""),
            ("/v2/_catalog", ""),
            ("/v2/a/b/blobs/sha256:00", "a/b"),
            ("/v2/a/blobs/uploads/00", "a"),
            ("/v2/blobs/x/manifests/1", "blobs/x"),
            ("/v2/a/manifests/b/tags/list", "a/manifests/b"),
            ("/catalog/main/metadata/timestamp.json", "catalog:main"),
            ("/elsewhere/timestamp.json", ""),
        ] {
            assert_eq!(name(path), expected, "{path}");
        }
    }

    #[test]
    fn passwords_do_not_travel_in_the_clear() {
        for (url, private) in [
            ("https://r.example/token", true),
            ("http://127.0.0.1:5000/token", true),
            ("http://localhost/token", true),
            ("http://[::1]:1/token", true),
            ("http://r.example/token", false),
            ("http://127.0.0.1.r.example/token", false),
            ("ftp://127.0.0.1x/", false),
        ] {
            assert_eq!(is_private(&Url::parse(url).unwrap()), private, "{url}");
        }
        assert!(secret("Bearer x").is_sensitive());
    }
}
