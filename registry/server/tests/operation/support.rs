//! A server with accounts, rules and limits as a test wants them, and requests with credentials.

use std::net::SocketAddr;
use std::path::PathBuf;

use plyos_blobs::Digest;
use plyos_registry::{Config, Error, RightName, Rule, Server};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

pub struct Running {
    pub address: SocketAddr,
    pub server: Server,
    pub config: Config,
    pub client: Client,
    pub folder: TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), Error>>,
}

/// An htpasswd line. The least cost that bcrypt has.
pub fn line(name: &str) -> String {
    format!("{name}:{}\n", bcrypt::hash(format!("{name}'s"), 4).unwrap())
}

pub fn rule(who: &[&str], repositories: &[&str], rights: &[RightName]) -> Rule {
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Rule { who: texts(who), repositories: texts(repositories), rights: rights.to_vec() }
}

impl Running {
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path().join("storage"));
        change(&mut config);
        Self::over(folder, config, None).await
    }

    /// With the accounts `reader`, `pusher`, `deleter`, `all` and `none`, each with the right of its name on `team/*` and
    /// the catalog `main`, and with nothing for who has no account.
    pub async fn with_accounts(change: impl FnOnce(&mut Config)) -> Self {
        use RightName::{Delete, Pull, Push};
        let folder = tempfile::tempdir().unwrap();
        let htpasswd = folder.path().join("htpasswd");
        std::fs::write(&htpasswd, ["reader", "pusher", "deleter", "all", "none"].map(line).concat()).unwrap();
        let mut config = Config::new(folder.path().join("storage"));
        config.anonymous_pull = false;
        config.access.htpasswd = Some(htpasswd);
        config.access.password_burst = 1000;
        let where_to = ["team/*", "catalog:main"];
        config.access.groups.insert("everything".to_owned(), vec!["all".to_owned()]);
        config.access.rules = vec![
            rule(&["reader"], &where_to, &[Pull]),
            rule(&["pusher"], &where_to, &[Push]),
            rule(&["deleter"], &where_to, &[Delete]),
            rule(&["@everything"], &["**", "catalog:*"], &[Pull, Push, Delete]),
        ];
        change(&mut config);
        Self::over(folder, config, None).await
    }

    pub async fn over(folder: TempDir, config: Config, metrics: Option<TcpListener>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::open(config.clone()).await.unwrap();
        let running = server.clone();
        let task =
            tokio::spawn(async move { running.run(listener, metrics, async { drop(stopped.await) }).await });
        // The workspace's reqwest knows TLS and asks for a provider even where none is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, server, config, client, folder, stop, task }
    }

    /// Asks the server to stop; what is returned ends with it.
    pub fn stop(self) -> (JoinHandle<Result<(), Error>>, TempDir) {
        let _ = self.stop.send(());
        (self.task, self.folder)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        assert!(path.starts_with('/'), "{path}");
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    /// As an account, whose password is its name with an 's.
    pub fn by(&self, account: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).basic_auth(account, Some(format!("{account}'s")))
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Pushes as the account that may do everything.
    pub async fn push(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let response = self.by("all", Method::POST, &path).body(content.to_vec()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        digest
    }
}

/// A manifest of a config that is a blob, and nothing else.
pub fn manifest(config: &[u8]) -> String {
    let media_type = "application/vnd.oci.image.config.v1+json";
    let config =
        json!({ "mediaType": media_type, "digest": Digest::of(config).to_string(), "size": config.len() });
    json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] }).to_string()
}

/// The code of a refusal.
pub async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (status, body["errors"][0]["code"].as_str().unwrap().to_owned())
}
