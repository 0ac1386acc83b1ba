//! The descriptor of a layer, put together from what says something of it: options first, then a manifest file, then the input.

mod manifest;

use crate::push_options::Description;
use plyos_ids::Kind;
use plyos_layer_format::descriptor::Descriptor;
use plyos_layer_import::Facts;
use plyos_report::{ExitCode, Failure, OrFail};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// What the name of a manifest file ends in, after the whole name of what it describes.
const SUFFIX: &str = ".plyos.toml";

/// Members of a descriptor by name.
type Members = Map<String, Value>;

/// What a manifest file says: that of `--manifest`, or else the one beside `source` (a path).
pub fn from_file(given: Option<&Path>, source: Option<&Path>) -> Result<Members, Failure> {
    let beside = source.and_then(beside).filter(|path| path.is_file());
    let Some(path) = given.map(Path::to_owned).or(beside) else { return Ok(Members::new()) };
    let text = crate::entry_rules::read_small(&path, "reading the manifest")?;
    manifest::parse(&text).or_fail(ExitCode::Usage, format_args!("reading the manifest {}", path.display()))
}

/// `SRC.plyos.toml`. In a directory it would be shipped with it.
fn beside(source: &Path) -> Option<PathBuf> {
    // A path like `.` has no name of its own.
    let named = if source.file_name().is_some() { source.to_owned() } else { source.canonicalize().ok()? };
    let mut name = named.file_name()?.to_owned();
    name.push(SUFFIX);
    Some(named.with_file_name(name))
}

/// The descriptor. `arch` is what it gets when nothing says another.
pub fn descriptor(
    args: &Description,
    file: Members,
    facts: &Facts,
    arch: &str,
) -> Result<Descriptor, Failure> {
    let mut members = of_facts(facts);
    members.extend(file);
    members.extend(of_options(args));
    let missing: Vec<&str> =
        ["kind", "name", "version"].into_iter().filter(|key| !members.contains_key(*key)).collect();
    if !missing.is_empty() {
        let options: Vec<String> = missing.iter().map(|key| format!("--{key}")).collect();
        let text = format!(
            "describing the layer: nothing says its {}; use {} or a manifest",
            missing.join(", "),
            options.join(", ")
        );
        return Err(Failure::new(ExitCode::Usage, text));
    }
    members.entry("arch").or_insert_with(|| arch.into());
    let kind = members.get("kind").and_then(Value::as_str).unwrap_or_default();
    if Kind::parse(kind).is_none_or(|kind| kind == Kind::Config) {
        let text =
            format!("describing the layer: kind `{kind}` is not one of base, package, model, site, kernel");
        return Err(Failure::new(ExitCode::Usage, text));
    }
    check_texts(&members)?;
    Descriptor::from_json(&Value::Object(members)).or_fail(ExitCode::Usage, "describing the layer")
}

/// Refuses texts for people that would steer a terminal. The format has room for them, so readers clean them as well.
fn check_texts(members: &Members) -> Result<(), Failure> {
    let unseen = |key: &&&str| {
        members.get(**key).and_then(Value::as_str).is_some_and(|text| text.contains(plyos_report::is_unseen))
    };
    match ["summary", "license", "homepage"].iter().find(unseen) {
        None => Ok(()),
        Some(key) => {
            let line = format!(
                "describing the layer: {key} has line ends or control characters; give one line of plain text"
            );
            Err(Failure::new(ExitCode::Usage, line))
        }
    }
}

fn of_facts(facts: &Facts) -> Members {
    let mut members = Members::new();
    for (key, value) in [
        ("kind", &facts.kind),
        ("name", &facts.name),
        ("version", &facts.version),
        ("arch", &facts.arch),
        ("abi", &facts.abi),
        ("summary", &facts.summary),
        ("license", &facts.license),
        ("homepage", &facts.homepage),
    ] {
        members.extend(value.as_ref().map(|value| (key.to_owned(), value.as_str().into())));
    }
    if !facts.depends.is_empty() {
        members.insert("depends".into(), facts.depends.clone().into());
    }
    members
}

fn of_options(args: &Description) -> Members {
    let mut members = Members::new();
    for (key, value) in [
        ("kind", &args.kind),
        ("name", &args.name),
        ("version", &args.layer_version),
        ("arch", &args.arch),
        ("abi", &args.abi),
        ("summary", &args.summary),
        ("license", &args.license),
        ("homepage", &args.homepage),
    ] {
        members.extend(value.as_ref().map(|value| (key.to_owned(), value.as_str().into())));
    }
    for (key, list) in [
        ("depends", &args.depends),
        ("provides", &args.provides),
        ("conflicts", &args.conflicts),
        ("replaces", &args.replaces),
    ] {
        if !list.is_empty() {
            members.insert(key.into(), list.clone().into());
        }
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    fn args(words: &[&str]) -> Description {
        let command = Description::augment_args(clap::Command::new("test"));
        Description::from_arg_matches(&command.get_matches_from([&["test"], words].concat())).unwrap()
    }

    #[test]
    fn options_win_over_the_file_and_that_over_the_input() {
        let facts = Facts {
            kind: Some("package".into()),
            name: Some("input".into()),
            version: Some("1".into()),
            summary: Some("from the input".into()),
            depends: vec!["libc".into()],
            ..Facts::default()
        };
        let file =
            manifest::parse("name = \"file\"\nversion = \"2\"\nupgrade-from = \"0.9\"\ndepends = [\"musl\"]")
                .unwrap();
        let found = descriptor(&args(&["--version", "3"]), file, &facts, "arm64").unwrap();
        assert_eq!((found.name(), found.version(), found.summary()), ("file", "3", "from the input"));
        assert_eq!((found.arch(), found.upgrade_from()), ("arm64", Some("0.9")));
        assert_eq!(found.depends(), ["musl"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |words: &[&str]| {
            let failure = descriptor(&args(words), Members::new(), &Facts::default(), "any").unwrap_err();
            assert_eq!(failure.code, ExitCode::Usage);
            failure.message
        };
        assert!(refused(&["--kind", "site"]).contains("use --name, --version or a manifest"));
        assert!(refused(&["--kind", "config", "--name", "a", "--version", "1"]).contains("`config`"));
        assert!(refused(&["--kind", "site", "--name", "A", "--version", "1"]).contains("`name`"));
    }

    #[test]
    fn a_manifest_lies_beside_what_it_describes() {
        assert_eq!(beside(Path::new("a/site/")), Some("a/site.plyos.toml".into()));
        assert_eq!(beside(Path::new("x.tar.gz")), Some("x.tar.gz.plyos.toml".into()));
        let here = std::env::current_dir().unwrap();
        assert_eq!(beside(Path::new(".")), beside(&here));
        assert_eq!(beside(Path::new("/")), None);
    }
}
