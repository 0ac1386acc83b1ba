//! Which password a registry is given: that of the environment, else that of the first file that has one.

use crate::auth_file::AuthFile;
use std::fmt;

/// The environment's names. With `PLYOS_REGISTRY` the password is for that host only.
const HOST: &str = "PLYOS_REGISTRY";
const USER: &str = "PLYOS_REGISTRY_USER";
const PASSWORD: &str = "PLYOS_REGISTRY_PASSWORD";

/// An account of a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account's name.
    pub user: String,
    /// Its password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Where passwords come from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The environment and the user's files.
    User,
    /// These, whatever registry asks.
    Given(Credentials),
}

impl Source {
    /// The password for a repository of a host. Files that cannot be read hold none: the registry's refusal then says
    /// what is missing.
    pub(crate) fn find(&self, host: &str, repository: &str) -> Option<Credentials> {
        match self {
            Self::Given(credentials) => Some(credentials.clone()),
            Self::User => {
                let variable = |name| std::env::var(name).ok();
                let named = (variable(HOST), variable(USER), variable(PASSWORD));
                of_environment(named, host).or_else(|| {
                    AuthFile::all().iter().find_map(|file| file.find(host, repository).ok().flatten())
                })
            }
        }
    }
}

fn of_environment(
    (for_host, user, password): (Option<String>, Option<String>, Option<String>),
    host: &str,
) -> Option<Credentials> {
    if for_host.is_some_and(|named| !named.is_empty() && named != host) {
        return None;
    }
    Some(Credentials { user: user.filter(|user| !user.is_empty())?, password: password? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_may_be_for_one_host() {
        let of = |for_host: Option<&str>, user: Option<&str>, host| {
            of_environment((for_host.map(str::to_owned), user.map(str::to_owned), Some("x".into())), host)
        };
        assert!(of(None, Some("ann"), "h").is_some() && of(Some(""), Some("ann"), "h").is_some());
        assert!(of(Some("h"), Some("ann"), "h").is_some() && of(Some("h"), Some("ann"), "h:1").is_none());
        assert!(of(None, None, "h").is_none() && of(None, Some(""), "h").is_none());
        let shown = format!("{:?}", of(None, Some("ann"), "h"));
        assert!(shown.contains("ann") && !shown.contains('x'), "{shown}");
    }
}
