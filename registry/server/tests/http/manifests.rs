//! Manifests: what is taken, what is refused, and that the bytes stay what they were.

use plyos_blobs::Digest;
use reqwest::{Method, Response};
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
async fn what_a_manifest_says_of_sizes_must_be_true() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    server.push_blob("a", b"layer").await;
    let honest: Value = serde_json::from_str(&manifest(b"config", &[b"layer"])).unwrap();
    for (pointer, size) in
        [("/config/size", json!(7)), ("/layers/0/size", json!(0)), ("/layers/0/size", json!(u64::MAX))]
    {
        let mut lie = honest.clone();
        *lie.pointer_mut(pointer).unwrap() = size;
        let response = server.put_manifest("/v2/a/manifests/t", MANIFEST, lie.to_string()).await;
        refused(response, 400, "SIZE_INVALID").await;
    }
    for size in [json!(-1), json!(1.5), json!("6"), json!(null), json!(1e30)] {
        let mut nonsense = honest.clone();
        nonsense["config"]["size"] = size;
        let response = server.put_manifest("/v2/a/manifests/t", MANIFEST, nonsense.to_string()).await;
        refused(response, 400, "MANIFEST_INVALID").await;
    }
    assert_eq!(server.get("/v2/a/manifests/t").await.status(), 404);
}

#[tokio::test]
async fn a_manifest_may_have_no_layers() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    assert!(document.contains("\"layers\":[]"));
    assert_eq!(server.put_manifest("/v2/a/manifests/t", MANIFEST, document).await.status(), 201);
}

#[tokio::test]
async fn an_index_may_be_sparse() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    let path = format!("/v2/a/manifests/{}", Digest::of(document.as_bytes()));
    let here = descriptor(MANIFEST, document.as_bytes());
    let missing = descriptor(MANIFEST, b"for another machine");
    let index = |entries: Value| json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
    for entries in [json!([]), json!(null), json!([missing, here])] {
        let sparse = index(entries).to_string();
        let put = server.put_manifest("/v2/a/manifests/t", INDEX, sparse.clone()).await;
        assert_eq!(put.status(), 201, "{sparse}");
        let get = server.get("/v2/a/manifests/t").await;
        assert_eq!(header(&get, "content-type"), INDEX);
        assert_eq!(get.text().await.unwrap(), sparse);
    }
    assert_eq!(server.put_manifest(&path, MANIFEST, document).await.status(), 201);
    let mut lie = index(json!([here]));
    lie["manifests"][0]["size"] = json!(1);
    let response = server.put_manifest("/v2/a/manifests/t", INDEX, lie.to_string()).await;
    refused(response, 400, "SIZE_INVALID").await;
}

#[tokio::test]
async fn an_index_may_list_an_index() {
    let server = Server::open().await;
    let inner = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string();
    let path = format!("/v2/a/manifests/{}", Digest::of(inner.as_bytes()));
    assert_eq!(server.put_manifest(&path, INDEX, inner.clone()).await.status(), 201);
    let outer = json!({ "schemaVersion": 2, "manifests": [descriptor(INDEX, inner.as_bytes())] });
    assert_eq!(server.put_manifest("/v2/a/manifests/t", INDEX, outer.to_string()).await.status(), 201);
}

#[tokio::test]
async fn types_that_nobody_here_knows_are_kept() {
    let server = Server::open().await;
    for (tag, media_type, document) in [
        ("a", "application/vnd.example.thing+json", r#"{ "layers": "none", "x": 1 }"#),
        ("b", "application/vnd.oci.artifact.manifest.v1+json", r#"{"blobs":[]}"#),
        (
            "c",
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
        ),
    ] {
        let path = format!("/v2/a/manifests/{tag}");
        assert_eq!(server.put_manifest(&path, media_type, document).await.status(), 201, "{media_type}");
        let get = server.get(&path).await;
        assert_eq!(header(&get, "content-type"), media_type);
        assert_eq!(get.text().await.unwrap(), document);
    }
}

#[tokio::test]
async fn fields_that_nobody_here_knows_are_kept() {
    let server = Server::open().await;
    server.push_blob("a", b"{}").await;
    let mut document: Value = serde_json::from_str(&manifest(b"{}", &[])).unwrap();
    document["config"]["data"] = json!("e30=");
    document["config"]["more"] = json!({ "deep": [1, 2.5, null, true] });
    document["org.example.custom"] = json!("anything");
    let document = document.to_string();
    assert_eq!(server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await.status(), 201);
    assert_eq!(server.get("/v2/a/manifests/t").await.text().await.unwrap(), document);
}

#[tokio::test]
async fn layers_that_may_not_be_handed_on_need_not_be_here() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let mut document: Value = serde_json::from_str(&manifest(b"config", &[b"elsewhere"])).unwrap();
    let refusal = server.put_manifest("/v2/a/manifests/t", MANIFEST, document.to_string()).await;
    refused(refusal, 404, "MANIFEST_BLOB_UNKNOWN").await;
    document["layers"][0]["mediaType"] =
        json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    document["layers"][0]["urls"] = json!(["https://elsewhere.invalid/layer"]);
    let put = server.put_manifest("/v2/a/manifests/t", MANIFEST, document.to_string()).await;
    assert_eq!(put.status(), 201);
}

#[tokio::test]
async fn index_and_image_are_not_confused() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let image: Value = serde_json::from_str(&manifest(b"config", &[])).unwrap();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    let with = |mut document: Value, field: &str, value: Value| {
        document[field] = value;
        document.to_string()
    };
    for (media_type, document) in [
        (INDEX, image.to_string()),
        (MANIFEST, index.to_string()),
        (MANIFEST, with(image.clone(), "mediaType", json!(INDEX))),
        (MANIFEST, with(image.clone(), "manifests", json!([]))),
        (MANIFEST, with(image.clone(), "Manifests", json!([]))),
        (INDEX, with(index.clone(), "layers", json!([]))),
        (INDEX, with(index.clone(), "config", image["config"].clone())),
        ("application/json", image.to_string()),
        ("application/json", with(image.clone(), "mediaType", json!("application/JSON"))),
    ] {
        let response = server.put_manifest("/v2/a/manifests/t", media_type, document).await;
        refused(response, 400, "MANIFEST_INVALID").await;
    }
}

