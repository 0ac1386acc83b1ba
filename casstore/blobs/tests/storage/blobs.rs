//! Blobs: in, out, small, large, wrong, damaged.

use bytes::Bytes;
use futures_util::TryStreamExt;
use plyos_blobs::{Algorithm, CommitError, Digest, StoreError};

use crate::places::{all, append, bucket, commit, content, local, read, staged, upload};

#[tokio::test]
async fn a_blob_goes_in_and_out() {
    // More than one piece when read, and more than one part of a bucket's object.
    let content = content(19_000_000);
    let digest = Digest::of(&content);
    for place in all().await {
        let storage = &place.storage;
        assert_eq!(storage.blobs.find(&digest).await.unwrap(), None);
        assert!(storage.blobs.open(&digest, 0..1).await.unwrap().is_none());
        let upload = upload(storage, &content).await;
        assert_eq!(storage.blobs.commit(upload, &digest).await.unwrap().size, 19_000_000);

        assert_eq!(storage.blobs.find(&digest).await.unwrap().map(|stat| stat.size), Some(19_000_000));
        assert!(read(storage, &digest, 0..19_000_000).await == content, "{}", place.name);
        for range in [0..0, 0..1, 262_140..600_000, 18_999_999..19_000_000] {
            let bytes = read(storage, &digest, range.clone()).await;
            assert!(bytes == content[range.start as usize..range.end as usize], "{} {range:?}", place.name);
        }
        let all: Vec<_> = storage.blobs.list().map_ok(|(digest, _)| digest).try_collect().await.unwrap();
        assert_eq!(all, [digest]);
        assert_eq!(storage.blobs.data().list().try_collect::<Vec<_>>().await.unwrap().len(), 1);
        assert_eq!(staged(&place.directory), 0);
        storage.blobs.delete(&digest).await.unwrap();
        assert!(storage.blobs.find(&digest).await.unwrap().is_none());
        storage.blobs.delete(&digest).await.unwrap();
    }
}

#[tokio::test]
async fn small_blobs_lie_in_their_recipes() {
    for place in all().await {
        let storage = &place.storage;
        for (length, objects) in [(0, 0), (1, 0), (65_536, 0), (65_537, 1)] {
            let digest = commit(storage, &content(length)).await;
            let length = length as u64;
            assert_eq!(storage.blobs.find(&digest).await.unwrap().map(|stat| stat.size), Some(length));
            assert!(read(storage, &digest, 0..length).await == content(length as usize));
            assert_eq!(storage.blobs.recipe(&digest).await.unwrap().unwrap().extents().len(), objects);
            let data = storage.blobs.data().list().try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(data.len(), objects, "{} {length}", place.name);
        }
    }
}

#[tokio::test]
async fn both_algorithms_name_blobs() {
    let content = content(100_000);
    for place in all().await {
        let storage = &place.storage;
        let digest = Algorithm::Sha512.digest(&content);
        // Told at the beginning, and only at the end.
        for begun in Algorithm::ALL {
            let upload = storage.uploads.begin_once(begun).await.unwrap();
            let upload = append(upload, &content).await;
            assert_eq!(storage.blobs.commit(upload, &digest).await.unwrap().size, 100_000);
            assert!(read(storage, &digest, 0..100_000).await == content, "{} {begun}", place.name);
            storage.blobs.delete(&digest).await.unwrap();
        }
        let wrong = Algorithm::Sha512.digest(b"other");
        let result = storage.blobs.commit(upload(storage, &content).await, &wrong).await;
        assert!(matches!(result, Err(CommitError::Digest { actual, .. }) if *actual == digest));
        assert!(storage.blobs.find(&wrong).await.unwrap().is_none());
        let digest = {
            let data = storage.blobs.data().new_id().unwrap();
            storage.blobs.put_small(Bytes::from_static(b"x"), Algorithm::Sha512, data).await.unwrap()
        };
        assert_eq!(read(storage, &digest, 0..1).await, b"x");
    }
}

