//! Clients of HTTP/2 that hold on to a connection and ask for nothing, or take nothing: what the limits of heads and answers say
//! holds for them too. They write frames of their own, since no library would.

use std::sync::Arc;
use std::time::Duration;

use plyos_registry::Config;
use reqwest::Method;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::Running;

/// So long that only a server that never lets go takes it.
const LONG: Duration = Duration::from_secs(20);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
// Frame types of RFC 9113, section 6.
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
/// SETTINGS_INITIAL_WINDOW_SIZE of zero.
const SHUT: &[u8] = &[0, 4, 0, 0, 0, 0];

struct Tls {
    server: Running,
    /// The certificate for this machine, in PEM.
    certificate: tempfile::TempDir,
    connector: TlsConnector,
}

impl Tls {
    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let certificate = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (cert, key) = (certificate.path().join("cert.pem"), certificate.path().join("key.pem"));
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        let server = Running::with(|config| {
            config.tls.certificate = Some(cert);
            config.tls.key = Some(key);
            config.anonymous_push = true;
            config.metrics.on_main_port = true;
            change(config);
        })
        .await;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { server, certificate, connector: TlsConnector::from(Arc::new(config)) }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.connector.connect(name, self.server.connect().await).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        stream
    }

    /// A well-behaved client.
    fn client(&self) -> reqwest::Client {
        let pem = std::fs::read(self.certificate.path().join("cert.pem")).unwrap();
        let root = reqwest::Certificate::from_pem(&pem).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.address.port())
    }

    async fn put(&self, path: &str, content: Vec<u8>) {
        let put = self.client().request(Method::PUT, self.url(path)).body(content).send().await.unwrap();
        assert_eq!(put.status(), 201);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A GET, its fields by the static table of HPACK (RFC 7541, appendix A).
fn get(stream: u32, path: &str) -> Vec<u8> {
    let literal = |index: u8, text: &str| [&[index, text.len() as u8], text.as_bytes()].concat();
    let fields = [vec![0x82, 0x87], literal(4, path), literal(1, "localhost")].concat();
    // END_STREAM and END_HEADERS.
    frame(HEADERS, 5, stream, &fields)
}

/// Waits for the server to let go, whatever it sends before; meanwhile sends `again` and again.
async fn ends(stream: TlsStream<TcpStream>, again: Vec<u8>) {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let write = async {
        while writing.write_all(&again).await.is_ok() && writing.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let read = async {
        let mut rest = Vec::new();
        // Reset or closed, as the system likes.
        let _ = reading.read_to_end(&mut rest).await;
    };
    let ended = async {
        tokio::select! { () = write => {}, () = read => {} }
    };
    assert!(tokio::time::timeout(LONG, ended).await.is_ok(), "the server lets go");
}

#[tokio::test]
async fn connections_that_ask_for_nothing_are_ended() {
    let tls = Tls::with(|config| config.limits.header_time = Duration::from_secs(1)).await;
    let begun = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let ping = frame(PING, 0, 0, &[7; 8]);
    // A head that never ends: END_HEADERS is missing.
    let half = frame(HEADERS, 0, 1, &[0x82]);
    for (begin, again) in [
        (vec![], vec![]),
        (PREFACE[..9].to_vec(), vec![]),
        (begun.clone(), vec![]),
        (begun.clone(), ping),
        ([begun.clone(), half].concat(), vec![]),
        // One that was answered long ago.
        ([begun, get(1, "/v2/")].concat(), vec![]),
    ] {
        let mut stream = tls.connect().await;
        stream.write_all(&begin).await.unwrap();
        stream.flush().await.unwrap();
        ends(stream, again).await;
    }
}

#[tokio::test]
async fn answers_whose_window_stays_shut_are_let_go() {
    let tls = Tls::with(|config| {
        config.limits.response_idle = Duration::from_millis(300);
        config.limits.header_time = Duration::from_secs(2);
    })
    .await;
    // Too much for one piece, so that its file stays open.
    tls.put("/catalog/main/large.bin", vec![7; 8 * 1024 * 1024]).await;
    let mut stream = tls.connect().await;
    let gets: Vec<u8> = (0..8).flat_map(|n| get(2 * n + 1, "/catalog/main/large.bin")).collect();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, SHUT), &gets].concat()).await.unwrap();
    stream.flush().await.unwrap();
    // It stays as alive as it can without taking anything.
    ends(stream, frame(PING, 0, 0, &[7; 8])).await;
    let page = tls.client().get(tls.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let gave_up = page.lines().find_map(|line| line.strip_prefix("plyos_registry_gave_up_total ")).unwrap();
    assert_eq!(gave_up, "8");
}

#[tokio::test]
async fn who_takes_an_answer_slowly_gets_all_of_it() {
    let tls = Tls::with(|config| {
        config.limits.response_idle = Duration::from_secs(2);
        config.limits.header_time = Duration::from_secs(1);
    })
    .await;
    let content: Vec<u8> = (0..12 * 1024 * 1024u32).map(|n| (n >> 12) as u8).collect();
    tls.put("/catalog/main/large.bin", content.clone()).await;
    // Curl says which version it spoke. The whole takes longer than either limit.
    let taken = tls.certificate.path().join("taken");
    let curl = tokio::process::Command::new("curl")
        .args(["--silent", "--show-error", "--http2", "--noproxy", "*", "--limit-rate", "4M"])
        .args(["--write-out", "%{http_version} %{http_code}", "--cacert"])
        .arg(tls.certificate.path().join("cert.pem"))
        .arg("--output")
        .arg(&taken)
        .arg(tls.url("/catalog/main/large.bin"))
        .output()
        .await;
    let Ok(curl) = curl else { panic!("this test needs curl") };
    let said = String::from_utf8_lossy(&curl.stdout).into_owned();
    assert_eq!(said, "2 200", "{}", String::from_utf8_lossy(&curl.stderr));
    assert!(std::fs::read(taken).unwrap() == content);
}
