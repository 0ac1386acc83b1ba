//! Sessions that take parts of other blobs: the extents are shared, the digest is computed all the same.

use plyos_blobs::{Algorithm, CommitError, Digest, MOST_EXTENTS, Storage, StoreError, Upload};

use crate::places::{Place, all, append, commit, content, read, repository};

const OLD: usize = 700_000;

async fn begin(storage: &Storage) -> (plyos_blobs::UploadId, Upload) {
    let id = storage.uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
    let upload = storage.uploads.resume(&repository(), &id).await.unwrap();
    (id, upload)
}

async fn copy(storage: &Storage, upload: Upload, from: &Digest, range: std::ops::Range<u64>) -> Upload {
    let recipe = storage.blobs.recipe(from).await.unwrap().unwrap();
    upload.copy(&storage.blobs, &recipe, range).await.unwrap()
}

/// New bytes, a copy, new bytes; and what they make.
async fn compose(place: &Place, middle: impl AsyncFn(plyos_blobs::UploadId, Upload) -> Upload) -> Vec<u8> {
    let storage = &place.storage;
    let old = commit(storage, &content(OLD)).await;
    let (id, upload) = begin(storage).await;
    let upload = append(upload, b"before").await;
    let upload = copy(storage, upload, &old, 1000..650_000).await;
    let upload = middle(id, upload).await;
    let upload = append(upload, b"after").await;
    let expected = [b"before", &content(OLD)[1000..650_000], b"after"].concat();
    let digest = Digest::of(&expected);
    assert_eq!(storage.blobs.commit(upload, &digest).await.unwrap().size, expected.len() as u64);
    assert!(read(storage, &digest, 0..expected.len() as u64).await == expected, "{}", place.name);
    assert!(read(storage, &digest, 3..10).await == expected[3..10], "{}", place.name);
    let recipe = storage.blobs.recipe(&digest).await.unwrap().unwrap();
    assert_eq!(recipe.extents().len(), 3);
    assert_eq!(storage.blobs.data().size(&recipe.extents()[0].data).await.unwrap(), Some(11));
    expected
}

#[tokio::test]
async fn a_blob_is_composed() {
    for place in all().await {
        compose(&place, async |_, upload| upload).await;
    }
}

#[tokio::test]
async fn a_composed_session_is_put_away_and_goes_on() {
    for place in all().await {
        let storage = place.storage.clone();
        compose(&place, async |id, upload| {
            upload.park().await.unwrap();
            storage.uploads.resume(&repository(), &id).await.unwrap()
        })
        .await;
    }
}

