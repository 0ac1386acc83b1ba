//! The page for people: what it shows, that nothing hostile comes alive on it, and that it stays bounded.

use plyos_blobs::Digest;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{MANIFEST, Server, descriptor, header};

/// Pushes a layer as `plyos push` would describe it.
async fn push(server: &Server, repository: &str, tag: &str, layers: &[&[u8]], annotations: Value) {
    push_as(server, repository, tag, layers, "application/vnd.oci.image.layer.v1.tar+zstd", annotations)
        .await;
}

/// The same, with layers of any type.
async fn push_as(
    server: &Server,
    repository: &str,
    tag: &str,
    layers: &[&[u8]],
    layer_type: &str,
    annotations: Value,
) {
    for content in layers.iter().chain([&b"{}".as_slice()]) {
        server.push_blob(repository, content).await;
    }
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        "layers": layers.iter().map(|content| descriptor(layer_type, content)).collect::<Vec<_>>(),
        "annotations": annotations,
    });
    let path = format!("/v2/{repository}/manifests/{tag}");
    assert_eq!(server.put_manifest(&path, MANIFEST, document.to_string()).await.status(), 201);
}

fn plain(kind: &str, name: &str, version: &str) -> Value {
    json!({ "org.opencontainers.image.title": name, "org.opencontainers.image.version": version, "org.plyos.kind": kind, "org.plyos.arch": "amd64" })
}

async fn page(server: &Server, path: &str) -> String {
    let response = server.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_harmless(&response);
    response.text().await.unwrap()
}

