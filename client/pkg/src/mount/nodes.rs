//! What the kernel knows, by number, and for how long.
//!
//! A file (and whatever is no directory) is (layer, inode of its index): one node in every generation that has the layer,
//! so that the kernel keeps its pages over a switch. A directory is (generation, path): a path that was entered before a
//! switch goes on in the old generation, and no walk mixes two. The numbers are hashes of that, so that a file
//! has one number as long as it exists, whenever it is looked up; two that hash alike get neighbouring ones.
//!
//! Each answer that hands out a node counts up, each `forget` of the kernel counts down. A node holds its
//! generation, and with it the lease: when the last node and the last opened directory of an old generation are gone, so is the lease.

use super::attributes;
use super::mounted::Mounted;
use fuser::FileAttr;
use plyos_ids::{GenerationId, LayerId};
use plyos_layer_format::entry::Entry;
use plyos_namespace::namespace::{Found, NamespaceError};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Number of the root, for FUSE.
pub const ROOT: u64 = 1;
/// Number of the keeper's folder; see [`super::keeper`].
pub const KEEP: u64 = 2;
/// Least number that is given.
const FIRST: u64 = 16;

/// What a number stands for.
#[derive(Clone)]
pub enum Node {
    /// A directory of one generation.
    Directory(Arc<Directory>),
    /// Anything else.
    File(Arc<File>),
}

/// A directory of one generation.
pub struct Directory {
    /// Its number.
    pub number: u64,
    /// The generation.
    pub mounted: Arc<Mounted>,
    /// What is seen there.
    pub found: Found,
}

/// A file, link, device or pipe of one layer.
pub struct File {
    /// Its number.
    pub number: u64,
    /// Its layer.
    pub layer: LayerId,
    /// The path at which it was seen, for messages.
    pub path: Vec<u8>,
    /// The entry; of a file with several names the first one.
    pub entry: Entry,
    inode: u64,
    /// A generation that has the layer, and its number of it.
    place: Mutex<(Arc<Mounted>, usize)>,
    was_read: AtomicBool,
}

impl Node {
    /// Its number.
    pub fn number(&self) -> u64 {
        match self {
            Self::Directory(directory) => directory.number,
            Self::File(file) => file.number,
        }
    }

    /// Its entry.
    pub fn entry(&self) -> &Entry {
        match self {
            Self::Directory(directory) => &directory.found.entry,
            Self::File(file) => &file.entry,
        }
    }

    /// What `stat` shows.
    pub fn attributes(&self) -> FileAttr {
        attributes::of(self.number(), self.entry())
    }

    fn is(&self, key: &Key<'_>) -> bool {
        match (self, key) {
            (Self::Directory(directory), Key::Directory(generation, path)) => {
                directory.mounted.id == *generation && directory.found.entry.path == *path
            }
            (Self::File(file), Key::File(layer, inode)) => file.layer == *layer && file.inode == *inode,
            _ => false,
        }
    }
}

impl File {
    /// A generation that has the layer, and its number of it.
    pub fn place(&self) -> (Arc<Mounted>, usize) {
        let place = locked(&self.place);
        (Arc::clone(&place.0), place.1)
    }

    /// Moves it to another generation with the layer.
    fn rebind(&self, mounted: &Arc<Mounted>, layer: usize) {
        let before = std::mem::replace(&mut *locked(&self.place), (Arc::clone(mounted), layer));
        // Perhaps the last of its generation, which goes after the lock.
        drop(before);
    }

    /// Notes that it is read; `true` the first time.
    pub fn is_first_read(&self) -> bool {
        !self.was_read.swap(true, Ordering::Relaxed)
    }
}

/// What makes a node this node.
enum Key<'a> {
    Directory(GenerationId, &'a [u8]),
    File(LayerId, u64),
}

impl Key<'_> {
    /// Where its number is looked for first.
    fn number(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        match self {
            Key::Directory(generation, path) => hasher.update(generation.as_bytes()).update(path),
            Key::File(layer, inode) => hasher.update(layer.as_bytes()).update(&inode.to_le_bytes()),
        };
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        // Positive as a signed number too: some programs take it for one.
        (u64::from_le_bytes(first) >> 1).max(FIRST)
    }
}

struct Known {
    node: Node,
    lookups: u64,
}

/// The nodes that the kernel knows.
#[derive(Default)]
pub struct Nodes(Mutex<HashMap<u64, Known>>);

impl Nodes {
    /// The node of what was found in a generation; one more answer hands it out.
    pub fn enter(&self, mounted: &Arc<Mounted>, found: Found) -> Result<Node, NamespaceError> {
        let Some(source) = found.source.filter(|_| !found.entry.is_directory()) else {
            return Ok(self.directory(mounted, found));
        };
        let layer =
            mounted.namespace.layers().get(source.layer).ok_or(NamespaceError::NoLayer(source.layer))?;
        let (id, inode) = (layer.index.id(), layer.index.inode(source.ordinal, &found.entry));
        let key = Key::File(id, inode);
        let mut nodes = self.nodes();
        let number = match slot(&nodes, &key) {
            Slot::Free(number) => number,
            Slot::Known(number) => {
                if let Some(known) = nodes.get_mut(&number) {
                    known.lookups += 1;
                    return Ok(known.node.clone());
                }
                number
            }
        };
        // Reads a page at most, which is there: the lock is not held for long.
        let first = layer.first_path(&found.entry)?;
        let file = File {
            number,
            layer: id,
            path: found.entry.path.clone(),
            entry: first.unwrap_or(found.entry),
            inode,
            place: Mutex::new((Arc::clone(mounted), source.layer)),
            was_read: AtomicBool::new(false),
        };
        let node = Node::File(Arc::new(file));
        nodes.insert(number, Known { node: node.clone(), lookups: 1 });
        Ok(node)
    }

