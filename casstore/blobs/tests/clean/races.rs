//! Pushes and deletes on three servers while two clean-ups run over and over, with no grace at all. The model in `tests/model` walks every order;
//! this runs the real code in some.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use plyos_blobs::{CommitError, Depth, Digest, Policy, Storage, StoreError};

use crate::registry::{Registry, at_once, layer, local, manifest, memory, name, push, push_manifest};

/// Images of each writer.
const ROUNDS: u32 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_stays_whole_in_memory() {
    run(memory().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_stays_whole_on_disk() {
    run(local().await).await;
}

async fn run(registry: Registry) {
    let done = Arc::new(AtomicBool::new(false));
    let deleted = Arc::new(AtomicU64::new(0));
    let mut cleaners = Vec::new();
    for _ in 0..2 {
        let (storage, done, deleted) = (registry.second().await, Arc::clone(&done), Arc::clone(&deleted));
        cleaners.push(tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                let cleaned =
                    storage.clean(&Policy { untagged: Some(Duration::ZERO), ..at_once() }).await.unwrap();
                deleted.fetch_add(cleaned.blobs, Ordering::Relaxed);
                // A manifest or recipe that another clean-up deletes while it is read cannot be told from a damaged one.
                tokio::task::yield_now().await;
            }
        }));
    }
    let mut writers = Vec::new();
    for who in 0..3 {
        writers.push(tokio::spawn(write(registry.second().await, who)));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    for cleaner in cleaners {
        cleaner.await.unwrap();
    }
    let storage = registry.second().await;
    let checked = storage.check(Depth::Bytes, |_| ()).await.unwrap();
    assert!(checked.findings.is_empty(), "{checked:?}");
    // Each writer's last image, and nothing that they deleted.
    storage.clean(&at_once()).await.unwrap();
    for who in 0..3 {
        let digest =
            storage.repositories.tag(&name("shared"), &format!("w{who}").parse().unwrap()).await.unwrap();
        assert!(storage.repositories.manifest(&name("shared"), &digest.unwrap()).await.unwrap().is_some());
    }
    assert!(deleted.load(Ordering::Relaxed) > 0, "the clean-ups had nothing to do");
    assert_eq!(registry.keys("claims").await, [""; 0]);
    assert_eq!(registry.keys("condemned").await, [""; 0]);
}

/// Pushes images that share layers with those of others, under a tag that moves on, so that old ones become garbage at once.
async fn write(storage: Storage, who: u32) {
    let repository = name("shared");
    for round in 0..ROUNDS {
        let shared = layer(round % 3);
        let own = layer(1000 + who * ROUNDS + round);
        let text =
            manifest(&format!(r#""n":{round},"who":{who},"#), &[Digest::of(&shared), Digest::of(&own)]);
        let tag = format!("w{who}");
        let mut tries = 0;
        // With no grace, a clean-up may rightly take a layer before its manifest comes; then the client pushes it again.
        while try_push(&storage, &repository, &[&shared, &own], &text, &tag).await.is_none() {
            tries += 1;
            assert!(tries < 1000, "image {round} of writer {who} never got through");
        }
        // What was acknowledged can be had, whole.
        for bytes in [&shared, &own] {
            let read = storage.blobs.read_small(&Digest::of(bytes), 1 << 20).await.unwrap();
            assert!(read.is_some_and(|read| read == bytes[..]), "image {round} of writer {who}");
        }
    }
}

/// None if the image has to be pushed again.
async fn try_push(
    storage: &Storage,
    repository: &plyos_blobs::RepositoryName,
    layers: &[&Vec<u8>],
    text: &str,
    tag: &str,
) -> Option<Digest> {
    for bytes in layers {
        match push(storage, repository, bytes).await {
            Ok(_) => {}
            Err(CommitError::Store(StoreError::Condemned)) => return None,
            Err(e) => panic!("{e}"),
        }
    }
    match push_manifest(storage, repository, text, Some(tag), None).await {
        Ok(pushed) => pushed,
        Err(StoreError::Condemned) => None,
        Err(e) => panic!("{e}"),
    }
}