#[tokio::test]
async fn a_composed_session_survives_a_restart() {
    for place in all().await {
        let second = place.second().await;
        compose(&place, async |id, upload| {
            upload.park().await.unwrap();
            let upload = second.uploads.resume(&repository(), &id).await.unwrap();
            assert_eq!(upload.received(), 6 + 649_000);
            upload
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_goes_back_to_where_it_was_taken_up() {
    for length in [10, 9_000_000] {
        for place in all().await {
            let storage = &place.storage;
            let old = commit(storage, &content(OLD)).await;
            let (id, upload) = begin(storage).await;
            append(upload, b"kept").await.park().await.unwrap();
            let upload = storage.uploads.resume(&repository(), &id).await.unwrap();
            let upload = append(upload, &content(length)).await;
            let upload = copy(storage, upload, &old, 0..OLD as u64).await;
            let upload = upload.rewind().await.unwrap();
            assert_eq!(upload.received(), 4);
            let upload = append(upload, b" and more").await;
            let digest = Digest::of(b"kept and more");
            storage.blobs.commit(upload, &digest).await.unwrap();
            assert_eq!(read(storage, &digest, 0..13).await, b"kept and more", "{}", place.name);
        }
    }
}

#[tokio::test]
async fn small_blobs_are_copied_as_bytes() {
    for place in all().await {
        let storage = &place.storage;
        let old = commit(storage, b"small blob").await;
        let (_, upload) = begin(storage).await;
        let upload = copy(storage, upload, &old, 6..10).await;
        let upload = copy(storage, upload, &old, 0..6).await;
        let digest = Digest::of(b"blobsmall ");
        storage.blobs.commit(upload, &digest).await.unwrap();
        assert_eq!(read(storage, &digest, 0..10).await, b"blobsmall ");
    }
}

#[tokio::test]
async fn a_range_outside_is_refused() {
    for place in all().await {
        let storage = &place.storage;
        for length in [10, OLD] {
            let old = commit(storage, &content(length)).await;
            let recipe = storage.blobs.recipe(&old).await.unwrap().unwrap();
            let length = length as u64;
            for range in [0..length + 1, length + 1..length + 2, u64::MAX - 1..u64::MAX] {
                let upload = storage.uploads.begin_once(Algorithm::Sha256).await.unwrap();
                assert!(upload.copy(&storage.blobs, &recipe, range).await.is_err());
            }
        }
    }
}

#[tokio::test]
async fn what_went_away_before_the_commit_makes_no_blob() {
    for place in all().await {
        let storage = &place.storage;
        let old = commit(storage, &content(OLD)).await;
        let recipe = storage.blobs.recipe(&old).await.unwrap().unwrap();
        let (_, upload) = begin(storage).await;
        let upload = append(copy(storage, upload, &old, 0..OLD as u64).await, b"more").await;
        storage.blobs.data().delete(&recipe.extents()[0].data).await.unwrap();
        let digest = Digest::of(&[&content(OLD), &b"more"[..]].concat());
        let committed = storage.publish_blob(&repository(), upload, &digest).await;
        assert!(matches!(committed, Err(CommitError::Store(StoreError::SourceGone))), "{}", place.name);
        assert!(storage.blobs.confirm(&digest).await.unwrap().is_none());
    }
}

/// Bytes beyond the last part that a recipe holds must not be hashed and then be nowhere: the blob would have a right digest and wrong
/// bytes.
#[tokio::test]
async fn new_bytes_after_as_many_parts_as_may_be_are_refused() {
    let place = crate::places::memory().await;
    let storage = &place.storage;
    let (one, two) = (commit(storage, &content(OLD)).await, commit(storage, &content(OLD + 1)).await);
    let (id, mut upload) = begin(storage).await;
    let recipes = [&one, &two].map(async |digest| storage.blobs.recipe(digest).await.unwrap().unwrap());
    let [one, two] = recipes;
    let (one, two) = (one.await, two.await);
    for at in 0..MOST_EXTENTS as u64 / 2 {
        upload = upload.copy(&storage.blobs, &one, at..at + 1).await.unwrap();
        upload = upload.copy(&storage.blobs, &two, at..at + 1).await.unwrap();
    }
    upload.park().await.unwrap();
    let upload = storage.uploads.resume(&repository(), &id).await.unwrap();
    let refused = upload.append(vec![b"rest".to_vec().into()]).await;
    assert!(matches!(refused, Err(StoreError::TooManyParts)));
}

/// A power cut may leave a file of the right length with other bytes, and what was put away beside it.
#[tokio::test]
async fn what_was_put_away_with_copies_is_hashed_again_after_a_restart() {
    let place = crate::places::local().await;
    let old = commit(&place.storage, &content(OLD)).await;
    let (id, upload) = begin(&place.storage).await;
    let upload = append(upload, &content(100_000)).await;
    copy(&place.storage, upload, &old, 0..OLD as u64).await.park().await.unwrap();

    let uploads = std::fs::read_dir(place.directory.path().join("uploads")).unwrap();
    let staged = uploads.map(|entry| entry.unwrap().path()).find(|path| {
        path.extension().is_none_or(|end| end != "saved") && path.metadata().unwrap().len() == 100_000
    });
    std::fs::write(staged.unwrap(), vec![0; 100_000]).unwrap();

    let restarted = place.second().await;
    let upload = restarted.uploads.resume(&repository(), &id).await.unwrap();
    let digest = Digest::of(&[content(100_000), content(OLD)].concat());
    let committed = restarted.publish_blob(&repository(), upload, &digest).await;
    assert!(matches!(committed, Err(CommitError::Digest { .. })), "{committed:?}");
    assert!(restarted.blobs.confirm(&digest).await.unwrap().is_none());
}
