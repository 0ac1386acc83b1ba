//! Manifests that no tag, index or subject keeps.

use std::time::Duration;

use plyos_blobs::Policy;

use crate::registry::{at_once, both, index, manifest, name};

fn policy() -> Policy {
    Policy { untagged: Some(Duration::ZERO), ..at_once() }
}

#[tokio::test]
async fn tags_indexes_and_subjects_keep_manifests_and_all_below_them() {
    for registry in both().await {
        let [part, lost] = [registry.push("a", b"part").await, registry.push("a", b"lost").await];
        let amd = registry.push_manifest("a", &manifest(r#""n":1,"#, &[part]), None).await;
        let arm = registry.push_manifest("a", &manifest(r#""n":2,"#, &[part]), None).await;
        let inner = registry.push_manifest("a", &index(&[arm]), None).await;
        let outer = registry.push_manifest("a", &index(&[amd, inner]), Some("v1")).await;
        // A signature of something that an index keeps, and a signature of the signature.
        let signature = registry.push_about("a", &[part], arm).await;
        let counter = registry.push_about("a", &[part], signature).await;
        // Kept by nothing: an old image, its signature, a signature of nothing that is here.
        let old = registry.push_manifest("a", &manifest(r#""n":5,"#, &[lost]), None).await;
        let of_old = registry.push_about("a", &[lost], old).await;
        let of_nothing = registry.push_about("a", &[lost], plyos_blobs::Digest::of(b"")).await;

        // Without the policy nothing goes.
        assert_eq!(registry.storage.clean(&at_once()).await.unwrap().manifests, 0);
        let later = Policy { untagged: Some(Duration::from_secs(3600)), ..at_once() };
        assert_eq!(registry.storage.clean(&later).await.unwrap().manifests, 0);

        let cleaned = registry.storage.clean(&policy()).await.unwrap();
        assert_eq!(cleaned.manifests, 3, "{cleaned:?}");
        let repositories = registry.second().await.repositories;
        for kept in [amd, arm, inner, outer, signature, counter] {
            assert!(repositories.manifest(&name("a"), &kept).await.unwrap().is_some());
            assert!(registry.read(&kept).await.is_some());
        }
        for gone in [old, of_old, of_nothing] {
            assert!(repositories.manifest(&name("a"), &gone).await.unwrap().is_none());
            assert!(registry.read(&gone).await.is_none());
        }
        // What only these needed went in the same run: a link and two entries below subjects, five blobs with the manifests' own.
        assert_eq!((cleaned.links, cleaned.blobs), (3, 4));
        assert!(registry.read(&lost).await.is_none() && registry.read(&part).await.is_some());
        let entries = registry.keys("repositories/a/_referrers").await;
        assert_eq!(entries.len(), 2, "{entries:?}");
        assert_eq!(registry.storage.clean(&policy()).await.unwrap(), plyos_blobs::Cleaned::default());
    }
}

#[tokio::test]
async fn a_tag_that_moves_on_lets_the_image_go() {
    for registry in both().await {
        let part = registry.push("a", b"part").await;
        let first = registry.push_manifest("a", &manifest(r#""n":1,"#, &[part]), Some("latest")).await;
        let second = registry.push_manifest("a", &manifest(r#""n":2,"#, &[part]), Some("latest")).await;
        let cleaned = registry.storage.clean(&policy()).await.unwrap();
        assert_eq!((cleaned.manifests, cleaned.links), (1, 0));
        assert!(registry.read(&first).await.is_none() && registry.read(&second).await.is_some());
    }
}

/// It may have named any manifest, so none of its repository goes; everything else is cleaned all the same.
#[tokio::test]
async fn a_damaged_tag_keeps_its_repository_and_nothing_else() {
    for registry in both().await {
        for repository in ["a", "b"] {
            let part = registry.push(repository, repository.as_bytes()).await;
            registry.push_manifest(repository, &manifest(r#""n":1,"#, &[part]), Some("latest")).await;
            registry.push_manifest(repository, &manifest(r#""n":2,"#, &[part]), Some("latest")).await;
        }
        registry.push("b", b"garbage").await;
        registry.overwrite("repositories/a/_tags/latest", &[0xff; 600]).await;
        let cleaned = registry.storage.clean(&policy()).await.unwrap();
        assert_eq!((cleaned.manifests, cleaned.links), (1, 1), "{cleaned:?}");
        assert!(cleaned.unjudged.iter().any(|why| why.contains("latest")), "{:?}", cleaned.unjudged);
    }
}
