//! Requests that nobody sends by mistake. Each is answered, and the server goes on.

use std::fmt::Write as _;

use plyos_blobs::Digest;
use serde_json::{Value, json};

use crate::support::{INDEX, MANIFEST, Server, descriptor, header, manifest, refused};

/// The status of a raw answer, if there was one.
fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

async fn still_answers(server: &Server) {
    assert_eq!(server.raw("GET", "/v2/").await, 200);
}

#[tokio::test]
async fn header_bombs_are_refused() {
    let server = Server::open().await;
    let head = "GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let many = (0..10_000).fold(String::new(), |mut text, n| {
        write!(text, "X-{n}: {n}\r\n").unwrap();
        text
    });
    let large = format!("X: {}\r\n", "x".repeat(8 * 1024 * 1024));
    let path = format!("GET /v2/{} HTTP/1.1\r\nHost: x\r\n", "a/".repeat(1_000_000));
    for bomb in [format!("{head}{many}\r\n"), format!("{head}{large}\r\n"), format!("{path}\r\n")] {
        let answer = server.exchange(bomb.as_bytes()).await;
        let status = status(&answer);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}");
        still_answers(&server).await;
    }
}

#[tokio::test]
async fn range_bombs_send_no_more_than_there_is() {
    let server = Server::open().await;
    let content = vec![7u8; 100_000];
    let path = format!("/v2/a/blobs/{}", server.push_blob("a", &content).await);
    let repeated = |range: &str, times: usize| format!("bytes={}0-0", format!("{range},").repeat(times));
    for range in [
        repeated("0-", 1000),
        repeated("0-99999", 20),
        repeated("-99999", 20),
        repeated("0-0", 5000),
        repeated("", 20_000),
        repeated("5-2", 5000),
        repeated("99999999999999999999-99999999999999999999", 200),
    ] {
        let response = server.get_range(&path, &range).await;
        let (status, start) = (response.status().as_u16(), &range[..20]);
        let length = response.bytes().await.unwrap().len();
        assert!([200, 206, 416, 431].contains(&status), "{start}: {status}");
        assert!(length <= content.len(), "{start}: {length} bytes");
    }
    still_answers(&server).await;
}

#[tokio::test]
async fn nested_documents_are_refused() {
    let server = Server::open().await;
    for document in [
        "[".repeat(4_000_000),
        "{\"a\":".repeat(800_000),
        format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000)),
        format!("{{\"annotations\":{}1{}}}", "{\"a\":".repeat(1000), "}".repeat(1000)),
    ] {
        for media_type in [MANIFEST, INDEX, "application/vnd.example.thing+json"] {
            let response = server.put_manifest("/v2/a/manifests/t", media_type, document.clone()).await;
            refused(response, 400, "MANIFEST_INVALID").await;
        }
    }
    still_answers(&server).await;
}

#[tokio::test]
async fn documents_of_two_meanings_are_refused() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    let other = descriptor("application/x", b"not here");
    let twice = |field: &str| document.replacen('{', &format!("{{\"{field}\": {other},"), 1);
    for ambiguous in [
        twice("config"),
        twice("\\u0063onfig"),
        twice("Config"),
        twice("LAYERS"),
        document.replacen("\"size\":6", "\"size\":6,\"size\":7", 1),
        document.replacen('{', "{\"schemaVersion\":2,", 1),
    ] {
        assert_ne!(ambiguous, document);
        let response = server.put_manifest("/v2/a/manifests/t", MANIFEST, ambiguous).await;
        refused(response, 400, "MANIFEST_INVALID").await;
    }
}

