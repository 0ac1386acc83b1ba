//! The stores as a server uses them, on a local disk and on another object store.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use plyos_blobs::{
    CatalogName, CatalogPath, CommitError, Digest, Replace, RepositoryName, Storage, Upload, UploadError,
    Written,
};
use tempfile::TempDir;

/// The local store and a remote one, with the directories that they need.
fn both() -> Vec<(TempDir, Storage)> {
    let local = tempfile::tempdir().unwrap();
    let remote = tempfile::tempdir().unwrap();
    let one = Storage::local(local.path(), 4).unwrap();
    let two = Storage::remote(Arc::new(InMemory::new()), remote.path().to_owned(), 4);
    vec![(local, one), (remote, two)]
}

fn repository() -> RepositoryName {
    "library/jq".parse().unwrap()
}

async fn upload(storage: &Storage, content: &[u8]) -> Upload {
    let upload = storage.uploads.begin_once().await.unwrap();
    upload.append(vec![Bytes::copy_from_slice(content)]).await.unwrap()
}

async fn read(storage: &Storage, digest: &Digest, range: std::ops::Range<u64>) -> Vec<u8> {
    let content = storage.blobs.open(digest, range).await.unwrap().unwrap();
    let pieces: Vec<Bytes> = content.stream.try_collect().await.unwrap();
    pieces.concat()
}

fn staged(dir: &TempDir) -> usize {
    let uploads = dir.path().join("uploads");
    let dir = if uploads.exists() { uploads } else { dir.path().to_owned() };
    std::fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn a_blob_goes_in_and_out() {
    // More than one piece when read and more than one part when copied.
    let content: Vec<u8> = (0..9_000_000u32).map(|n| ((n * 31) >> 7) as u8).collect();
    let digest = Digest::of(&content);
    for (dir, storage) in both() {
        assert_eq!(storage.blobs.size(&digest).await.unwrap(), None);
        assert!(storage.blobs.open(&digest, 0..1).await.unwrap().is_none());
        let upload = upload(&storage, &content).await;
        assert_eq!(storage.blobs.commit(upload, &digest).await.unwrap(), 9_000_000);

        assert_eq!(storage.blobs.size(&digest).await.unwrap(), Some(9_000_000));
        assert!(read(&storage, &digest, 0..9_000_000).await == content);
        assert!(read(&storage, &digest, 262_140..600_000).await == content[262_140..600_000]);
        let all: Vec<_> = storage.blobs.list().try_collect().await.unwrap();
        assert_eq!(all, [(digest, 9_000_000)]);
        assert_eq!(staged(&dir), 0);
        storage.blobs.delete(&digest).await.unwrap();
        assert!(!storage.blobs.exists(&digest).await.unwrap());
        storage.blobs.delete(&digest).await.unwrap();
    }
}

#[tokio::test]
async fn the_empty_blob_is_a_blob() {
    let digest = Digest::of(b"");
    for (_dir, storage) in both() {
        let upload = storage.uploads.begin_once().await.unwrap();
        assert_eq!(storage.blobs.commit(upload, &digest).await.unwrap(), 0);
        assert_eq!(storage.blobs.size(&digest).await.unwrap(), Some(0));
        assert!(read(&storage, &digest, 0..0).await.is_empty());
    }
}

#[tokio::test]
async fn wrong_content_is_dropped() {
    for (dir, storage) in both() {
        let upload = upload(&storage, b"other").await;
        let result = storage.blobs.commit(upload, &Digest::of(b"promised")).await;
        assert!(matches!(result, Err(CommitError::Digest { .. })));
        assert!(!storage.blobs.exists(&Digest::of(b"other")).await.unwrap());
        assert_eq!(staged(&dir), 0);
    }
}

#[tokio::test]
async fn pushing_again_repairs_a_damaged_blob() {
    let (dir, storage) = both().remove(0);
    let digest = Digest::of(b"content");
    storage.blobs.commit(upload(&storage, b"content").await, &digest).await.unwrap();
    let path = dir.path().join("blobs/sha256").join(digest.hex());
    std::fs::write(&path, b"damaged").unwrap();
    storage.blobs.commit(upload(&storage, b"content").await, &digest).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"content");
}

