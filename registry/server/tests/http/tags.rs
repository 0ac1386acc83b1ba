//! Tags: listing them in pages, moving them, and moving them only if they are where they were.

use plyos_blobs::Digest;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{MANIFEST, Server, header, manifest, refused};

/// A server with a manifest under each tag, and the manifest.
async fn server_with_tags(tags: &[&str]) -> (Server, String) {
    let server = Server::open().await;
    server.push_blob("a", b"config").await;
    let document = manifest(b"config", &[]);
    for tag in tags {
        let path = format!("/v2/a/manifests/{tag}");
        assert_eq!(server.put_manifest(&path, MANIFEST, document.clone()).await.status(), 201);
    }
    (server, document)
}

/// The tags in an answer, and its link.
async fn listed(response: Response) -> (Vec<String>, Option<String>) {
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "application/json");
    let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["name"], "a");
    let tags = body["tags"].as_array().unwrap();
    (tags.iter().map(|tag| tag.as_str().unwrap().to_owned()).collect(), link)
}

#[tokio::test]
async fn tags_are_listed_in_byte_order() {
    let (server, _) = server_with_tags(&["b", "C", "a", "_x", "1.0", "1.0-rc", "10"]).await;
    let (tags, link) = listed(server.get("/v2/a/tags/list").await).await;
    assert_eq!(tags, ["1.0", "1.0-rc", "10", "C", "_x", "a", "b"]);
    assert_eq!(link, None);
    let head = server.head("/v2/a/tags/list").await;
    let body = json!({ "name": "a", "tags": tags }).to_string();
    assert_eq!(header(&head, "content-length"), body.len().to_string());
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let (server, _) = server_with_tags(&["b", "C", "a", "1.0"]).await;
    let list = async |query: &str| {
        let (tags, link) = listed(server.get(&format!("/v2/a/tags/list{query}")).await).await;
        (tags.join(" "), link)
    };
    let next = "</v2/a/tags/list?n=2&last=C>; rel=\"next\"".to_owned();
    assert_eq!(list("?n=2").await, ("1.0 C".to_owned(), Some(next)));
    assert_eq!(list("?n=2&last=C").await, ("a b".to_owned(), None));
    assert_eq!(list("?n=3&last=C").await, ("a b".to_owned(), None));
    assert_eq!(list("?last=C").await.0, "a b");
    assert_eq!(list("?last=1.1").await.0, "C a b", "the last one need not be there");
    assert_eq!(list("?n=4").await, ("1.0 C a b".to_owned(), None), "nothing follows");
    assert_eq!(list("?last=z").await, (String::new(), None));
    for n in ["-1", "", "x", "1.5"] {
        refused(server.get(&format!("/v2/a/tags/list?n={n}")).await, 400, "UNSUPPORTED").await;
    }
}

#[tokio::test]
async fn links_lead_through_all_tags() {
    let names: Vec<String> = (0..23).map(|n| format!("v{n}")).collect();
    let (server, _) = server_with_tags(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut sorted = names;
    sorted.sort();
    let (mut all, mut path) = (Vec::new(), "/v2/a/tags/list?n=5".to_owned());
    loop {
        let (tags, link) = listed(server.get(&path).await).await;
        all.extend(tags);
        let Some(link) = link else { break };
        path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(all, sorted);
}

#[tokio::test]
async fn none_are_listed_when_none_are_asked_for() {
    let (server, _) = server_with_tags(&["a"]).await;
    assert_eq!(listed(server.get("/v2/a/tags/list?n=0").await).await, (Vec::new(), None));
}

#[tokio::test]
async fn the_server_bounds_a_page() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.tags = 2;
    })
    .await;
    server.push_blob("a", b"config").await;
    for tag in ["1", "2", "3"] {
        let path = format!("/v2/a/manifests/{tag}");
        server.put_manifest(&path, MANIFEST, manifest(b"config", &[])).await;
    }
    let link = Some("</v2/a/tags/list?n=2&last=2>; rel=\"next\"".to_owned());
    for query in ["", "?n=3", "?n=99999999999999999999"] {
        let page = listed(server.get(&format!("/v2/a/tags/list{query}")).await).await;
        assert_eq!(page, (vec!["1".to_owned(), "2".to_owned()], link.clone()), "{query}");
    }
}

