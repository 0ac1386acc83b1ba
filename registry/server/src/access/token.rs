//! Tokens: a JSON Web Token (RFC 7519) signed with HMAC-SHA-256, of which one exact header is made and taken.
//!
//! A header that says anything else (`none`, another algorithm, another key) is not parsed but refused, so there is
//! nothing to be confused about. Clients treat tokens as opaque. The clock is an argument.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::rights::{Resource, Right, Rights};

/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// Who gives tokens out, and takes none of others.
const ISSUER: &str = "plyos-registry";
/// Least bytes of a key: the length of the hash, as RFC 2104 advises.
const LEAST_KEY: usize = 32;
/// Most bytes of a key file that are read.
const LONGEST_KEY: u64 = 4096;
/// Longest token that is looked at. Heads are bounded anyway.
const LONGEST_TOKEN: usize = 16 * 1024;
/// How far the clocks of two servers on one bucket may be apart, in seconds.
const SKEW: u64 = 60;

/// What signs tokens.
#[derive(Clone)]
pub(super) struct Key {
    mac: Hmac<Sha256>,
    made: bool,
}

/// A key cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it holds fewer than {LEAST_KEY} bytes; make one with: head -c 32 /dev/urandom | base64")]
    Short,
}

impl Key {
    /// The bytes of a file, less white space at its ends.
    pub(super) fn read(path: &Path) -> Result<Self, KeyError> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LONGEST_KEY).read_to_end(&mut bytes)?;
        Self::of(bytes.trim_ascii(), false)
    }

    /// A key of chance, good until the server ends.
    pub(super) fn make() -> Result<Self, KeyError> {
        let mut bytes = [0; LEAST_KEY];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Self::of(&bytes, true)
    }

    fn of(bytes: &[u8], made: bool) -> Result<Self, KeyError> {
        if bytes.len() < LEAST_KEY {
            return Err(KeyError::Short);
        }
        // HMAC takes keys of any length.
        let mac = Hmac::new_from_slice(bytes).map_err(|_| KeyError::Short)?;
        Ok(Self { mac, made })
    }

    /// Whether it was made by chance, not read.
    pub(super) fn is_made(&self) -> bool {
        self.made
    }
}

/// What a token says. The names are those of RFC 7519 and of Docker's token specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    /// The account; empty for anyone.
    pub(super) sub: String,
    iat: u64,
    exp: u64,
    pub(super) access: Vec<Grant>,
}

/// Rights on one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) actions: Vec<String>,
}

impl Grant {
    pub(super) fn gives(&self, right: Right, resource: Resource<'_>) -> bool {
        self.kind == resource.kind()
            && self.name == resource.name()
            && Rights::of_words(self.actions.iter().map(String::as_str)).has(right)
    }
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token was not given out here, or was altered")]
    Foreign,
    #[error("the token has expired; get a new one")]
    Expired,
}

impl Claims {
    /// What a token for `account` says that is good for `lifetime` seconds from `now`.
    pub(super) fn new(
        service: &str,
        account: Option<&str>,
        access: Vec<Grant>,
        now: u64,
        lifetime: u64,
    ) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: service.to_owned(),
            sub: account.unwrap_or_default().to_owned(),
            iat: now,
            exp: now.saturating_add(lifetime),
            access,
        }
    }

    /// The account, if the token was given to one.
    pub(super) fn account(&self) -> Option<&str> {
        Some(self.sub.as_str()).filter(|name| !name.is_empty())
    }
}

/// Signs claims.
pub(super) fn sign(key: &Key, claims: &Claims) -> Result<String, serde_json::Error> {
    let payload = BASE64.encode(serde_json::to_vec(claims)?);
    let signed = format!("{HEADER}.{payload}");
    let signature = key.mac.clone().chain_update(&signed).finalize().into_bytes();
    Ok(format!("{signed}.{}", BASE64.encode(signature)))
}

