//! A server to test against, and the requests that tests are made of. The tests of `http` have one over a directory,
//! those of `http_memory`, which are the same ones, over an object store in memory.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, path::Path};
use plyos_blobs::{Algorithm, Digest, Settings, Storage};
use plyos_registry::{Config, Error};
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

/// Where a server keeps things, longer than it runs.
pub struct Kept {
    directory: TempDir,
    memory: Option<Arc<InMemory>>,
}

impl Kept {
    fn new() -> Self {
        let memory = env!("CARGO_CRATE_NAME") == "http_memory";
        Self { directory: tempfile::tempdir().unwrap(), memory: memory.then(Arc::default) }
    }

    async fn open(&self, config: &Config) -> plyos_registry::Server {
        let settings = Settings {
            most_uploads: config.limits.open_uploads,
            spools: Some(self.directory.path().to_owned()),
            ..Settings::default()
        };
        let storage = match &self.memory {
            Some(memory) => Storage::remote(Arc::clone(memory), &settings).await,
            None => Storage::local(self.directory.path(), &settings).await,
        };
        plyos_registry::Server::over(storage.unwrap(), config).unwrap()
    }
}

pub struct Server {
    pub address: SocketAddr,
    kept: Kept,
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
        Self::over(Kept::new(), change).await
    }

    async fn over(kept: Kept, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(kept.directory.path());
        change(&mut config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { drop(stopped.await) };
        let server = kept.open(&config).await;
        let task = tokio::spawn(async move { server.run(listener, None, shutdown).await });
        // The workspace's reqwest knows TLS and asks for a provider even where none is used. Whoever comes second
        // finds one installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, kept, client, stop, task }
    }

    /// Stops the server and gives back what it stored.
    pub async fn stop(self) -> Kept {
        drop(self.client);
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
        self.kept
    }

    /// Another server over the same storage.
    pub async fn restart(self) -> Self {
        let kept = self.stop().await;
        Self::over(kept, |config| config.anonymous_push = true).await
    }

    /// The same, but nobody may push.
    pub async fn restart_read_only(self) -> Self {
        let kept = self.stop().await;
        Self::over(kept, |_| {}).await
    }

    /// A file of the storage, which is one of those in a directory.
    pub fn stored(&self, path: &str) -> PathBuf {
        assert!(self.kept.memory.is_none());
        self.kept.directory.path().join(path)
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

    pub async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::POST, path).body(body).send().await.unwrap()
    }

    /// What lies below a place of the storage.
    pub async fn keys(&self, below: &str) -> Vec<String> {
        let Some(memory) = &self.kept.memory else { return files(&self.stored(below)) };
        let listed = memory.list(Some(&Path::from(below))).map_ok(|meta| meta.location.to_string());
        listed.try_collect().await.unwrap()
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
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
        let answer = self.exchange(request.as_bytes()).await;
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&answer)
    }

    /// Sends bytes as they stand, which should ask for the connection to be closed, and returns what comes back.
    pub async fn exchange(&self, request: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses may close before it has read everything.
        let _ = socket.write_all(request).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// The files below a directory, sorted.
fn files(directory: &std::path::Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path.display().to_string()) }
    }
    found.sort();
    found
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
    descriptor_by(Algorithm::Sha256, media_type, content)
}

pub fn descriptor_by(algorithm: Algorithm, media_type: &str, content: &[u8]) -> Value {
    let digest = algorithm.digest(content).to_string();
    json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
}

/// A manifest over a config and layers, spaced as no serializer would.
pub fn manifest(config: &[u8], layers: &[&[u8]]) -> String {
    manifest_by(Algorithm::Sha256, config, layers)
}

pub fn manifest_by(algorithm: Algorithm, config: &[u8], layers: &[&[u8]]) -> String {
    let layer = |content: &&[u8]| descriptor_by(algorithm, "application/vnd.oci.image.layer.v1.tar", content);
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor_by(algorithm, "application/vnd.oci.image.config.v1+json", config),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    format!("  {document}\n\n")
}
