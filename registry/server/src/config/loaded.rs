//! Putting a configuration together: defaults, then the file, then the environment, then flags, the later the stronger.
//!
//! Nothing is passed over in silence: a key that is not known, in the file or as `PLYOS_SERVE_…`, is an error that names
//! the nearest one that is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use super::Config;
use super::rules::{TABLES, Tables, masked, without_user};
use super::settings::settings;

/// What every variable of the environment starts with.
const PREFIX: &str = "PLYOS_SERVE_";
/// The variable that names the file itself.
const FILE_VARIABLE: &str = "PLYOS_SERVE_CONFIG";

/// What a configuration is made of. Texts are given, not fetched.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file's path (for messages) and its TOML.
    pub file: Option<(PathBuf, String)>,
    /// The environment; only what starts with `PLYOS_SERVE_` is looked at.
    pub environment: Vec<(String, String)>,
    /// Keys as in the file, with their values, from the command line.
    pub flags: Vec<(String, String)>,
}

/// A configuration, and where each setting came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What was decided.
    pub config: Config,
    origins: BTreeMap<&'static str, String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is no TOML, or its tables do not hold what they should.
    #[error("reading {}: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong where.
        source: Box<toml::de::Error>,
    },
    /// No such setting.
    #[error("{origin}: there is no setting '{key}'{hint}; plyos serve --print-config lists all")]
    Unknown {
        /// Where it stood.
        origin: String,
        /// The key.
        key: String,
        /// The nearest known one.
        hint: String,
    },
    /// A value that the setting cannot have.
    #[error("{origin}: '{value}' is nothing for {key}: {why}")]
    Value {
        /// Where it stood.
        origin: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is expected.
        why: &'static str,
    },
    /// Settings that do not go together.
    #[error("the configuration does not hold together: {0}")]
    Contradiction(&'static str),
}

impl Loaded {
    /// Reads all sources in the order of their strength.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which says where what is wrong.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let mut loaded = Self { config: Config::new(""), origins: BTreeMap::new() };
        if let Some((path, text)) = &sources.file {
            loaded.read_file(path, text)?;
        }
        for (name, value) in &sources.environment {
            if name.starts_with(PREFIX) && name != FILE_VARIABLE {
                loaded.set(&Spelling::Variable(name), value, "environment")?;
            }
        }
        for (key, value) in &sources.flags {
            loaded.set(&Spelling::Key(key), value, "command line")?;
        }
        check(&loaded.config)?;
        Ok(loaded)
    }

    fn read_file(&mut self, path: &std::path::Path, text: &str) -> Result<(), ConfigError> {
        let syntax = |source| ConfigError::Syntax { path: path.to_owned(), source: Box::new(source) };
        let mut document: toml::Table = text.parse().map_err(syntax)?;
        let mut tables = toml::Table::new();
        for name in TABLES {
            if let Some((name, table)) = document.remove_entry(name) {
                tables.insert(name, table);
            }
        }
        let tables: Tables = tables.try_into().map_err(syntax)?;
        self.config.storage_options = tables.storage_options;
        self.config.access.groups = tables.groups;
        self.config.access.rules = tables.rules;
        let origin = path.display().to_string();
        for (key, value) in document {
            match value {
                toml::Value::Table(section) => {
                    for (name, value) in section {
                        self.set(&Spelling::Key(&format!("{key}.{name}")), &plain(value), &origin)?;
                    }
                }
                value => self.set(&Spelling::Key(&key), &plain(value), &origin)?,
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &Spelling<'_>, value: &str, origin: &str) -> Result<(), ConfigError> {
        let mut table = settings(&mut self.config);
        let Some(setting) = table.iter_mut().find(|setting| name.is(setting.key)) else {
            let keys = table.iter().map(|setting| setting.key).chain(TABLES);
            return Err(ConfigError::Unknown {
                origin: origin.to_owned(),
                key: name.text().to_owned(),
                hint: name.nearest(keys),
            });
        };
        let key = setting.key;
        setting.field.set(value).map_err(|why| ConfigError::Value {
            origin: origin.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
            why,
        })?;
        self.origins.insert(key, origin.to_owned());
        Ok(())
    }

    /// The whole configuration as a file that would give it, with what each setting is for and where it came from.
    /// Secrets are masked.
    pub fn print(&self) -> String {
        let mut shown = self.config.clone();
        shown.storage = without_user(&shown.storage);
        shown.public_url = shown.public_url.as_deref().map(without_user);
        let tables = Tables {
            storage_options: masked(&shown.storage_options),
            groups: shown.access.groups.clone(),
            rules: shown.access.rules.clone(),
        };
        let mut text = String::new();
        let mut section = "";
        let mut table = settings(&mut shown);
        // What belongs to no section has to come before all.
        table.sort_by_key(|setting| setting.key.contains('.'));
        for setting in table {
            let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if of != section {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "\n[{of}]");
                section = of;
            }
            let origin = self.origins.get(setting.key).map_or("default", String::as_str);
            let _ = writeln!(text, "# {} ({origin})\n{name} = {}", setting.about, setting.field.show());
        }
        match toml::to_string(&tables) {
            Ok(tables) if !tables.is_empty() => text + "\n" + &tables,
            _ => text,
        }
    }

    /// Every key with its default, as TOML.
    pub fn defaults() -> Vec<(&'static str, String)> {
        let mut config = Config::new("");
        settings(&mut config).into_iter().map(|setting| (setting.key, setting.field.show())).collect()
    }
}

