//! Deleting tags, manifests and blobs.

use plyos_blobs::Digest;
use reqwest::{Method, Response};

use crate::support::{MANIFEST, Server, header, manifest, refused};

async fn delete(server: &Server, path: &str) -> Response {
    server.request(Method::DELETE, path).send().await.unwrap()
}

/// A server with a manifest under the tags `t` and `u`, and the digest.
async fn server_with_manifest() -> (Server, Digest) {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    for tag in ["t", "u"] {
        let path = format!("/v2/a/manifests/{tag}");
        assert_eq!(server.put_manifest(&path, MANIFEST, document.clone()).await.status(), 201);
    }
    (server, Digest::of(document.as_bytes()))
}

#[tokio::test]
async fn a_deleted_tag_is_gone_and_its_manifest_stays() {
    let (server, digest) = server_with_manifest().await;
    assert_eq!(delete(&server, "/v2/a/manifests/t").await.status(), 202);
    refused(server.get("/v2/a/manifests/t").await, 404, "MANIFEST_UNKNOWN").await;
    assert_eq!(server.head("/v2/a/manifests/t").await.status(), 404);
    assert_eq!(server.get("/v2/a/manifests/u").await.status(), 200);
    assert_eq!(server.get(&format!("/v2/a/manifests/{digest}")).await.status(), 200);
    assert!(server.get("/v2/a/tags/list").await.text().await.unwrap().contains(r#""tags":["u"]"#));
    refused(delete(&server, "/v2/a/manifests/t").await, 404, "MANIFEST_UNKNOWN").await;
}

#[tokio::test]
async fn a_deleted_manifest_is_gone_and_so_are_its_tags() {
    let (server, digest) = server_with_manifest().await;
    let path = format!("/v2/a/manifests/{digest}");
    assert_eq!(delete(&server, &path).await.status(), 202);
    for path in [path.as_str(), "/v2/a/manifests/t", "/v2/a/manifests/u"] {
        refused(server.get(path).await, 404, "MANIFEST_UNKNOWN").await;
        assert_eq!(server.head(path).await.status(), 404);
    }
    refused(delete(&server, &path).await, 404, "MANIFEST_UNKNOWN").await;
    // Pushed again by its digest, no tag comes back to life.
    assert_eq!(server.put_manifest(&path, MANIFEST, manifest(b"config", &[])).await.status(), 201);
    assert_eq!(server.get(&path).await.status(), 200);
    assert_eq!(server.get("/v2/a/manifests/t").await.status(), 404);
    assert!(server.get("/v2/a/tags/list").await.text().await.unwrap().contains(r#""tags":[]"#));
}

#[tokio::test]
async fn a_deleted_blob_is_gone_from_its_repository() {
    let server = Server::open().await;
    let digest = server.push_blob("a", b"content").await;
    server.push_blob("b", b"content").await;
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(server.get(&path).await.status(), 200);
    assert_eq!(delete(&server, &path).await.status(), 202);
    refused(server.get(&path).await, 404, "BLOB_UNKNOWN").await;
    assert_eq!(server.head(&path).await.status(), 404);
    refused(delete(&server, &path).await, 404, "BLOB_UNKNOWN").await;
    let elsewhere = server.get(&format!("/v2/b/blobs/{digest}")).await;
    assert_eq!(elsewhere.bytes().await.unwrap(), "content");
    server.push_blob("a", b"content").await;
    assert_eq!(server.get(&path).await.bytes().await.unwrap(), "content");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_deleted() {
    let server = Server::open().await;
    let digest = Digest::of(b"x");
    refused(delete(&server, &format!("/v2/never/blobs/{digest}")).await, 404, "BLOB_UNKNOWN").await;
    refused(delete(&server, &format!("/v2/never/manifests/{digest}")).await, 404, "MANIFEST_UNKNOWN").await;
    refused(delete(&server, "/v2/never/manifests/t").await, 404, "MANIFEST_UNKNOWN").await;
    for (path, code) in [
        ("/v2/a/blobs/sha256:00", "DIGEST_INVALID"),
        ("/v2/a/manifests/sha256:00", "DIGEST_INVALID"),
        ("/v2/A/manifests/t", "NAME_INVALID"),
    ] {
        refused(delete(&server, path).await, 400, code).await;
    }
}

#[tokio::test]
async fn deleting_can_be_switched_off() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.deletes = false;
    })
    .await;
    let blob = server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await;
    for (path, allow) in [
        (format!("/v2/a/blobs/{blob}"), "GET, HEAD"),
        (format!("/v2/a/manifests/{}", Digest::of(document.as_bytes())), "GET, HEAD, PUT"),
        ("/v2/a/manifests/t".to_owned(), "GET, HEAD, PUT"),
    ] {
        let refusal = delete(&server, &path).await;
        assert_eq!(header(&refusal, "allow"), allow);
        refused(refusal, 405, "UNSUPPORTED").await;
        assert_eq!(server.get(&path).await.status(), 200);
    }
    // An upload can be given up: it is nobody's yet.
    let session = server.begin("a").await;
    assert_eq!(delete(&server, &session).await.status(), 204);
}

#[tokio::test]
async fn other_methods_are_named() {
    let (server, digest) = server_with_manifest().await;
    for (method, path, allow) in [
        (Method::POST, "/v2/".to_owned(), "GET, HEAD"),
        (Method::POST, format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        (Method::PUT, format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        (Method::POST, "/v2/a/manifests/t".to_owned(), "GET, HEAD, PUT, DELETE"),
        (Method::PATCH, "/v2/a/manifests/t".to_owned(), "GET, HEAD, PUT, DELETE"),
        (Method::PUT, "/v2/a/tags/list".to_owned(), "GET, HEAD"),
        (Method::DELETE, format!("/v2/a/referrers/{digest}"), "GET, HEAD"),
        (Method::POST, "/v2/_catalog".to_owned(), "GET, HEAD"),
        (Method::GET, "/v2/a/blobs/uploads/".to_owned(), "POST"),
        (
            Method::POST,
            "/v2/a/blobs/uploads/00112233445566778899aabbccddeeff".to_owned(),
            "GET, PATCH, PUT, DELETE",
        ),
    ] {
        let response = server.request(method.clone(), &path).send().await.unwrap();
        assert_eq!(header(&response, "allow"), allow, "{method} {path}");
        refused(response, 405, "UNSUPPORTED").await;
    }
}
