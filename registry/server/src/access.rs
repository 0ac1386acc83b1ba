//! Who asks, and whether they may: accounts, rules, tokens.
//!
//! | module | what |
//! | --- | --- |
//! | `rights` | what can be done to what: `Right`, `Resource` |
//! | `policy` | the rules, compiled: the one place that says yes or no |
//! | `demand` | what a request needs, from its route and method |
//! | `accounts` | the htpasswd file, and checking passwords at a bounded cost |
//! | `token` | signed statements of who may do what until when |
//! | `endpoint` | `/token`, where they are given out |
//! | `challenge` | `WWW-Authenticate`, and where tokens are to be had |
//! | `gate` | a request's credentials become a [`Caller`], and a demand is met or refused |
//!
//! Rights on a repository are rights on its content. A token never gives more than the policy of the moment lets its
//! account: rules that are taken away are gone at once, not when the token ends.

mod accounts;
mod challenge;
mod demand;
mod endpoint;
mod gate;
mod policy;
mod rights;
mod token;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

pub(crate) use demand::{Demand, of_catalog, of_oci};
pub(crate) use endpoint::answer as answer_token;
pub(crate) use gate::Caller;

use crate::config::Config;
use accounts::Accounts;
use policy::Policy;
use token::{Key, KeyError};

/// Accounts, rules and keys of a running server. Cheap to ask, and replaced as a whole by [`Access::take_over`].
pub(crate) struct Access {
    now: RwLock<Arc<Decided>>,
}

/// What was decided at the last start or reload, or is to be.
pub(crate) struct Decided {
    policy: Arc<Policy>,
    accounts: Option<Accounts>,
    key: Key,
    settings: Settings,
}

/// The few settings that answering needs.
struct Settings {
    service: String,
    token_lifetime: u64,
    public_url: Option<String>,
    tls: bool,
}

/// The access configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The accounts cannot be read.
    #[error("cannot use the accounts in {}: {why}", path.display())]
    Accounts {
        /// The htpasswd file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The key of tokens cannot be read.
    #[error("cannot use the token key in {}: {why}", path.display())]
    TokenKey {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The system gives no randomness for a key.
    #[error("cannot make a key for tokens: {0}")]
    Chance(String),
    /// A rule cannot be understood.
    #[error("rule {number}: {why}")]
    Rule {
        /// Which one, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl Access {
    pub(crate) fn open(config: &Config) -> Result<Self, AccessError> {
        Ok(Self { now: RwLock::new(Arc::new(decide(config, None)?)) })
    }

    /// Reads rules, accounts and keys of `config`, for [`Access::take_over`]. A key that was made at start stays, so that
    /// tokens hold on.
    pub(crate) fn read(&self, config: &Config) -> Result<Decided, AccessError> {
        decide(config, Some(&self.now()))
    }

    /// From now on this counts.
    pub(crate) fn take_over(&self, decided: Decided) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(decided);
    }

    fn now(&self) -> Arc<Decided> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn decide(config: &Config, before: Option<&Decided>) -> Result<Decided, AccessError> {
    let key = match &config.access.token_key {
        Some(path) => Key::read(path)
            .map_err(|why| AccessError::TokenKey { path: path.clone(), why: why.to_string() })?,
        None => match before {
            Some(before) if before.key.is_made() => before.key.clone(),
            _ => Key::make().map_err(|why: KeyError| AccessError::Chance(why.to_string()))?,
        },
    };
    let accounts = config.access.htpasswd.as_ref().map(|path| {
        let burst = config.access.password_burst;
        Accounts::open(path, burst)
            .map_err(|why| AccessError::Accounts { path: path.clone(), why: why.to_string() })
    });
    Ok(Decided {
        policy: Arc::new(Policy::compile(config)?),
        accounts: accounts.transpose()?,
        key,
        settings: Settings {
            service: config.access.service.clone(),
            token_lifetime: config.access.token_lifetime.as_secs(),
            public_url: config.public_url.clone(),
            tls: config.tls.certificate.is_some(),
        },
    })
}
