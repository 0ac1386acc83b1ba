//! Who may write, and how the server starts and stops.

use std::time::Duration;

use plyos_blobs::Digest;
use reqwest::Method;

use crate::support::{MANIFEST, Server, header, manifest, refused};

#[tokio::test]
async fn without_anonymous_push_every_write_is_refused() {
    let server = Server::open().await;
    let digest = server.push_blob("a", b"config").await;
    let session = server.begin("a").await;
    let document = manifest(b"config", &[]);
    assert_eq!(server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await.status(), 201);
    assert_eq!(server.put("/catalog/main/notes.txt", "x").await.status(), 201);

    let server = server.restart_read_only().await;
    for (method, path) in [
        (Method::POST, "/v2/a/blobs/uploads/".to_owned()),
        (Method::POST, format!("/v2/a/blobs/uploads/?digest={}", Digest::of(b"x"))),
        (Method::POST, format!("/v2/b/blobs/uploads/?mount={digest}&from=a")),
        (Method::PATCH, session.clone()),
        (Method::PUT, format!("{session}?digest={digest}")),
        (Method::DELETE, session.clone()),
        (Method::GET, session),
        (Method::PUT, "/v2/a/manifests/u".to_owned()),
        (Method::PUT, "/catalog/main/metadata/timestamp.json".to_owned()),
        (Method::PUT, "/catalog/main/notes.txt".to_owned()),
    ] {
        let request = server.request(method, &path).header("content-type", MANIFEST).body(document.clone());
        refused(request.send().await.unwrap(), 403, "DENIED").await;
    }
    for path in
        ["/v2/a/manifests/t".to_owned(), format!("/v2/a/blobs/{digest}"), "/catalog/main/notes.txt".into()]
    {
        assert_eq!(server.get(&path).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn it_says_what_it_is() {
    let server = Server::with(|_| {}).await;
    for path in ["/v2/", "/v2"] {
        let base = server.get(path).await;
        assert_eq!(base.status(), 200);
        assert_eq!(header(&base, "docker-distribution-api-version"), "registry/2.0");
    }
    let health = server.get("/healthz").await;
    assert_eq!((health.status().as_u16(), health.text().await.unwrap().as_str()), (200, "ok\n"));
    refused(server.get("/elsewhere").await, 404, "UNSUPPORTED").await;
}

#[tokio::test]
async fn a_stopped_server_lets_go_within_its_grace() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.shutdown_grace = Duration::from_millis(50);
    })
    .await;
    // A request that would never end by itself.
    let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /catalog/main/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), server.stop()).await.expect("the server stops");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_let_go() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.upload_idle = Duration::from_millis(50);
    })
    .await;
    let body = futures_util::stream::pending::<Result<&str, std::io::Error>>();
    let response = server.put("/catalog/main/x", reqwest::Body::wrap_stream(body)).await;
    refused(response, 408, "SIZE_INVALID").await;
}
