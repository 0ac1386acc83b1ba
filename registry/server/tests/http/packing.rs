//! Blobs that are packed behind their readers' backs.

use std::time::Duration;

use crate::support::Server;

/// Waits, for no more than a minute, until so many objects lie below a place of the storage.
async fn wait_for(server: &Server, below: &str, count: usize) {
    for _ in 0..600 {
        if server.keys(below).await.len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{below} has {:?}", server.keys(below).await);
}

fn content(len: u64) -> Vec<u8> {
    (0..len / 8)
        .flat_map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(i | 1).to_le_bytes())
        .collect()
}

#[tokio::test]
async fn what_was_pushed_is_packed_and_reads_the_same() {
    let server = Server::open().await;
    let first = content(3 << 20);
    let mut second = first.clone();
    second.splice(1_000_000..1_000_000, *b"what is new in the second version");
    let one = server.push_blob("a", &first).await;
    let two = server.push_blob("a", &second).await;
    wait_for(&server, "pieces", 2).await;
    // Both blobs whole, and what of the second is new.
    wait_for(&server, "data", 3).await;
    for (digest, content) in [(one, &first), (two, &second)] {
        let path = format!("/v2/a/blobs/{digest}");
        assert_eq!(server.get(&path).await.bytes().await.unwrap(), content);
        let part = server.get_range(&path, "bytes=900000-1100000").await.bytes().await.unwrap();
        assert_eq!(part, content[900_000..=1_100_000]);
    }
    let sizes = server.keys("data").await.iter().map(|path| std::fs::metadata(path).unwrap().len()).min();
    assert!(sizes.is_some_and(|least| least < 600_000), "the new part is small");
}