/// What every page must say to the browser.
fn assert_harmless(response: &Response) {
    let policy = header(response, "content-security-policy");
    for part in ["default-src 'none'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header(response, "x-content-type-options"), "nosniff");
    assert_eq!(header(response, "referrer-policy"), "no-referrer");
    assert_eq!(header(response, "content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn an_empty_registry_says_what_to_do() {
    let server = Server::open().await;
    let text = page(&server, "/").await;
    assert!(text.contains("plyos push") && text.contains("plyos publish"), "{text}");
    assert_eq!(text.matches("<h1").count(), 1);
}

#[tokio::test]
async fn repositories_tags_and_what_they_share_are_shown() {
    let server = Server::open().await;
    let (old, same, new) = (vec![1u8; 100_000], vec![2u8; 300_000], vec![3u8; 50_000]);
    push(&server, "site/docs", "1.9", &[&same, &old], plain("site", "docs", "1.9")).await;
    push(&server, "site/docs", "1.10", &[&same, &new], plain("site", "docs", "1.10")).await;

    let text = page(&server, "/").await;
    // 800,002 and 2 bytes of config are referred to twice; 450,002 are kept.
    for expected in ["site/docs", "1.10", "732 KiB", "439 KiB", "40 %", "<svg", "aria-labelledby"] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    let text = page(&server, "/ui/repository/site/docs").await;
    let (first, second) = (text.find("tag=1.9\"").unwrap(), text.find("tag=1.10\"").unwrap());
    assert!(first < second, "1.9 comes before 1.10");
    for expected in
        ["48.8 KiB", "since 1.9", "docs 1.10 amd64", "name=\"from\"", "scope=\"col\"", "scope=\"row\""]
    {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    let text = page(&server, "/ui/image/site/docs?tag=1.10").await;
    for expected in
        [Digest::of(&new).to_string().as_str(), "plyos inspect HOST:PORT/site/docs:1.10", "org.plyos.kind"]
    {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    let text = page(&server, "/ui/compare/site/docs?from=1.9&to=1.10").await;
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    let (added, gone, kept) = (at("id=\"added\""), at("id=\"gone\""), at("id=\"kept\""));
    let new_at = at(&Digest::of(&new).to_string());
    let old_at = at(&Digest::of(&old).to_string());
    let same_at = at(&Digest::of(&same).to_string());
    assert!(added < new_at && new_at < gone && gone < old_at && old_at < kept && kept < same_at);
    assert!(text.contains("293 KiB") && text.contains("86 %"), "{text}");
}

#[tokio::test]
async fn nothing_hostile_comes_alive() {
    let server = Server::open().await;
    let attack = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&\u{202e}";
    let annotations = json!({
        "org.opencontainers.image.title": attack, "org.opencontainers.image.version": attack,
        "org.plyos.kind": attack, "org.plyos.arch": attack, attack: attack,
    });
    push_as(&server, "evil", "1", &[b"one"], attack, annotations.clone()).await;
    push_as(&server, "evil", "2", &[b"two"], attack, annotations).await;
    let odd = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [], "artifactType": "application/x" });
    server
        .put_manifest("/v2/evil/manifests/3", "application/vnd.oci.image.index.v1+json", odd.to_string())
        .await;
    for (role, file) in [
        (
            "timestamp.json",
            json!({ "signed": { "version": 1, "expires": attack, "x-plyos-signed-at": attack, "meta": { "snapshot.json": { "version": 1 } } }, "signatures": [{ "keyid": attack }] }),
        ),
        (
            "1.snapshot.json",
            json!({ "signed": { "version": 1, "expires": attack, "meta": { "targets.json": { "version": 1 }, format!("{attack}.json"): { "version": 1 } } } }),
        ),
        (
            "1.targets.json",
            json!({ "signed": { "version": 1, "expires": "x", "targets": { attack: { "length": 1, "hashes": { "sha256": attack }, "custom": { "channels": [attack], "layer": attack } } } } }),
        ),
        (
            "1.root.json",
            json!({ "signed": { "version": 1, "expires": attack, "roles": { "root": { "keyids": [attack], "threshold": 1 } } } }),
        ),
    ] {
        assert_eq!(
            server.put(&format!("/catalog/main/metadata/{role}"), file.to_string()).await.status(),
            201,
            "{role}"
        );
    }
    for path in [
        "/",
        "/ui/repository/evil",
        "/ui/image/evil?tag=1",
        "/ui/image/evil?tag=3",
        "/ui/compare/evil?from=1&to=2",
        "/ui/catalog/main",
    ] {
        let text = page(&server, path).await;
        assert!(
            text.contains("&lt;script&gt;") || path.ends_with("=3"),
            "{path} does not show the attack at all"
        );
        for alive in ["<script", "<img", "onerror=alert(1)>'&\u{202e}", "\u{202e}", "javascript:"] {
            assert!(!text.contains(alive), "{path}: {alive}");
        }
        assert!(!text.contains("style=\""), "{path}: the policy allows no inline style");
    }
    for query in [
        "/ui/image/evil?tag=%22%3E%3Cscript%3E",
        "/ui/compare/evil?from=%3Cscript%3E&to=1",
        "/ui/catalog/%3Cscript%3E",
        "/ui/%3Cscript%3E",
    ] {
        let response = server.get(query).await;
        assert_eq!(response.status(), 404, "{query}");
        assert_harmless(&response);
        assert!(!response.text().await.unwrap().contains("<script"), "{query}");
    }
}

#[tokio::test]
async fn a_catalog_shows_who_signed_and_when_it_runs_out() {
    let server = Server::open().await;
    let signed = |extra: Value| {
        let mut body = json!({ "version": 1, "expires": "2020-01-01T00:00:00Z" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({ "signed": body, "signatures": [{ "keyid": "aa" }] }).to_string()
    };
    let role = |keys: Value, threshold: u64| json!({ "keyids": keys, "threshold": threshold });
    let roles = json!({ "roles": {
        "root": role(json!(["aa"]), 1), "timestamp": role(json!(["aa"]), 1),
        "snapshot": role(json!(["aa", "bb"]), 2), "targets": role(json!(["aa"]), 1),
    } });
    let target = json!({ "length": 9, "custom": { "size": { "blob": 5_000_000 }, "channels": ["stable"], "layer": "blake3:abc" } });
    for (name, content) in [
        ("1.root.json", signed(roles)),
        (
            "1.targets.json",
            signed(json!({ "targets": { "keyring": { "length": 1 } }, "delegations": { "roles": [
            { "name": "package", "keyids": ["aa"], "threshold": 1 }] } })),
        ),
        ("1.package.json", signed(json!({ "targets": { "package/jq/1.7/amd64": target } }))),
        (
            "1.snapshot.json",
            signed(json!({ "meta": { "targets.json": { "version": 1 }, "package.json": { "version": 1 } } })),
        ),
        (
            "timestamp.json",
            signed(
                json!({ "meta": { "snapshot.json": { "version": 1 } }, "x-plyos-signed-at": "2019-12-31T00:00:00Z" }),
            ),
        ),
    ] {
        assert_eq!(server.put(&format!("/catalog/main/metadata/{name}"), content).await.status(), 201);
    }
    let text = page(&server, "/").await;
    for expected in ["/ui/catalog/main", "ran out", "years ago", "missing", "2019-12-31 00:00 UTC"] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    let text = page(&server, "/ui/catalog/main").await;
    for expected in ["package/jq/1.7/amd64", "4.77 MiB", "1 of 2 needed", "1 of 1 needed", "stable"] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    assert_eq!(text.matches("1 of 2 needed").count(), 1, "only the snapshot lacks one");
    assert_eq!(server.get("/ui/catalog/other").await.status(), 404);
}

#[tokio::test]
async fn pages_are_read_only_and_in_pieces() {
    let server = Server::open().await;
    for n in 0..60 {
        push(&server, "many", &format!("t{n:02}"), &[format!("{n}").as_bytes()], json!({})).await;
    }
    let first = page(&server, "/ui/repository/many").await;
    assert!(first.contains("?last=t49") && first.contains("tag=t49\"") && !first.contains("tag=t50\""));
    let second = page(&server, "/ui/repository/many?last=t49").await;
    assert!(second.contains("tag=t50\"") && second.contains("tag=t59\"") && !second.contains("rel=\"next\""));
    for n in 0..25 {
        push(&server, &format!("r{n:02}"), "1", &[b"x"], json!({})).await;
    }
    let first = page(&server, "/").await;
    // `many` and nineteen of the others.
    assert!(
        first.contains("/ui/repository/r18")
            && !first.contains("/ui/repository/r19")
            && first.contains("?last=r18")
    );
    assert!(page(&server, "/ui/?last=r18").await.contains("/ui/repository/r24"));

    for method in [Method::POST, Method::PUT, Method::DELETE] {
        assert_eq!(server.request(method, "/").send().await.unwrap().status(), 405);
    }
    let head = server.head("/").await;
    assert_eq!(head.status(), 200);
    assert!(head.text().await.unwrap().is_empty());
    let style = server.get("/ui/style.css").await;
    assert_eq!((style.status().as_u16(), header(&style, "content-type")), (200, "text/css; charset=utf-8"));
    assert_eq!(header(&server.get("/ui/icon.svg").await, "content-type"), "image/svg+xml");
}

/// Whoever may look at one repository could otherwise ask with a manifest of their own what others hold.
#[tokio::test]
async fn a_page_tells_nothing_of_what_its_repository_does_not_hold() {
    let server = Server::open().await;
    let secret = vec![9u8; 100_000];
    let digest = server.push_blob("secret", &secret).await;
    server.push_blob("evil", b"{}").await;
    for tag in ["1", "2"] {
        // Layers that lie elsewhere need not be here.
        let layer = json!({
            "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar", "digest": digest.to_string(), "size": 7,
            "urls": ["https://example.org/layer"],
        });
        let document = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer], "annotations": { "tag": tag },
            "config": descriptor("application/vnd.oci.image.config.v1+json", b"{}"),
        });
        let put =
            server.put_manifest(&format!("/v2/evil/manifests/{tag}"), MANIFEST, document.to_string()).await;
        assert_eq!(put.status(), 201);
    }
    for path in ["/", "/ui/repository/evil", "/ui/image/evil?tag=1", "/ui/compare/evil?from=1&to=2"] {
        let text = page(&server, path).await;
        assert!(!text.contains("97.7 KiB"), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_catalog_that_is_too_much_to_read_is_said_to_be() {
    let server = Server::open().await;
    let many = "0,".repeat(1_000_000);
    for (name, content) in [
        ("1.root.json", json!({ "signed": { "version": 1 } }).to_string()),
        ("1.targets.json", format!("{{\"signed\":{{\"version\":1,\"x\":[{many}0]}}}}")),
        (
            "1.snapshot.json",
            json!({ "signed": { "version": 1, "meta": { "targets.json": { "version": 1 } } } }).to_string(),
        ),
        (
            "timestamp.json",
            json!({ "signed": { "version": 1, "meta": { "snapshot.json": { "version": 1 } } } }).to_string(),
        ),
    ] {
        assert_eq!(server.put(&format!("/catalog/main/metadata/{name}"), content).await.status(), 201);
    }
    let text = page(&server, "/ui/catalog/main").await;
    assert!(text.contains("<code>targets</code>") && text.contains("too large"), "{text}");
}
