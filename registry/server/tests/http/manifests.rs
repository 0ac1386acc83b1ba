//! Manifests and tags.

use plyos_blobs::Digest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{INDEX, MANIFEST, Server, descriptor, header, manifest, refused};

#[tokio::test]
async fn a_manifest_is_kept_byte_for_byte() {
    let server = Server::open().await;
    server.push_blob("a/b", b"config").await;
    server.push_blob("a/b", b"layer").await;
    let document = manifest(b"config", &[b"layer"]);
    let digest = Digest::of(document.as_bytes());

    let put = server.put_manifest("/v2/a/b/manifests/1.0", MANIFEST, document.clone()).await;
    assert_eq!(put.status(), 201);
    assert_eq!(header(&put, "docker-content-digest"), digest.to_string());
    assert_eq!(header(&put, "location"), format!("/v2/a/b/manifests/{digest}"));
    for path in ["/v2/a/b/manifests/1.0".to_owned(), format!("/v2/a/b/manifests/{digest}")] {
        let head = server.head(&path).await;
        assert_eq!(header(&head, "content-length"), document.len().to_string());
        let get = server.get(&path).await;
        assert_eq!(get.status(), 200);
        assert_eq!(header(&get, "content-type"), MANIFEST);
        assert_eq!(header(&get, "docker-content-digest"), digest.to_string());
        assert_eq!(get.text().await.unwrap(), document);
    }
    refused(server.get(&format!("/v2/other/manifests/{digest}")).await, 404, "MANIFEST_UNKNOWN").await;
    refused(server.get("/v2/a/b/manifests/2.0").await, 404, "MANIFEST_UNKNOWN").await;
}

#[tokio::test]
async fn a_tag_moves() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    server.push_blob("a", b"layer").await;
    let (one, two) = (manifest(b"config", &[]), manifest(b"config", &[b"layer"]));
    for document in [&one, &two] {
        assert_eq!(server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await.status(), 201);
        let get = server.get("/v2/a/manifests/t").await;
        assert_eq!(header(&get, "cache-control"), "no-cache");
        assert_eq!(get.text().await.unwrap(), *document);
    }
    let old = server.get(&format!("/v2/a/manifests/{}", Digest::of(one.as_bytes()))).await;
    assert_eq!(old.status(), 200, "the old one is still there by digest");
}

#[tokio::test]
async fn what_a_manifest_refers_to_must_be_here() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[b"one", b"two"]);
    let response = server.put_manifest("/v2/a/manifests/t", MANIFEST, document).await;
    assert_eq!(response.status(), 404);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    let missing: Vec<_> =
        body["errors"].as_array().unwrap().iter().map(|error| &error["detail"]["digest"]).collect();
    assert_eq!(body["errors"][0]["code"], "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(missing, [&json!(Digest::of(b"one").to_string()), &json!(Digest::of(b"two").to_string())]);
    assert_eq!(server.get("/v2/a/manifests/t").await.status(), 404);

    let mut wrong_size: Value = serde_json::from_str(&manifest(b"config", &[])).unwrap();
    wrong_size["config"]["size"] = json!(7);
    let response = server.put_manifest("/v2/a/manifests/t", MANIFEST, wrong_size.to_string()).await;
    refused(response, 400, "SIZE_INVALID").await;
}

#[tokio::test]
async fn an_index_refers_to_manifests_of_its_repository() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    let path = format!("/v2/a/manifests/{}", Digest::of(document.as_bytes()));
    let entry = descriptor(MANIFEST, document.as_bytes());
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] }).to_string();

    let early = server.put_manifest("/v2/a/manifests/t", INDEX, index.clone()).await;
    refused(early, 404, "MANIFEST_BLOB_UNKNOWN").await;
    assert_eq!(server.put_manifest(&path, MANIFEST, document).await.status(), 201);
    assert_eq!(server.put_manifest("/v2/a/manifests/t", INDEX, index.clone()).await.status(), 201);
    let elsewhere = server.put_manifest("/v2/b/manifests/t", INDEX, index).await;
    refused(elsewhere, 404, "MANIFEST_BLOB_UNKNOWN").await;
}

#[tokio::test]
async fn bad_manifests_are_refused() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    let wrong = format!("/v2/a/manifests/{}", Digest::of(b"wrong"));
    refused(server.put_manifest(&wrong, MANIFEST, document.clone()).await, 400, "DIGEST_INVALID").await;
    for (media_type, body) in [
        (MANIFEST, "not json".to_owned()),
        (MANIFEST, "{}".to_owned()),
        (INDEX, document.clone()),
        ("application/json", document.clone()),
        ("nonsense", document.clone()),
    ] {
        let response = server.put_manifest("/v2/a/manifests/t", media_type, body).await;
        refused(response, 400, "MANIFEST_INVALID").await;
    }
    let large = server.put_manifest("/v2/a/manifests/t", MANIFEST, vec![b' '; 4 * 1024 * 1024 + 1]).await;
    refused(large, 413, "SIZE_INVALID").await;
    let exactly = document.clone() + &" ".repeat(4 * 1024 * 1024 - document.len());
    assert_eq!(server.put_manifest("/v2/a/manifests/t", MANIFEST, exactly).await.status(), 201);
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let server = Server::open().await;
    refused(server.get("/v2/a/tags/list").await, 404, "NAME_UNKNOWN").await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    for tag in ["b", "C", "a", "1.0"] {
        let path = format!("/v2/a/manifests/{tag}");
        assert_eq!(server.put_manifest(&path, MANIFEST, document.clone()).await.status(), 201);
    }
    let list = async |query: &str| {
        let response = server.get(&format!("/v2/a/tags/list{query}")).await;
        assert_eq!(response.status(), 200);
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!(body["name"], "a");
        (body["tags"].to_string(), link)
    };
    assert_eq!(list("").await, (r#"["1.0","a","b","C"]"#.to_owned(), None));
    let next = "</v2/a/tags/list?n=2&last=a>; rel=\"next\"".to_owned();
    assert_eq!(list("?n=2").await, (r#"["1.0","a"]"#.to_owned(), Some(next)));
    assert_eq!(list("?n=2&last=a").await, (r#"["b","C"]"#.to_owned(), None));
    assert_eq!(list("?n=0").await.0, "[]");
    assert_eq!(list("?last=z").await.0, "[]");
    assert_eq!(server.get("/v2/a/tags/list?n=-1").await.status(), 400);
}

#[tokio::test]
async fn what_comes_later_is_refused_in_the_specifications_words() {
    let server = Server::open().await;
    let digest = server.push_blob("a", b"config").await;
    for path in
        [format!("/v2/a/blobs/{digest}"), format!("/v2/a/manifests/{digest}"), "/v2/a/manifests/t".into()]
    {
        refused(server.request(Method::DELETE, &path).send().await.unwrap(), 405, "UNSUPPORTED").await;
    }
    // A registry without referrers answers 404, and clients fall back to tags.
    assert_eq!(server.get(&format!("/v2/a/referrers/{digest}")).await.status(), 404);
}
