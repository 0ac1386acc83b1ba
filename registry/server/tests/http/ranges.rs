//! Reading parts of a blob, and asking whether it changed.

use reqwest::Method;

use crate::support::{Server, header, refused};

const CONTENT: &[u8] = b"0123456789";

async fn server_with_blob() -> (Server, String) {
    let server = Server::open().await;
    let digest = server.push_blob("a", CONTENT).await;
    (server, format!("/v2/a/blobs/{digest}"))
}

#[tokio::test]
async fn single_ranges() {
    let (server, path) = server_with_blob().await;
    for (range, content_range, content) in [
        ("bytes=2-5", "bytes 2-5/10", "2345"),
        ("bytes=0-0", "bytes 0-0/10", "0"),
        ("bytes=7-", "bytes 7-9/10", "789"),
        ("bytes=7-100", "bytes 7-9/10", "789"),
        ("bytes=-3", "bytes 7-9/10", "789"),
        ("bytes=-100", "bytes 0-9/10", "0123456789"),
    ] {
        let response = server.get_range(&path, range).await;
        assert_eq!(response.status(), 206, "{range}");
        assert_eq!(header(&response, "content-range"), content_range);
        assert_eq!(header(&response, "content-length"), content.len().to_string());
        assert!(header(&response, "etag").starts_with("\"sha256:"));
        assert_eq!(response.text().await.unwrap(), content);
    }
}

#[tokio::test]
async fn ranges_outside_are_refused_and_nonsense_ignored() {
    let (server, path) = server_with_blob().await;
    for range in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=5-2"] {
        let response = server.get_range(&path, range).await;
        assert_eq!(header(&response, "content-range"), "bytes */10");
        refused(response, 416, "SIZE_INVALID").await;
    }
    for range in ["items=0-1", "bytes=x", "bytes=", "bytes"] {
        let response = server.get_range(&path, range).await;
        assert_eq!(response.status(), 200, "{range}");
        assert_eq!(response.bytes().await.unwrap(), CONTENT);
    }
}

#[tokio::test]
async fn the_empty_blob_is_sent_whole() {
    let server = Server::open().await;
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", b"").await);
    for range in ["bytes=0-", "bytes=-5", "bytes=0-0"] {
        let response = server.get_range(&path, range).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-length")), (200, "0"), "{range}");
    }
}

#[tokio::test]
async fn several_ranges_come_as_parts() {
    let (server, path) = server_with_blob().await;
    let response = server.get_range(&path, "bytes=8-9,0-1").await;
    assert_eq!(response.status(), 206);
    let content_type = header(&response, "content-type").to_owned();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let length: usize = header(&response, "content-length").parse().unwrap();
    let body = response.text().await.unwrap();
    assert_eq!(body.len(), length);
    let part = |range: &str, content: &str| {
        format!(
            "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/10\r\n\r\n{content}"
        )
    };
    assert_eq!(body, format!("{}{}\r\n--{boundary}--\r\n", part("8-9", "89"), part("0-1", "01")));

    let greedy = server.get_range(&path, "bytes=0-,0-,0-").await;
    assert_eq!(greedy.status(), 200, "no more is sent than there is");
}

#[tokio::test]
async fn if_range_guards_against_joining_different_things() {
    let (server, path) = server_with_blob().await;
    let etag = header(&server.head(&path).await, "etag").to_owned();
    for (if_range, status) in [
        (etag.as_str(), 206),
        ("\"other\"", 200),
        (&format!("W/{etag}"), 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 200),
    ] {
        let request = server.request(Method::GET, &path).header("range", "bytes=0-1");
        let response = request.header("if-range", if_range).send().await.unwrap();
        assert_eq!(response.status(), status, "{if_range}");
    }
}

#[tokio::test]
async fn head_has_no_ranges_and_etags_save_transfers() {
    let (server, path) = server_with_blob().await;
    let request = server.request(Method::HEAD, &path).header("range", "bytes=0-1");
    let head = request.send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "10"));
    let etag = header(&head, "etag").to_owned();
    for (if_none_match, status) in [
        (etag.as_str(), 304),
        (&format!("\"x\", {etag}"), 304),
        (&format!("W/{etag}"), 304),
        ("*", 304),
        ("\"x\"", 200),
    ] {
        let request = server.request(Method::GET, &path).header("if-none-match", if_none_match);
        assert_eq!(request.send().await.unwrap().status(), status, "{if_none_match}");
    }
}

#[tokio::test]
async fn a_large_blob_is_read_from_the_middle() {
    let server = Server::open().await;
    let content: Vec<u8> = (0..3_000_000u32).map(|n| ((n * 31) >> 7) as u8).collect();
    let digest = server.push_blob("a", &content).await;
    let path = format!("/catalog/main/blobs/sha256/{}", digest.hex());
    let response = server.get_range(&path, "bytes=262143-1999999").await;
    assert_eq!(response.status(), 206);
    assert!(response.bytes().await.unwrap() == content[262_143..2_000_000]);
}
