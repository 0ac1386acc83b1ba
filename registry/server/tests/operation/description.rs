//! The OpenAPI description against the server.

use reqwest::Method;
use serde_json::Value;

use crate::support::Running;

/// Everything that the router knows beside `/v2/`, with what OCI distribution does not describe below it.
const OURS: [&str; 9] = [
    "/catalog/{catalog}/{path}",
    "/healthz",
    "/metrics",
    "/openapi.json",
    "/readyz",
    "/token",
    "/v2/_catalog",
    "/v2/_oci/ext/discover",
    "/v2/{name}/blobs/uploads/{id}",
];

#[tokio::test]
async fn what_is_described_is_there_and_nothing_else() {
    let server = Running::with(|config| {
        config.anonymous_push = true;
        config.metrics.on_main_port = true;
    })
    .await;
    let text = server.get("/openapi.json").await.bytes().await.unwrap();
    let description: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    assert_eq!(paths.keys().map(String::as_str).collect::<Vec<_>>(), OURS);
    for (path, operations) in paths {
        let place = path.replace("{catalog}", "main").replace("{path}", "x.txt").replace("{name}", "a");
        let place = place.replace("{id}", "00112233445566778899aabbccddeeff");
        for name in ["get", "put", "post", "delete", "patch"] {
            let method = Method::from_bytes(name.to_uppercase().as_bytes()).unwrap();
            let response = server.request(method, &place).body("x").send().await.unwrap();
            let status = response.status().as_u16();
            match operations.get(name) {
                // What else can be done to a session, OCI distribution says.
                None if path.contains("uploads") => {}
                None => assert_eq!(status, 405, "{name} {path} is not described"),
                Some(operation) => {
                    let described = operation["responses"].as_object().unwrap();
                    assert!(described.contains_key(&status.to_string()), "{name} {path} answers {status}");
                    assert!(operation["summary"].is_string(), "{name} {path}");
                }
            }
        }
    }
    // Every reference leads somewhere.
    for reference in String::from_utf8_lossy(&text).split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(description.pointer(pointer).is_some(), "{pointer}");
    }
}
