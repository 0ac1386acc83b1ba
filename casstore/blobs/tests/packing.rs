//! Packing over a local directory and over a plain object store: versions share their bytes, and come back byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests may panic; what is sliced was made here"
)]

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::TryStreamExt;
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use plyos_blobs::{Algorithm, Digest, MOST_INLINE, Packing, RepositoryName, Settings, Storage};
use tempfile::TempDir;

/// Bytes that do not compress, the same on every machine.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(len);
    out
}

/// A layer: one zstd frame for each chunk.
fn layer(chunks: impl IntoIterator<Item = u64>) -> Vec<u8> {
    let chunk =
        |seed| zstd::encode_all(&noise(seed, 30_000 + (seed as usize * 7919) % 50_000)[..], 1).unwrap();
    chunks.into_iter().flat_map(chunk).collect()
}

struct Place {
    storage: Storage,
    name: RepositoryName,
    memory: Option<Arc<InMemory>>,
    _folder: TempDir,
}

impl Place {
    async fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::local(folder.path(), &Settings::default()).await.unwrap();
        Self { storage, name: "some/layers".parse().unwrap(), memory: None, _folder: folder }
    }

    async fn remote() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = Arc::new(InMemory::new());
        let settings = Settings::default();
        let storage = Storage::remote(Arc::clone(&memory), &settings).await.unwrap();
        Self { storage, name: "some/layers".parse().unwrap(), memory: Some(memory), _folder: folder }
    }

    async fn push(&self, bytes: &[u8], algorithm: Algorithm) -> Digest {
        let digest = algorithm.digest(bytes);
        let upload = self.storage.uploads.begin_once(algorithm).await.unwrap();
        let upload = upload.append(vec![Bytes::copy_from_slice(bytes)]).await.unwrap();
        self.storage.blobs.commit(upload, &digest).await.unwrap();
        self.storage.repositories.link(&self.name, &digest).await.unwrap();
        digest
    }

    async fn pack(&self, digest: &Digest) -> Packing {
        self.storage.packer().pack(&self.name, digest).await.unwrap()
    }

    async fn read(&self, digest: &Digest, range: Range<u64>) -> Vec<u8> {
        let mut content = self.storage.blobs.open(digest, range).await.unwrap().unwrap();
        let mut whole = Vec::new();
        while let Some(piece) = content.stream.try_next().await.unwrap() {
            whole.extend_from_slice(&piece);
        }
        whole
    }

    /// Does what a clean-up does to data objects that no recipe names; returns the bytes that are left.
    async fn clean(&self) -> u64 {
        let mut needed = HashSet::new();
        let recipes: Vec<_> = self.storage.blobs.list().try_collect().await.unwrap();
        for (digest, _) in recipes {
            let recipe = self.storage.blobs.confirm_recipe(&digest).await.unwrap().unwrap();
            needed.extend(recipe.extents().iter().map(|extent| extent.data));
        }
        let data = self.storage.blobs.data();
        let mut left = 0;
        for (id, meta) in data.list().try_collect::<Vec<_>>().await.unwrap() {
            if needed.contains(&id) {
                left += meta.size;
            } else {
                data.delete(&id).await.unwrap();
            }
        }
        left
    }
}

