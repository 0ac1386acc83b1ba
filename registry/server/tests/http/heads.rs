//! HEAD says what GET would send, and sends nothing.

use std::collections::BTreeMap;

use plyos_blobs::Digest;

use crate::support::{MANIFEST, Server, manifest};

/// Status and headers of a raw answer (without its date), and the bytes behind them.
fn parts(answer: &str) -> (u16, BTreeMap<String, String>, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").expect(line);
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let changes = |name: &str| ["date", "x-request-id"].contains(&name);
    (status, lines.map(header).filter(|(name, _)| !changes(name)).collect(), body)
}

#[tokio::test]
async fn head_says_what_get_would_send() {
    let server = Server::open().await;
    let (blob, empty) = (server.push_blob("a", b"config").await, server.push_blob("a", b"").await);
    let document = manifest(b"config", &[]);
    server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await;
    let unknown = Digest::of(b"unknown");
    for (path, status) in [
        ("/v2/".to_owned(), 200),
        ("/v2/_catalog".to_owned(), 200),
        (format!("/v2/a/blobs/{blob}"), 200),
        (format!("/v2/a/blobs/{empty}"), 200),
        (format!("/v2/a/blobs/{unknown}"), 404),
        ("/v2/a/blobs/nonsense".to_owned(), 400),
        ("/v2/a/manifests/t".to_owned(), 200),
        (format!("/v2/a/manifests/{}", Digest::of(document.as_bytes())), 200),
        (format!("/v2/a/manifests/{unknown}"), 404),
        ("/v2/a/manifests/unknown".to_owned(), 404),
        ("/v2/a/tags/list".to_owned(), 200),
        ("/v2/unknown/tags/list".to_owned(), 404),
        (format!("/v2/a/referrers/{unknown}"), 200),
        ("/v2/a/nothing/here".to_owned(), 404),
    ] {
        let ask = async |method: &str| {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            server.exchange(request.as_bytes()).await
        };
        let (head, get) = (ask("HEAD").await, ask("GET").await);
        let (head, get) = (parts(&head), parts(&get));
        assert_eq!((head.0, get.0), (status, status), "{path}");
        assert_eq!(head.1, get.1, "{path}");
        assert_eq!(get.1["content-length"], get.2.len().to_string(), "{path}");
        assert_eq!(head.2, "", "{path}");
    }
}

#[tokio::test]
async fn what_is_pushed_is_named_by_its_digest() {
    let server = Server::open().await;
    let blob = server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await;
    let manifest = Digest::of(document.as_bytes());
    for (path, digest) in [
        (format!("/v2/a/blobs/{blob}"), blob),
        ("/v2/a/manifests/t".to_owned(), manifest),
        (format!("/v2/a/manifests/{manifest}"), manifest),
    ] {
        for response in
            [server.get(&path).await, server.head(&path).await, server.get_range(&path, "bytes=1-").await]
        {
            let named = &response.headers()["docker-content-digest"];
            assert_eq!(named, &digest.to_string(), "{path}");
        }
    }
}
