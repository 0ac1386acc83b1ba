//! What goes and what stays when nobody else is at work.

use std::time::Duration;

use plyos_blobs::{Cleaned, Digest, Names, Policy};

use crate::registry::{at_once, both, layer, local, manifest, memory, name};

#[tokio::test]
async fn what_no_manifest_names_goes_and_the_rest_stays() {
    for registry in both().await {
        let (kept, lost) = (registry.push("a/b", &layer(1)).await, registry.push("a/b", &layer(2)).await);
        // Held by two repositories, of which one needs it.
        assert_eq!(registry.push("other", &layer(1)).await, kept);
        let (small, small_lost) =
            (registry.push("a/b", b"config").await, registry.push("a/b", b"draft").await);
        let image = registry.push_manifest("a/b", &manifest("", &[small, kept]), Some("v1")).await;

        let cleaned = registry.storage.clean(&at_once()).await.unwrap();
        let expected = Cleaned { links: 3, blobs: 2, ..Cleaned::default() };
        assert_eq!((cleaned.links, cleaned.blobs, cleaned.manifests), (expected.links, expected.blobs, 0));
        // The bytes of `lost`, and one of the two copies of `kept`, of which one stood in a recipe at a time.
        assert_eq!((cleaned.data, cleaned.bytes), (2, 240_000), "{cleaned:?}");
        assert!(cleaned.unjudged.is_empty());

        for (digest, content) in [(kept, layer(1)), (small, b"config".to_vec())] {
            assert!(registry.read(&digest).await.unwrap() == content);
        }
        assert!(registry.read(&image).await.is_some());
        for gone in [lost, small_lost] {
            assert!(registry.read(&gone).await.is_none());
        }
        assert!(!registry.second().await.repositories.linked(&name("other"), &kept).await.unwrap());
        assert_eq!(registry.keys("data").await.len(), 1);
        // Nothing is left of claims and tombstones, and nothing more to do.
        assert_eq!(registry.keys("claims").await, [""; 0]);
        assert_eq!(registry.keys("condemned").await, [""; 0]);
        assert_eq!(registry.storage.clean(&at_once()).await.unwrap(), Cleaned::default());
    }
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_what_is_young_is_left_alone() {
    for registry in both().await {
        registry.push("a", &layer(1)).await;
        let before = registry.keys("").await;
        let would = registry.storage.clean(&Policy { dry_run: true, ..at_once() }).await.unwrap();
        assert_eq!((would.links, would.blobs, would.data), (1, 0, 0));
        let young = registry.storage.clean(&Policy::default()).await.unwrap();
        assert_eq!(young, Cleaned::default());
        assert_eq!(registry.keys("").await, before);
    }
}

#[tokio::test]
async fn what_is_claimed_stays_until_the_claim_is_given_up() {
    for registry in both().await {
        let blob = registry.push("a", &layer(1)).await;
        let other = registry.second().await;
        let names = Names::new().link(&name("a"), &blob);
        let claim = other.claims.claim(names).await.unwrap();
        assert_eq!(registry.storage.clean(&at_once()).await.unwrap(), Cleaned::default());
        // Publishing nothing gives it up for certain; dropping does so in the background.
        claim.publish(async { Ok::<_, plyos_blobs::StoreError>(()) }).await.unwrap();
        let cleaned = registry.storage.clean(&at_once()).await.unwrap();
        assert_eq!((cleaned.links, cleaned.blobs, cleaned.data), (1, 1, 1));
    }
}

#[tokio::test]
async fn many_names_are_gone_through_in_parts() {
    let registry = memory().await;
    let kept = registry.push("a", b"kept").await;
    registry.push_manifest("a", &manifest("", &[kept]), Some("v1")).await;
    for n in 0..60u32 {
        registry.push("a", &n.to_le_bytes()).await;
    }
    let cleaned = registry.storage.clean(&Policy { most_candidates: 7, ..at_once() }).await.unwrap();
    assert_eq!((cleaned.links, cleaned.blobs), (60, 60));
    assert!(registry.read(&kept).await.is_some());
}

#[tokio::test]
async fn what_cannot_be_read_may_need_everything() {
    for registry in both().await {
        let part = registry.push("a", &layer(1)).await;
        let unneeded = registry.push("b", b"unneeded").await;
        let image = registry.push_manifest("a", &manifest("", &[part]), Some("v1")).await;
        registry.remove(&format!("blobs/sha256/{}", image.hex())).await;

        let cleaned = registry.storage.clean(&at_once()).await.unwrap();
        assert_eq!(cleaned.unjudged.len(), 1, "{cleaned:?}");
        assert!(cleaned.unjudged[0].contains(&image.to_string()) && cleaned.unjudged[0].contains("gone"));
        // Nothing of that repository, but what others have.
        assert_eq!((cleaned.links, cleaned.blobs), (1, 1));
        assert!(registry.read(&part).await.is_some() && registry.read(&unneeded).await.is_none());

        // A recipe that cannot be read may need any data.
        registry.overwrite(&format!("blobs/sha256/{}", Digest::of(b"x").hex()), &[0; 96]).await;
        registry.overwrite("data/00000000000000000000000000000000", b"unneeded").await;
        let cleaned = registry.storage.clean(&Policy { grace: Duration::from_secs(3600), ..at_once() }).await;
        assert_eq!(cleaned.unwrap().data, 0);
        let cleaned = registry.storage.clean(&at_once()).await.unwrap();
        assert_eq!((cleaned.data, cleaned.blobs), (1, 1), "the strange recipe is one that nobody needs");
    }
}

#[tokio::test]
async fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
    let registry = memory().await;
    let id = "00112233445566778899aabbccddeeff";
    for prefix in ["claims", "condemned"] {
        registry.overwrite(&format!("{prefix}/{id}"), b"plyos-marks-1 0 0\n").await;
        registry.overwrite(&format!("{prefix}/ff{}", &id[2..]), b"plyos-marks-1 3600 0\n").await;
    }
    tokio::time::sleep(Duration::from_millis(5)).await;
    let cleaned = registry.storage.clean(&at_once()).await.unwrap();
    assert_eq!(cleaned.leftovers, 2);
    let left = [registry.keys("claims").await, registry.keys("condemned").await].concat();
    assert_eq!(left, [format!("claims/ff{}", &id[2..]), format!("condemned/ff{}", &id[2..])]);

    // One that cannot be read may claim anything.
    registry.push("a", b"garbage").await;
    registry.overwrite(&format!("claims/{id}"), b"plyos-marks-9 0 0\n").await;
    assert!(registry.storage.clean(&at_once()).await.unwrap_err().to_string().contains("claims/"));
    assert!(registry.read(&Digest::of(b"garbage")).await.is_some());
}