#[tokio::test]
async fn ten_versions_cost_little_more_than_one() {
    for place in [Place::local().await, Place::remote().await] {
        let mut versions = Vec::new();
        for version in 0..10u64 {
            // Each version changes two chunks and adds one.
            let chunks =
                (0..100 + version).map(|i| if i / 2 == version * 4 { 1000 + version * 10 + i } else { i });
            let bytes = layer(chunks);
            let digest = place.push(&bytes, Algorithm::Sha256).await;
            let packing = place.pack(&digest).await;
            assert_eq!(matches!(packing, Packing::Packed { .. }), version > 0, "{version}: {packing:?}");
            versions.push((digest, bytes));
        }
        let (one, all) =
            (versions[0].1.len() as u64, versions.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
        let left = place.clean().await;
        assert!(all > one * 10 && left < one * 3 / 2, "{left} of {all}");
        for (digest, bytes) in &versions {
            let size = bytes.len() as u64;
            assert_eq!(place.read(digest, 0..size).await, *bytes);
            for start in (0..size).step_by(300_007) {
                let end = size.min(start + 100_003);
                assert_eq!(place.read(digest, start..end).await, bytes[start as usize..end as usize]);
            }
        }
    }
}

#[tokio::test]
async fn packing_again_changes_nothing_and_another_digest_of_the_same_bytes_costs_nothing() {
    let place = Place::local().await;
    let (first, second) = (layer(0..60), layer((0..60).map(|i| if i == 30 { 999 } else { i })));
    let one = place.push(&first, Algorithm::Sha256).await;
    assert_eq!(place.pack(&one).await, Packing::Kept);
    let two = place.push(&second, Algorithm::Sha256).await;
    assert!(matches!(place.pack(&two).await, Packing::Packed { .. }));
    let recipe = place.storage.blobs.confirm_recipe(&two).await.unwrap();
    for digest in [&two, &one] {
        assert_eq!(place.pack(digest).await, Packing::Kept);
    }
    assert_eq!(place.storage.blobs.confirm_recipe(&two).await.unwrap(), recipe);
    let before = place.clean().await;
    let same = place.push(&first, Algorithm::Sha512).await;
    assert_eq!(place.pack(&same).await, Packing::Packed { held: first.len() as u64, holds: 0 });
    assert_eq!(place.clean().await, before);
    assert_eq!(place.read(&same, 0..first.len() as u64).await, first);
}

#[tokio::test]
async fn a_list_that_lies_costs_the_saving_and_nothing_else() {
    let place = Place::remote().await;
    let (first, second) = (layer(0..60), layer((0..60).map(|i| if i == 30 { 999 } else { i })));
    let one = place.push(&first, Algorithm::Sha256).await;
    place.pack(&one).await;
    // Two pieces of it are not as long as the list says, so that what lies between is looked for a byte aside.
    let memory = place.memory.as_ref().unwrap();
    let key = Path::from(format!("pieces/sha256/{}", one.hex()));
    let list = memory.get(&key).await.unwrap().bytes().await.unwrap();
    let mut list = plyos_blobs::PieceList::parse(&list).unwrap();
    list.pieces[10].length += 1;
    list.pieces[20].length -= 1;
    memory.put(&key, list.emit().into()).await.unwrap();
    let two = place.push(&second, Algorithm::Sha256).await;
    let before = place.storage.blobs.confirm_recipe(&two).await.unwrap();
    assert_eq!(place.pack(&two).await, Packing::Misled);
    assert_eq!(place.storage.blobs.confirm_recipe(&two).await.unwrap(), before);
    assert_eq!(place.read(&two, 0..second.len() as u64).await, second);
    // One that cannot be read at all is made anew when its blob is packed next.
    memory.put(&key, Bytes::from_static(b"rubbish").into()).await.unwrap();
    assert_eq!(place.pack(&two).await, Packing::Kept);
    let holds = layer([30]).len() as u64;
    assert_eq!(place.pack(&one).await, Packing::Packed { held: first.len() as u64, holds });
    assert_eq!(place.read(&one, 0..first.len() as u64).await, first);
}

#[tokio::test]
async fn what_is_small_or_missing_is_left_alone() {
    let place = Place::local().await;
    let small = place.push(&noise(1, MOST_INLINE), Algorithm::Sha256).await;
    assert_eq!(place.pack(&small).await, Packing::Unsuited);
    assert_eq!(place.pack(&Digest::of(b"never pushed")).await, Packing::Gone);
    // A blob is compared within its repository only: what others hold is not told by timing or size.
    let bytes = layer(0..60);
    place.push(&bytes, Algorithm::Sha256).await;
    let elsewhere = Place { name: "other/layers".parse().unwrap(), ..place };
    let again = elsewhere.push(&bytes, Algorithm::Sha512).await;
    assert_eq!(elsewhere.pack(&again).await, Packing::Kept);
}
