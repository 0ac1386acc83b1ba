//! Upload sessions on one server: kept, resumed, held by one, limited, swept.

use std::time::Duration;

use bytes::Bytes;
use plyos_blobs::{Algorithm, Digest, UploadError};

use crate::places::{all, append, content, local, read, repository, staged, upload};

#[tokio::test]
async fn an_upload_survives_a_restart() {
    for place in all().await {
        let storage = &place.storage;
        let id = storage.uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
        let upload = storage.uploads.resume(&repository(), &id).await.unwrap();
        let first = upload.append(vec![Bytes::from_static(b"first ")]).await.unwrap();
        first.park().await.unwrap();

        let restarted = place.second().await;
        let upload = restarted.uploads.resume(&repository(), &id).await.unwrap();
        assert_eq!(upload.received(), 6);
        let upload =
            upload.append(vec![Bytes::from_static(b"sec"), Bytes::from_static(b"ond")]).await.unwrap();
        restarted.blobs.commit(upload, &Digest::of(b"first second")).await.unwrap();
        let again = restarted.uploads.resume(&repository(), &id).await;
        assert!(matches!(again, Err(UploadError::Unknown)));
    }
}

#[tokio::test]
async fn what_came_before_a_request_was_dropped_is_kept() {
    let content = content(11_000_000);
    for place in all().await {
        let storage = &place.storage;
        let id = storage.uploads.begin(&repository(), Algorithm::Sha512).await.unwrap();
        for portion in content.chunks(3_000_000) {
            let upload = storage.uploads.resume(&repository(), &id).await.unwrap();
            drop(append(upload, portion).await);
        }
        let upload = storage.uploads.resume(&repository(), &id).await.unwrap();
        assert_eq!(
            (upload.received(), upload.algorithm()),
            (11_000_000, Algorithm::Sha512),
            "{}",
            place.name
        );
        let digest = Algorithm::Sha512.digest(&content);
        storage.blobs.commit(upload, &digest).await.unwrap();
        assert!(read(storage, &digest, 0..11_000_000).await == content, "{}", place.name);
    }
}

#[tokio::test]
async fn an_upload_belongs_to_its_repository() {
    for place in all().await {
        let uploads = &place.storage.uploads;
        let id = uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
        let other = "library/other".parse().unwrap();
        assert!(matches!(uploads.resume(&other, &id).await, Err(UploadError::Unknown)));
        assert!(uploads.resume(&repository(), &id).await.is_ok());
    }
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    for place in all().await {
        let uploads = &place.storage.uploads;
        let id = uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
        let upload = uploads.resume(&repository(), &id).await.unwrap();
        append(upload, &content(9_000_000)).await.discard().await.unwrap();
        assert!(matches!(uploads.resume(&repository(), &id).await, Err(UploadError::Unknown)));
        assert_eq!(staged(&place.directory), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_has_one_writer() {
    let place = local().await;
    let uploads = &place.storage.uploads;
    let id = uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
    let held = uploads.resume(&repository(), &id).await.unwrap();
    assert!(matches!(uploads.resume(&repository(), &id).await, Err(UploadError::Busy)));
    drop(held);
    assert!(uploads.resume(&repository(), &id).await.is_ok());
}

#[tokio::test]
async fn sessions_are_limited_and_swept() {
    let place = local().await;
    let uploads = &place.storage.uploads;
    let mut last = None;
    for _ in 0..4 {
        last = Some(uploads.begin(&repository(), Algorithm::Sha256).await.unwrap());
    }
    assert!(matches!(uploads.begin(&repository(), Algorithm::Sha256).await, Err(UploadError::TooMany)));
    assert_eq!(uploads.sweep(Duration::from_secs(3600)).await.unwrap(), 0);

    let held = uploads.resume(&repository(), &last.unwrap()).await.unwrap();
    assert_eq!(uploads.sweep(Duration::ZERO).await.unwrap(), 3, "all but the one in use");
    held.park().await.unwrap();
    assert_eq!(uploads.sweep(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(staged(&place.directory), 0);
    assert!(uploads.begin(&repository(), Algorithm::Sha256).await.is_ok());
}

#[tokio::test]
async fn sessions_of_a_bucket_are_swept() {
    for place in crate::places::buckets().await {
        let uploads = &place.storage.uploads;
        let id = uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
        let upload = append(uploads.resume(&repository(), &id).await.unwrap(), &content(9_000_000)).await;
        assert_eq!(uploads.sweep(Duration::ZERO).await.unwrap(), 0, "it is in use");
        upload.park().await.unwrap();
        assert_eq!(uploads.sweep(Duration::from_secs(3600)).await.unwrap(), 0);
        assert_eq!(uploads.sweep(Duration::ZERO).await.unwrap(), 1, "{}", place.name);
        assert_eq!(place.bucket().map_or(0, |bucket| bucket.unfinished()), 0);
        assert!(matches!(uploads.resume(&repository(), &id).await, Err(UploadError::Unknown)));
    }
}

#[tokio::test]
async fn an_abandoned_upload_leaves_nothing() {
    let place = local().await;
    drop(upload(&place.storage, b"abandoned").await);
    assert_eq!(staged(&place.directory), 0);
}
