//! Pushing blobs: at once, in chunks, and on after an interruption.

use bytes::Bytes;
use futures_util::stream;
use plyos_blobs::Digest;
use reqwest::{Body, Method, Response};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Server, header, refused};

async fn patch(server: &Server, session: &str, range: Option<&str>, body: &'static [u8]) -> Response {
    let mut request = server.request(Method::PATCH, session).body(body);
    if let Some(range) = range {
        request = request.header("content-range", range);
    }
    request.send().await.unwrap()
}

async fn check_blob(server: &Server, repository: &str, content: &[u8]) {
    let digest = Digest::of(content);
    let path = format!("/v2/{repository}/blobs/{digest}");
    let head = server.head(&path).await;
    assert_eq!(head.status(), 200);
    assert_eq!(header(&head, "content-length"), content.len().to_string());
    let get = server.get(&path).await;
    assert_eq!(get.status(), 200);
    assert_eq!(header(&get, "docker-content-digest"), digest.to_string());
    assert_eq!(header(&get, "etag"), format!("\"{digest}\""));
    assert_eq!(header(&get, "accept-ranges"), "bytes");
    assert!(get.bytes().await.unwrap() == content);
}

#[tokio::test]
async fn a_blob_is_pushed_by_one_post() {
    let server = Server::open().await;
    let digest = Digest::of(b"content");
    refused(server.get(&format!("/v2/a/b/blobs/{digest}")).await, 404, "BLOB_UNKNOWN").await;
    let path = format!("/v2/a/b/blobs/uploads/?digest={digest}");
    let response = server.request(Method::POST, &path).body("content").send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(header(&response, "location"), format!("/v2/a/b/blobs/{digest}"));
    check_blob(&server, "a/b", b"content").await;
}

#[tokio::test]
async fn a_blob_is_pushed_by_post_and_put() {
    let server = Server::open().await;
    // Of no announced length, and more than one piece.
    let pieces: Vec<Bytes> = (0..64u8).map(|n| Bytes::from(vec![n; 50_000])).collect();
    let content = pieces.concat();
    let body = Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
    let session = server.begin("a").await;
    let response = server.put(&format!("{session}?digest={}", Digest::of(&content)), body).await;
    assert_eq!(response.status(), 201);
    check_blob(&server, "a", &content).await;
    refused(server.get(&session).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
}

#[tokio::test]
async fn a_blob_is_pushed_in_chunks() {
    let server = Server::open().await;
    let session = server.begin("a").await;
    let first = patch(&server, &session, Some("0-4"), b"first").await;
    assert_eq!(first.status(), 202);
    assert_eq!(header(&first, "range"), "0-4");
    assert_eq!(header(&first, "location"), session);
    let second = patch(&server, &session, None, b", second").await;
    assert_eq!(header(&second, "range"), "0-12");

    let status = server.get(&session).await;
    assert_eq!(status.status(), 204);
    assert_eq!((header(&status, "range"), header(&status, "upload-offset")), ("0-12", "13"));

    let path = format!("{session}?digest={}", Digest::of(b"first, second, last"));
    let put = server.request(Method::PUT, &path).header("content-range", "13-18").body(", last");
    assert_eq!(put.send().await.unwrap().status(), 201);
    check_blob(&server, "a", b"first, second, last").await;
}

#[tokio::test]
async fn chunks_out_of_order_change_nothing() {
    let server = Server::open().await;
    let session = server.begin("a").await;
    assert_eq!(patch(&server, &session, Some("0-4"), b"first").await.status(), 202);
    for range in ["0-4", "6-10", "bytes 5-9/10", "5", "9-5"] {
        let response = patch(&server, &session, Some(range), b"xxxxx").await;
        assert_eq!((header(&response, "range"), header(&response, "location")), ("0-4", session.as_str()));
        refused(response, 416, "BLOB_UPLOAD_INVALID").await;
    }
    refused(patch(&server, &session, Some("5-6"), b"xxxxx").await, 400, "SIZE_INVALID").await;
    let digest = Digest::of(b"firstlast");
    let put = server.request(Method::PUT, &format!("{session}?digest={digest}"));
    let early = put.header("content-range", "6-9").body("last").send().await.unwrap();
    assert_eq!(header(&early, "range"), "0-4");
    refused(early, 416, "BLOB_UPLOAD_INVALID").await;
    let status = server.get(&session).await;
    assert_eq!((header(&status, "upload-offset"), header(&status, "range")), ("5", "0-4"));
    assert_eq!(server.put(&format!("{session}?digest={digest}"), "last").await.status(), 201);
    check_blob(&server, "a", b"firstlast").await;
}

#[tokio::test]
async fn a_chunk_that_is_not_as_long_as_it_says_is_named() {
    let server = Server::open().await;
    let streamed =
        |content: &'static str| Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>(content)]));
    // Of no announced length, so only the end of the body tells.
    for (content, status) in [("four", 400), ("six by", 202), ("eight by", 413)] {
        let session = server.begin("a").await;
        let request = server.request(Method::PATCH, &session).header("content-range", "0-5");
        let response = request.body(streamed(content)).send().await.unwrap();
        assert_eq!(response.status(), status, "{content}");
        // What came and fits is kept, and the next chunk starts behind it.
        let offset = header(&server.get(&session).await, "upload-offset").parse::<usize>().unwrap();
        assert_eq!(offset, if status == 413 { 0 } else { content.len() }, "{content}");
    }
}

#[tokio::test]
async fn a_post_that_names_a_digest_but_sends_nothing_is_an_upload() {
    let server = Server::open().await;
    let digest = Digest::of(b"content");
    let begun = server.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), "").await;
    assert_eq!(begun.status(), 202);
    let session = header(&begun, "location").to_owned();
    assert_eq!(server.put(&format!("{session}?digest={digest}"), "content").await.status(), 201);
    check_blob(&server, "a", b"content").await;
}

