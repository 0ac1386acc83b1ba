//! An export beside an earlier one: what of it is taken, and what never is.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Cursor};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use plyos_layer_format::entry::{Entry, EntryKind};
use plyos_layer_format::index::Limits;
use tempfile::tempdir;

use super::{build_dir, export_blob, keep_times};
use crate::export::{Content, Earlier, ExportOptions, Exported, Owners, Standing, Stat, Way, export_beside};
use crate::reader::{Blob, StreamReader};
use crate::scan::shown;

/// Offers each file of a tree in the same way.
struct Tree {
    tree: PathBuf,
    way: Way,
    content: Content,
    differs: Vec<PathBuf>,
    /// Inodes of what stands, by path.
    stands: BTreeMap<PathBuf, u64>,
}

impl Earlier for Tree {
    fn find(&mut self, entry: &Entry) -> io::Result<Option<Standing>> {
        let EntryKind::File { .. } = entry.kind else { return Ok(None) };
        let file = File::open(self.tree.join(shown(&entry.path)))?;
        Ok(Some(Standing { file, way: self.way, content: self.content }))
    }

    fn differs(&mut self, entry: &Entry) {
        self.differs.push(shown(&entry.path));
    }

    fn stands(&mut self, entry: &Entry, stat: &Stat) {
        self.stands.insert(shown(&entry.path), stat.st_ino);
    }
}

const NAMES: [&str; 4] = ["same", "written", "mode", "longer"];

/// A blob of four files, and the tree of an earlier export of it, in which something was done to three of them.
fn changed_tree(folder: &Path) -> (Vec<u8>, PathBuf) {
    let source = folder.join("source");
    fs::create_dir(&source).unwrap();
    for name in NAMES {
        fs::write(source.join(name), name.repeat(100_000)).unwrap();
    }
    let (_, blob) = build_dir(&source, &keep_times());
    let tree = folder.join("earlier");
    export_blob(&blob, &tree, Owners::Keep);
    let mtime = |name: &str| fs::metadata(tree.join(name)).unwrap().modified().unwrap();
    for (name, content) in [("written", "WRITTEN".repeat(100_000)), ("longer", "longer".repeat(100_001))] {
        let before = mtime(name);
        fs::write(tree.join(name), content).unwrap();
        File::options().write(true).open(tree.join(name)).unwrap().set_modified(before).unwrap();
    }
    fs::set_permissions(tree.join("mode"), Permissions::from_mode(0o777)).unwrap();
    (blob, tree)
}

fn export_to(blob: &[u8], dest: &Path, earlier: &mut Tree) -> Exported {
    let mut blob = Blob::open(Cursor::new(blob), &Limits::default()).unwrap();
    let (index, frames) = blob.parts().unwrap();
    let mut content = StreamReader::new(&index, frames);
    let options = ExportOptions { owners: Owners::Keep };
    export_beside(index.entries(), &mut content, dest, &options, earlier).unwrap()
}

fn inode(path: PathBuf) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn what_is_not_known_is_compared_in_content_and_attributes() {
    let folder = tempdir().unwrap();
    let (blob, tree) = changed_tree(folder.path());
    let (differs, stands) = (Vec::new(), BTreeMap::new());
    let mut earlier = Tree { tree: tree.clone(), way: Way::Link, content: Content::Unknown, differs, stands };
    let dest = folder.path().join("dest");
    let done = export_to(&blob, &dest, &mut earlier);
    earlier.differs.sort();
    assert_eq!(earlier.differs, [PathBuf::from("longer"), PathBuf::from("written")]);
    assert_eq!((done.linked.files, done.linked.len), (1, 400_000));
    assert_eq!(done.files + done.cloned.files, 3);
    for name in NAMES {
        assert_eq!(fs::read(dest.join(name)).unwrap(), name.repeat(100_000).as_bytes(), "{name}");
        assert_eq!(earlier.stands[Path::new(name)], inode(dest.join(name)));
        assert_eq!(inode(dest.join(name)) == inode(tree.join(name)), name == "same", "{name}");
    }
    assert_eq!(fs::metadata(dest.join("mode")).unwrap().mode() & 0o7777, 0o644);
    assert_eq!(fs::metadata(tree.join("mode")).unwrap().mode() & 0o7777, 0o777);
}

#[test]
fn what_is_known_is_not_read() {
    let folder = tempdir().unwrap();
    let (blob, tree) = changed_tree(folder.path());
    let (differs, stands) = (Vec::new(), BTreeMap::new());
    let mut earlier = Tree { tree: tree.clone(), way: Way::Link, content: Content::Known, differs, stands };
    let dest = folder.path().join("dest");
    let done = export_to(&blob, &dest, &mut earlier);
    // Who says that it is known answers for it; but another length is not believed.
    assert_eq!((done.linked.files, &earlier.differs[..]), (3, &[PathBuf::from("longer")][..]));
    assert_eq!(fs::read(dest.join("longer")).unwrap(), "longer".repeat(100_000).as_bytes());
    assert_eq!(inode(dest.join("written")), inode(tree.join("written")));
}