/// Checks a token made out to `service`. The signature is checked, in constant time, before anything else is read.
pub(super) fn verify(key: &Key, service: &str, token: &str, now: u64) -> Result<Claims, TokenError> {
    if token.len() > LONGEST_TOKEN {
        return Err(TokenError::Foreign);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Foreign)?;
    let payload =
        signed.strip_prefix(HEADER).and_then(|rest| rest.strip_prefix('.')).ok_or(TokenError::Foreign)?;
    let signature = BASE64.decode(signature).map_err(|_| TokenError::Foreign)?;
    key.mac.clone().chain_update(signed).verify_slice(&signature).map_err(|_| TokenError::Foreign)?;
    let payload = BASE64.decode(payload).map_err(|_| TokenError::Foreign)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| TokenError::Foreign)?;
    if claims.iss != ISSUER || claims.aud != service || claims.iat > now.saturating_add(SKEW) {
        return Err(TokenError::Foreign);
    }
    if claims.exp <= now { Err(TokenError::Expired) } else { Ok(claims) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn key(byte: u8) -> Key {
        Key::of(&[byte; 32], false).unwrap()
    }

    fn claims() -> Claims {
        let grant = Grant { kind: "repository".into(), name: "a/b".into(), actions: vec!["pull".into()] };
        Claims::new("here", Some("ann"), vec![grant], NOW, 300)
    }

    #[test]
    fn a_token_says_what_was_signed_until_it_ends() {
        let token = sign(&key(1), &claims()).unwrap();
        assert_eq!(verify(&key(1), "here", &token, NOW), Ok(claims()));
        assert_eq!(verify(&key(1), "here", &token, NOW + 299), Ok(claims()));
        assert_eq!(verify(&key(1), "here", &token, NOW + 300), Err(TokenError::Expired));
        // Another server's clock may be a little behind, not an hour.
        assert!(verify(&key(1), "here", &token, NOW - 60).is_ok());
        assert_eq!(verify(&key(1), "here", &token, NOW - 61), Err(TokenError::Foreign));
    }

    #[test]
    fn foreign_and_altered_tokens_are_refused() {
        let token = sign(&key(1), &claims()).unwrap();
        assert_eq!(verify(&key(2), "here", &token, NOW), Err(TokenError::Foreign));
        assert_eq!(verify(&key(1), "there", &token, NOW), Err(TokenError::Foreign));
        for at in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(verify(&key(1), "here", &altered, NOW), Err(TokenError::Foreign), "{at}");
        }
        let mut other = claims();
        other.iss = "someone".into();
        assert_eq!(verify(&key(1), "here", &sign(&key(1), &other).unwrap(), NOW), Err(TokenError::Foreign));
    }

    #[test]
    fn a_token_that_nobody_signed_is_refused() {
        let payload = BASE64.encode(serde_json::to_vec(&claims()).unwrap());
        for header in [r#"{"alg":"none","typ":"JWT"}"#, r#"{"alg":"None"}"#, r#"{"typ":"JWT","alg":"HS256"}"#]
        {
            let header = BASE64.encode(header);
            let signature = key(1).mac.chain_update(format!("{header}.{payload}")).finalize().into_bytes();
            for signature in [String::new(), BASE64.encode(signature)] {
                let token = format!("{header}.{payload}.{signature}");
                assert_eq!(verify(&key(1), "here", &token, NOW), Err(TokenError::Foreign), "{token}");
            }
        }
        for token in
            ["", ".", "..", "a.b.c", HEADER, &format!("{HEADER}.{payload}"), &format!("{HEADER}.{payload}.")]
        {
            assert_eq!(verify(&key(1), "here", token, NOW), Err(TokenError::Foreign), "{token}");
        }
    }

    #[test]
    fn a_grant_gives_what_it_names() {
        let gives = |words: &[&str], right| {
            let actions = words.iter().map(|&word| word.to_owned()).collect();
            let grant = Grant { kind: "repository".into(), name: "a".into(), actions };
            grant.gives(right, Resource::Repository("a"))
                && !grant.gives(right, Resource::Repository("b"))
                && !grant.gives(right, Resource::Catalog("a"))
        };
        assert!(
            gives(&["pull"], Right::Pull) && !gives(&["pull"], Right::Push) && gives(&["*"], Right::Delete)
        );
        assert!(!gives(&["", "PULL", "own"], Right::Pull));
    }

    #[test]
    fn keys_are_long_enough() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "x".repeat(31) + "\n\n").unwrap();
        assert!(matches!(Key::read(&path), Err(KeyError::Short)));
        std::fs::write(&path, "x".repeat(32) + "\n").unwrap();
        let (read, made) = (Key::read(&path).unwrap(), Key::make().unwrap());
        assert!(!read.is_made() && made.is_made());
        let token = sign(&read, &claims()).unwrap();
        assert!(verify(&read, "here", &token, NOW).is_ok() && verify(&made, "here", &token, NOW).is_err());
    }
}
