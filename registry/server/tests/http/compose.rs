//! Blobs that are told in ranges of others: the compose extension.

use plyos_blobs::{Algorithm, BlobRange, Digest, Instruction};
use plyos_registry::{RightName, Rule};
use reqwest::{Method, Response};
use serde_json::Value;

use crate::support::{Server, header, refused};

const COMPOSE: &str = "application/vnd.plyos.compose.v1";

/// Bytes that do not repeat.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed) << 32 | 0x9e37_79b9;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn copy(digest: Digest, offset: u64, length: u64) -> Instruction {
    Instruction::Copy(BlobRange { digest, offset, length })
}

fn bytes(bytes: &[u8]) -> Instruction {
    Instruction::Bytes(bytes.to_vec().into())
}

fn body(instructions: &[Instruction]) -> Vec<u8> {
    let mut out = Vec::new();
    instructions.iter().for_each(|instruction| instruction.emit(&mut out));
    out
}

async fn patch(server: &Server, session: &str, body: Vec<u8>) -> Response {
    let request = server.request(Method::PATCH, session).header("content-type", COMPOSE);
    request.body(body).send().await.unwrap()
}

async fn offset(server: &Server, session: &str) -> u64 {
    header(&server.get(session).await, "upload-offset").parse().unwrap()
}

async fn end(server: &Server, session: &str, digest: &Digest) -> Response {
    server.put(&format!("{session}?digest={digest}"), "").await
}

#[tokio::test]
async fn the_extension_is_advertised() {
    let server = Server::open().await;
    assert_eq!(header(&server.get("/v2/").await, "plyos-compose"), "1");
    let begun = server.post("/v2/a/blobs/uploads/", "").await;
    assert_eq!(header(&begun, "plyos-compose"), "1");
    let list: Value =
        serde_json::from_slice(&server.get("/v2/_oci/ext/discover").await.bytes().await.unwrap()).unwrap();
    assert_eq!(list["extensions"][0]["name"], "_plyos");
    assert!(list["extensions"][0]["url"].is_string() && list["extensions"][0]["endpoints"].is_array());
    refused(server.post("/v2/_oci/ext/discover", "").await, 405, "UNSUPPORTED").await;
}

#[tokio::test]
async fn a_second_version_sends_what_is_new() {
    let server = Server::open().await;
    let first = noise(1, 500_000);
    let base = server.push_blob("a", &first).await;
    let small = server.push_blob("a", b"held in its recipe").await;
    let new = noise(2, 3_000);
    let second = [&first[..200_000], &new, b"recipe", &first[200_000..]].concat();
    let digest = Digest::of(&second);
    let stored = server.keys("data").await.len();

    let session = server.begin("a").await;
    let instructions =
        body(&[copy(base, 0, 200_000), bytes(&new), copy(small, 12, 6), copy(base, 200_000, 300_000)]);
    assert!(instructions.len() < 4_000);
    let patched = patch(&server, &session, instructions).await;
    assert_eq!(patched.status(), 202);
    assert_eq!(header(&patched, "range"), format!("0-{}", second.len() - 1));
    let session = header(&patched, "location").to_owned();
    assert_eq!(offset(&server, &session).await, second.len() as u64);
    let created = end(&server, &session, &digest).await;
    assert_eq!(created.status(), 201);
    assert_eq!(header(&created, "docker-content-digest"), digest.to_string());

    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(server.get(&path).await.bytes().await.unwrap(), second);
    let across = server.get_range(&path, "bytes=199990-203020").await;
    assert_eq!(across.bytes().await.unwrap(), second[199_990..=203_020]);
    assert_eq!(server.keys("data").await.len(), stored + 1, "what is new is one object");
}

#[tokio::test]
async fn a_session_goes_on_after_a_restart_and_takes_plain_bytes_too() {
    let server = Server::open().await;
    let first = noise(1, 300_000);
    let base = server.push_blob("a", &first).await;
    let session = server.begin("a").await;
    let patched = patch(&server, &session, body(&[bytes(b"head"), copy(base, 10, 200_000)])).await;
    assert_eq!(patched.status(), 202);
    let server = server.restart().await;
    assert_eq!(offset(&server, &session).await, 200_004);
    let plain = server.request(Method::PATCH, &session).body("middle").send().await.unwrap();
    assert_eq!(plain.status(), 202);
    let whole = [b"head", &first[10..200_010], b"middle", &first[..7]].concat();
    // The last body may come with the request that ends the session. By another algorithm all is hashed again.
    let digest = Algorithm::Sha512.digest(&whole);
    let request = server.request(Method::PUT, &format!("{session}?digest={digest}"));
    let created =
        request.header("content-type", COMPOSE).body(body(&[copy(base, 0, 7)])).send().await.unwrap();
    assert_eq!(created.status(), 201);
    assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap(), whole);
}

