//! Names by the grammar, and paths that try to leave the storage. Sent over a bare socket, because HTTP clients
//! resolve `..` themselves.

use crate::support::Server;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[tokio::test]
async fn bad_names_are_refused() {
    let server = Server::open().await;
    for path in [
        "/v2/A/tags/list",
        "/v2/a__/tags/list",
        "/v2/a//b/tags/list",
        "/v2//tags/list",
        "/v2/_a/tags/list",
        "/v2/a/manifests/-x",
        "/v2/a/manifests/.x",
        "/v2/a/manifests/sha256:00",
        "/v2/a/blobs/sha256:00",
        "/v2/a/blobs/nonsense",
        "/v2/a/manifests/md5:00",
    ] {
        assert_eq!(server.raw("GET", path).await, 400, "{path}");
    }
    let long = "a".repeat(256);
    assert_eq!(server.raw("GET", &format!("/v2/{long}/tags/list")).await, 400);
    assert_eq!(server.raw("GET", &format!("/v2/a/manifests/{long}")).await, 400);
    for path in ["/v2/a", "/v2/a/blobs", "/v2/a/nonsense/x", "/nonsense", "/catalog", "/catalog/"] {
        assert!([400, 404].contains(&server.raw("GET", path).await), "{path}");
    }
}

#[tokio::test]
async fn no_path_leads_out_of_the_storage() {
    let server = Server::open().await;
    // What every attempt below is after.
    std::fs::write(server.stored("secret"), "secret").unwrap();
    assert_eq!(server.raw("GET", "/healthz").await, 200);
    let before = tree(&server.stored(""));
    for attempt in [
        "..",
        "../..",
        "%2e%2e",
        "%2E%2E",
        ".%2e",
        "%2e%2e%2f",
        "..%2f..%2fsecret",
        "%2Fetc",
        "%252e%252e",
        "a/..",
        "a/../..",
        "a%2f..%2f..",
        "a%00",
        "a%5c..",
        ".secret",
        "..%5c",
        "%c0%ae%c0%ae",
        "",
    ] {
        for path in [
            format!("/v2/{attempt}/manifests/t"),
            format!("/v2/a/{attempt}/manifests/t"),
            format!("/v2/a/manifests/{attempt}"),
            format!("/v2/a/blobs/{attempt}"),
            format!("/v2/a/blobs/uploads/{attempt}x"),
            format!("/catalog/{attempt}/secret"),
            format!("/catalog/main/{attempt}/secret"),
            format!("/catalog/main/{attempt}"),
            format!("/catalog/main/blobs/sha256/{attempt}"),
            format!("/catalog/main/blobs/sha256/{attempt}/{HEX}"),
        ] {
            for method in ["GET", "PUT"] {
                let status = server.raw(method, &path).await;
                assert!((400..500).contains(&status), "{method} {path} gave {status}");
            }
        }
    }
    assert_eq!(tree(&server.stored("")), before);
}

/// Every file and directory below `path`.
fn tree(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}
