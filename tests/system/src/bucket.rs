//! A bucket on loopback: the S3 server of the `s3s` crates over a folder. Whoever has the keys may do everything, anyone may
//! read objects, as in a bucket that carries a web site.

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Its name.
pub const NAME: &str = "plyos";
const KEY: &str = "AKEXAMPLE";
const SECRET: &str = "a secret of nobody";

/// The server, ended when this is dropped.
#[derive(Debug)]
pub struct Bucket {
    folder: TempDir,
    address: SocketAddr,
    /// Runs the server; dropping it ends all of it.
    _runtime: Runtime,
}

/// Anyone may read an object; everything else needs the keys.
struct PublicRead;

#[async_trait]
impl S3Access for PublicRead {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let reads = matches!(cx.s3_op().name(), "GetObject" | "HeadObject");
        if reads || cx.credentials().is_some() { Ok(()) } else { Err(s3_error!(AccessDenied)) }
    }
}

impl Default for Bucket {
    fn default() -> Self {
        Self::new()
    }
}

impl Bucket {
    /// An empty bucket on a free port.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("plyos-bucket-").unwrap();
        fs::create_dir(folder.path().join(NAME)).unwrap();
        let files = FileSystem::new(folder.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        service.set_access(PublicRead);
        let service = service.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            while let Ok((socket, _)) = listener.accept().await {
                let connection = server.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
                // A client that goes away ends its connection; nobody else minds.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { folder, address, _runtime: runtime }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where anyone reads what lies below `path` in it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{NAME}/{path}", self.address)
    }

    /// Its own folder, to be looked at.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join(NAME)
    }

    /// What a program needs in its environment to write to it.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}