async fn put_untyped(server: &Server, document: String) -> Response {
    server.request(Method::PUT, "/v2/a/manifests/t").body(document).send().await.unwrap()
}

#[tokio::test]
async fn the_type_is_taken_from_the_document_if_no_header_says_it() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    assert_eq!(put_untyped(&server, document.clone()).await.status(), 201);
    assert_eq!(header(&server.get("/v2/a/manifests/t").await, "content-type"), MANIFEST);
    let mut untyped: Value = serde_json::from_str(&document).unwrap();
    untyped.as_object_mut().unwrap().remove("mediaType");
    refused(put_untyped(&server, untyped.to_string()).await, 400, "MANIFEST_INVALID").await;

    let with_parameter = format!("{MANIFEST}; charset=utf-8");
    let put = server.put_manifest("/v2/a/manifests/t", &with_parameter, document).await;
    assert_eq!(put.status(), 201);
    assert!(put.headers().get("warning").is_none());
    assert_eq!(header(&server.get("/v2/a/manifests/t").await, "content-type"), MANIFEST, "no parameters");

    let put = server.put_manifest("/v2/a/manifests/t", MANIFEST, untyped.to_string()).await;
    assert_eq!(put.status(), 201);
    let warnings: Vec<_> = put.headers().get_all("warning").iter().map(|w| w.to_str().unwrap()).collect();
    assert!(
        warnings.iter().any(|text| text.starts_with("299 - \"") && text.contains("mediaType")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn bad_manifests_are_refused() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    let wrong = format!("/v2/a/manifests/{}", Digest::of(b"wrong"));
    refused(server.put_manifest(&wrong, MANIFEST, document.clone()).await, 400, "DIGEST_INVALID").await;
    refused(
        server.put_manifest("/v2/a/manifests/sha256:baddigest", MANIFEST, document.clone()).await,
        400,
        "DIGEST_INVALID",
    )
    .await;
    for (media_type, body) in [
        (MANIFEST, "not json".to_owned()),
        (MANIFEST, String::new()),
        (MANIFEST, "{}".to_owned()),
        (MANIFEST, "[]".to_owned()),
        (MANIFEST, document.clone() + "{}"),
        ("nonsense", document.clone()),
        ("application/vnd.example.thing+json", "not json".to_owned()),
    ] {
        let response = server.put_manifest("/v2/a/manifests/t", media_type, body).await;
        refused(response, 400, "MANIFEST_INVALID").await;
    }
    assert_eq!(server.get("/v2/a/manifests/t").await.status(), 404);
}

#[tokio::test]
async fn a_manifest_has_a_greatest_size() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    let large = server.put_manifest("/v2/a/manifests/t", MANIFEST, vec![b' '; 4 * 1024 * 1024 + 1]).await;
    refused(large, 413, "SIZE_INVALID").await;
    let exactly = document.clone() + &" ".repeat(4 * 1024 * 1024 - document.len());
    assert_eq!(server.put_manifest("/v2/a/manifests/t", MANIFEST, exactly.clone()).await.status(), 201);
    assert!(server.get("/v2/a/manifests/t").await.text().await.unwrap() == exactly);
}

#[tokio::test]
async fn whatever_is_accepted_the_manifest_is_sent() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await;
    for accept in [
        MANIFEST,
        INDEX,
        "*/*",
        "text/html;q=0.9",
        "application/vnd.docker.distribution.manifest.v1+json",
        ",;=",
    ] {
        let request = server.request(Method::GET, "/v2/a/manifests/t").header("accept", accept);
        let get = request.header("accept", "application/x").send().await.unwrap();
        assert_eq!((get.status().as_u16(), header(&get, "content-type")), (200, MANIFEST), "{accept}");
        assert_eq!(get.text().await.unwrap(), document);
    }
}

#[tokio::test]
async fn an_unchanged_manifest_is_not_sent_again() {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    server.put_manifest("/v2/a/manifests/t", MANIFEST, document.clone()).await;
    let etag = format!("\"{}\"", Digest::of(document.as_bytes()));
    for method in [Method::GET, Method::HEAD] {
        let request = server.request(method, "/v2/a/manifests/t").header("if-none-match", &etag);
        let same = request.send().await.unwrap();
        assert_eq!((same.status().as_u16(), header(&same, "etag")), (304, etag.as_str()));
    }
}
