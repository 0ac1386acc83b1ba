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
    assert_eq!(header(&get, "cache-control"), "max-age=31536000, immutable");
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

/// Metadata that shrinks.
fn metadata() -> String {
    let entry = |n: usize| {
        format!(r#""package/p{n}/1/amd64":{{"hashes":{{"sha256":"{}"}}}}"#, Digest::of(&[7]).hex())
    };
    format!(r#"{{"signed":{{{}}}}}"#, (0..100).map(entry).collect::<Vec<_>>().join(","))
}

async fn get_as(server: &Server, path: &str, accepted: &str) -> reqwest::Response {
    server.request(Method::GET, path).header("accept-encoding", accepted).send().await.unwrap()
}

#[tokio::test]
async fn a_file_is_sent_as_the_client_wants_it() {
    let server = Server::open().await;
    let text = metadata();
    assert_eq!(server.put(ROOT, text.clone()).await.status(), 201);
    let digest = Digest::of(text.as_bytes());
    let plain = server.get(ROOT).await;
    assert_eq!(
        (header(&plain, "etag"), header(&plain, "vary")),
        (format!("\"{digest}\"").as_str(), "accept-encoding")
    );
    assert!(!plain.headers().contains_key("content-encoding"));

    for (accepted, coding) in [("zstd, gzip;q=0.9", "zstd"), ("gzip, deflate", "gzip")] {
        let etag = format!("\"{digest}.{coding}\"");
        let response = get_as(&server, ROOT, accepted).await;
        assert_eq!((response.status().as_u16(), header(&response, "content-encoding")), (200, coding));
        assert_eq!(
            (header(&response, "etag"), header(&response, "vary")),
            (etag.as_str(), "accept-encoding")
        );
        assert_eq!(header(&response, "content-type"), "application/json");
        assert_eq!(header(&response, "cache-control"), "max-age=31536000, immutable");
        let length: usize = header(&response, "content-length").parse().unwrap();
        let body = response.bytes().await.unwrap();
        assert_eq!(body.len(), length);
        assert!(length < text.len() / 4, "{length} of {}", text.len());
        assert_eq!(undo(coding, &body), text.as_bytes());

        let ask = server.request(Method::GET, ROOT).header("accept-encoding", accepted);
        let same = ask.try_clone().unwrap().header("if-none-match", &etag).send().await.unwrap();
        assert_eq!((same.status().as_u16(), header(&same, "etag")), (304, etag.as_str()));
        assert!(same.bytes().await.unwrap().is_empty());
        let other = ask.header("if-none-match", format!("\"{digest}\"")).send().await.unwrap();
        assert_eq!(other.status(), 200, "the plain file's ETag is not that of the {coding} form");
        let head =
            server.request(Method::HEAD, ROOT).header("accept-encoding", accepted).send().await.unwrap();
        assert_eq!(
            (header(&head, "content-encoding"), header(&head, "content-length")),
            (coding, length.to_string().as_str())
        );
    }
    // Ranges are of the plain bytes, so that parts from several answers fit together.
    let part =
        server.request(Method::GET, ROOT).header("accept-encoding", "zstd").header("range", "bytes=0-7");
    let part = part.send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), header(&part, "content-range")),
        (206, format!("bytes 0-7/{}", text.len()).as_str())
    );
    assert!(!part.headers().contains_key("content-encoding"));
    assert_eq!(part.bytes().await.unwrap(), text.as_bytes()[..8]);
}

fn undo(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut back = Vec::new();
    match coding {
        "zstd" => zstd::stream::copy_decode(body, &mut back).unwrap(),
        _ => drop(std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut back).unwrap()),
    }
    back
}

#[tokio::test]
async fn what_does_not_shrink_is_sent_as_it_is() {
    let server = Server::open().await;
    let noise: String = (0..100u8).map(|n| Digest::of(&[n]).hex()).collect();
    let small = "{}".to_owned();
    for (path, content, varies) in [
        ("/catalog/main/metadata/timestamp.json", small, false),
        ("/catalog/main/targets/image.png", noise.clone(), false),
        ("/catalog/main/metadata/2.root.json", noise, true),
    ] {
        assert_eq!(server.put(path, content.clone()).await.status(), 201);
        let response = get_as(&server, path, "identity;q=0.5, gzip, zstd").await;
        // Hexadecimal digits shrink to half, so the last one is compressed after all.
        assert_eq!(response.headers().contains_key("content-encoding"), varies, "{path}");
        assert_eq!(response.headers().contains_key("vary"), varies, "{path}");
    }
}

#[tokio::test]
async fn of_two_publishers_at_once_one_wins() {
    let server = Server::open().await;
    let path = "/catalog/main/metadata/timestamp.json";
    let put = async |condition: Option<(&'static str, String)>, content: &'static str| {
        let request = server.request(Method::PUT, path).body(content);
        let request =
            condition.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.unwrap()
    };
    let none = || Some(("if-none-match", "*".to_owned()));
    assert_eq!(put(none(), "one").await.status(), 201);
    refused(put(none(), "another first").await, 412, "CONFLICT").await;
    assert_eq!(put(none(), "one").await.status(), 204, "whose answer was lost asks again");

    let seen = header(&server.get(path).await, "etag").to_owned();
    let still = || Some(("if-match", seen.clone()));
    let answers =
        futures_util::future::join_all(["two", "three", "four"].map(|content| put(still(), content))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status().as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 412, 412]);
    refused(put(still(), "five").await, 412, "CONFLICT").await;
    for nonsense in ["x", "W/\"sha256:00\"", "\"sha256:00\"", "*"] {
        refused(put(Some(("if-match", nonsense.to_owned())), "five").await, 412, "CONFLICT").await;
    }
    let missing =
        server.request(Method::PUT, "/catalog/main/metadata/9.root.json").header("if-match", &seen).body("x");
    refused(missing.send().await.unwrap(), 412, "CONFLICT").await;
}
