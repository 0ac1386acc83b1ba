//! Slow, stalled and greedy clients, and that others do not notice them.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Running, code};

/// So long that only a server that never lets go takes it.
const LONG: Duration = Duration::from_secs(20);

async fn ends(socket: &mut tokio::net::TcpStream) {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(LONG, socket.read_to_end(&mut rest)).await;
    // Reset or closed, as the system likes.
    assert!(ended.is_ok(), "the server lets go");
}

#[tokio::test]
async fn heads_that_never_end_are_let_go() {
    let server = Running::with(|config| config.limits.header_time = Duration::from_secs(1)).await;
    let mut slow = Vec::new();
    for part in ["", "GET", "GET / HTTP/1.1\r\nHost: x\r\nA: "] {
        let mut socket = server.connect().await;
        socket.write_all(part.as_bytes()).await.unwrap();
        slow.push(socket);
    }
    assert_eq!(server.get("/healthz").await.status(), 200);
    for mut socket in slow {
        ends(&mut socket).await;
    }
}

#[tokio::test]
async fn large_heads_are_refused() {
    let server = Running::with(|config| config.limits.head_bytes = 4096).await;
    let ask = async |length: usize| {
        server.request(Method::GET, "/healthz").header("x", "a".repeat(length)).send().await.unwrap()
    };
    assert_eq!(ask(3000).await.status(), 200);
    let refused = ask(5000).await;
    assert_eq!(refused.headers()["x-request-id"].len(), 16);
    assert_eq!(code(refused).await, (431, "SIZE_INVALID".to_owned()));
}

#[tokio::test]
async fn bodies_that_trickle_are_ended_and_others_go_on() {
    let server = Running::with(|config| {
        config.anonymous_push = true;
        config.limits.minimum_rate = 1_000_000;
        config.limits.rate_grace = Duration::from_secs(1);
    })
    .await;
    let mut socket = server.connect().await;
    let head = "PUT /catalog/main/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = socket.into_split();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let put = server.request(Method::PUT, "/catalog/main/y").body("y").send().await.unwrap();
    assert_eq!(put.status(), 201);
    let mut answer = Vec::new();
    tokio::time::timeout(LONG, reading.read_to_end(&mut answer)).await.expect("the server lets go").ok();
    assert!(
        String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 4"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    trickle.abort();
}

#[tokio::test]
async fn answers_that_nobody_takes_are_ended() {
    let server = Running::with(|config| {
        config.anonymous_push = true;
        config.limits.response_idle = Duration::from_millis(300);
        config.metrics.on_main_port = true;
    })
    .await;
    // More than sockets hold.
    let content = vec![7; 32 * 1024 * 1024];
    let put =
        server.request(Method::PUT, "/catalog/main/large.bin").body(content.clone()).send().await.unwrap();
    assert_eq!(put.status(), 201);
    let mut socket = server.connect().await;
    socket.write_all(b"GET /catalog/main/large.bin HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let gave_up = async {
        while !metric(&server, "plyos_registry_gave_up_total").await.is_some_and(|count| count >= 1.0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, gave_up).await.expect("the server gives up");
    // Whoever reads gets all of it meanwhile.
    let whole = server.get("/catalog/main/large.bin").await.bytes().await.unwrap();
    assert!(whole == content);
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LONG, socket.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(rest.len() < content.len());
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let server = Running::with(|config| config.limits.connections_per_address = 2).await;
    let (mut first, _second) = (server.connect().await, server.connect().await);
    // Both are there once the first is answered.
    first.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'H');
    let mut third = server.connect().await;
    ends(&mut third).await;
    drop(first);
    let again = async {
        loop {
            let asked = server.request(Method::GET, "/healthz").send().await;
            if asked.is_ok_and(|response| response.status() == 200) {
                break;
            }
        }
    };
    tokio::time::timeout(LONG, again).await.expect("a place is free again");
}

#[tokio::test]
async fn more_connections_wait_for_a_place() {
    let server = Running::with(|config| config.limits.connections = 1).await;
    let first = server.connect().await;
    let mut second = server.connect().await;
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert!(
        tokio::time::timeout(Duration::from_millis(100), second.read(&mut byte)).await.is_err(),
        "it waits"
    );
    drop(first);
    tokio::time::timeout(LONG, second.read_exact(&mut byte)).await.expect("it is answered").unwrap();
}

#[tokio::test]
async fn one_address_may_ask_so_often() {
    let server = Running::with(|config| config.limits.requests_per_second = 1).await;
    assert_eq!(server.get("/v2/").await.status(), 200);
    let mut tries = 0;
    let refused = loop {
        let response = server.get("/v2/").await;
        if response.status() != 200 {
            break response;
        }
        tries += 1;
        assert!(tries < 500, "nobody is slowed");
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(code(refused).await, (429, "TOOMANYREQUESTS".to_owned()));
    // Whoever watches the server is not held up.
    assert_eq!(server.get("/healthz").await.status(), 200);
}

/// A value of `/metrics`, if it is served on the main port.
async fn metric(server: &Running, name: &str) -> Option<f64> {
    let page = crate::watching::page(server).await;
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
