//! Catalog files: put, replaced, refused.

use plyos_blobs::{CatalogName, CatalogPath, Digest, Replace, Written};

use crate::places::{all, content, local, upload};

#[tokio::test]
async fn catalog_files_change_only_when_asked() {
    for place in all().await {
        let storage = &place.storage;
        let name: CatalogName = "main".parse().unwrap();
        let path: CatalogPath = "targets/package/jq/2:1.6~rc1+b2-1/a=b@c.amd64".parse().unwrap();
        let put = async |content: &[u8], replace| {
            let upload = upload(storage, content).await;
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
    let place = local().await;
    let storage = &place.storage;
    let path: CatalogPath = "targets/2:1.6~rc1+b2-1/a=b@c".parse().unwrap();
    let upload = upload(storage, b"x").await;
    storage.catalog.put(&"main".parse().unwrap(), &path, upload, Replace::Refused).await.unwrap();
    assert!(place.directory.path().join("catalog/main").join(path.as_str()).is_file());
}

#[tokio::test]
async fn a_file_is_no_directory_and_a_directory_no_file() {
    let place = local().await;
    let storage = &place.storage;
    let name: CatalogName = "main".parse().unwrap();
    for replace in [Replace::Refused, Replace::Allowed] {
        for (path, expect) in [("a/b", true), ("a", false), ("a/b/c", false), ("a/b/c/d", false)] {
            let path: CatalogPath = path.parse().unwrap();
            let upload = upload(storage, b"x").await;
            let result = storage.catalog.put(&name, &path, upload, replace).await;
            assert_eq!(result.is_ok(), expect, "{path} {result:?}");
            if let Err(e) = result {
                assert!(matches!(e, plyos_blobs::StoreError::Obstructed { .. }), "{path} {e:?}");
            }
            assert_eq!(storage.catalog.find(&name, &path).await.unwrap().is_some(), expect, "{path}");
        }
    }
}

#[tokio::test]
async fn large_catalog_files_come_in_parts() {
    let content = content(20_000_000);
    for place in all().await {
        let storage = &place.storage;
        let (name, path): (CatalogName, CatalogPath) =
            ("main".parse().unwrap(), "targets/x".parse().unwrap());
        for (replace, written) in
            [(Replace::Refused, Written::Created), (Replace::Allowed, Written::Unchanged)]
        {
            let upload = upload(storage, &content).await;
            assert_eq!(storage.catalog.put(&name, &path, upload, replace).await.unwrap(), written);
        }
        let upload = upload(storage, &content[1..]).await;
        let put = storage.catalog.put(&name, &path, upload, Replace::Allowed).await;
        assert_eq!(put.unwrap(), Written::Replaced, "{}", place.name);
        let found = storage.catalog.find(&name, &path).await.unwrap().unwrap();
        assert_eq!((found.digest, found.size), (Digest::of(&content[1..]), 19_999_999));
    }
}
