//! A blob belongs to the repositories that it was pushed or mounted to.

use plyos_blobs::Digest;
use reqwest::Response;

use crate::support::{MANIFEST, Server, header, manifest, refused};

async fn mount(server: &Server, to: &str, digest: Digest, from: &str) -> Response {
    server.post(&format!("/v2/{to}/blobs/uploads/?mount={digest}{from}"), "").await
}

#[tokio::test]
async fn a_blob_is_seen_where_it_was_pushed_only() {
    let server = Server::open().await;
    let digest = server.push_blob("a", b"content").await;
    let elsewhere = format!("/v2/b/blobs/{digest}");
    assert_eq!(server.head(&elsewhere).await.status(), 404);
    refused(server.get(&elsewhere).await, 404, "BLOB_UNKNOWN").await;
    refused(server.get_range(&elsewhere, "bytes=0-1").await, 404, "BLOB_UNKNOWN").await;
    let document = manifest(b"content", &[]);
    let put = server.put_manifest("/v2/b/manifests/t", MANIFEST, document).await;
    refused(put, 404, "MANIFEST_BLOB_UNKNOWN").await;

    // The same bytes are kept once, and pushed again they are there.
    server.push_blob("b", b"content").await;
    assert_eq!(server.get(&elsewhere).await.bytes().await.unwrap(), "content");
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository() {
    let server = Server::open().await;
    let digest = server.push_blob("a/b", b"content").await;
    let mounted = mount(&server, "c", digest, "&from=a%2Fb").await;
    assert_eq!(mounted.status(), 201);
    assert_eq!(header(&mounted, "location"), format!("/v2/c/blobs/{digest}"));
    assert_eq!(header(&mounted, "docker-content-digest"), digest.to_string());
    assert_eq!(server.get(header(&mounted, "location")).await.bytes().await.unwrap(), "content");
    // Again, and onto itself: it is there.
    assert_eq!(mount(&server, "c", digest, "&from=a/b").await.status(), 201);
    assert_eq!(mount(&server, "c", digest, "&from=c").await.status(), 201);
}

#[tokio::test]
async fn a_blob_is_mounted_from_wherever_it_is() {
    let server = Server::open().await;
    let digest = server.push_blob("a", b"content").await;
    let mounted = mount(&server, "b", digest, "").await;
    assert_eq!(
        (mounted.status().as_u16(), header(&mounted, "location")),
        (201, &*format!("/v2/b/blobs/{digest}"))
    );
    assert_eq!(server.get(&format!("/v2/b/blobs/{digest}")).await.status(), 200);
}

#[tokio::test]
async fn a_mount_that_fails_is_an_upload() {
    let server = Server::open().await;
    let here = server.push_blob("a", b"content").await;
    let unknown = Digest::of(b"unknown");
    for (digest, from) in [(unknown, "&from=a"), (unknown, ""), (here, "&from=elsewhere"), (here, "&from=..")]
    {
        let begun = mount(&server, "b", digest, from).await;
        assert_eq!(begun.status(), 202, "{digest}{from}");
        assert!(header(&begun, "location").starts_with("/v2/b/blobs/uploads/"));
        assert_eq!(server.head(&format!("/v2/b/blobs/{digest}")).await.status(), 404, "{digest}{from}");
    }
    let begun = mount(&server, "b", unknown, "&from=a").await;
    let put = server.put(&format!("{}?digest={unknown}", header(&begun, "location")), "unknown").await;
    assert_eq!(put.status(), 201);
    assert_eq!(server.get(&format!("/v2/b/blobs/{unknown}")).await.bytes().await.unwrap(), "unknown");
}