#[tokio::test]
async fn documents_of_many_parts_are_bounded() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let mut image: Value = serde_json::from_str(&manifest(b"config", &[])).unwrap();
    image["layers"] = json!(vec![descriptor("application/x", b"not here"); 5000]);
    let response = server.put_manifest("/v2/a/manifests/t", MANIFEST, image.to_string()).await;
    refused(response, 400, "MANIFEST_INVALID").await;

    // A refusal of many is no larger than a refusal of a few.
    let layers: Vec<Value> = (0..3000u32).map(|n| descriptor("application/x", &n.to_le_bytes())).collect();
    image["layers"] = json!(layers);
    let response = server.put_manifest("/v2/a/manifests/t", MANIFEST, image.to_string()).await;
    assert_eq!(response.status(), 404);
    assert!(header(&response, "content-length").parse::<usize>().unwrap() < 8192);
}

#[tokio::test]
async fn digests_of_all_shapes_stay_digests() {
    let server = Server::open().await;
    let hex = Digest::of(b"x").hex();
    for digest in [
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{hex}/"),
        format!("sha256:{hex}%00"),
        format!("sha256:{hex}%0a"),
        format!("sha256:../{hex}"),
        format!("sha256/{hex}"),
        format!("sha512:{hex}"),
        format!(":{hex}"),
        "sha256:".to_owned(),
        format!("sha256:{}", "0".repeat(100_000)),
    ] {
        for path in [
            format!("/v2/a/blobs/{digest}"),
            format!("/v2/a/manifests/{digest}"),
            format!("/v2/a/referrers/{digest}"),
            format!("/v2/a/blobs/uploads/?digest={digest}"),
            format!("/v2/a/blobs/uploads/?mount={digest}&from=b"),
        ] {
            for method in ["GET", "HEAD", "PUT", "DELETE", "POST"] {
                let status = server.raw(method, &path).await;
                assert!((400..500).contains(&status) || status == 202, "{method} {path} gave {status}");
            }
        }
    }
    still_answers(&server).await;
}

#[tokio::test]
async fn queries_of_all_shapes_are_answered() {
    let server = Server::open().await;
    for query in
        ["%", "%zz", "=", "&&&", "n=%ff", "digest=%00", "mount", "from=..", "&digest=", "n=1;n=2", "tag=%2F"]
    {
        for (method, path) in [
            ("GET", "/v2/a/tags/list"),
            ("GET", "/v2/_catalog"),
            ("POST", "/v2/a/blobs/uploads/"),
            ("PUT", "/v2/a/manifests/t"),
        ] {
            let status = server.raw(method, &format!("{path}?{query}")).await;
            assert!((200..500).contains(&status), "{method} {path}?{query} gave {status}");
        }
    }
}

/// A media type that no registry knows is kept and sent, as the specification asks: also one that a browser would run.
#[tokio::test]
async fn a_page_that_was_pushed_as_a_manifest_stays_dead() {
    let server = Server::open().await;
    let document = json!({ "schemaVersion": 2, "x": "<script>alert(origin)</script>" }).to_string();
    let put = server.put_manifest("/v2/evil/manifests/t", "text/html", document.clone()).await;
    assert_eq!(put.status(), 201);
    let blob = server.push_blob("evil", document.as_bytes()).await;
    server.put("/catalog/evil/x.txt", document.clone()).await;
    for (path, content_type) in [
        ("/v2/evil/manifests/t".to_owned(), "text/html"),
        (format!("/v2/evil/manifests/{blob}"), "text/html"),
        (format!("/v2/evil/blobs/{blob}"), "application/octet-stream"),
        ("/v2/evil/manifests/%3Cscript%3E".to_owned(), "application/json"),
        ("/v2/evil/tags/list".to_owned(), "application/json"),
        ("/catalog/evil/x.txt".to_owned(), "text/plain; charset=utf-8"),
    ] {
        let get = server.get(&path).await;
        assert_eq!(header(&get, "content-type"), content_type, "{path}");
        assert_eq!(header(&get, "content-security-policy"), "default-src 'none'; sandbox", "{path}");
        assert_eq!(header(&get, "x-content-type-options"), "nosniff", "{path}");
    }
    assert_eq!(server.get("/v2/evil/manifests/t").await.text().await.unwrap(), document);
}
