//! The list of repositories, as docker's registry has it.

use serde_json::{Value, json};

use crate::support::{MANIFEST, Server, header, manifest, refused};

async fn push(server: &Server, repository: &str) {
    server.push_blob(repository, b"config").await;
    let path = format!("/v2/{repository}/manifests/t");
    assert_eq!(server.put_manifest(&path, MANIFEST, manifest(b"config", &[])).await.status(), 201);
}

#[tokio::test]
async fn repositories_are_listed_in_pages() {
    let server = Server::open().await;
    let list = async |query: &str| {
        let response = server.get(&format!("/v2/_catalog{query}")).await;
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (200, "application/json")
        );
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        (body["repositories"].clone(), link)
    };
    assert_eq!(list("").await, (json!([]), None));
    for repository in ["b", "a/b/c", "a", "a/tags", "c/d"] {
        push(&server, repository).await;
    }
    // Without a manifest it is none.
    server.push_blob("only/blobs", b"content").await;
    assert_eq!(list("").await.0, json!(["a", "a/b/c", "a/tags", "b", "c/d"]));
    let next = "</v2/_catalog?n=2&last=a/b/c>; rel=\"next\"".to_owned();
    assert_eq!(list("?n=2").await, (json!(["a", "a/b/c"]), Some(next)));
    assert_eq!(list("?n=3&last=a%2Fb%2Fc").await, (json!(["a/tags", "b", "c/d"]), None));
    assert_eq!(list("?n=0").await, (json!([]), None));
    assert_eq!(list("?last=zzz").await, (json!([]), None));
    refused(server.get("/v2/_catalog?n=x").await, 400, "UNSUPPORTED").await;
    let last = server.get("/v2/_catalog?n=2&last=..%2F..").await;
    assert_eq!(last.status(), 200, "what comes after it is all there is");
}
