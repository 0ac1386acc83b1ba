//! SHA-256 and SHA-512, for blobs and manifests, announced or not.

use plyos_blobs::{Algorithm, Digest};
use reqwest::Method;

use crate::support::{INDEX, MANIFEST, Server, descriptor_by, header, manifest_by, refused};

const CONTENT: &[u8] = b"the same bytes, however they came";

/// Pushes [`CONTENT`] in one of the ways there are.
async fn push(server: &Server, way: &str, digest: Digest) -> reqwest::Response {
    let algorithm = digest.algorithm();
    let begin = async |query: &str| {
        let begun = server.post(&format!("/v2/a/blobs/uploads/{query}"), "").await;
        assert_eq!(begun.status(), 202, "{way} {algorithm}");
        header(&begun, "location").to_owned()
    };
    let announce = format!("?digest-algorithm={algorithm}");
    let (session, sent) = match way {
        "POST" => return server.post(&format!("/v2/a/blobs/uploads/?digest={digest}"), CONTENT).await,
        "PUT" => (begin("").await, 0),
        "announced PUT" => (begin(&announce).await, 0),
        "PATCH" => (begin("").await, 10),
        _ => (begin(&announce).await, 10),
    };
    if sent > 0 {
        let patch = server.request(Method::PATCH, &session).body(&CONTENT[..sent]).send().await.unwrap();
        assert_eq!(patch.status(), 202);
    }
    server.put(&format!("{session}?digest={digest}"), &CONTENT[sent..]).await
}

#[tokio::test]
async fn both_algorithms_name_a_blob_in_every_way_of_pushing() {
    for algorithm in Algorithm::ALL {
        for way in ["POST", "PUT", "announced PUT", "PATCH", "announced PATCH"] {
            let server = Server::open().await;
            let digest = algorithm.digest(CONTENT);
            let pushed = push(&server, way, digest).await;
            assert_eq!(pushed.status(), 201, "{way} {algorithm}");
            assert_eq!(header(&pushed, "docker-content-digest"), digest.to_string());
            let get = server.get(header(&pushed, "location")).await;
            assert_eq!(header(&get, "docker-content-digest"), digest.to_string());
            assert_eq!(get.bytes().await.unwrap(), CONTENT, "{way} {algorithm}");
            let part = server.get_range(&format!("/v2/a/blobs/{digest}"), "bytes=4-7,0-2").await;
            assert_eq!(part.status(), 206, "{way} {algorithm}");
            let wrong = push(&server, way, algorithm.digest(b"wrong")).await;
            refused(wrong, 400, "DIGEST_INVALID").await;
        }
    }
}

#[tokio::test]
async fn an_announced_algorithm_is_no_promise() {
    let server = Server::open().await;
    let begun = server.post("/v2/a/blobs/uploads/?digest-algorithm=sha512", "").await;
    let digest = Digest::of(CONTENT);
    let put = server.put(&format!("{}?digest={digest}", header(&begun, "location")), CONTENT).await;
    assert_eq!(put.status(), 201);
    assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap(), CONTENT);
}

#[tokio::test]
async fn unregistered_algorithms_are_refused() {
    let server = Server::open().await;
    let session = server.begin("a").await;
    for algorithm in ["md5", "sha384", "blake3", "sha256+b64u"] {
        let digest = format!("{algorithm}:{}", "0".repeat(64)).replace('+', "%2B");
        let algorithm = algorithm.replace('+', "%2B");
        for path in [
            format!("/v2/a/blobs/uploads/?digest={digest}"),
            format!("/v2/a/blobs/uploads/?digest-algorithm={algorithm}"),
        ] {
            refused(server.post(&path, "x").await, 400, "DIGEST_INVALID").await;
        }
        refused(server.put(&format!("{session}?digest={digest}"), "x").await, 400, "DIGEST_INVALID").await;
        for place in ["blobs", "manifests", "referrers"] {
            refused(server.get(&format!("/v2/a/{place}/{digest}")).await, 400, "DIGEST_INVALID").await;
        }
    }
    assert_eq!(server.get(&session).await.status(), 204, "the session is still there");
}

#[tokio::test]
async fn a_manifest_has_the_digest_that_it_was_pushed_by() {
    let server = Server::open().await;
    let sha512 = Algorithm::Sha512;
    for content in [b"config".as_slice(), b"layer"] {
        let path = format!("/v2/a/blobs/uploads/?digest={}", sha512.digest(content));
        assert_eq!(server.post(&path, content).await.status(), 201);
    }
    let document = manifest_by(sha512, b"config", &[b"layer"]);
    let digest = sha512.digest(document.as_bytes());
    let path = format!("/v2/a/manifests/{digest}");
    let put = server.put_manifest(&path, MANIFEST, document.clone()).await;
    assert_eq!((put.status().as_u16(), header(&put, "location")), (201, path.as_str()));
    assert_eq!(header(&put, "docker-content-digest"), digest.to_string());
    for response in [server.head(&path).await, server.get(&path).await] {
        assert_eq!(header(&response, "docker-content-digest"), digest.to_string());
        assert_eq!(header(&response, "content-length"), document.len().to_string());
    }
    let other = format!("/v2/a/manifests/{}", Digest::of(document.as_bytes()));
    refused(server.get(&other).await, 404, "MANIFEST_UNKNOWN").await;

    let index = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [descriptor_by(sha512, MANIFEST, document.as_bytes())],
    });
    let index = index.to_string();
    let path = format!("/v2/a/manifests/{}", sha512.digest(index.as_bytes()));
    assert_eq!(server.put_manifest(&path, INDEX, index.clone()).await.status(), 201);
    // By tag, the registry chooses.
    let tagged = server.put_manifest("/v2/a/manifests/t", INDEX, index.clone()).await;
    assert_eq!(header(&tagged, "docker-content-digest"), Digest::of(index.as_bytes()).to_string());

    let wrong = format!("/v2/a/manifests/{}", sha512.digest(b"wrong"));
    refused(server.put_manifest(&wrong, MANIFEST, document).await, 400, "DIGEST_INVALID").await;
}
