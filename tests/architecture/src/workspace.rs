//! The workspace as cargo and git see it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folder that holds the workspace's manifest.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(Path::to_path_buf).unwrap_or_default()
}

/// The text of a file, by its path from the root.
pub fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(root().join(path)).map_err(|error| format!("cannot read {path}: {error}"))
}

/// How one crate depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// In what is shipped (`[dependencies]`, also for one target only).
    Normal,
    /// In its tests.
    Dev,
    /// In its build script.
    Build,
}

/// One dependency as a manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the package.
    pub name: String,
    /// What for.
    pub usage: Use,
    /// Whether it is a member of the workspace (it has a path).
    pub is_member: bool,
    /// Whether its default features are on.
    pub default_features: bool,
}

/// One crate of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name of the package.
    pub name: String,
    /// Its folder, from the root.
    pub folder: String,
    /// What it uses.
    pub dependencies: Vec<Dependency>,
}

/// All crates, as `cargo metadata` tells them.
pub fn members() -> Result<Vec<Member>, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let args = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let json: Value = serde_json::from_slice(&run(Command::new(cargo).args(args))?)
        .map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
    list(&json, "packages").map(member).collect()
}

fn member(package: &Value) -> Result<Member, String> {
    let manifest = PathBuf::from(text(package, "manifest_path")?);
    let root = root().canonicalize().map_err(|error| error.to_string())?;
    let folder = manifest.parent().and_then(|folder| folder.strip_prefix(&root).ok());
    let folder = folder.ok_or_else(|| format!("{} is outside of the workspace", manifest.display()))?;
    Ok(Member {
        name: text(package, "name")?,
        folder: folder.to_string_lossy().into_owned(),
        dependencies: list(package, "dependencies").map(dependency).collect::<Result<_, _>>()?,
    })
}

fn dependency(value: &Value) -> Result<Dependency, String> {
    Ok(Dependency {
        name: text(value, "name")?,
        usage: match value.get("kind").and_then(Value::as_str) {
            None => Use::Normal,
            Some("dev") => Use::Dev,
            Some("build") => Use::Build,
            Some(other) => {
                return Err(format!("cargo metadata names an unknown kind of dependency: {other}"));
            }
        },
        is_member: value.get("path").is_some_and(Value::is_string),
        default_features: value.get("uses_default_features").and_then(Value::as_bool).unwrap_or(true),
    })
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, key: &str) -> Result<String, String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned).ok_or(format!("cargo metadata has no {key}"))
}

/// Paths from the root of all files that are tracked, or would be by `git add .`.
pub fn files() -> Result<Vec<String>, String> {
    let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = run(Command::new("git").args(args).current_dir(root()))?;
    let listed = String::from_utf8(listed).map_err(|_| "a file's name is not UTF-8")?;
    Ok(listed.split_terminator('\0').map(str::to_owned).collect())
}

fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output.stdout)
}