/// How a key was written.
enum Spelling<'a> {
    Key(&'a str),
    Variable(&'a str),
}

impl Spelling<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Key(text) | Self::Variable(text) => text,
        }
    }

    fn of(&self, key: &str) -> String {
        match self {
            Self::Key(_) => key.to_owned(),
            Self::Variable(_) => PREFIX.to_owned() + &key.to_ascii_uppercase().replace(['.', '-'], "_"),
        }
    }

    fn is(&self, key: &str) -> bool {
        self.of(key) == self.text()
    }

    fn nearest(&self, keys: impl Iterator<Item = &'static str>) -> String {
        let near = keys.map(|key| self.of(key)).min_by_key(|key| strsim::levenshtein(key, self.text()));
        near.filter(|key| strsim::levenshtein(key, self.text()) * 2 < self.text().len())
            .map_or_else(String::new, |key| format!(" (did you mean '{key}'?)"))
    }
}

/// A value of the file as text; lists and tables are no value of any setting, so that theirs is refused.
fn plain(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let fail = |why| Err(ConfigError::Contradiction(why));
    let Config { access, tls, limits, .. } = config;
    if tls.certificate.is_some() != tls.key.is_some() {
        return fail("tls.certificate and tls.key need each other");
    }
    if access.htpasswd.is_none()
        && access.rules.iter().any(|rule| rule.who.iter().any(|who| who != "anonymous"))
    {
        return fail("rules name accounts, and access.htpasswd has none");
    }
    if !(10..=86_400).contains(&access.token_lifetime.as_secs()) {
        return fail("access.token-lifetime is between 10s and 24h");
    }
    if limits.connections == 0 || limits.head_bytes < 4096 || limits.header_time.is_zero() {
        return fail(
            "limits.connections and limits.header-time cannot be 0, nor limits.head-bytes below 4KiB",
        );
    }
    let sound = |url: &str| url.starts_with("https://") || url.starts_with("http://");
    if config.public_url.as_deref().is_some_and(|url| !sound(url) || url.contains(['"', '\\', ' ', '?', '#']))
    {
        return fail("public-url is https://HOST or http://HOST, with a port if need be");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(file: &str) -> Sources {
        let flags = vec![("storage".to_owned(), "/s".to_owned())];
        Sources { file: Some(("c.toml".into(), file.to_owned())), flags, ..Sources::default() }
    }

    #[test]
    fn the_later_is_the_stronger() {
        let mut sources =
            sources("listen = '127.0.0.1:1'\n[limits]\ntags = 5\nranges = 6\nblob-bytes = '1GiB'\n");
        sources.environment = vec![
            ("PLYOS_SERVE_LIMITS_RANGES".to_owned(), "7".to_owned()),
            ("PLYOS_SERVE_LIMITS_BLOB_BYTES".to_owned(), "8".to_owned()),
            ("PLYOS_SERVE_CONFIG".to_owned(), "c.toml".to_owned()),
            ("HOME".to_owned(), "/".to_owned()),
        ];
        sources.flags.push(("limits.blob-bytes".to_owned(), "9KiB".to_owned()));
        let config = Loaded::load(&sources).unwrap().config;
        assert_eq!((config.limits.tags, config.limits.ranges, config.limits.blob_bytes), (5, 7, 9 << 10));
        assert_eq!((config.listen.port(), config.storage.as_str()), (1, "/s"));
    }

    #[test]
    fn unknown_keys_are_errors_that_name_the_nearest() {
        let refusal = |file: &str| Loaded::load(&sources(file)).unwrap_err().to_string();
        assert!(refusal("[limits]\nmanifest-byte = 1\n").contains("did you mean 'limits.manifest-bytes'?"));
        assert!(refusal("lisen = 'x'\n").contains("did you mean 'listen'?"));
        assert!(refusal("[[rule]]\n").contains("did you mean 'rules'?"));
        assert!(refusal("[[rules]]\nwho = ['*']\nrepository = []\nrights = []\n").contains("unknown field"));
        assert!(refusal("[[rules]]\nwho = ['*']\nrepositories = []\nrights = ['own']\n").contains("`own`"));
        let mut sources = sources("");
        sources.environment = vec![("PLYOS_SERVE_LISTN".to_owned(), String::new())];
        let refusal = Loaded::load(&sources).unwrap_err().to_string();
        assert!(refusal.contains("environment") && refusal.contains("'PLYOS_SERVE_LISTEN'"), "{refusal}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for file in [
            "listen = 5000",
            "anonymous-pull = 'yes'",
            "storage = ['x']\n[limits]\nranges = [1]",
            "[limits]\nupload-idle = 30",
            "[limits]\nconnections = 0",
            "[tls]\ncertificate = 'x'",
            "[access]\ntoken-lifetime = '1s'",
            "[[rules]]\nwho = ['*']\nrepositories = ['**']\nrights = ['pull']",
            "public-url = 'ftp://x'",
            "= 1",
        ] {
            assert!(Loaded::load(&sources(file)).is_err(), "{file}");
        }
    }

    #[test]
    fn what_is_printed_gives_the_same_again() {
        let file = "storage = 's3://user:word@host/x'\n[access]\nhtpasswd = 'a'\n[groups]\ndev = ['ann']\n\
            [storage-options]\naws_secret_access_key = 'word'\naws_region = 'x'\n\
            [[rules]]\nwho = ['@dev']\nrepositories = ['**']\nrights = ['pull', 'push']\n";
        let sources = Sources { file: Some(("c".into(), file.to_owned())), ..Sources::default() };
        let loaded = Loaded::load(&sources).unwrap();
        let printed = loaded.print();
        assert!(
            !printed.contains("word\n") && !printed.contains("'word'") && !printed.contains("user"),
            "{printed}"
        );
        assert!(
            printed.contains("s3://********@host/x") && printed.contains("aws_region = \"x\""),
            "{printed}"
        );
        assert!(printed.contains("(c)") && printed.contains("(default)"), "{printed}");
        let again = Sources { file: Some(("d".into(), printed.clone())), ..Sources::default() };
        let again = Loaded::load(&again).unwrap();
        assert_eq!(
            again.print().replace("(d)", "(c)").replace("(default)", "(c)"),
            printed.replace("(default)", "(c)")
        );
        assert_eq!(again.config.access.rules, loaded.config.access.rules);
    }
}
