//! As whom services run: never as root, and as a user of the machine only by the operator's word.
//!
//! A descriptor names a principal, but it is the publisher's word. [`Users`] knows the operator's: lines `KIND/NAME USER` of a file outside of the
//! store, for whoever writes the store must not gain a user by it. Without such a line systemd makes a user for the layer's services alone.

use plyos_ids::Kind;
use plyos_report::{ExitCode, Failure, OrFail};
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The operator's file.
const ALLOWED: &str = "/etc/plyos/service-users";
/// Names another one.
const VARIABLE: &str = "PKG_SERVICE_USERS";
/// The users of the machine.
const ACCOUNTS: &str = "/etc/passwd";
/// Longest of both files.
const LONGEST: u64 = 4 << 20;
/// Longest name of a user that systemd makes.
const LONGEST_NAME: usize = 31;

/// As whom a service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// A user that systemd makes while a service of the layer runs.
    Made(String),
    /// A user of the machine.
    Machine(String),
}

/// Why there is no user for a service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// It could be no user.
    #[error("its principal '{0}' is no name of a user")]
    Name(String),
    /// It is root, by name or by number.
    #[error("it wants to run as '{0}', which is root; no service of a layer does")]
    Root(String),
    /// It exists, and nobody said that the layer may be it.
    #[error("'{user}' is a user of this machine; the line `{layer} {user}` in {ALLOWED} lets it run as that")]
    NotAllowed {
        /// The user.
        user: String,
        /// `KIND/NAME` of the layer.
        layer: String,
    },
    /// It is allowed, and not there.
    #[error("{ALLOWED} lets it run as '{0}', and {ACCOUNTS} knows no such user")]
    Unknown(String),
}

/// What the operator allowed, and whom the machine knows.
#[derive(Debug, Default)]
pub struct Users {
    /// `KIND/NAME` of a layer, and a user.
    allowed: Vec<(String, String)>,
    /// Names and numbers of users.
    accounts: Vec<(String, u32)>,
}

impl Users {
    /// Reads both files. Without the operator's nothing is allowed.
    ///
    /// # Errors
    /// When one cannot be read, or when others than its owner may write the operator's.
    pub fn load() -> Result<Self, Failure> {
        let path = std::env::var_os(VARIABLE).unwrap_or_else(|| OsString::from(ALLOWED));
        let allowed = read(path.into(), 0o022)?;
        let accounts = read(ACCOUNTS.into(), 0)?;
        Self::parse(&allowed, &accounts).map_err(|number| {
            let line = format!("reading {ALLOWED}: line {number} is not `KIND/NAME USER`");
            Failure::new(ExitCode::Failure, line)
        })
    }

    /// From the texts of both; the number of the first line that is not understood.
    fn parse(allowed: &str, accounts: &str) -> Result<Self, usize> {
        let mut users = Self::default();
        for (number, line) in (1..).zip(allowed.lines()) {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (None, ..) => {}
                (Some(layer), Some(user), None)
                    if layer.split_once('/').is_some_and(|(kind, _)| Kind::parse(kind).is_some())
                        && is_name(user) =>
                {
                    users.allowed.push((layer.to_owned(), user.to_owned()));
                }
                _ => return Err(number),
            }
        }
        let account = |line: &str| {
            let mut fields = line.split(':');
            Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
        };
        users.accounts = accounts.lines().filter_map(account).collect();
        Ok(users)
    }

    /// As whom the services of a layer run that names this principal.
    ///
    /// # Errors
    /// When it is root, or a user of the machine that the operator did not allow.
    pub fn of(&self, kind: Kind, name: &str, principal: &str) -> Result<User, UserError> {
        if !principal.is_empty() {
            if !is_name(principal) {
                return Err(UserError::Name(principal.to_owned()));
            }
            if let Some(user) = self.of_the_machine(kind, name, principal)? {
                return Ok(user);
            }
        }
        let made = made(kind, name);
        // Systemd takes a user that is there instead of making one.
        Ok(self.of_the_machine(kind, name, &made)?.unwrap_or(User::Made(made)))
    }

    /// The user of the machine of that name, if there is one and the layer may be it.
    fn of_the_machine(&self, kind: Kind, name: &str, user: &str) -> Result<Option<User>, UserError> {
        let layer = format!("{kind}/{name}");
        let allowed = self.allowed.iter().any(|(to, as_whom)| *to == layer && as_whom == user);
        let mut numbers =
            self.accounts.iter().filter(|(account, _)| account == user).map(|(_, number)| *number);
        let first = numbers.next();
        if user == "root" || first == Some(0) || numbers.any(|number| number == 0) {
            return Err(UserError::Root(user.to_owned()));
        }
        match (first, allowed) {
            (Some(_), true) => Ok(Some(User::Machine(user.to_owned()))),
            (Some(_), false) => Err(UserError::NotAllowed { user: user.to_owned(), layer }),
            (None, true) => Err(UserError::Unknown(user.to_owned())),
            (None, false) => Ok(None),
        }
    }
}

