//! Upload sessions: how many there may be.

use reqwest::Method;

use crate::support::{Server, header, refused};

#[tokio::test]
async fn open_sessions_are_bounded() {
    let server = Server::with(|config| {
        config.anonymous_push = true;
        config.limits.open_uploads = 2;
    })
    .await;
    let first = server.begin("a").await;
    server.begin("b").await;
    let third = server.post("/v2/a/blobs/uploads/", "").await;
    assert!(header(&third, "retry-after").parse::<u32>().unwrap() > 0);
    refused(third, 429, "TOOMANYREQUESTS").await;
    // What needs no session is taken.
    server.push_blob("a", b"content").await;
    assert_eq!(server.request(Method::DELETE, &first).send().await.unwrap().status(), 204);
    server.begin("a").await;
}
