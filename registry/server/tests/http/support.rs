//! A server to test against, and the requests that tests are made of.

use std::net::SocketAddr;
use std::path::PathBuf;

use plyos_blobs::Digest;
use plyos_registry::{Config, Error, serve};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub struct Server {
    pub address: SocketAddr,
    directory: TempDir,
    client: Client,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

impl Server {
    /// A server that anyone may push to.
    pub async fn open() -> Self {
        Self::with(|config| config.anonymous_push = true).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(tempfile::tempdir().unwrap(), change).await
    }

    async fn over(directory: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(directory.path());
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let task = tokio::spawn(serve(listener, config, shutdown));
        // The workspace's reqwest knows TLS and asks for a provider even where none is used. Whoever comes second
        // finds one installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, directory, client, stop, task }
    }

    /// Stops the server and gives back what it stored.
    pub async fn stop(self) -> TempDir {
        drop(self.client);
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
        self.directory
    }

    /// Another server over the same storage.
    pub async fn restart(self) -> Self {
        let directory = self.stop().await;
        Self::over(directory, |config| config.anonymous_push = true).await
    }

    /// The same, but nobody may push.
    pub async fn restart_read_only(self) -> Self {
        let directory = self.stop().await;
        Self::over(directory, |_| {}).await
    }

    pub fn stored(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        assert!(path.starts_with('/'), "{path}");
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn head(&self, path: &str) -> Response {
        self.request(Method::HEAD, path).send().await.unwrap()
    }

    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::PUT, path).body(body).send().await.unwrap()
    }

    pub async fn get_range(&self, path: &str, range: &str) -> Response {
        self.request(Method::GET, path).header("range", range).send().await.unwrap()
    }

    /// Pushes a blob the short way.
    pub async fn push_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let response = self.request(Method::POST, &path).body(content.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        digest
    }

    /// Begins an upload session and returns its path.
    pub async fn begin(&self, repository: &str) -> String {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let response = self.request(Method::POST, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(header(&response, "upload-offset"), "0");
        header(&response, "location").to_owned()
    }

    pub async fn put_manifest(
        &self,
        path: &str,
        media_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> Response {
        let request = self.request(Method::PUT, path).header("content-type", media_type);
        request.body(body).send().await.unwrap()
    }

    /// Sends a request line as it stands; an HTTP client would tidy it up. Returns the status.
    pub async fn raw(&self, method: &str, path: &str) -> u16 {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that refuses may close before it has read the body.
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&answer)
    }
}

pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    text(response.headers(), name)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name.parse::<HeaderName>().unwrap());
    value.unwrap_or_else(|| panic!("no {name} in {headers:?}")).to_str().unwrap()
}

/// Checks a refusal: its status, and the code in its body.
pub async fn refused(response: Response, status: u16, code: &str) {
    assert_eq!(response.status().as_u16(), status);
    assert_eq!(header(&response, "content-type"), "application/json");
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["errors"][0]["code"], code, "{body}");
    assert!(body["errors"][0]["message"].is_string(), "{body}");
}

pub fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(content).to_string(), "size": content.len() })
}

/// A manifest over a config and layers, spaced as no serializer would.
pub fn manifest(config: &[u8], layers: &[&[u8]]) -> String {
    let layer = |content: &&[u8]| descriptor("application/vnd.oci.image.layer.v1.tar", content);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    format!("  {document}\n\n")
}
