//! Catalog files that are replaced under a condition, over a directory and over an object store with its own conditions.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use object_store::memory::InMemory;
use plyos_blobs::{Algorithm, CatalogName, CatalogPath, Digest, Replace, Settings, Storage, Written};
use tempfile::TempDir;

async fn storages() -> Vec<(TempDir, Storage)> {
    let (local, spools) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let here = Storage::local(local.path(), &Settings::default()).await.unwrap();
    let settings = Settings { spools: Some(spools.path().to_owned()), ..Settings::default() };
    let there = Storage::remote(Arc::new(InMemory::new()), &settings).await.unwrap();
    vec![(local, here), (spools, there)]
}

fn names() -> (CatalogName, CatalogPath) {
    ("main".parse().unwrap(), "metadata/timestamp.json".parse().unwrap())
}

async fn put(storage: &Storage, content: &'static str, replace: Replace) -> Written {
    let (name, path) = names();
    let upload = storage.uploads.begin_once(Algorithm::Sha256).await.unwrap();
    let upload = upload.append(vec![Bytes::from(content)]).await.unwrap();
    storage.catalog.put(&name, &path, upload, replace).await.unwrap()
}

async fn exchange(storage: &Storage, expected: &str, after: String) -> Written {
    let (name, path) = names();
    let expected = Digest::of(expected.as_bytes());
    storage.catalog.exchange(&name, &path, &expected, Bytes::from(after)).await.unwrap()
}

#[tokio::test]
async fn a_file_is_exchanged_only_for_what_was_seen() {
    for (_folder, storage) in storages().await {
        assert_eq!(exchange(&storage, "", "one".into()).await, Written::Stale, "there is none yet");
        assert_eq!(put(&storage, "one", Replace::Refused).await, Written::Created);
        assert_eq!(put(&storage, "two", Replace::Refused).await, Written::Refused);
        assert_eq!(exchange(&storage, "two", "three".into()).await, Written::Stale);
        assert_eq!(exchange(&storage, "one", "two".into()).await, Written::Replaced);
        assert_eq!(exchange(&storage, "one", "two".into()).await, Written::Unchanged, "the answer was lost");
        let (name, path) = names();
        let found = storage.catalog.find(&name, &path).await.unwrap().unwrap();
        assert_eq!(found.digest, Digest::of(b"two"));
    }
}

#[tokio::test]
async fn of_many_exchanges_at_once_one_wins() {
    for (_folder, storage) in storages().await {
        assert_eq!(put(&storage, "0", Replace::Refused).await, Written::Created);
        for round in 0..20 {
            let tries = (0..8).map(|n| exchange_of(&storage, round, n));
            let won =
                join_all(tries).await.into_iter().filter(|written| *written == Written::Replaced).count();
            assert_eq!(won, 1, "round {round}");
            // The next round begins with what this one left.
            let (name, path) = names();
            let found = storage.catalog.find(&name, &path).await.unwrap().unwrap();
            let left =
                (0..8).map(|n| content(round, n)).find(|text| Digest::of(text.as_bytes()) == found.digest);
            assert_eq!(exchange(&storage, &left.unwrap(), (round + 1).to_string()).await, Written::Replaced);
        }
    }
}

fn content(round: u32, n: u32) -> String {
    format!("round {round}, number {n}")
}

async fn exchange_of(storage: &Storage, round: u32, n: u32) -> Written {
    exchange(storage, &round.to_string(), content(round, n)).await
}

#[tokio::test]
async fn catalogs_are_listed() {
    for (_folder, storage) in storages().await {
        assert_eq!(storage.catalog.names(None, 10).await.unwrap(), []);
        for name in ["b", "a", "c"] {
            let path: CatalogPath = "metadata/1.root.json".parse().unwrap();
            let upload = storage.uploads.begin_once(Algorithm::Sha256).await.unwrap();
            let upload = upload.append(vec![Bytes::from("{}")]).await.unwrap();
            storage.catalog.put(&name.parse().unwrap(), &path, upload, Replace::Refused).await.unwrap();
        }
        let listed = |last, most| {
            let storage = &storage;
            async move {
                let names = storage.catalog.names(last, most).await.unwrap();
                names.iter().map(ToString::to_string).collect::<Vec<_>>()
            }
        };
        assert_eq!(listed(None, 10).await, ["a", "b", "c"]);
        assert_eq!(listed(None, 2).await, ["a", "b"]);
        assert_eq!(listed(Some("a"), 10).await, ["b", "c"]);
    }
}