/// The name of the user that is made for a layer: `plyos-NAME`, and no two layers have one. What is no name of a user gets a number.
fn made(kind: Kind, name: &str) -> String {
    let plain = format!("plyos-{name}");
    if kind == Kind::Package && is_name(&plain) {
        return plain;
    }
    // 96 bits: nobody finds a name that gives another's.
    let hash = blake3::hash(format!("{kind}/{name}").as_bytes()).to_hex();
    format!("plyos_{}", hash.as_str().get(..24).unwrap_or_default())
}

fn is_name(text: &str) -> bool {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    first && text.len() <= LONGEST_NAME && text.chars().all(rest)
}

/// The text of a file, or nothing where there is none. Refuses one whose mode has a bit of `no`.
fn read(path: PathBuf, no: u32) -> Result<String, Failure> {
    let doing = format!("reading {}", path.display());
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        file => file.or_fail(ExitCode::Failure, &doing)?,
    };
    let about = file.metadata().or_fail(ExitCode::Failure, &doing)?;
    if about.mode() & no != 0 {
        let line = format!("{doing}: others than its owner may write it; `chmod go-w` it");
        return Err(Failure::new(ExitCode::Failure, line));
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).or_fail(ExitCode::Failure, &doing)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: &str =
        "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\npostgres:x:26:26::/:/bin/sh\n";

    fn users(allowed: &str) -> Users {
        Users::parse(allowed, ACCOUNTS).unwrap()
    }

    #[test]
    fn root_is_nobodys_user_whatever_it_is_called_and_whoever_allowed_it() {
        for allowed in ["", "package/db root\npackage/db toor\n"] {
            for root in ["root", "toor"] {
                let refused = users(allowed).of(Kind::Package, "db", root);
                assert_eq!(refused, Err(UserError::Root(root.to_owned())));
            }
        }
    }

    #[test]
    fn a_user_of_the_machine_is_taken_by_the_operators_word_for_this_layer_only() {
        let db = |allowed: &str| users(allowed).of(Kind::Package, "db", "postgres");
        let (user, layer) = ("postgres".to_owned(), "package/db".to_owned());
        assert_eq!(db("# all of it\npackage/db postgres # ours\n\n"), Ok(User::Machine(user.clone())));
        for other in ["", "base/db postgres", "package/db2 postgres", "package/db daemon"] {
            let refused = UserError::NotAllowed { user: user.clone(), layer: layer.clone() };
            assert_eq!(db(other), Err(refused), "{other}");
        }
        let gone = users("package/db mysql").of(Kind::Package, "db", "mysql");
        assert_eq!(gone, Err(UserError::Unknown("mysql".to_owned())));
    }

    #[test]
    fn all_others_get_a_user_of_their_own() {
        let users = users("");
        let made = |kind, name: &str, principal: &str| match users.of(kind, name, principal) {
            Ok(User::Made(name)) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(made(Kind::Package, "web", ""), "plyos-web");
        assert_eq!(made(Kind::Package, "web", "www"), "plyos-web");
        let long = "a".repeat(60);
        let names =
            [(Kind::Base, "web"), (Kind::Package, "web+"), (Kind::Package, "web."), (Kind::Package, &long)];
        let mut all: Vec<_> = names.map(|(kind, name)| made(kind, name, "")).to_vec();
        assert!(all.iter().all(|name| name.starts_with("plyos_") && is_name(name)), "{all:?}");
        all.sort();
        all.dedup();
        assert_eq!(all.len(), names.len());
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for principal in ["Root", "a b", "a\nUser=root", &"a".repeat(32), "1a"] {
            let refused = users("").of(Kind::Package, "db", principal);
            assert_eq!(refused, Err(UserError::Name(principal.to_owned())));
        }
        for line in ["package/db", "db postgres", "package/db a b", "package/db 0"] {
            assert_eq!(Users::parse(&format!("\n{line}"), "").unwrap_err(), 2, "{line}");
        }
        let there = Users::parse("", "plyos-web:x:7:7::/:/bin/sh").unwrap().of(Kind::Package, "web", "");
        assert!(matches!(there, Err(UserError::NotAllowed { .. })));
    }
}