#[tokio::test]
async fn every_upload_has_a_session_of_its_own() {
    let server = Server::open().await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(server.begin("a").await);
    }
    let digest = Digest::of(b"the same content");
    let uploads = sessions.iter().map(|session| {
        let (server, path) = (&server, format!("{session}?digest={digest}"));
        async move { server.put(&path, "the same content").await.status() }
    });
    let statuses = futures_util::future::join_all(uploads).await;
    assert!(statuses.iter().all(|status| *status == 201), "{statuses:?}");
    sessions.sort();
    sessions.dedup();
    assert_eq!(sessions.len(), 8);
    check_blob(&server, "a", b"the same content").await;
}

#[tokio::test]
async fn wrong_content_is_refused_and_dropped() {
    let server = Server::open().await;
    let wrong = Digest::of(b"something else");
    let session = server.begin("a").await;
    let path = format!("{session}?digest={wrong}");
    refused(server.put(&path, "content").await, 400, "DIGEST_INVALID").await;
    refused(server.get(&session).await, 404, "BLOB_UPLOAD_UNKNOWN").await;

    let path = format!("/v2/a/blobs/uploads/?digest={wrong}");
    let post = server.request(Method::POST, &path).body("content").send().await.unwrap();
    refused(post, 400, "DIGEST_INVALID").await;
    for digest in [wrong, Digest::of(b"content")] {
        assert_eq!(server.head(&format!("/v2/a/blobs/{digest}")).await.status(), 404);
    }
    assert_eq!(server.keys("uploads").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_digest_is_needed_and_checked() {
    let server = Server::open().await;
    let session = server.begin("a").await;
    for query in ["", "?digest=", "?digest=sha256:00", "?digest=sha512:00", "?digest=..%2F..%2Fx"] {
        refused(server.put(&format!("{session}{query}"), "x").await, 400, "DIGEST_INVALID").await;
    }
    assert_eq!(server.get(&session).await.status(), 204, "the session is still there");
}

#[tokio::test]
async fn an_interrupted_upload_goes_on_where_it_stopped() {
    let server = Server::open().await;
    let session = server.begin("a").await;
    // Promises ten bytes, sends four, and goes away.
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let head = format!("PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nfour");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.shutdown().await.unwrap();
    drop(socket);
    let mut status = server.get(&session).await;
    // The session is free at once, but the bytes may not have arrived yet.
    while header(&status, "upload-offset") == "0" {
        status = server.get(&session).await;
    }
    assert_eq!(header(&status, "range"), "0-3");

    let server = server.restart().await;
    assert_eq!(header(&server.get(&session).await, "upload-offset"), "4");
    assert_eq!(patch(&server, &session, Some("4-9"), b", more").await.status(), 202);
    let path = format!("{session}?digest={}", Digest::of(b"four, more"));
    assert_eq!(server.put(&path, "").await.status(), 201);
    check_blob(&server, "a", b"four, more").await;
}

#[tokio::test]
async fn a_session_can_be_cancelled_and_is_its_repositorys() {
    let server = Server::open().await;
    let session = server.begin("a").await;
    let elsewhere = session.replace("/v2/a/", "/v2/b/");
    refused(server.get(&elsewhere).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    refused(patch(&server, &elsewhere, None, b"x").await, 404, "BLOB_UPLOAD_UNKNOWN").await;

    assert_eq!(server.request(Method::DELETE, &session).send().await.unwrap().status(), 204);
    refused(server.get(&session).await, 404, "BLOB_UPLOAD_UNKNOWN").await;
    refused(patch(&server, &session, None, b"x").await, 404, "BLOB_UPLOAD_UNKNOWN").await;
}

#[tokio::test]
async fn a_blob_has_a_greatest_size() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.blob_bytes = 10;
    })
    .await;
    let digest = Digest::of(b"eleven byte");
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let announced = server.request(Method::POST, &path).body("eleven byte").send().await.unwrap();
    refused(announced, 413, "SIZE_INVALID").await;
    let session = server.begin("a").await;
    assert_eq!(patch(&server, &session, None, b"seven b").await.status(), 202);
    let body = Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("four")]));
    refused(server.put(&format!("{session}?digest={digest}"), body).await, 413, "SIZE_INVALID").await;
}

#[tokio::test]
async fn the_empty_blob_is_a_blob() {
    let server = Server::open().await;
    server.push_blob("a", b"").await;
    check_blob(&server, "a", b"").await;
}

#[tokio::test]
async fn chunks_may_have_any_length() {
    let server = Server::open().await;
    let begun = server.post("/v2/a/blobs/uploads/", "").await;
    assert!(begun.headers().get("oci-chunk-min-length").is_none());
    let session = header(&begun, "location").to_owned();
    let mut end = 0;
    for chunk in ["a", "bc", "", "def"] {
        let response = patch(&server, &session, None, chunk.as_bytes()).await;
        end += chunk.len();
        assert_eq!(
            (response.status().as_u16(), header(&response, "upload-offset")),
            (202, &*end.to_string())
        );
    }
    let put = server.put(&format!("{session}?digest={}", Digest::of(b"abcdef")), "").await;
    assert_eq!(put.status(), 201);
    check_blob(&server, "a", b"abcdef").await;
}
