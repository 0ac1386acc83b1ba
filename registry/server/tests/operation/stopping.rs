//! Stopping: uploads that are under way finish, what takes too long is ended, nobody new is let in.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Running;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_upload_under_way_is_finished() {
    let server = Running::with(|config| config.anonymous_push = true).await;
    let address = server.address;
    let mut socket = server.connect().await;
    let head =
        "PUT /catalog/main/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut started = [0; 12];
    // Asked for its body: it is under way.
    socket.read_exact(&mut started).await.unwrap();
    assert_eq!(&started, b"HTTP/1.1 100");
    let idle = server.connect().await;
    let (ended, _folder) = server.stop();
    let refused = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(LONG, refused).await.expect("nobody new is let in");
    socket.write_all(b"0123456789").await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(LONG, socket.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(
        String::from_utf8_lossy(&answer).contains("HTTP/1.1 201"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    // The grace is 30 seconds: that it ends sooner shows that it waited for the upload alone.
    tokio::time::timeout(LONG, ended).await.expect("then it ends").unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn what_outlasts_the_grace_is_ended() {
    let server = Running::with(|config| {
        config.anonymous_push = true;
        config.limits.shutdown_grace = Duration::from_millis(100);
    })
    .await;
    let mut socket = server.connect().await;
    let head =
        "PUT /catalog/main/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut started = [0; 12];
    socket.read_exact(&mut started).await.unwrap();
    let (ended, _folder) = server.stop();
    tokio::time::timeout(LONG, ended).await.expect("it ends").unwrap().unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LONG, socket.read_to_end(&mut rest)).await.expect("the client is let go");
}