/// A power cut leaves such ones where writes are not flushed; nobody may be kept from pushing for longer than a clean-up decides.
#[tokio::test]
async fn a_tombstone_that_cannot_be_read_keeps_nobody_waiting_for_ever() {
    let registry = local().await;
    let key = "condemned/00112233445566778899aabbccddeeff";
    registry.overwrite(key, b"").await;
    let push = registry.push("a", b"x");
    assert!(tokio::time::timeout(Duration::from_millis(500), push).await.is_err(), "it may name anything");

    let file = std::fs::File::options().write(true).open(registry.path(key)).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(2 * 3600)).unwrap();
    registry.push("a", b"x").await;
}

/// Manifests too large for a recipe become data objects, which a clean-up without grace must not take before their recipe stands.
#[tokio::test]
async fn what_a_manifest_will_be_made_of_is_claimed() {
    let registry = memory().await;
    let storage = &registry.storage;
    let data = storage.blobs.data().new_id().unwrap();
    let claim = storage.claims.claim(Names::new().data(&data)).await.unwrap();
    storage.blobs.data().put(&data, vec![1; 70_000].into()).await.unwrap();
    assert_eq!(storage.clean(&at_once()).await.unwrap().data, 0);
    drop(claim);
}

/// A clean-up counts every digest in a manifest as a reference, so whoever writes one has claimed them all: also its subject, and what
/// stands in an annotation.
#[tokio::test]
async fn a_claim_on_a_manifest_names_all_that_it_names() {
    let registry = memory().await;
    let mentioned = registry.push("a", &layer(1)).await;
    let text = format!(r#"{{"annotations":{{"see":"{mentioned}"}}}}"#);
    let names = Names::new().named_by(&name("a"), text.as_bytes());
    let claim = registry.storage.claims.claim(names).await.unwrap();
    let cleaned = registry.storage.clean(&at_once()).await.unwrap();
    assert_eq!((cleaned.links, cleaned.blobs), (0, 0));
    drop(claim);
}

#[tokio::test]
async fn what_lies_in_the_storage_is_counted() {
    for registry in both().await {
        registry.push("a", b"in its recipe").await;
        registry.push("a", &layer(1)).await;
        let found = registry.storage.footprint().await.unwrap();
        assert_eq!((found.blobs, found.data_objects, found.data_bytes), (2, 1, layer(1).len() as u64));
    }
}
