//! Catalog files: publishing, caching, and what may change.

use bytes::Bytes;
use futures_util::stream;
use plyos_blobs::Digest;
use reqwest::{Body, Method};

use crate::support::{Server, header, refused};

const ROOT: &str = "/catalog/main/metadata/1.root.json";

#[tokio::test]
async fn a_file_is_put_and_served() {
    let server = Server::open().await;
    refused(server.get(ROOT).await, 404, "NAME_UNKNOWN").await;
    let put = server.put(ROOT, "{}").await;
    assert_eq!((put.status().as_u16(), header(&put, "location")), (201, ROOT));

    let get = server.get(ROOT).await;
    assert_eq!(get.status(), 200);
    assert_eq!(header(&get, "content-type"), "application/json");
    assert_eq!(header(&get, "x-content-type-options"), "nosniff");
    assert_eq!(header(&get, "etag"), format!("\"{}\"", Digest::of(b"{}")));
    assert_eq!(header(&get, "cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(get.text().await.unwrap(), "{}");
    assert_eq!(header(&server.head(ROOT).await, "content-length"), "2");
    assert_eq!(server.get_range(ROOT, "bytes=1-").await.text().await.unwrap(), "}");
    assert_eq!(std::fs::read(server.stored("catalog/main/metadata/1.root.json")).unwrap(), b"{}");
}

#[tokio::test]
async fn the_kind_of_a_file_decides_how_it_is_sent() {
    let server = Server::open().await;
    let target = format!("targets/package/jq/2:1.6~rc1+b2-1/{}.amd64", Digest::of(b"x").hex());
    let (json, manifest) = ("application/json", "application/vnd.oci.image.manifest.v1+json");
    for (path, content_type, immutable) in [
        ("metadata/timestamp.json", json, false),
        ("metadata/12.snapshot.json", json, true),
        (target.as_str(), manifest, true),
        ("index.html", "application/octet-stream", false),
        ("notes.txt", "text/plain; charset=utf-8", false),
    ] {
        let path = format!("/catalog/main/{path}");
        assert_eq!(server.put(&path, "x").await.status(), 201, "{path}");
        let head = server.head(&path).await;
        assert_eq!(header(&head, "content-type"), content_type, "{path}");
        assert_eq!(header(&head, "cache-control").contains("immutable"), immutable, "{path}");
    }
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let server = Server::open().await;
    server.put(ROOT, "{}").await;
    let etag = header(&server.get(ROOT).await, "etag").to_owned();
    let ask = async |etag: &str| {
        server.request(Method::GET, ROOT).header("if-none-match", etag).send().await.unwrap()
    };
    let same = ask(&etag).await;
    assert_eq!((same.status().as_u16(), header(&same, "etag")), (304, etag.as_str()));
    assert!(same.bytes().await.unwrap().is_empty());
    assert_eq!(ask("\"other\"").await.status(), 200);
}

#[tokio::test]
async fn a_file_changes_only_when_asked() {
    let server = Server::open().await;
    assert_eq!(server.put(ROOT, "one").await.status(), 201);
    assert_eq!(server.put(ROOT, "one").await.status(), 204);
    refused(server.put(ROOT, "two").await, 409, "CONFLICT").await;
    let not_quite = server.request(Method::PUT, ROOT).header("x-plyos-replace", "0").body("two");
    refused(not_quite.send().await.unwrap(), 409, "CONFLICT").await;
    assert_eq!(server.get(ROOT).await.text().await.unwrap(), "one");

    let replace = server.request(Method::PUT, ROOT).header("x-plyos-replace", "1").body("two");
    assert_eq!(replace.send().await.unwrap().status(), 204);
    let get = server.get(ROOT).await;
    assert_eq!(header(&get, "etag"), format!("\"{}\"", Digest::of(b"two")));
    assert_eq!(get.text().await.unwrap(), "two");
}

#[tokio::test]
async fn the_timestamp_changes_in_place() {
    let server = Server::open().await;
    let path = "/catalog/main/metadata/timestamp.json";
    for (content, status) in [("one", 201), ("two", 204), ("two", 204)] {
        assert_eq!(server.put(path, content).await.status(), status);
        let get = server.get(path).await;
        assert_eq!(header(&get, "cache-control"), "no-cache");
        assert_eq!(header(&get, "etag"), format!("\"{}\"", Digest::of(content.as_bytes())));
        assert_eq!(get.text().await.unwrap(), content);
    }
}

#[tokio::test]
async fn blobs_lie_beside_the_files() {
    let server = Server::open().await;
    let digest = server.push_blob("a", b"0123456789").await;
    let path = format!("/catalog/main/blobs/sha256/{}", digest.hex());
    assert_eq!(server.get(&path).await.text().await.unwrap(), "0123456789");
    let part = server.get_range(&path, "bytes=2-3").await;
    assert_eq!((part.status().as_u16(), header(&part, "content-range")), (206, "bytes 2-3/10"));
    refused(server.put(&path, "x").await, 405, "UNSUPPORTED").await;
    assert_eq!(server.put("/catalog/main/blobs/other", "x").await.status(), 404);
}

#[tokio::test]
async fn a_file_has_a_greatest_size() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.catalog_file_bytes = 100;
    })
    .await;
    refused(server.put(ROOT, vec![0; 101]).await, 413, "SIZE_INVALID").await;
    let pieces = (0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; 40])));
    refused(server.put(ROOT, Body::wrap_stream(stream::iter(pieces))).await, 413, "SIZE_INVALID").await;
    assert_eq!(server.get(ROOT).await.status(), 404);
    assert_eq!(server.put(ROOT, vec![0; 100]).await.status(), 201);
    assert_eq!(std::fs::read_dir(server.stored("uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_below_a_file_is_a_conflict() {
    let server = Server::open().await;
    assert_eq!(server.put("/catalog/main/a/b", "x").await.status(), 201);
    for path in ["/catalog/main/a", "/catalog/main/a/b/c"] {
        refused(server.put(path, "x").await, 409, "CONFLICT").await;
        assert_eq!(server.get(path).await.status(), 404);
    }
}
