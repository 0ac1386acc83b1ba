//! Where a request's credentials become a [`Caller`], and its demand is met or refused.
//!
//! Anyone may always do what anyone may, whatever token comes along. What else an account may do, it may do with its
//! password, or with a token that says so.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::accounts::Verdict;
use super::challenge::{self, Reason};
use super::demand::Demand;
use super::policy::Policy;
use super::rights::{Resource, Right};
use super::token::{self, Grant, TokenError};
use super::{Access, Decided};
use crate::connection::Peer;
use crate::refusal::{Code, Refusal};

/// Who asks. Put into the request's extensions, for handlers that must ask more than the route says.
#[derive(Clone)]
pub(crate) struct Caller {
    policy: Arc<Policy>,
    account: Option<Arc<str>>,
    /// What a token says, if one came.
    grants: Option<Arc<[Grant]>>,
}

impl Caller {
    /// Who asks, once they were let through.
    pub(crate) fn of(request: &Parts) -> Option<&Self> {
        request.extensions.get()
    }

    /// Whether they may do this.
    fn may(&self, right: Right, resource: Resource<'_>) -> bool {
        self.policy.allows(None, right, resource)
            || (self.grants_allow(right, resource) && self.policy.allows(self.account(), right, resource))
    }

    /// Whether they may know that a repository is there. A token for the list says nothing of what is in it.
    pub(crate) fn may_see(&self, repository: &str) -> bool {
        self.policy.allows(self.account(), Right::Pull, Resource::Repository(repository))
    }

    /// Whether they may read a repository.
    pub(crate) fn may_read(&self, repository: &str) -> bool {
        self.may(Right::Pull, Resource::Repository(repository))
    }

    /// Whether they may read every repository, those to come too. A token never says so.
    pub(crate) fn may_read_all(&self) -> bool {
        let by_account = self.grants.is_none() && self.policy.allows_reading_all(self.account());
        self.policy.allows_reading_all(None) || by_account
    }

    /// Whether they may read a catalog.
    pub(crate) fn may_read_catalog(&self, catalog: &str) -> bool {
        self.may(Right::Pull, Resource::Catalog(catalog))
    }

    fn grants_allow(&self, right: Right, resource: Resource<'_>) -> bool {
        self.grants.as_ref().is_none_or(|grants| grants.iter().any(|grant| grant.gives(right, resource)))
    }

    /// The account's name.
    pub(crate) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }
}

impl Access {
    /// Who asks, whatever for; wrong credentials are refused.
    pub(crate) async fn identify(&self, request: &Parts) -> Result<Caller, Refusal> {
        self.now().caller(request, Demand::List).await
    }

    /// Whether there are accounts to log in with.
    pub(crate) fn has_accounts(&self) -> bool {
        self.now().accounts.is_some()
    }

    /// Lets a request through that may do what it demands, as whoever its credentials say.
    pub(crate) async fn admit(&self, request: &Parts, demand: Demand<'_>) -> Result<Caller, Refusal> {
        let decided = self.now();
        let caller = decided.caller(request, demand).await?;
        decided.meet(&caller, request, demand)?;
        Ok(caller)
    }
}

impl Decided {
    async fn caller(&self, request: &Parts, demand: Demand<'_>) -> Result<Caller, Refusal> {
        let anyone = || Caller { policy: Arc::clone(&self.policy), account: None, grants: None };
        let credentials = request.headers.get(header::AUTHORIZATION);
        let (Some(credentials), true) = (credentials, self.accounts.is_some()) else { return Ok(anyone()) };
        let invalid =
            |message: &str| challenge::refuse(&self.settings, request, demand, Reason::Invalid, message);
        match credentials.to_str().ok().and_then(|text| text.split_once(' ')) {
            Some((scheme, password)) if scheme.eq_ignore_ascii_case("basic") => {
                let name = self.basic(password.trim(), address(request)).await?;
                let name = name.ok_or_else(|| invalid("the user name or the password is wrong"))?;
                Ok(Caller { account: Some(name.into()), ..anyone() })
            }
            Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => {
                let claims = token::verify(&self.key, &self.settings.service, text.trim(), now());
                let claims = claims.map_err(|error: TokenError| invalid(&error.to_string()))?;
                let account = claims.account().map(Arc::from);
                Ok(Caller { account, grants: Some(claims.access.into()), ..anyone() })
            }
            _ => Err(invalid("only Basic and Bearer credentials are taken")),
        }
    }