#[tokio::test]
async fn a_repository_that_is_not_there_has_no_tags() {
    let (server, document) = server_with_tags(&[]).await;
    refused(server.get("/v2/nowhere/tags/list").await, 404, "NAME_UNKNOWN").await;
    let path = format!("/v2/a/manifests/{}", Digest::of(document.as_bytes()));
    assert_eq!(server.put_manifest(&path, MANIFEST, document).await.status(), 201);
    assert_eq!(listed(server.get("/v2/a/tags/list").await).await, (Vec::new(), None), "there, without tags");
}

#[tokio::test]
async fn a_tag_moves_and_says_so() {
    let (server, one) = server_with_tags(&["t"]).await;
    server.push_blob("a", b"layer").await;
    let two = manifest(b"config", &[b"layer"]);
    let again = server.put_manifest("/v2/a/manifests/t", MANIFEST, one.clone()).await;
    assert!(again.headers().get("warning").is_none(), "it stays where it is");
    let moved = server.put_manifest("/v2/a/manifests/t", MANIFEST, two.clone()).await;
    assert_eq!(moved.status(), 201);
    let old = Digest::of(one.as_bytes());
    let warning = header(&moved, "warning");
    assert!(warning.starts_with("299 - \"") && warning.contains(&old.to_string()), "{warning}");

    let get = server.get("/v2/a/manifests/t").await;
    assert_eq!(header(&get, "cache-control"), "no-cache");
    assert_eq!(get.text().await.unwrap(), two);
    assert_eq!(server.get(&format!("/v2/a/manifests/{old}")).await.text().await.unwrap(), one);
}

#[tokio::test]
async fn a_tag_moves_only_from_where_it_was_seen() {
    let (server, one) = server_with_tags(&["t"]).await;
    let two = format!("{one} ");
    let put = async |tag: &str, name: &str, value: &str, document: &str| {
        let request = server.request(Method::PUT, &format!("/v2/a/manifests/{tag}"));
        let request = request.header("content-type", MANIFEST).header(name, value);
        request.body(document.to_owned()).send().await.unwrap()
    };
    let [etag, other] = [&one, &two].map(|document| format!("\"{}\"", Digest::of(document.as_bytes())));
    for (tag, name, value) in [
        ("t", "if-match", other.as_str()),
        ("t", "if-match", "\"nonsense\""),
        ("t", "if-none-match", "*"),
        ("new", "if-match", &etag),
        ("new", "if-match", "*"),
    ] {
        refused(put(tag, name, value, &two).await, 412, "DENIED").await;
    }
    assert_eq!(server.get("/v2/a/manifests/t").await.text().await.unwrap(), one);
    assert_eq!(server.head("/v2/a/manifests/new").await.status(), 404);

    assert_eq!(put("t", "if-match", &etag, &two).await.status(), 201);
    assert_eq!(put("t", "if-match", "*", &one).await.status(), 201);
    assert_eq!(put("new", "if-none-match", "*", &one).await.status(), 201);
    assert_eq!(server.get("/v2/a/manifests/new").await.text().await.unwrap(), one);
}

#[tokio::test]
async fn one_push_can_set_several_tags() {
    let (server, document) = server_with_tags(&["old"]).await;
    let digest = Digest::of(document.as_bytes());
    let path = format!("/v2/a/manifests/{digest}?tag=1.2.3&tag=1.2&tag=latest");
    let put = server.put_manifest(&path, MANIFEST, document.clone()).await;
    assert_eq!(put.status(), 201);
    let tags: Vec<_> = put.headers().get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap()).collect();
    assert_eq!(tags, ["1.2.3", "1.2", "latest"]);
    let (tags, _) = listed(server.get("/v2/a/tags/list").await).await;
    assert_eq!(tags, ["1.2", "1.2.3", "latest", "old"]);

    let bad = format!("/v2/a/manifests/{digest}?tag=good&tag=-bad");
    refused(server.put_manifest(&bad, MANIFEST, document.clone()).await, 400, "MANIFEST_INVALID").await;
    let many: String = (0..1000).map(|n| format!("&tag=t{n}")).collect();
    let many = format!("/v2/a/manifests/{digest}?{}", &many[1..]);
    refused(server.put_manifest(&many, MANIFEST, document).await, 414, "UNSUPPORTED").await;
    let (tags, _) = listed(server.get("/v2/a/tags/list").await).await;
    assert_eq!(tags.len(), 4, "a refused push sets no tag");
}
