//! Manifests that are about another one: `subject`, and the list of referrers.

use plyos_blobs::{Algorithm, Digest};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{INDEX, MANIFEST, Server, descriptor, descriptor_by, header, refused};

const SBOM: &str = "application/vnd.example.sbom.v1+json";

/// A manifest about `subject` with more fields.
fn about(subject: &Value, more: &Value) -> String {
    let mut document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [],
        "subject": subject,
    });
    for (field, value) in more.as_object().unwrap() {
        document[field] = value.clone();
    }
    document.to_string()
}

fn subject() -> Value {
    descriptor(MANIFEST, b"a manifest that nobody has pushed")
}

async fn server() -> Server {
    let server = Server::open().await;
    server.push_blob("a", b"{}").await;
    server
}

async fn push(server: &Server, document: &str) -> Response {
    let media_type = serde_json::from_str::<Value>(document).unwrap()["mediaType"].clone();
    let path = format!("/v2/a/manifests/{}", Digest::of(document.as_bytes()));
    let put = server.put_manifest(&path, media_type.as_str().unwrap(), document.to_owned()).await;
    assert_eq!(put.status(), 201);
    put
}

/// The descriptors in an answer, and its link.
async fn listed(response: Response) -> (Vec<Value>, Option<String>) {
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), INDEX);
    let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!((&body["schemaVersion"], &body["mediaType"]), (&json!(2), &json!(INDEX)));
    (body["manifests"].as_array().unwrap().clone(), link)
}

fn path(subject: &Value) -> String {
    format!("/v2/a/referrers/{}", subject["digest"].as_str().unwrap())
}

#[tokio::test]
async fn a_subject_may_be_missing_and_is_acknowledged() {
    let server = server().await;
    let document = about(&subject(), &json!({}));
    let put = push(&server, &document).await;
    assert_eq!(header(&put, "oci-subject"), subject()["digest"].as_str().unwrap());
    let tagged = server.put_manifest("/v2/a/manifests/t", MANIFEST, document).await;
    assert_eq!(header(&tagged, "oci-subject"), subject()["digest"].as_str().unwrap());
    let plain = crate::support::manifest(b"{}", &[]);
    assert!(push(&server, &plain).await.headers().get("oci-subject").is_none());
}

#[tokio::test]
async fn referrers_are_never_404() {
    let server = Server::open().await;
    let nowhere = format!("/v2/never/pushed/referrers/{}", Digest::of(b"x"));
    assert_eq!(listed(server.get(&nowhere).await).await, (Vec::new(), None));
    let head = server.head(&nowhere).await;
    assert_eq!((head.status().as_u16(), header(&head, "content-type")), (200, INDEX));
    for digest in ["nonsense", "sha256:00", "a-tag", "sha256:"] {
        refused(server.get(&format!("/v2/a/referrers/{digest}")).await, 400, "DIGEST_INVALID").await;
    }
}

