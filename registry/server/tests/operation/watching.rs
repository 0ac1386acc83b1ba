//! Metrics, health and request ids.

use std::time::Duration;

use plyos_registry::Config;
use reqwest::Method;

use crate::support::Running;

/// The metrics, if the main port serves them.
pub async fn page(server: &Running) -> String {
    let response = server.get("/metrics").await;
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    response.text().await.unwrap()
}

#[tokio::test]
async fn requests_are_counted_by_kind_and_status() {
    let server = Running::with(|config| {
        config.anonymous_push = true;
        config.metrics.on_main_port = true;
    })
    .await;
    let digest = plyos_blobs::Digest::of(b"content");
    let post = server.request(Method::POST, &format!("/v2/a/blobs/uploads/?digest={digest}")).body("content");
    assert_eq!(post.send().await.unwrap().status(), 201);
    for _ in 0..2 {
        assert_eq!(server.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap(), "content");
    }
    // However many paths are made up, they are one series.
    for made_up in 0..20 {
        assert_eq!(server.get(&format!("/{made_up}")).await.status(), 404);
        let odd = Method::from_bytes(format!("M{made_up}").as_bytes()).unwrap();
        server.request(odd, "/v2/").send().await.unwrap();
    }
    let page = page(&server).await;
    for line in [
        r#"plyos_registry_requests_total{route="blob",method="GET",status="200"} 2"#,
        r#"plyos_registry_requests_total{route="upload",method="POST",status="201"} 1"#,
        r#"plyos_registry_requests_total{route="other",method="GET",status="404"} 20"#,
        r#"plyos_registry_requests_total{route="base",method="other",status="405"} 20"#,
        r#"plyos_registry_request_seconds_count{route="blob"} 2"#,
        "plyos_registry_uploads 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in\n{page}");
    }
    let value = |name: &str| {
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{name} in {page}"));
        line.trim().parse::<f64>().unwrap()
    };
    assert!(
        value("plyos_registry_received_bytes_total") > 1000.0
            && value("plyos_registry_sent_bytes_total") > 1000.0
    );
    assert!(value("plyos_registry_connections ") >= 1.0);
    assert!(page.trim_end().ends_with("# EOF") && page.matches("# EOF").count() == 1);
    assert!(page.lines().filter(|line| line.starts_with("plyos_registry_requests_total")).count() < 10);
}

#[tokio::test]
async fn metrics_stay_off_the_main_port_unless_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let config = plyos_registry::Config::new(folder.path().join("storage"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Running::over(folder, config, Some(listener)).await;
    assert_eq!(server.get("/metrics").await.status(), 404);
    for (path, word) in [("metrics", "plyos_registry_build_info"), ("healthz", "ok"), ("readyz", "ready")] {
        let text =
            server.client.get(format!("http://{address}/{path}")).send().await.unwrap().text().await.unwrap();
        assert!(text.contains(word), "{path}: {text}");
    }
}

#[tokio::test]
async fn readiness_is_the_storages() {
    let server = Running::with(|_| {}).await;
    assert_eq!(server.get("/readyz").await.status(), 200);
    // An answer stands for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let storage = server.file("storage");
    std::fs::remove_dir_all(&storage).unwrap();
    std::fs::write(&storage, "a file where a folder was").unwrap();
    assert_eq!(server.get("/readyz").await.status(), 503);
    assert_eq!(server.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn requests_have_ids() {
    let server = Running::with(|_| {}).await;
    let id = |response: &reqwest::Response| response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let (one, other) = (id(&server.get("/v2/").await), id(&server.get("/nowhere").await));
    assert!(one.len() == 16 && other.len() == 16 && one != other);
    let theirs = server.request(Method::GET, "/v2/").header("x-request-id", "ci-4711").send().await.unwrap();
    assert_eq!(id(&theirs), "ci-4711");
    let odd = server.request(Method::GET, "/v2/").header("x-request-id", "a b").send().await.unwrap();
    assert_eq!(id(&odd).len(), 16);
}

/// What blobs share, and what lies in the storage: as it is found when a server starts.
#[tokio::test]
async fn storage_and_sharing_are_told() {
    let server = Running::with(|config| {
        config.anonymous_push = true;
        config.metrics.on_main_port = true;
    })
    .await;
    let push = async |content: Vec<u8>, media_type: &'static str, digest: plyos_blobs::Digest| {
        let post = server.request(Method::POST, "/v2/a/blobs/uploads/").send().await.unwrap();
        let location = post.headers()["location"].to_str().unwrap().to_owned();
        let patch = server.request(Method::PATCH, &location).header("content-type", media_type).body(content);
        assert_eq!(patch.send().await.unwrap().status(), 202);
        let put = server.request(Method::PUT, &format!("{location}?digest={digest}"));
        assert_eq!(put.send().await.unwrap().status(), 201);
    };
    let content = vec![7; 200_000];
    let digest = plyos_blobs::Digest::of(&content);
    push(content.clone(), "application/octet-stream", digest).await;
    // All of it again, and one byte more.
    let hash: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&digest.hex()[2 * at..2 * at + 2], 16).unwrap()).collect();
    let copy = [&[1, 1][..], &hash, &0_u64.to_le_bytes(), &200_000_u64.to_le_bytes()].concat();
    let more = [&copy[..], &[2, 1, 0, 0, 0, 9]].concat();
    let whole = plyos_blobs::Digest::of(&[&content[..], &[9]].concat());
    push(more, "application/vnd.plyos.compose.v1", whole).await;
    let text = page(&server).await;
    assert!(text.lines().any(|line| line == "plyos_registry_composed_bytes_total 200000"), "{text}");
    for name in ["packed_blobs_total", "packed_saved_bytes_total", "cleaned_bytes_total"] {
        assert!(text.lines().any(|line| line == format!("plyos_registry_{name} 0")), "{name} in {text}");
    }

    // What was there before is told soon after a start.
    let (task, folder) = server.stop();
    task.await.unwrap().unwrap();
    let mut config = Config::new(folder.path().join("storage"));
    config.metrics.on_main_port = true;
    let server = Running::over(folder, config, None).await;
    let told = async {
        loop {
            let text = page(&server).await;
            let has = |line: &str| text.lines().any(|there| there == line);
            // The bytes that were sent: the composed blob adds one.
            if has("plyos_registry_storage_blobs 2") && has("plyos_registry_storage_data_bytes 200001") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.expect("what lies in the storage is not told");
}
