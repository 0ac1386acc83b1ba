//! Several servers on one bucket: a session goes on wherever its next request comes.

use plyos_blobs::{Algorithm, CommitError, Digest, StoreError};

use crate::places::{all, append, buckets, content, read, repository};

#[tokio::test]
async fn a_session_goes_from_server_to_server() {
    // Chunks that fill no part, one part, and several.
    let content = content(30_000_000);
    let cuts = [0, 1, 3_000_000, 12_000_000, 12_000_001, 30_000_000];
    for place in buckets().await {
        let servers = [place.storage.clone(), place.second().await, place.second().await];
        let id = servers[0].uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
        for (n, cut) in cuts.windows(2).enumerate() {
            let upload = servers[n % 3].uploads.resume(&repository(), &id).await.unwrap();
            assert_eq!(upload.received(), cut[0] as u64);
            append(upload, &content[cut[0]..cut[1]]).await.park().await.unwrap();
        }
        let upload = servers[2].uploads.resume(&repository(), &id).await.unwrap();
        let digest = Digest::of(&content);
        servers[2].blobs.commit(upload, &digest).await.unwrap();
        for server in &servers {
            assert!(read(server, &digest, 0..30_000_000).await == content, "{}", place.name);
        }
    }
}

#[tokio::test]
async fn of_two_servers_on_one_session_one_is_told() {
    for length in [10, 9_000_000] {
        for place in buckets().await {
            let (one, two) = (place.storage.clone(), place.second().await);
            let id = one.uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
            let first = one.uploads.resume(&repository(), &id).await.unwrap();
            let second = two.uploads.resume(&repository(), &id).await.unwrap();
            append(first, &content(length)).await.park().await.unwrap();
            // Told when it wants to put the session away, or earlier, when it wants to begin an object of parts.
            let pieces = vec![vec![1; length].into()];
            let told = match second.append(pieces).await {
                Ok(second) => second.park().await,
                Err(error) => Err(error),
            };
            assert!(matches!(told, Err(StoreError::Overtaken { .. })), "{} {told:?}", place.name);

            let upload = two.uploads.resume(&repository(), &id).await.unwrap();
            let digest = Digest::of(&content(length));
            two.blobs.commit(upload, &digest).await.unwrap();
            assert!(read(&one, &digest, 0..length as u64).await == content(length));
        }
    }
}

#[tokio::test]
async fn of_two_servers_that_commit_one_session_none_makes_a_wrong_blob() {
    let content = content(9_000_000);
    for place in buckets().await {
        let (one, two) = (place.storage.clone(), place.second().await);
        let id = one.uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
        let upload = one.uploads.resume(&repository(), &id).await.unwrap();
        append(upload, &content).await.park().await.unwrap();
        let digest = Digest::of(&content);
        let first = one.uploads.resume(&repository(), &id).await.unwrap();
        let second = two.uploads.resume(&repository(), &id).await.unwrap();
        let committed = tokio::join!(one.blobs.commit(first, &digest), two.blobs.commit(second, &digest));
        let committed: [Result<_, CommitError>; 2] = committed.into();
        assert!(committed.iter().any(Result::is_ok), "{} {committed:?}", place.name);
        assert!(read(&two, &digest, 0..9_000_000).await == content, "{}", place.name);
    }
}

#[tokio::test]
async fn servers_see_each_others_blobs_and_deletes() {
    for place in all().await {
        let (one, two) = (place.storage.clone(), place.second().await);
        let digest = crate::places::commit(&one, b"content").await;
        assert_eq!(read(&two, &digest, 0..7).await, b"content");
        one.blobs.delete(&digest).await.unwrap();
        assert!(one.blobs.find(&digest).await.unwrap().is_none(), "evicted at once");
        assert!(two.blobs.confirm(&digest).await.unwrap().is_none(), "the store is asked");
    }
}

#[tokio::test]
async fn of_two_servers_with_different_bytes_each_blob_keeps_its_own() {
    // In one put, in parts that each begins for itself, and in parts that were begun before.
    for (before, more) in [(0, 100_000), (0, 9_000_000), (9_000_000, 100_000)] {
        for place in buckets().await {
            let (one, two) = (place.storage.clone(), place.second().await);
            let id = one.uploads.begin(&repository(), Algorithm::Sha256).await.unwrap();
            let upload = one.uploads.resume(&repository(), &id).await.unwrap();
            append(upload, &content(before)).await.park().await.unwrap();
            let first = one.uploads.resume(&repository(), &id).await.unwrap();
            let second = two.uploads.resume(&repository(), &id).await.unwrap();

            let contents = [content(before + more), [content(before), vec![7; more]].concat()];
            let digests = [Digest::of(&contents[0]), Digest::of(&contents[1])];
            let first = append(first, &contents[0][before..]).await;
            one.blobs.commit(first, &digests[0]).await.unwrap();
            // Whether the second finds out early, late or never: it makes no wrong blob, and spoils none.
            let pieces = vec![contents[1][before..].to_vec().into()];
            let committed = match second.append(pieces).await {
                Ok(second) => two.blobs.commit(second, &digests[1]).await.is_ok(),
                Err(_) => false,
            };
            // Told early, the second has begun no object that nobody would end.
            assert!(more < 9_000_000 || place.bucket().is_none_or(|bucket| bucket.unfinished() == 0));
            for (n, there) in [true, committed].into_iter().enumerate() {
                let found = two.blobs.confirm(&digests[n]).await.unwrap();
                assert_eq!(found.is_some(), there, "{} {before}", place.name);
                if there {
                    let length = contents[n].len() as u64;
                    assert!(
                        read(&one, &digests[n], 0..length).await == contents[n],
                        "{} {before}",
                        place.name
                    );
                }
            }
        }
    }
}
