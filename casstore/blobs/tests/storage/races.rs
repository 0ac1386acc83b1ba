//! What changes while it is being read or written.

use bytes::Bytes;
use futures_util::TryStreamExt;
use plyos_blobs::{Digest, Expected, Extent, Recipe};

use crate::places::{Place, all, commit, content, repository};

const LENGTH: usize = 3_000_000;

/// Replaces the recipe of a blob by one over other data objects, cut elsewhere, and removes the old one's.
async fn pack(place: &Place, digest: &Digest, cut: usize) {
    let blobs = &place.storage.blobs;
    let before = blobs.confirm_recipe(digest).await.unwrap().unwrap();
    let mut extents = Vec::new();
    for part in [&content(LENGTH)[..cut], &content(LENGTH)[cut..]] {
        let data = blobs.data().new_id().unwrap();
        blobs.data().put(&data, Bytes::copy_from_slice(part)).await.unwrap();
        extents.push(Extent { data, offset: 0, length: part.len() as u64 });
    }
    let better = Recipe::of_extents(extents).unwrap();
    assert!(blobs.replace_recipe(digest, &before, &better).await.unwrap());
    for extent in before.extents() {
        blobs.data().delete(&extent.data).await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_goes_on_when_the_recipe_is_replaced() {
    for place in all().await {
        let digest = commit(&place.storage, &content(LENGTH)).await;
        pack(&place, &digest, 1_000_000).await;
        let second = place.second().await;
        let mut opened = second.blobs.open(&digest, 10..LENGTH as u64 - 10).await.unwrap().unwrap();
        let mut whole = Vec::new();
        let mut cuts = [500_000, 1_700_000].into_iter();
        while let Some(piece) = opened.stream.try_next().await.unwrap() {
            whole.extend_from_slice(&piece);
            if let Some(cut) = cuts.next() {
                pack(&place, &digest, cut).await;
            }
        }
        assert!(whole == content(LENGTH)[10..LENGTH - 10], "{}", place.name);
    }
}

#[tokio::test]
async fn a_reader_that_is_left_with_nothing_fails() {
    for place in all().await {
        let digest = commit(&place.storage, &content(LENGTH)).await;
        pack(&place, &digest, 1_000_000).await;
        let recipe = place.storage.blobs.recipe(&digest).await.unwrap().unwrap();
        let opened = place.storage.blobs.open(&digest, 0..LENGTH as u64).await.unwrap().unwrap();
        place.storage.blobs.delete(&digest).await.unwrap();
        place.storage.blobs.data().delete(&recipe.extents()[1].data).await.unwrap();
        let read: Result<Vec<Bytes>, _> = opened.stream.try_collect().await;
        assert!(read.is_err(), "{}: cut short, not ended", place.name);

        commit(&place.storage, &content(LENGTH)).await;
        let recipe = place.storage.blobs.confirm_recipe(&digest).await.unwrap().unwrap();
        place.storage.blobs.data().delete(&recipe.extents()[0].data).await.unwrap();
        assert!(place.storage.blobs.open(&digest, 0..LENGTH as u64).await.is_err(), "a recipe without data");
    }
}

#[tokio::test]
async fn of_two_that_replace_a_recipe_one_does() {
    for place in all().await {
        let (blobs, second) = (&place.storage.blobs, place.second().await);
        let digest = commit(&place.storage, &content(LENGTH)).await;
        let before = blobs.recipe(&digest).await.unwrap().unwrap();
        let data = blobs.data().new_id().unwrap();
        blobs.data().put(&data, content(LENGTH).into()).await.unwrap();
        let one = Recipe::of_extents([Extent { data, offset: 0, length: LENGTH as u64 }]).unwrap();
        assert!(blobs.replace_recipe(&digest, &before, &one).await.unwrap());
        assert!(!second.blobs.replace_recipe(&digest, &before, &before).await.unwrap());
        assert_eq!(*blobs.recipe(&digest).await.unwrap().unwrap(), one);
        blobs.delete(&digest).await.unwrap();
        assert!(!blobs.replace_recipe(&digest, &one, &one).await.unwrap(), "a deleted blob stays deleted");
    }
}

#[tokio::test]
async fn of_many_that_change_a_tag_one_wins_each_round() {
    for place in all().await {
        let (repositories, name) = (&place.storage.repositories, repository());
        let tag = "latest".parse().unwrap();
        let mut expected = Expected::Nothing;
        for round in 0..3u8 {
            let digests: Vec<_> = (0..8u8).map(|n| Digest::of(&[round, n])).collect();
            let puts = digests.iter().map(|digest| repositories.put_tag(&name, &tag, digest, expected));
            let won = futures_util::future::join_all(puts).await;
            let won: Vec<_> = won.into_iter().map(Result::unwrap).collect();
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "{} {won:?}", place.name);
            let winner = won.iter().position(|won| *won).map(|n| digests[n]);
            assert_eq!(repositories.tag(&name, &tag).await.unwrap(), winner);
            expected = Expected::Digest(winner.unwrap());
        }
        let (other, stale) = (Digest::of(b"other"), Expected::Digest(Digest::of(b"stale")));
        assert!(!repositories.put_tag(&name, &tag, &other, stale).await.unwrap());
        assert!(repositories.put_tag(&name, &tag, &other, Expected::Anything).await.unwrap());
        repositories.delete_tag(&name, &tag).await.unwrap();
        assert!(!repositories.put_tag(&name, &tag, &other, Expected::Digest(other)).await.unwrap());
        assert_eq!(repositories.tag(&name, &tag).await.unwrap(), None);
    }
}
