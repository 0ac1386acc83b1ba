//! What a check finds, and what a repair leaves for a push to bring again.

use plyos_blobs::{Checked, Depth, Finding};

use crate::registry::{both, layer, manifest, name, push};

fn only(checked: &Checked) -> &Finding {
    assert_eq!(checked.findings.len(), 1, "{checked:?}");
    &checked.findings[0]
}

#[tokio::test]
async fn what_is_whole_has_no_findings() {
    for registry in both().await {
        let (part, config) = (registry.push("a", &layer(1)).await, registry.push("a", b"config").await);
        registry.push_manifest("a", &manifest("", &[config, part]), Some("v1")).await;
        registry.push("b/c", &layer(1)).await;
        for depth in [Depth::Lengths, Depth::Bytes] {
            let checked = registry.storage.check(depth, |_| ()).await.unwrap();
            assert!(checked.findings.is_empty(), "{checked:?}");
            assert_eq!((checked.repositories, checked.manifests, checked.tags, checked.blobs), (2, 1, 1, 3));
            assert!(checked.bytes > 120_000);
        }
    }
}

#[tokio::test]
async fn changed_bytes_are_found_by_a_full_check_and_pushed_again() {
    for registry in both().await {
        let part = registry.push("a", &layer(1)).await;
        let image = registry.push_manifest("a", &manifest("", &[part]), Some("v1")).await;
        let mut changed = layer(1);
        changed[70_000] ^= 1;
        registry.overwrite(&registry.data_of(&layer(1)).await, &changed).await;

        let lengths = registry.storage.check(Depth::Lengths, |_| ()).await.unwrap();
        assert!(lengths.findings.is_empty());
        let full = registry.storage.check(Depth::Bytes, |_| ()).await.unwrap();
        let Finding { what, why, needed_by, removed } = only(&full);
        assert_eq!((what, removed), (&part.to_string(), &false));
        assert!(why.contains("its bytes are those of"), "{why}");
        assert_eq!(needed_by, &["a".to_owned(), format!("a@{image}")]);

        let repaired = registry.storage.repair(Depth::Bytes, |_| ()).await.unwrap();
        assert!(only(&repaired).removed);
        let other = registry.second().await;
        assert!(!other.repositories.linked(&name("a"), &part).await.unwrap());
        assert!(registry.read(&part).await.is_none());
        // The manifest is still there, and whole once its part has come again.
        let missing = registry.storage.check(Depth::Bytes, |_| ()).await.unwrap();
        assert_eq!(only(&missing).why, "it is gone");
        registry.push("a", &layer(1)).await;
        assert!(registry.storage.check(Depth::Bytes, |_| ()).await.unwrap().findings.is_empty());
        assert!(registry.read(&part).await.unwrap() == layer(1));
    }
}

#[tokio::test]
async fn what_is_gone_or_cut_short_is_found_without_reading_all() {
    for registry in both().await {
        let parts = [registry.push("a", &layer(1)).await, registry.push("a", &layer(2)[..100_000]).await];
        let config = registry.push("a", b"config").await;
        let image =
            registry.push_manifest("a", &manifest("", &[parts[0], parts[1], config]), Some("v1")).await;
        registry.remove(&registry.data_of(&layer(1)).await).await;
        registry.overwrite(&registry.data_of(&layer(2)[..100_000]).await, b"short").await;
        registry.remove(&format!("blobs/sha256/{}", config.hex())).await;

        let checked = registry.storage.check(Depth::Lengths, |_| ()).await.unwrap();
        let mut found: Vec<_> = checked.findings.iter().map(|finding| finding.what.clone()).collect();
        found.sort();
        let mut expected = [parts[0], parts[1], config].map(|digest| digest.to_string());
        expected.sort();
        assert_eq!(found, expected);
        for finding in &checked.findings {
            assert!(finding.needed_by.contains(&format!("a@{image}")), "{finding:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_manifest_is_found_by_its_tag_and_can_be_pushed_again() {
    for registry in both().await {
        let part = registry.push("a", b"part").await;
        let text = manifest("", &[part]);
        let image = registry.push_manifest("a", &text, Some("v1")).await;
        registry.overwrite(&format!("blobs/sha256/{}", image.hex()), b"nonsense").await;
        let checked = registry.storage.repair(Depth::Lengths, |_| ()).await.unwrap();
        let finding = only(&checked);
        assert_eq!((&finding.what, finding.removed), (&image.to_string(), true));
        assert!(finding.needed_by.contains(&format!("a@{image}")), "{finding:?}");

        // Now the tag names nothing, and goes.
        let tag = registry.storage.repair(Depth::Lengths, |_| ()).await.unwrap();
        assert_eq!(only(&tag).needed_by, ["a:v1"]);
        assert!(only(&tag).removed);
        assert_eq!(registry.second().await.repositories.tags(&name("a"), None, 9).await.unwrap(), [""; 0]);
        assert!(registry.storage.check(Depth::Bytes, |_| ()).await.unwrap().findings.is_empty());
        assert_eq!(registry.push_manifest("a", &text, Some("v1")).await, image);
        assert!(registry.storage.check(Depth::Bytes, |_| ()).await.unwrap().findings.is_empty());
    }
}

#[tokio::test]
async fn a_manifest_whose_part_was_taken_from_its_repository_is_found() {
    for registry in both().await {
        let part = registry.push("a", b"part").await;
        let image = registry.push_manifest("a", &manifest("", &[part]), Some("v1")).await;
        registry.storage.repositories.unlink(&name("a"), &part).await.unwrap();
        let checked = registry.storage.repair(Depth::Lengths, |_| ()).await.unwrap();
        let finding = only(&checked);
        assert_eq!((finding.needed_by.clone(), finding.removed), (vec![format!("a@{image}")], false));
        assert!(finding.why.contains("does not hold"));
        push(&registry.storage, &name("a"), b"part").await.unwrap();
        assert!(registry.storage.check(Depth::Bytes, |_| ()).await.unwrap().findings.is_empty());
    }
}
