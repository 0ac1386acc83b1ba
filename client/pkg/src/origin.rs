//! Where things come from: `which` asks by path, `files` by layer.

use crate::content::View;
use crate::target::Target;
use crate::view::{missing, path_of, shown};
use globset::{GlobBuilder, GlobMatcher};
use plyos_layer_format::entry::EntryKind;
use plyos_namespace::namespace::{Found, Source};
use plyos_plan::resolve::{similar, split_name};
use plyos_report::output::plain_bytes;
use plyos_report::{ExitCode, Failure, OrFail, print_json, say};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether a text is a pattern and not a name.
fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| b"*?[{".contains(byte))
}

/// A pattern in which `*` and `?` match no `/`.
fn pattern(text: &str) -> Result<GlobMatcher, Failure> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    Ok(glob.or_fail(ExitCode::Usage, "reading the pattern")?.compile_matcher())
}

/// `pkg files`: every path that layers bring but directories, as the namespace spells it.
pub fn files(target: &Target, names: &[String]) -> Result<(), Failure> {
    let view = View::open(target)?;
    let mut chosen = Vec::new();
    for name in names {
        for layer in named(&view, name)? {
            if !chosen.contains(&layer) {
                chosen.push(layer);
            }
        }
    }
    let mut rows = Vec::new();
    let mut out = std::io::stdout().lock();
    let terminal = out.is_terminal();
    for layer in chosen.into_iter().filter_map(|number| view.namespace.layers().get(number)) {
        let prefix = layer.info.mount.path.trim_end_matches('/').as_bytes().to_vec();
        for entry in layer.index.entries() {
            let entry = entry.or_fail(ExitCode::Store, format_args!("listing {}", layer.info.name))?;
            if entry.is_directory() {
                continue;
            }
            let path = [prefix.as_slice(), b"/", &entry.path].concat();
            let path = if terminal { plain_bytes(&path) } else { path };
            if target.progress.json() {
                rows.push(json!(shown(&path)));
            } else if out.write_all(&path).and_then(|()| out.write_all(b"\n")).is_err() {
                return Ok(());
            }
        }
    }
    if target.progress.json() {
        print_json(&Value::Array(rows));
    }
    Ok(())
}

/// Numbers of the layers that a name or pattern of names chooses.
fn named(view: &View, name: &str) -> Result<Vec<usize>, Failure> {
    let layers = view.namespace.layers().iter().enumerate();
    let none = || {
        let bare = split_name(name).1;
        let near = similar(view.namespace.layers().iter().map(|layer| layer.info.name.as_str()), bare);
        let line = match near.as_slice() {
            [] => format!("'{name}' is not installed; `pkg list` shows what is"),
            near => format!("'{name}' is not installed; did you mean {}?", near.join(", ")),
        };
        Failure::new(ExitCode::NotFound, line)
    };
    if is_pattern(name.as_bytes()) {
        let matcher = pattern(name)?;
        let hits = |layer: &plyos_namespace::layer::LayerInfo| {
            matcher.is_match(&layer.name) || matcher.is_match(format!("{}/{}", layer.kind, layer.name))
        };
        let found: Vec<_> = layers.filter(|(_, layer)| hits(&layer.info)).map(|(number, _)| number).collect();
        return if found.is_empty() { Err(none()) } else { Ok(found) };
    }
    let (kind, bare) = split_name(name);
    let found: Vec<_> = layers
        .filter(|(_, layer)| layer.info.name == bare && kind.is_none_or(|kind| kind == layer.info.kind))
        .collect();
    match found.as_slice() {
        [] => Err(none()),
        [(number, _)] => Ok(vec![*number]),
        several => {
            let choices: Vec<_> = several.iter().map(|(_, l)| format!("{}/{bare}", l.info.kind)).collect();
            let line = format!("'{name}' is several layers; say which: {}", choices.join(", "));
            Err(Failure::new(ExitCode::Usage, line))
        }
    }
}

/// `pkg which`
pub fn which(target: &Target, paths: &[impl AsRef<Path>]) -> Result<(), Failure> {
    let view = View::open(target)?;
    let mut origins = Vec::new();
    for path in paths {
        let path = path.as_ref();
        match at(&view, path)? {
            Some(found) => origins.push(Origin::of(&view, found)?),
            None if is_pattern(path.as_os_str().as_bytes()) => {
                for found in matching(&view, path)? {
                    origins.push(Origin::of(&view, found)?);
                }
            }
            None => return Err(missing(path)),
        }
    }
    for origin in &origins {
        if target.progress.json() {
            print_json(&origin.to_json(&view));
        } else {
            origin.print(&view);
        }
    }
    Ok(())
}

/// What is at a path, with links followed on the way to it but not at its end.
fn at(view: &View, path: &Path) -> Result<Option<Found>, Failure> {
    let doing = format!("looking up {}", path.display());
    let whole = path_of(path);
    let (above, name) = match whole.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (whole.get(..at).unwrap_or_default(), whole.get(at + 1..).unwrap_or_default()),
        None => (&[][..], whole.as_slice()),
    };
    if matches!(name, b"" | b"." | b"..") {
        return view.namespace.resolve(&whole).or_fail(ExitCode::Store, &doing);
    }
    let Some(above) = view.namespace.resolve(above).or_fail(ExitCode::Store, &doing)? else {
        return Ok(None);
    };
    view.namespace.child(&above, name).or_fail(ExitCode::Store, &doing)
}