#[tokio::test]
async fn wrong_content_is_dropped() {
    for length in [5, 100_000, 9_000_000] {
        let content = content(length);
        for place in all().await {
            let storage = &place.storage;
            let result =
                storage.blobs.commit(upload(storage, &content).await, &Digest::of(b"promised")).await;
            assert!(matches!(result, Err(CommitError::Digest { .. })));
            assert!(storage.blobs.find(&Digest::of(&content)).await.unwrap().is_none());
            assert!(storage.blobs.data().list().try_next().await.unwrap().is_none(), "{}", place.name);
            assert_eq!(staged(&place.directory), 0);
        }
    }
}

#[tokio::test]
async fn pushing_again_repairs_a_damaged_blob() {
    let place = local().await;
    let storage = &place.storage;
    let digest = commit(storage, b"content").await;
    let path = place.directory.path().join("blobs/sha256").join(digest.hex());
    let mut recipe = std::fs::read(&path).unwrap();
    *recipe.last_mut().unwrap() ^= 1;
    std::fs::write(&path, recipe).unwrap();
    let second = place.second().await;
    assert!(matches!(second.blobs.find(&digest).await, Err(StoreError::Recipe { .. })));
    commit(storage, b"content").await;
    assert_eq!(read(&second, &digest, 0..7).await, b"content");
}

#[tokio::test]
async fn a_data_object_that_became_shorter_is_damage() {
    let place = local().await;
    let digest = commit(&place.storage, &content(600_000)).await;
    let data = std::fs::read_dir(place.directory.path().join("data")).unwrap().next().unwrap().unwrap();
    std::fs::OpenOptions::new().write(true).open(data.path()).unwrap().set_len(599_999).unwrap();
    let opened = place.storage.blobs.open(&digest, 0..600_000).await;
    assert!(matches!(opened, Err(StoreError::Damaged { .. })));
    assert!(read(&place.storage, &digest, 0..599_999).await == content(600_000)[..599_999]);
}

#[tokio::test]
async fn storage_of_another_layout_is_refused() {
    let place = local().await;
    commit(&place.storage, b"x").await;
    let open = async || {
        let (options, settings) = (Default::default(), Default::default());
        let location = place.directory.path().to_str().unwrap();
        plyos_blobs::Storage::open(location, &options, &settings).await.map(drop)
    };
    open().await.unwrap();
    std::fs::write(place.directory.path().join("layout"), "plyos-registry 3\n").unwrap();
    assert!(matches!(open().await, Err(StoreError::Layout)));
    std::fs::remove_file(place.directory.path().join("layout")).unwrap();
    assert!(matches!(open().await, Err(StoreError::Layout)), "written before there were layouts");
}

#[tokio::test]
async fn a_bucket_keeps_under_its_prefix() {
    let place = bucket().await;
    let digest = commit(&place.storage, &content(100_000)).await;
    let keys = place.bucket().unwrap().keys();
    assert!(keys.iter().all(|key| key.starts_with("some/prefix/")), "{keys:?}");
    assert!(keys.contains(&format!("some/prefix/blobs/sha256/{}", digest.hex())), "{keys:?}");
}

#[tokio::test]
async fn what_is_not_wanted_leaves_no_parts() {
    let place = bucket().await;
    let (storage, content) = (&place.storage, content(9_000_000));
    let wrong = storage.blobs.commit(upload(storage, &content).await, &Digest::of(b"promised")).await;
    assert!(wrong.is_err());
    assert_eq!(place.bucket().unwrap().unfinished(), 0, "wrong content");
    upload(storage, &content).await.discard().await.unwrap();
    assert_eq!(place.bucket().unwrap().unfinished(), 0, "cancelled");
    commit(storage, &content).await;
    assert_eq!(place.bucket().unwrap().unfinished(), 0, "committed");
}