    /// The account of Basic credentials (RFC 7617); `None` if they are wrong.
    pub(super) async fn basic(&self, encoded: &str, from: IpAddr) -> Result<Option<String>, Refusal> {
        let decoded = BASE64_STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
            return Ok(None);
        };
        Ok(self.password(name, password, from).await?.then(|| name.to_owned()))
    }

    /// Whether this is the account's password.
    pub(super) async fn password(&self, name: &str, password: &str, from: IpAddr) -> Result<bool, Refusal> {
        let Some(accounts) = &self.accounts else { return Ok(false) };
        let later = |status, message| {
            Refusal::new(status, Code::TooManyRequests, message)
                .header(header::RETRY_AFTER, HeaderValue::from_static("2"))
        };
        match accounts.check(name, password, from).await {
            Verdict::Right => Ok(true),
            Verdict::Wrong => {
                // As text, so that it is quoted: a name with spaces could look like other fields.
                tracing::warn!(account = printable(name).as_str(), %from, "a login failed");
                Ok(false)
            }
            Verdict::TooMany => Err(later(
                StatusCode::TOO_MANY_REQUESTS,
                "too many logins from this address; try again in a moment",
            )),
            Verdict::Busy => {
                Err(later(StatusCode::SERVICE_UNAVAILABLE, "too many logins at once; try again"))
            }
        }
    }

    fn meet(&self, caller: &Caller, request: &Parts, demand: Demand<'_>) -> Result<(), Refusal> {
        let (met, by_account) = match demand {
            Demand::Login => {
                // Only so do clients learn that there are accounts, and find out whether a password is right.
                let met = self.accounts.is_none() || caller.account.is_some() || caller.grants.is_some();
                (met, false)
            }
            Demand::List => {
                let known = self.accounts.is_none() || caller.account.is_some();
                (known || self.policy.allows_reading_all(None), false)
            }
            Demand::Right(right, resource) => {
                (caller.may(right, resource), self.policy.allows(caller.account(), right, resource))
            }
            Demand::ReadAll(catalog) => {
                let all = self.policy.allows_reading_all(caller.account());
                (
                    all && caller.may(Right::Pull, catalog),
                    all && self.policy.allows(caller.account(), Right::Pull, catalog),
                )
            }
        };
        if met {
            return Ok(());
        }
        let ask = |reason, message| Err(challenge::refuse(&self.settings, request, demand, reason, message));
        match (&caller.account, &caller.grants) {
            (_, Some(_)) if by_account => {
                ask(Reason::Scope, "the token does not say that; get one for this scope")
            }
            (None, _) if self.accounts.is_some() => ask(Reason::Missing, "log in for this"),
            // Not 401: there is no credential that would help.
            _ => Err(Refusal::new(StatusCode::FORBIDDEN, Code::Denied, denied(caller, demand))),
        }
    }
}

fn denied(caller: &Caller, demand: Demand<'_>) -> String {
    let who = caller.account().unwrap_or("anyone without an account");
    match demand {
        Demand::Login | Demand::List => "this needs an account".to_owned(),
        Demand::Right(right, resource) => {
            format!("{who} may not {} {resource}; ask the operator", right.as_str())
        }
        Demand::ReadAll(catalog) => {
            format!(
                "{who} may not read all repositories, which blobs beside {catalog} need; read them below /v2/"
            )
        }
    }
}

/// Where a request came from.
pub(super) fn address(request: &Parts) -> IpAddr {
    request.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.address)
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A name from outside, as a log may hold it.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}