/// Everything but directories that a pattern matches. Folders that cannot hold any are not gone into.
fn matching(view: &View, path: &Path) -> Result<Vec<Found>, Failure> {
    let whole = path_of(path);
    let parts: Vec<&[u8]> = whole.split(|byte| *byte == b'/').collect();
    let plain = parts.iter().take_while(|part| !is_pattern(part)).count();
    let (above, rest) = parts.split_at(plain);
    let doing = format!("looking for {}", path.display());
    let top = view.namespace.resolve(&above.join(&b'/')).or_fail(ExitCode::Store, &doing)?;
    let top = top.ok_or_else(|| missing(path))?.entry.path;
    let text = String::from_utf8(rest.join(&b'/'))
        .map_err(|_| Failure::new(ExitCode::Usage, format!("{doing}: a pattern has to be UTF-8")))?;
    let matcher = pattern(&text)?;
    let depth = if text.contains("**") { usize::MAX } else { rest.len() };

    let mut found = Vec::new();
    let mut walk = view.namespace.walk();
    while let Some(next) = walk.next() {
        let next = next.or_fail(ExitCode::Store, &doing)?;
        let here = next.entry.path.as_slice();
        let inside = if top.is_empty() {
            Some(here)
        } else {
            here.strip_prefix(top.as_slice()).and_then(|rest| rest.strip_prefix(b"/"))
        };
        let leads_there = here.is_empty() || here == top || top.starts_with(&[here, b"/"].concat());
        let too_deep = inside.is_some_and(|inside| inside.split(|byte| *byte == b'/').count() >= depth);
        match inside {
            Some(inside)
                if !next.entry.is_directory() && matcher.is_match(Path::new(OsStr::from_bytes(inside))) =>
            {
                found.push(next);
            }
            _ if next.entry.is_directory() && !leads_there && (inside.is_none() || too_deep) => {
                walk.skip_below().or_fail(ExitCode::Store, &doing)?;
            }
            _ => {}
        }
    }
    if found.is_empty() { Err(missing(path)) } else { Ok(found) }
}

/// A path with the layers that have to do with it.
struct Origin {
    found: Found,
    /// Layers that have something else there, which is not seen.
    hidden: Vec<Source>,
    /// Of a link: what it leads to in the end, if that exists.
    target: Option<Found>,
}

impl Origin {
    fn of(view: &View, found: Found) -> Result<Self, Failure> {
        let doing = format!("looking up /{}", shown(&found.entry.path));
        let hidden = view.namespace.hidden_by(&found).or_fail(ExitCode::Store, &doing)?;
        let target = match found.entry.kind {
            EntryKind::Symlink { .. } => {
                view.namespace.resolve(&found.entry.path).or_fail(ExitCode::Store, &doing)?
            }
            _ => None,
        };
        Ok(Self { found, hidden, target })
    }

    /// Layers that take part in a directory beside the one whose description is seen.
    fn others(&self) -> impl Iterator<Item = Source> + '_ {
        self.found.merged().filter(|source| Some(*source) != self.found.source)
    }

    fn print(&self, view: &View) {
        let name = |found: &Found| {
            found
                .source
                .map_or_else(|| "no layer: a directory that leads to a mount".to_owned(), |s| text(view, s))
        };
        say!("{}  /{}", name(&self.found), shown(&self.found.entry.path));
        if let Some(target) = &self.target {
            say!("  leads to   {}  /{}", name(target), shown(&target.entry.path));
        }
        self.others().for_each(|source| say!("  also       {}", text(view, source)));
        self.hidden.iter().for_each(|source| say!("  hidden     {}", text(view, *source)));
    }

    fn to_json(&self, view: &View) -> Value {
        let mut value = origin_json(view, &self.found);
        if let Some(object) = value.as_object_mut() {
            let facts = |source| layer_json(view, Some(source));
            object.insert("also".into(), self.others().map(facts).collect());
            object.insert("hidden".into(), self.hidden.iter().copied().map(facts).collect());
            object
                .insert("target".into(), json!(self.target.as_ref().map(|target| origin_json(view, target))));
        }
        value
    }
}

fn text(view: &View, source: Source) -> String {
    let descriptor = view.namespace.layers().get(source.layer).map(|layer| layer.index.descriptor());
    descriptor.map_or_else(String::new, |d| format!("{}/{} {}", d.kind(), d.name(), d.version()))
}

fn layer_json(view: &View, source: Option<Source>) -> Value {
    let layer = source.and_then(|source| view.namespace.layers().get(source.layer));
    let descriptor = layer.map(|layer| layer.index.descriptor());
    json!({
        "kind": descriptor.map(|d| d.kind().as_str()),
        "name": descriptor.map(|d| d.name()),
        "version": descriptor.map(|d| d.version()),
    })
}

fn origin_json(view: &View, found: &Found) -> Value {
    let mut value = layer_json(view, found.source);
    if let Some(object) = value.as_object_mut() {
        object.insert("path".into(), json!(format!("/{}", shown(&found.entry.path))));
    }
    value
}