#[tokio::test]
async fn a_refused_body_leaves_the_session_as_it_was() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.blob_bytes = 1_000_000;
    })
    .await;
    let first = noise(1, 300_000);
    let base = server.push_blob("a", &first).await;
    let elsewhere = server.push_blob("b", &noise(3, 100_000)).await;
    let session = server.begin("a").await;
    assert_eq!(patch(&server, &session, body(&[bytes(b"kept"), copy(base, 0, 100_000)])).await.status(), 202);

    let after =
        |last: &[u8]| [body(&[bytes(&noise(5, 70_000)), copy(base, 5, 100_000)]), last.to_vec()].concat();
    let unlinked = body(&[copy(elsewhere, 0, 5)]);
    for (attack, last, status, code) in [
        ("copy of a blob that nobody has", body(&[copy(Digest::of(b"?"), 0, 1)]), 404, "BLOB_UNKNOWN"),
        ("copy of another repository's blob", unlinked, 404, "BLOB_UNKNOWN"),
        ("copy that ends past the end", body(&[copy(base, 299_999, 2)]), 400, "BLOB_UPLOAD_INVALID"),
        ("copy that starts past the end", body(&[copy(base, 300_001, 1)]), 400, "BLOB_UPLOAD_INVALID"),
        ("copy that overflows", body(&[copy(base, u64::MAX, 2)]), 400, "BLOB_UPLOAD_INVALID"),
        ("copy of nothing", body(&[copy(base, 7, 0)]), 400, "BLOB_UPLOAD_INVALID"),
        ("millions of nothing", b"\x02\0\0\0\0".repeat(1_000_000), 400, "BLOB_UPLOAD_INVALID"),
        ("an unknown instruction", vec![3], 400, "BLOB_UPLOAD_INVALID"),
        ("an unknown algorithm", vec![1, 9], 400, "BLOB_UPLOAD_INVALID"),
        ("half an instruction", body(&[copy(base, 0, 5)])[..49].to_vec(), 400, "BLOB_UPLOAD_INVALID"),
        ("more than a blob may have", body(&vec![copy(base, 0, 300_000); 3]), 413, "SIZE_INVALID"),
    ] {
        let refusal = patch(&server, &session, after(&last)).await;
        assert_eq!(header(&refusal, "upload-offset"), "100004", "{attack}");
        refused(refusal, status, code).await;
        assert_eq!(offset(&server, &session).await, 100_004, "{attack}");
    }
    // The type may carry parameters; what is announced as bytes is bytes.
    let whole = [b"kept", &first[..100_000], b"\x01\x01"].concat();
    let plain = server.request(Method::PATCH, &session).body("\x01\x01").send().await.unwrap();
    assert_eq!(plain.status(), 202);
    assert_eq!(end(&server, &session, &Digest::of(&whole)).await.status(), 201);
}

#[tokio::test]
async fn few_bytes_do_not_make_a_large_blob() {
    let server = Server::open().await;
    let base = server.push_blob("a", &noise(1, 200_000)).await;
    let session = server.begin("a").await;
    // 40 MB of 2,000 bytes of instructions, and 3 MB.
    let refusal = patch(&server, &session, body(&vec![copy(base, 0, 200_000); 40])).await;
    refused(refusal, 413, "SIZE_INVALID").await;
    assert_eq!(patch(&server, &session, body(&vec![copy(base, 0, 200_000); 15])).await.status(), 202);
    // Nor a little at a time.
    let more = patch(&server, &session, body(&vec![copy(base, 0, 200_000); 15])).await;
    refused(more, 413, "SIZE_INVALID").await;
    // Nor of a blob so small that its bytes are written again with each copy.
    let small = server.push_blob("a", &noise(4, 60_000)).await;
    let session = server.begin("a").await;
    refused(patch(&server, &session, body(&vec![copy(small, 0, 60_000); 40])).await, 413, "SIZE_INVALID")
        .await;
    assert_eq!(patch(&server, &session, body(&vec![copy(small, 0, 60_000); 16])).await.status(), 202);
    // One from many blobs.
    let many: Vec<_> = (0..257u32).map(|i| copy(Digest::of(&i.to_le_bytes()), 0, 1)).collect();
    for i in 0..257u32 {
        server.push_blob("a", &i.to_le_bytes()).await;
    }
    refused(patch(&server, &session, body(&many)).await, 413, "SIZE_INVALID").await;
}

#[tokio::test]
async fn the_digest_is_never_taken_on_trust() {
    let server = Server::open().await;
    let base = server.push_blob("a", &noise(1, 200_000)).await;
    let session = server.begin("a").await;
    patch(&server, &session, body(&[copy(base, 1, 199_999)])).await;
    refused(end(&server, &session, &base).await, 400, "DIGEST_INVALID").await;
    assert_eq!(server.get(&format!("/v2/a/blobs/{base}")).await.bytes().await.unwrap(), noise(1, 200_000));
}

/// Who may push and not read could guess at content by its digest.
#[tokio::test]
async fn who_may_not_read_may_not_copy() {
    let server = Server::with(|config| {
        config.anonymous_pull = false;
        let all = |name: &str| vec![name.to_owned()];
        let rights = vec![RightName::Push];
        config.access.rules = vec![Rule { who: all("anonymous"), repositories: all("**"), rights }];
    })
    .await;
    let base = server.push_blob("a", &noise(1, 200_000)).await;
    let session = server.begin("a").await;
    refused(patch(&server, &session, body(&[copy(base, 0, 5)])).await, 403, "DENIED").await;
}