    fn directory(&self, mounted: &Arc<Mounted>, found: Found) -> Node {
        let mut nodes = self.nodes();
        let number = match slot(&nodes, &Key::Directory(mounted.id, &found.entry.path)) {
            Slot::Free(number) => number,
            Slot::Known(number) => {
                if let Some(known) = nodes.get_mut(&number) {
                    known.lookups += 1;
                    return known.node.clone();
                }
                number
            }
        };
        let node = Node::Directory(Arc::new(Directory { number, mounted: Arc::clone(mounted), found }));
        nodes.insert(number, Known { node: node.clone(), lookups: 1 });
        node
    }

    /// The number that [`Self::enter`] would give, without an answer that hands the node out.
    pub fn number(&self, mounted: &Mounted, found: &Found) -> u64 {
        let layer = found.source.filter(|_| !found.entry.is_directory());
        let layer = layer.and_then(|source| Some((source, mounted.namespace.layers().get(source.layer)?)));
        let key = match layer {
            Some((source, layer)) => {
                Key::File(layer.index.id(), layer.index.inode(source.ordinal, &found.entry))
            }
            None => Key::Directory(mounted.id, &found.entry.path),
        };
        match slot(&self.nodes(), &key) {
            Slot::Known(number) | Slot::Free(number) => number,
        }
    }

    /// The node of a number.
    pub fn get(&self, number: u64) -> Option<Node> {
        self.nodes().get(&number).map(|known| known.node.clone())
    }

    /// The file of a number, when it is read from this generation; one more answer hands it out.
    pub fn again_if_in(&self, number: u64, generation: &GenerationId) -> Option<Node> {
        let mut nodes = self.nodes();
        let known = nodes.get_mut(&number)?;
        match &known.node {
            Node::File(file) if locked(&file.place).0.id == *generation => {
                known.lookups += 1;
                Some(known.node.clone())
            }
            _ => None,
        }
    }

    /// Takes back so many answers.
    pub fn forget(&self, number: u64, lookups: u64) {
        let mut nodes = self.nodes();
        let Some(known) = nodes.get_mut(&number) else { return };
        known.lookups = known.lookups.saturating_sub(lookups);
        if known.lookups == 0 {
            let gone = nodes.remove(&number);
            drop(nodes);
            // Perhaps the last of its generation, which goes after the lock.
            drop(gone);
        }
    }

    /// Moves the files to the generation that is shown now, where it has their layer. Gives the numbers of those that were
    /// read and whose layer it has not.
    pub fn rebind(&self, mounted: &Arc<Mounted>) -> Vec<u64> {
        let files: Vec<Arc<File>> = (self.nodes().values())
            .filter_map(|known| match &known.node {
                Node::File(file) => Some(Arc::clone(file)),
                Node::Directory(_) => None,
            })
            .collect();
        let mut numbers: HashMap<LayerId, Option<usize>> = HashMap::new();
        let mut gone = Vec::new();
        for file in files {
            match *numbers.entry(file.layer).or_insert_with(|| mounted.layer_number(&file.layer)) {
                Some(layer) => file.rebind(mounted, layer),
                None if file.was_read.load(Ordering::Relaxed) => gone.push(file.number),
                None => {}
            }
        }
        gone
    }

    /// Names by which the kernel may still know nodes of other generations than this one: number of the parent, and name;
    /// directories first, for with each goes what is below it and not in use.
    pub fn left_of(&self, shown: &GenerationId) -> Vec<(u64, Vec<u8>)> {
        let nodes = self.nodes();
        let (mut directories, mut files) = (Vec::new(), Vec::new());
        for known in nodes.values() {
            let (generation, path, into) = match &known.node {
                Node::Directory(at) => (at.mounted.id, &at.found.entry.path, &mut directories),
                Node::File(file) => (locked(&file.place).0.id, &file.path, &mut files),
            };
            if generation == *shown || path.is_empty() {
                continue;
            }
            let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
                Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
                None => (&[][..], path.as_slice()),
            };
            let parent = match slot(&nodes, &Key::Directory(generation, above)) {
                _ if above.is_empty() => ROOT,
                Slot::Known(number) => number,
                Slot::Free(_) => continue,
            };
            into.push((parent, name.to_vec()));
        }
        directories.append(&mut files);
        directories
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        locked(&self.0)
    }
}

enum Slot {
    Known(u64),
    Free(u64),
}

/// The number of a key: the one that it has, or the first after its hash that nobody has.
fn slot(nodes: &HashMap<u64, Known>, key: &Key<'_>) -> Slot {
    let mut number = key.number();
    loop {
        match nodes.get(&number) {
            None => return Slot::Free(number),
            Some(known) if known.node.is(key) => return Slot::Known(number),
            Some(_) => number = number.wrapping_add(1).max(FIRST),
        }
    }
}

/// A lock of which it does not matter whether somebody panicked: what it guards is whole between any two steps.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
