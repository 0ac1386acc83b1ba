//! Three servers on one bucket: they take pushes of the same and of different content, and deletes, while each cleans up several times a second; one is
//! killed in the middle. Afterwards all that was acknowledged can be had from each that is left, byte for byte.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]

#[path = "../../../casstore/blobs/tests/storage/s3.rs"]
#[allow(dead_code, reason = "not all of it is for this test")]
mod s3;

use plyos_blobs::Digest;
use plyos_test_system::programs::{built, command, run, wait_for};
use reqwest::{Client, Method, StatusCode};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const KEY: &str = "AKEXAMPLE";
const SECRET: &str = "a secret of nobody";
const STORAGE: &str = "s3://layers/registry";
const WRITERS: usize = 4;
const IMAGES: usize = 10;

/// A process that serves the bucket; killed when this is dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    home: TempDir,
}

impl Server {
    fn start(bucket: SocketAddr) -> Self {
        let home = TempDir::with_prefix("plyos-server-").unwrap();
        let log = home.path().join("log");
        let mut serve = plyos(bucket, &home);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--anonymous-push", "--storage", STORAGE]);
        // The grace is what a push may take here, so that clean-ups have much to do.
        let settings =
            ["clean-up.every=150ms", "clean-up.grace=3s", "clean-up.rate=0", "clean-up.patience=20s"];
        serve.args(settings.iter().flat_map(|setting| ["--set", setting]));
        let child = serve.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let mut server = Self { child, address: bucket, home };
        server.address = wait_for("a server's address", || {
            assert!(server.child.try_wait().unwrap().is_none(), "it ended: {}", server.log());
            let said = server.log();
            let line = said.lines().find_map(|line| line.strip_prefix("listening on http://"));
            line.and_then(|address| address.parse().ok())
        });
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plyos(bucket: SocketAddr, home: &TempDir) -> Command {
    let mut plyos = command(built("plyos"), home.path());
    plyos.env("AWS_ENDPOINT", format!("http://{bucket}")).env("AWS_REGION", "us-east-1");
    plyos.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET).env("AWS_ALLOW_HTTP", "true");
    plyos.stdout(Stdio::null());
    plyos
}

/// An image: its tag, its layers, its manifest.
#[derive(Clone)]
struct Image {
    tag: String,
    layers: Vec<Vec<u8>>,
    manifest: String,
}

/// Bytes that nothing else has.
fn layer(seed: usize, length: usize) -> Vec<u8> {
    let factor = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (1..=length as u64).map(|n| (n.wrapping_mul(factor) >> 56) as u8).collect()
}

impl Image {
    fn new(who: usize, n: usize) -> Self {
        // The first is pushed by all at the same time, the second by one, the third is small.
        let layers =
            vec![layer(n % 4, 200_000), layer(1000 + who * IMAGES + n, 150_000), layer(5000 + n, 1000)];
        let parts: Vec<_> =
            layers.iter().map(|bytes| descriptor("application/octet-stream", bytes)).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": parts[2],
            "layers": parts[..2],
            "annotations": { "who": format!("{who}-{n}") },
        });
        Self { tag: format!("w{who}-{n}"), layers, manifest: manifest.to_string() }
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    let digest = Digest::of(bytes).to_string();
    serde_json::json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// A request; its status and body, or none if the server did not answer.
async fn ask(
    client: &Client,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Option<(StatusCode, Option<String>, Vec<u8>)> {
    let mut request = client.request(method, url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.ok()?;
    let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    Some((answer.status(), location, answer.bytes().await.ok()?.to_vec()))
}

/// Pushes an image; says whether all of it was acknowledged.
async fn push(client: &Client, address: SocketAddr, image: &Image) -> bool {
    let base = format!("http://{address}/v2/shared");
    for bytes in &image.layers {
        let digest = Digest::of(bytes);
        let url = format!("{base}/blobs/uploads/?digest={digest}");
        let pushed = ask(client, Method::POST, &url, &[], bytes.clone()).await;
        if pushed.is_none_or(|(status, ..)| status != StatusCode::CREATED) {
            return false;
        }
    }
    let headers = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let url = format!("{base}/manifests/{}", image.tag);
    let pushed = ask(client, Method::PUT, &url, &headers, image.manifest.clone().into_bytes()).await;
    pushed.is_some_and(|(status, ..)| status == StatusCode::CREATED)
}

async fn get(client: &Client, address: SocketAddr, path: &str) -> (StatusCode, Vec<u8>) {
    let url = format!("http://{address}/v2/shared/{path}");
    let (status, _, body) = ask(client, Method::GET, &url, &[], Vec::new()).await.unwrap();
    (status, body)
}

/// Pushes images through one server after the other and deletes every third, until all are done.
async fn write(
    client: Client,
    addresses: Vec<SocketAddr>,
    who: usize,
    kept: Arc<Mutex<BTreeMap<String, Image>>>,
    acknowledged: Arc<AtomicUsize>,
) -> Vec<Image> {
    let mut deleted = Vec::new();
    for n in 0..IMAGES {
        let image = Image::new(who, n);
        let mut tries = 0;
        // A server may be dead, or a clean-up have taken what a slow push brought too early.
        while !push(&client, addresses[(who + n + tries) % addresses.len()], &image).await {
            tries += 1;
            assert!(tries < 300, "image {n} of writer {who} never got through");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
        if n % 3 != 2 {
            kept.lock().unwrap().insert(image.tag.clone(), image);
            continue;
        }
        let digest = Digest::of(image.manifest.as_bytes());
        let mut tries = 0;
        loop {
            let address = addresses[(who + n + tries) % addresses.len()];
            let url = format!("http://{address}/v2/shared/manifests/{digest}");
            match ask(&client, Method::DELETE, &url, &[], Vec::new()).await {
                // It may have been done by the server that died.
                Some((StatusCode::ACCEPTED | StatusCode::NOT_FOUND, ..)) => break,
                answer => assert!(tries < 300, "deleting an image of writer {who}: {answer:?}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        deleted.push(image);
    }
    deleted
}

/// An upload that is begun on one server, goes on on another and ends there.
async fn hand_over(client: &Client, first: SocketAddr, second: SocketAddr) {
    let content = layer(77, 7_000_000);
    let digest = Digest::of(&content);
    let url = format!("http://{first}/v2/shared/blobs/uploads/");
    let (status, location, _) = ask(client, Method::POST, &url, &[], Vec::new()).await.unwrap();
    assert_eq!(status, StatusCode::ACCEPTED);
    let session = location.unwrap();
    let session = session.strip_prefix(&format!("http://{first}")).unwrap_or(&session).to_owned();
    let (one, two) = content.split_at(6_000_000);
    for (address, part, start) in [(first, one, 0), (second, two, one.len())] {
        let range = format!("{start}-{}", start + part.len() - 1);
        let headers = [("content-range", range.as_str()), ("content-type", "application/octet-stream")];
        let url = format!("http://{address}{session}");
        let (status, _, body) = ask(client, Method::PATCH, &url, &headers, part.to_vec()).await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{}", String::from_utf8_lossy(&body));
    }
    let url = format!("http://{second}{session}?digest={digest}");
    let (status, _, body) = ask(client, Method::PUT, &url, &[], Vec::new()).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&body));
    let (status, body) = get(client, first, &format!("blobs/{digest}")).await;
    assert!(status == StatusCode::OK && body == content, "{status}");
}

#[test]
fn three_servers_on_one_bucket_lose_nothing_when_one_is_killed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bucket = s3::Bucket::default();
    let address = runtime.block_on(bucket.serve(KEY, SECRET));
    let mut servers: Vec<Server> = (0..3).map(|_| Server::start(address)).collect();
    let addresses: Vec<SocketAddr> = servers.iter().map(|server| server.address).collect();
    let client = Client::builder().timeout(Duration::from_secs(30)).build().unwrap();

    let (kept, acknowledged) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|who| {
            let (kept, acknowledged) = (Arc::clone(&kept), Arc::clone(&acknowledged));
            runtime.spawn(write(client.clone(), addresses.clone(), who, kept, acknowledged))
        })
        .collect();
    wait_for("some images", || (acknowledged.load(Ordering::Relaxed) >= WRITERS * IMAGES / 3).then_some(()));
    servers.remove(0).child.kill().unwrap();
    runtime.block_on(hand_over(&client, addresses[1], addresses[2]));
    let mut deleted = Vec::new();
    for writer in writers {
        deleted.extend(runtime.block_on(writer).unwrap());
    }

    let home = TempDir::with_prefix("plyos-operator-").unwrap();
    let fsck = || {
        run(plyos(address, &home).args(["--json", "registry", "fsck", "--full", "--storage", STORAGE])).json()
    };
    let found = fsck();
    assert_eq!(found["findings"], serde_json::json!([]), "{found:#}");

    // What is left to delete, but for what the dead server had claimed.
    std::thread::sleep(Duration::from_secs(2));
    let gc = ["--json", "registry", "gc", "--grace", "1s", "--storage", STORAGE];
    let cleaned = run(plyos(address, &home).args(gc)).json();
    let found = fsck();
    assert_eq!(found["findings"], serde_json::json!([]), "{found:#}");

    let kept: BTreeMap<String, Image> = std::mem::take(&mut *kept.lock().unwrap());
    assert_eq!(kept.len(), WRITERS * (IMAGES - IMAGES / 3));
    for server in &servers {
        for image in kept.values() {
            let (status, body) =
                runtime.block_on(get(&client, server.address, &format!("manifests/{}", image.tag)));
            assert!(status == StatusCode::OK && body == image.manifest.as_bytes(), "{} {status}", image.tag);
            for bytes in &image.layers {
                let path = format!("blobs/{}", Digest::of(bytes));
                let (status, body) = runtime.block_on(get(&client, server.address, &path));
                assert!(status == StatusCode::OK && body == *bytes, "{} {status}", image.tag);
            }
        }
        assert!(server.log().contains("cleaned up"), "{}", server.log());
    }
    let own_layer_is_gone = |image: &&Image| {
        let path = format!("blobs/{}", Digest::of(&image.layers[1]));
        runtime.block_on(get(&client, servers[0].address, &path)).0 == StatusCode::NOT_FOUND
    };
    let gone = deleted.iter().filter(own_layer_is_gone).count();
    // All but what was being pushed to the dead server when it died.
    assert!(gone + WRITERS >= deleted.len() && gone > 0, "{gone} of {} are gone: {cleaned:#}", deleted.len());
}