#[tokio::test]
async fn referrers_are_described_as_the_specification_says() {
    let server = server().await;
    let annotations = json!({ "org.example.format": "json", "org.example.größe": "\"9\"" });
    let index = |more: Value| {
        let mut document =
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject() });
        document["annotations"] = more;
        document.to_string()
    };
    let documents = [
        (about(&subject(), &json!({ "artifactType": SBOM, "annotations": annotations })), Some(SBOM)),
        (about(&subject(), &json!({})), Some("application/vnd.oci.empty.v1+json")),
        (index(json!({})), None),
    ];
    for (document, _) in &documents {
        push(&server, document).await;
    }
    let (found, _) = listed(server.get(&path(&subject())).await).await;
    assert_eq!(found.len(), documents.len());
    for (document, artifact_type) in &documents {
        let document_value: Value = serde_json::from_str(document).unwrap();
        let mut expected = descriptor(document_value["mediaType"].as_str().unwrap(), document.as_bytes());
        if let Some(artifact_type) = artifact_type {
            expected["artifactType"] = json!(artifact_type);
        }
        if document_value["annotations"].as_object().is_some_and(|all| !all.is_empty()) {
            expected["annotations"] = document_value["annotations"].clone();
        }
        assert!(found.contains(&expected), "{expected} is not in {found:?}");
    }
    // In another repository nothing is about it.
    let elsewhere = path(&subject()).replace("/v2/a/", "/v2/b/");
    assert_eq!(listed(server.get(&elsewhere).await).await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn referrers_are_filtered_by_artifact_type() {
    let server = server().await;
    push(&server, &about(&subject(), &json!({ "artifactType": SBOM }))).await;
    push(&server, &about(&subject(), &json!({ "artifactType": "application/vnd.example.other" }))).await;
    let all = server.get(&path(&subject())).await;
    assert!(all.headers().get("oci-filters-applied").is_none());
    assert_eq!(listed(all).await.0.len(), 2);

    let filter = SBOM.replace('+', "%2B");
    let filtered = server.get(&format!("{}?artifactType={filter}", path(&subject()))).await;
    assert_eq!(header(&filtered, "oci-filters-applied"), "artifactType");
    let (found, _) = listed(filtered).await;
    assert_eq!((found.len(), &found[0]["artifactType"]), (1, &json!(SBOM)));
    let none = server.get(&format!("{}?artifactType=application/none", path(&subject()))).await;
    assert_eq!(header(&none, "oci-filters-applied"), "artifactType");
    assert_eq!(listed(none).await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn referrers_come_in_pages() {
    let server = server().await;
    for n in 0..7 {
        let artifact_type = if n % 2 == 0 { SBOM } else { "application/vnd.example.other" };
        push(&server, &about(&subject(), &json!({ "artifactType": artifact_type, "n": n }))).await;
    }
    for (query, count) in [("n=2", 7), (&*format!("n=2&artifactType={}", SBOM.replace('+', "%2B")), 4)] {
        let (mut all, mut next) = (Vec::new(), format!("{}?{query}", path(&subject())));
        loop {
            let (found, link) = listed(server.get(&next).await).await;
            assert!(found.len() <= 2);
            all.extend(found.into_iter().map(|descriptor| descriptor["digest"].to_string()));
            let Some(link) = link else { break };
            next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{query}");
    }
}

#[tokio::test]
async fn a_page_of_referrers_is_no_larger_than_a_manifest() {
    let server = server().await;
    let large = "x".repeat(1_500_000);
    for n in 0..4 {
        push(&server, &about(&subject(), &json!({ "n": n, "annotations": { "large": large } }))).await;
    }
    let (mut count, mut next) = (0, path(&subject()));
    loop {
        let response = server.get(&next).await;
        assert!(header(&response, "content-length").parse::<usize>().unwrap() <= 4 * 1024 * 1024);
        let (found, link) = listed(response).await;
        assert!(!found.is_empty());
        count += found.len();
        let Some(link) = link else { break };
        next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(count, 4);
}

#[tokio::test]
async fn a_referrer_that_is_deleted_is_listed_no_more() {
    let server = server().await;
    let [one, two] = [1, 2].map(|n| about(&subject(), &json!({ "n": n })));
    push(&server, &one).await;
    push(&server, &two).await;
    let gone = format!("/v2/a/manifests/{}", Digest::of(one.as_bytes()));
    assert_eq!(server.request(Method::DELETE, &gone).send().await.unwrap().status(), 202);
    let (found, _) = listed(server.get(&path(&subject())).await).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["digest"], Digest::of(two.as_bytes()).to_string());
}

#[tokio::test]
async fn referrers_outlive_their_subject() {
    let server = server().await;
    let document = crate::support::manifest(b"{}", &[]);
    push(&server, &document).await;
    let subject = descriptor(MANIFEST, document.as_bytes());
    push(&server, &about(&subject, &json!({}))).await;
    let gone = format!("/v2/a/manifests/{}", Digest::of(document.as_bytes()));
    assert_eq!(server.request(Method::DELETE, &gone).send().await.unwrap().status(), 202);
    assert_eq!(listed(server.get(&path(&subject)).await).await.0.len(), 1);
}

#[tokio::test]
async fn a_subject_may_have_a_sha512_digest() {
    let server = server().await;
    let subject = descriptor_by(Algorithm::Sha512, MANIFEST, b"a subject");
    let put = push(&server, &about(&subject, &json!({}))).await;
    assert_eq!(header(&put, "oci-subject"), subject["digest"].as_str().unwrap());
    assert_eq!(listed(server.get(&path(&subject)).await).await.0.len(), 1);
}

#[tokio::test]
async fn a_list_that_clients_keep_is_a_tag_like_others() {
    let server = server().await;
    let document = about(&subject(), &json!({}));
    push(&server, &document).await;
    // An older client writes the list itself, under a tag made of the subject's digest.
    let list = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [descriptor(MANIFEST, document.as_bytes())],
    });
    let tag = subject()["digest"].as_str().unwrap().replace(':', "-");
    let path_of_tag = format!("/v2/a/manifests/{tag}");
    assert_eq!(server.put_manifest(&path_of_tag, INDEX, list.to_string()).await.status(), 201);
    assert_eq!(server.get(&path_of_tag).await.text().await.unwrap(), list.to_string());
    let (found, _) = listed(server.get(&path(&subject())).await).await;
    assert_eq!(found.len(), 1, "the manifest is listed, the list is not");
}

#[tokio::test]
async fn the_server_bounds_a_page_of_referrers() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.tags = 2;
    })
    .await;
    server.push_blob("a", b"{}").await;
    let subject = descriptor(MANIFEST, b"subject");
    for number in 0..3 {
        let document = about(&subject, &json!({ "annotations": { "number": number.to_string() } }));
        let put = server.put_manifest(&format!("/v2/a/manifests/t{number}"), MANIFEST, document).await;
        assert_eq!(put.status(), 201);
    }
    let get = server.get(&format!("/v2/a/referrers/{}?n=100", Digest::of(b"subject"))).await;
    assert!(header(&get, "link").contains("rel=\"next\""));
    let list: Value = serde_json::from_slice(&get.bytes().await.unwrap()).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2);
}
