//! Files with passwords of registries, in the form that docker, podman and skopeo share: `{"auths": {"HOST": {"auth":
//! BASE64}}}`.
//!
//! What else stands in such a file is kept. Helper programs that docker may name there are not called.

use crate::credentials::Credentials;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Most bytes of a file that are read.
const LARGEST: u64 = 4 * 1024 * 1024;

/// One file.
#[derive(Debug, Clone)]
pub struct AuthFile {
    path: PathBuf,
}

/// What became of a password that is to be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// It was there.
    Gone,
    /// It was not.
    NotThere,
}

impl AuthFile {
    /// The file at `path`, which need not be there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file that logins are kept in: `REGISTRY_AUTH_FILE`, else `plyos/auth.json` in the user's configuration.
    pub fn ours() -> io::Result<Self> {
        let named = variable("REGISTRY_AUTH_FILE").or_else(|| Some(config_folder()?.join("plyos/auth.json")));
        let none = || io::Error::new(ErrorKind::NotFound, "HOME is not set; set it, or REGISTRY_AUTH_FILE");
        named.map(Self::at).ok_or_else(none)
    }

    /// All files that are looked at, the first first.
    pub(crate) fn all() -> Vec<Self> {
        if let Some(named) = variable("REGISTRY_AUTH_FILE") {
            return vec![Self::at(named)];
        }
        let home = variable("HOME");
        let docker = variable("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker")));
        let places = [
            config_folder().map(|folder| folder.join("plyos/auth.json")),
            variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json")),
            config_folder().map(|folder| folder.join("containers/auth.json")),
            docker.map(|folder| folder.join("config.json")),
        ];
        places.into_iter().flatten().map(Self::at).collect()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The password for a repository of a registry: the entry of the longest name that fits, `HOST/a/b`, `HOST/a`,
    /// `HOST`. A file that is not there holds none.
    pub fn find(&self, host: &str, repository: &str) -> io::Result<Option<Credentials>> {
        let document = self.read()?;
        let Some(auths) = document.get("auths").and_then(Value::as_object) else { return Ok(None) };
        let mut name = format!("{host}/{repository}");
        name.truncate(name.trim_end_matches('/').len());
        loop {
            let entry = auths.iter().find(|(key, _)| place(key) == name).map(|(_, entry)| entry);
            if let Some(credentials) = entry.and_then(credentials) {
                return Ok(Some(credentials));
            }
            match name.rfind('/') {
                Some(end) => name.truncate(end),
                None => return Ok(None),
            }
        }
    }

    /// Keeps a password; the file can be read by nobody else.
    pub fn keep(&self, host: &str, credentials: &Credentials) -> io::Result<()> {
        let mut document = self.read()?;
        let auths = document.entry("auths").or_insert_with(|| json!({}));
        let auths = auths.as_object_mut().ok_or_else(|| broken("its 'auths' is no object"))?;
        let auth = BASE64_STANDARD.encode(format!("{}:{}", credentials.user, credentials.password));
        auths.insert(host.to_owned(), json!({ "auth": auth }));
        self.write(&document)
    }

    /// Forgets the password of a registry.
    pub fn forget(&self, host: &str) -> io::Result<Forgotten> {
        let mut document = self.read()?;
        let auths = document.get_mut("auths").and_then(Value::as_object_mut);
        if auths.and_then(|auths| auths.remove(host)).is_none() {
            return Ok(Forgotten::NotThere);
        }
        self.write(&document)?;
        Ok(Forgotten::Gone)
    }

    fn read(&self) -> io::Result<Map<String, Value>> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(LARGEST).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(error),
        };
        serde_json::from_slice(&bytes).map_err(|_| broken("it is no JSON object"))
    }

    /// Beside the file, then in its place, so that nobody finds half of it.
    fn write(&self, document: &Map<String, Value>) -> io::Result<()> {
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(name);
        let written = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(serde_json::to_string_pretty(document)?.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        written().inspect_err(|_| {
            // What cannot be removed was not made, or goes with its folder.
            let _ = fs::remove_file(&beside);
        })
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn config_folder() -> Option<PathBuf> {
    variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))
}

/// Docker writes some hosts as URLs.
fn place(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/');
    key.strip_suffix("/v1").or_else(|| key.strip_suffix("/v2")).unwrap_or(key)
}

fn credentials(entry: &Value) -> Option<Credentials> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Some(Credentials { user, password });
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(text("auth")?).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    // Docker pads with NUL bytes.
    Some(Credentials { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

fn broken(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{why}; mend or remove it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn of(user: &str, password: &str) -> Credentials {
        Credentials { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn what_is_kept_is_found_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = AuthFile::at(folder.path().join("new/auth.json"));
        assert_eq!(file.find("h:1", "a").unwrap(), None);
        file.keep("h:1", &of("ann", "pass:word")).unwrap();
        file.keep("other", &of("bob", "x")).unwrap();
        assert_eq!(file.find("h:1", "a/b").unwrap(), Some(of("ann", "pass:word")));
        assert_eq!(file.find("h", "a").unwrap(), None);
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(file.forget("h:1").unwrap(), Forgotten::Gone);
        assert_eq!(file.forget("h:1").unwrap(), Forgotten::NotThere);
        assert_eq!(
            (file.find("h:1", "a").unwrap(), file.find("other", "a").unwrap()),
            (None, Some(of("bob", "x")))
        );
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn files_of_others_are_read_and_kept_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = AuthFile::at(folder.path().join("config.json"));
        // YW5uOnNlY3JldA== is ann:secret, Ym9iOng= is bob:x.
        let text = r#"{"credsStore": "desktop", "auths": {
            "https://index.docker.io/v1/": {"auth": "YW5uOnNlY3JldA=="},
            "quay.example/team": {"auth": "Ym9iOng="}, "quay.example": {"username": "eve", "password": "y"},
            "empty": {}, "bad": {"auth": "?"}}}"#;
        fs::write(file.path(), text).unwrap();
        assert_eq!(file.find("index.docker.io", "library/x").unwrap(), Some(of("ann", "secret")));
        assert_eq!(file.find("quay.example", "team/a").unwrap(), Some(of("bob", "x")));
        assert_eq!(file.find("quay.example", "teams/a").unwrap(), Some(of("eve", "y")));
        assert_eq!((file.find("empty", "a").unwrap(), file.find("bad", "a").unwrap()), (None, None));
        file.keep("new", &of("ann", "z")).unwrap();
        assert!(fs::read_to_string(file.path()).unwrap().contains("\"credsStore\": \"desktop\""));
        for broken in ["", "[]", "{\"auths\": 1}"] {
            fs::write(file.path(), broken).unwrap();
            assert!(file.keep("new", &of("ann", "z")).is_err(), "{broken}");
            assert_eq!(fs::read_to_string(file.path()).unwrap(), broken);
        }
    }
}