#[tokio::test]
async fn an_upload_survives_a_restart() {
    let (dir, storage) = both().remove(0);
    let id = storage.uploads.begin(&repository()).await.unwrap();
    let upload = storage.uploads.resume(&repository(), &id).await.unwrap();
    drop(upload.append(vec![Bytes::from_static(b"first ")]).await.unwrap());

    let restarted = Storage::local(dir.path(), 4).unwrap();
    let upload = restarted.uploads.resume(&repository(), &id).await.unwrap();
    assert_eq!(upload.received(), 6);
    let upload = upload.append(vec![Bytes::from_static(b"sec"), Bytes::from_static(b"ond")]).await.unwrap();
    restarted.blobs.commit(upload, &Digest::of(b"first second")).await.unwrap();
    let again = restarted.uploads.resume(&repository(), &id).await;
    assert!(matches!(again, Err(UploadError::Unknown)));
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    let (_dir, storage) = both().remove(0);
    let id = storage.uploads.begin(&repository()).await.unwrap();
    let other = "library/other".parse().unwrap();
    assert!(matches!(storage.uploads.resume(&other, &id).await, Err(UploadError::Unknown)));
    assert!(storage.uploads.resume(&repository(), &id).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_upload_has_one_writer() {
    let (_dir, storage) = both().remove(0);
    let id = storage.uploads.begin(&repository()).await.unwrap();
    let held = storage.uploads.resume(&repository(), &id).await.unwrap();
    assert!(matches!(storage.uploads.resume(&repository(), &id).await, Err(UploadError::Busy)));
    drop(held);
    assert!(storage.uploads.resume(&repository(), &id).await.is_ok());
}

#[tokio::test]
async fn sessions_are_limited_and_swept() {
    let (dir, storage) = both().remove(0);
    let mut last = None;
    for _ in 0..4 {
        last = Some(storage.uploads.begin(&repository()).await.unwrap());
    }
    assert!(matches!(storage.uploads.begin(&repository()).await, Err(UploadError::TooMany)));
    assert_eq!(storage.uploads.sweep(Duration::from_secs(3600)).await.unwrap(), 0);

    let held = storage.uploads.resume(&repository(), &last.unwrap()).await.unwrap();
    assert_eq!(storage.uploads.sweep(Duration::ZERO).await.unwrap(), 3, "all but the one in use");
    drop(held);
    assert_eq!(storage.uploads.sweep(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(staged(&dir), 0);
    assert!(storage.uploads.begin(&repository()).await.is_ok());
}

#[tokio::test]
async fn an_abandoned_upload_leaves_nothing() {
    let (dir, storage) = both().remove(0);
    drop(upload(&storage, b"abandoned").await);
    assert_eq!(staged(&dir), 0);
}

#[tokio::test]
async fn tags_are_paged_in_order_without_regard_to_case() {
    for (_dir, storage) in both() {
        let (name, digest) = (repository(), Digest::of(b"m"));
        assert!(!storage.repositories.exists(&name).await.unwrap());
        for tag in ["b", "A", "C", "1.0", "a"] {
            storage.repositories.put_tag(&name, &tag.parse().unwrap(), &digest).await.unwrap();
        }
        let page = |last, most| storage.repositories.tags(&name, last, most);
        assert_eq!(page(None, 10).await.unwrap(), ["1.0", "A", "a", "b", "C"]);
        assert_eq!(page(None, 2).await.unwrap(), ["1.0", "A"]);
        assert_eq!(page(Some("A"), 2).await.unwrap(), ["a", "b"]);
        assert_eq!(page(Some("C"), 2).await.unwrap(), Vec::<String>::new());
        let other = storage.repositories.tags(&"library".parse().unwrap(), None, 10).await;
        assert_eq!(other.unwrap(), Vec::<String>::new(), "a parent has no tags of its child");
    }
}

#[tokio::test]
async fn manifests_keep_bytes_and_media_type() {
    for (_dir, storage) in both() {
        let media_type = "application/vnd.oci.image.manifest.v1+json".parse().unwrap();
        let bytes = Bytes::from_static(b"{ }");
        let digest =
            storage.repositories.put_manifest(&repository(), &media_type, bytes.clone()).await.unwrap();
        let found = storage.repositories.manifest(&repository(), &digest).await.unwrap().unwrap();
        assert_eq!(found.media_type, media_type);
        assert_eq!(storage.blobs.read_small(&digest, 10).await.unwrap(), Some(bytes));
        assert!(storage.repositories.exists(&repository()).await.unwrap());
        let elsewhere = storage.repositories.manifest(&"other".parse().unwrap(), &digest).await;
        assert_eq!(elsewhere.unwrap(), None);
    }
}

#[tokio::test]
async fn catalog_files_change_only_when_asked() {
    for (_dir, storage) in both() {
        let name: CatalogName = "main".parse().unwrap();
        let path: CatalogPath = "targets/package/jq/2:1.6~rc1+b2-1/a=b@c.amd64".parse().unwrap();
        let put = async |content: &[u8], replace| {
            let upload = upload(&storage, content).await;
            storage.catalog.put(&name, &path, upload, replace).await.unwrap()
        };
        assert!(storage.catalog.find(&name, &path).await.unwrap().is_none());
        assert_eq!(put(b"one", Replace::Refused).await, Written::Created);
        assert_eq!(put(b"one", Replace::Refused).await, Written::Unchanged);
        assert_eq!(put(b"two", Replace::Refused).await, Written::Refused);
        let first = storage.catalog.find(&name, &path).await.unwrap().unwrap();
        assert_eq!((first.digest, first.size), (Digest::of(b"one"), 3));

        assert_eq!(put(b"twice", Replace::Allowed).await, Written::Replaced);
        assert!(storage.catalog.open(&first, 0..3).await.unwrap().is_none(), "that version is gone");
        let second = storage.catalog.find(&name, &path).await.unwrap().unwrap();
        assert_eq!((second.digest, second.size), (Digest::of(b"twice"), 5));
    }
}

#[tokio::test]
async fn catalog_files_lie_under_their_own_names() {
    let (dir, storage) = both().remove(0);
    let path: CatalogPath = "targets/2:1.6~rc1+b2-1/a=b@c".parse().unwrap();
    let upload = upload(&storage, b"x").await;
    storage.catalog.put(&"main".parse().unwrap(), &path, upload, Replace::Refused).await.unwrap();
    assert!(dir.path().join("catalog/main").join(path.as_str()).is_file());
}

#[tokio::test]
async fn a_file_is_no_directory_and_a_directory_no_file() {
    let (_dir, storage) = both().remove(0);
    let name: CatalogName = "main".parse().unwrap();
    for replace in [Replace::Refused, Replace::Allowed] {
        for (path, expect) in [("a/b", true), ("a", false), ("a/b/c", false), ("a/b/c/d", false)] {
            let path: CatalogPath = path.parse().unwrap();
            let upload = upload(&storage, b"x").await;
            let result = storage.catalog.put(&name, &path, upload, replace).await;
            assert_eq!(result.is_ok(), expect, "{path} {result:?}");
            if let Err(e) = result {
                assert!(matches!(e, plyos_blobs::StoreError::Obstructed { .. }), "{path} {e:?}");
            }
            assert_eq!(storage.catalog.find(&name, &path).await.unwrap().is_some(), expect, "{path}");
        }
    }
}
