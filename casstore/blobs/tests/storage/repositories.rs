//! What repositories hold: links, manifests, tags, referrers; and which there are.

use bytes::Bytes;
use futures_util::TryStreamExt;
use plyos_blobs::{Algorithm, Digest, Expected, RepositoryName, Storage};

use crate::places::{all, repository};

async fn put_manifest(storage: &Storage, name: &RepositoryName, bytes: &'static [u8]) -> Digest {
    let media_type = "application/vnd.oci.image.manifest.v1+json".parse().unwrap();
    let bytes = Bytes::from_static(bytes);
    let data = storage.blobs.data().new_id().unwrap();
    storage.repositories.put_manifest(name, &media_type, bytes, Algorithm::Sha256, data).await.unwrap()
}

#[tokio::test]
async fn a_repository_holds_what_is_linked_to_it() {
    for place in all().await {
        let (repositories, name) = (&place.storage.repositories, repository());
        let second = place.second().await.repositories;
        let digests = Algorithm::ALL.map(|algorithm| algorithm.digest(b"x"));
        for digest in &digests {
            assert!(!repositories.linked(&name, digest).await.unwrap());
            repositories.link(&name, digest).await.unwrap();
            repositories.link(&name, digest).await.unwrap();
            assert!(repositories.linked(&name, digest).await.unwrap());
            assert!(second.linked(&name, digest).await.unwrap());
            assert!(!repositories.linked(&"library".parse().unwrap(), digest).await.unwrap());
        }
        let mut held: Vec<Digest> = repositories.links(&name).try_collect().await.unwrap();
        held.sort_unstable();
        assert_eq!(held, digests);
        repositories.unlink(&name, &digests[0]).await.unwrap();
        repositories.unlink(&name, &digests[0]).await.unwrap();
        assert!(!repositories.linked(&name, &digests[0]).await.unwrap());
        assert!(!second.confirm_link(&name, &digests[0]).await.unwrap());
        assert!(repositories.linked(&name, &digests[1]).await.unwrap());
    }
}

#[tokio::test]
async fn tags_are_paged_in_byte_order() {
    for place in all().await {
        let (repositories, name, digest) = (&place.storage.repositories, repository(), Digest::of(b"m"));
        for tag in ["b", "A", "C", "1.0", "a"] {
            let tag = tag.parse().unwrap();
            assert!(repositories.put_tag(&name, &tag, &digest, Expected::Anything).await.unwrap());
        }
        let page = |last, most| repositories.tags(&name, last, most);
        assert_eq!(page(None, 10).await.unwrap(), ["1.0", "A", "C", "a", "b"]);
        assert_eq!(page(None, 2).await.unwrap(), ["1.0", "A"]);
        assert_eq!(page(Some("A"), 2).await.unwrap(), ["C", "a"]);
        assert_eq!(page(Some("b"), 2).await.unwrap(), Vec::<String>::new());
        assert_eq!(page(None, 0).await.unwrap(), Vec::<String>::new());
        let other = repositories.tags(&"library".parse().unwrap(), None, 10).await;
        assert_eq!(other.unwrap(), Vec::<String>::new(), "a parent has no tags of its child");
    }
}

#[tokio::test]
async fn manifests_keep_bytes_and_media_type() {
    for place in all().await {
        let (storage, name) = (&place.storage, repository());
        assert!(!storage.repositories.exists(&name).await.unwrap());
        let digest = put_manifest(storage, &name, b"{ }").await;
        let found = storage.repositories.manifest(&name, &digest).await.unwrap().unwrap();
        assert_eq!(found.media_type.as_str(), "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(storage.blobs.read_small(&digest, 10).await.unwrap(), Some(Bytes::from_static(b"{ }")));
        assert!(storage.repositories.exists(&name).await.unwrap());
        let elsewhere = storage.repositories.manifest(&"other".parse().unwrap(), &digest).await;
        assert_eq!(elsewhere.unwrap(), None);
        let all: Vec<_> = storage.repositories.manifests(&name).try_collect().await.unwrap();
        assert_eq!(all, [digest]);

        let other = "application/vnd.oci.image.index.v1+json".parse().unwrap();
        let bytes = Bytes::from_static(b"{ }");
        let data = storage.blobs.data().new_id().unwrap();
        storage.repositories.put_manifest(&name, &other, bytes, Algorithm::Sha256, data).await.unwrap();
        assert_eq!(storage.repositories.manifest(&name, &digest).await.unwrap().unwrap().media_type, other);
        storage.repositories.delete_manifest(&name, &digest).await.unwrap();
        assert_eq!(storage.repositories.manifest(&name, &digest).await.unwrap(), None);
        assert!(!storage.repositories.exists(&name).await.unwrap());
    }
}

#[tokio::test]
async fn referrers_are_paged_and_filtered() {
    for place in all().await {
        let (repositories, name, subject) = (&place.storage.repositories, repository(), Digest::of(b"s"));
        let mut digests: Vec<_> = (0..6u8).map(|n| Digest::of(&[n])).collect();
        digests.push(Algorithm::Sha512.digest(b"7"));
        digests.sort_unstable();
        for (n, digest) in digests.iter().enumerate() {
            let descriptor = Bytes::from(format!("{n} {}", if n % 2 == 0 { "even" } else { "odd" }));
            repositories.put_referrer(&name, &subject, digest, descriptor).await.unwrap();
        }
        let page = async |last: Option<&Digest>, most, wanted: &str| {
            let wanted = |descriptor: &[u8]| descriptor.ends_with(wanted.as_bytes());
            let page = repositories.referrers(&name, &subject, last, (most, 1000), wanted).await.unwrap();
            (page.found.into_iter().map(|(digest, _)| digest).collect::<Vec<_>>(), page.more)
        };
        assert_eq!(page(None, 10, "").await, (digests.clone(), false));
        assert_eq!(page(None, 2, "").await, (digests[..2].to_vec(), true));
        assert_eq!(page(Some(&digests[4]), 2, "").await, (digests[5..].to_vec(), false));
        assert_eq!(page(None, 10, "odd").await, (vec![digests[1], digests[3], digests[5]], false));
        assert_eq!(page(Some(&digests[1]), 1, "odd").await.0, vec![digests[3]]);
        repositories.delete_referrer(&name, &subject, &digests[0]).await.unwrap();
        assert_eq!(page(None, 1, "").await.0, vec![digests[1]]);
    }
}

#[tokio::test]
async fn repositories_are_listed_a_page_at_a_time() {
    let sorted = ["a", "a/b", "a/b/c", "a-b", "b/c/d", "z"];
    for place in all().await {
        for name in ["z", "b/c/d", "a-b", "a/b/c", "a/b", "a"] {
            put_manifest(&place.storage, &name.parse().unwrap(), b"{}").await;
        }
        // Held blobs make no repository.
        place.storage.repositories.link(&"linked".parse().unwrap(), &Digest::of(b"x")).await.unwrap();
        let names = async |last: Option<String>, most| {
            let names = place.storage.repositories.names(last.as_deref(), most).await.unwrap();
            names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(None, 10).await, sorted, "{}", place.name);
        for most in 1..=3 {
            let mut paged: Vec<String> = Vec::new();
            loop {
                let page = names(paged.last().cloned(), most).await;
                if page.is_empty() {
                    break;
                }
                assert!(page.len() <= most);
                paged.extend(page);
            }
            assert_eq!(paged, sorted, "{} by {most}", place.name);
        }
        assert_eq!(names(Some("b".to_owned()), 10).await, ["b/c/d", "z"]);
    }
}
