//! TLS: both versions of HTTP, and certificates that change.

use std::path::Path;
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use reqwest::{Certificate, Client};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::Running;

/// So long that only a server that never lets go takes it.
const LONG: Duration = Duration::from_secs(20);

/// Writes a new certificate for this machine and returns it.
fn certify(folder: &Path) -> String {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.pem()
}

async fn server(folder: &Path, header_time: Duration) -> Running {
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    Running::with(|config| {
        config.tls.certificate = Some(certificate);
        config.tls.key = Some(key);
        config.limits.header_time = header_time;
    })
    .await
}

fn client(
    certificate: &str,
    change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Client {
    let root = Certificate::from_pem(certificate.as_bytes()).unwrap();
    change(Client::builder().no_proxy().tls_certs_only([root])).build().unwrap()
}

#[tokio::test]
async fn certificates_are_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let first = certify(folder.path());
    let server = server(folder.path(), LONG).await;
    let url = format!("https://localhost:{}/v2/", server.address.port());
    let get = async |certificate: &str| client(certificate, |builder| builder).get(&url).send().await;
    let response = get(&first).await.unwrap();
    assert_eq!(response.status(), 200);

    let second = certify(folder.path());
    assert!(get(&second).await.is_err(), "the old one is used until it is reloaded");
    server.server.reload(&server.config).unwrap();
    assert!(get(&second).await.is_ok() && get(&first).await.is_err());
    // A broken file changes nothing, neither the certificate nor who may do what.
    std::fs::write(folder.path().join("cert.pem"), "nonsense").unwrap();
    let mut open = server.config.clone();
    open.anonymous_push = true;
    assert!(server.server.reload(&open).is_err());
    assert!(get(&second).await.is_ok());
    let push = async |certificate: &str| {
        let url = format!("https://localhost:{}/v2/a/blobs/uploads/", server.address.port());
        client(certificate, |builder| builder).post(&url).send().await.unwrap().status().as_u16()
    };
    assert_eq!(push(&second).await, 403);
    let third = certify(folder.path());
    server.server.reload(&open).unwrap();
    assert_eq!(push(&third).await, 202);
}

#[tokio::test]
async fn http_2_is_chosen_in_the_handshake() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    let server = server(folder.path(), LONG).await;
    // curl speaks both, and says which.
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let curl = tokio::process::Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                option,
                "--noproxy",
                "*",
                "--write-out",
                "%{http_version} %{http_code}",
            ])
            .args(["--output", "/dev/null", "--cacert"])
            .arg(folder.path().join("cert.pem"))
            .arg(format!("https://localhost:{}/v2/", server.address.port()))
            .output()
            .await;
        let Ok(curl) = curl else { panic!("this test needs curl") };
        let said = String::from_utf8_lossy(&curl.stdout).into_owned();
        assert_eq!(said, format!("{version} 200"), "{}", String::from_utf8_lossy(&curl.stderr));
    }
}

#[tokio::test]
async fn handshakes_that_stall_or_fail_harm_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certify(folder.path());
    let server = server(folder.path(), Duration::from_secs(2)).await;
    let (mut silent, mut plain) = (server.connect().await, server.connect().await);
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let url = format!("https://localhost:{}/v2/", server.address.port());
    assert_eq!(client(&certificate, |builder| builder).get(&url).send().await.unwrap().status(), 200);
    for socket in [&mut silent, &mut plain] {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(LONG, socket.read_to_end(&mut rest)).await.expect("it is let go");
    }
}

#[tokio::test]
async fn files_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    certify(folder.path());
    std::fs::write(folder.path().join("empty.pem"), "").unwrap();
    for (certificate, key, named) in [
        ("missing.pem", "key.pem", "missing.pem"),
        ("empty.pem", "key.pem", "empty.pem"),
        ("cert.pem", "cert.pem", "cert.pem"),
    ] {
        let mut config = plyos_registry::Config::new(folder.path().join("storage"));
        config.tls.certificate = Some(folder.path().join(certificate));
        config.tls.key = Some(folder.path().join(key));
        let error = plyos_registry::Server::open(config).await.err().unwrap().to_string();
        assert!(error.contains(named), "{error}");
    }
}
