//! The stores that the tests run over.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use plyos_blobs::{Algorithm, Digest, RepositoryName, Settings, Storage, Upload};
use tempfile::TempDir;

use crate::s3::Bucket;

const BUCKET: &str = "layers";
const KEY: &str = "AKEXAMPLE";
const SECRET: &str = "a secret of nobody";

/// A storage, with the directory that goes when it does.
pub struct Place {
    pub name: &'static str,
    pub directory: TempDir,
    pub storage: Storage,
    again: Again,
}

/// How another server comes to the same storage.
enum Again {
    Local,
    Memory(Arc<InMemory>),
    Bucket(SocketAddr, Bucket),
}

impl Place {
    /// What the S3 server holds, if it is one.
    pub fn bucket(&self) -> Option<&Bucket> {
        if let Again::Bucket(_, bucket) = &self.again { Some(bucket) } else { None }
    }

    /// Another server on the same storage.
    pub async fn second(&self) -> Storage {
        let settings = settings(self.directory.path());
        match &self.again {
            Again::Local => Storage::local(self.directory.path(), &settings).await.unwrap(),
            Again::Memory(memory) => Storage::remote(Arc::clone(memory), &settings).await.unwrap(),
            Again::Bucket(address, _) => connect(*address, &settings).await,
        }
    }
}

fn settings(directory: &Path) -> Settings {
    Settings { most_uploads: 4, spools: Some(directory.to_owned()), ..Settings::default() }
}

pub async fn local() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let storage = Storage::local(directory.path(), &settings(directory.path())).await.unwrap();
    Place { name: "local", directory, storage, again: Again::Local }
}

pub async fn memory() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let memory = Arc::new(InMemory::new());
    let storage = Storage::remote(Arc::clone(&memory), &settings(directory.path())).await.unwrap();
    Place { name: "memory", directory, storage, again: Again::Memory(memory) }
}

pub async fn bucket() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let bucket = Bucket::default();
    let address = bucket.serve(KEY, SECRET).await;
    let storage = connect(address, &settings(directory.path())).await;
    Place { name: "bucket", directory, storage, again: Again::Bucket(address, bucket) }
}

pub async fn buckets() -> Vec<Place> {
    vec![memory().await, bucket().await]
}

pub async fn all() -> Vec<Place> {
    vec![local().await, memory().await, bucket().await]
}

async fn connect(address: SocketAddr, settings: &Settings) -> Storage {
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let options = BTreeMap::from([
        option("aws_endpoint", &format!("http://{address}")),
        option("aws_region", "us-east-1"),
        option("aws_access_key_id", KEY),
        option("aws_secret_access_key", SECRET),
        option("aws_allow_http", "true"),
    ]);
    Storage::open(&format!("s3://{BUCKET}/some/prefix"), &options, settings).await.unwrap()
}

pub fn repository() -> RepositoryName {
    "library/jq".parse().unwrap()
}

/// Bytes in which no two pieces are alike.
pub fn content(length: usize) -> Vec<u8> {
    (0..length as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

pub async fn upload(storage: &Storage, content: &[u8]) -> Upload {
    let upload = storage.uploads.begin_once(Algorithm::Sha256).await.unwrap();
    append(upload, content).await
}

/// Adds bytes in portions, as they come from a network.
pub async fn append(mut upload: Upload, content: &[u8]) -> Upload {
    for piece in content.chunks(500_000) {
        upload = upload.append(vec![Bytes::copy_from_slice(piece)]).await.unwrap();
    }
    upload
}

pub async fn commit(storage: &Storage, content: &[u8]) -> Digest {
    let digest = Digest::of(content);
    storage.blobs.commit(upload(storage, content).await, &digest).await.unwrap();
    digest
}

pub async fn read(storage: &Storage, digest: &Digest, range: std::ops::Range<u64>) -> Vec<u8> {
    let content = storage.blobs.open(digest, range).await.unwrap().unwrap();
    let pieces: Vec<Bytes> = content.stream.try_collect().await.unwrap();
    pieces.concat()
}

/// Files of uploads that are left in a local storage.
pub fn staged(directory: &TempDir) -> usize {
    std::fs::read_dir(directory.path().join("uploads")).map_or(0, |files| files.count())
}
