//! A storage, used as the server uses it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use plyos_blobs::{
    Algorithm, CommitError, Digest, Expected, ManifestPush, Names, Policy, RepositoryName, Settings, Storage,
    StoreError, Tag,
};
use tempfile::TempDir;

pub struct Registry {
    pub storage: Storage,
    /// What lies below, if it is in memory.
    pub memory: Option<Arc<InMemory>>,
    pub folder: TempDir,
}

pub async fn local() -> Registry {
    let folder = tempfile::tempdir().unwrap();
    let storage = Storage::local(folder.path(), &Settings::default()).await.unwrap();
    Registry { storage, memory: None, folder }
}

pub async fn memory() -> Registry {
    let (folder, memory) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let storage = Storage::remote(Arc::clone(&memory), &settings(&folder)).await.unwrap();
    Registry { storage, memory: Some(memory), folder }
}

pub async fn both() -> [Registry; 2] {
    [local().await, memory().await]
}

fn settings(folder: &TempDir) -> Settings {
    Settings { spools: Some(folder.path().to_owned()), ..Settings::default() }
}

/// Deletes everything that may be deleted, however young.
pub fn at_once() -> Policy {
    Policy { grace: Duration::ZERO, ..Policy::default() }
}

pub fn name(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

/// A layer that is too large for its recipe, of bytes that nothing else has.
pub fn layer(seed: u32) -> Vec<u8> {
    (0..30_000u32).flat_map(|n| n.wrapping_mul(seed | 1).wrapping_add(seed).to_le_bytes()).collect()
}

/// A manifest of these parts; `more` is further fields, each ending with a comma.
pub fn manifest(more: &str, parts: &[Digest]) -> String {
    let layers: Vec<_> = parts.iter().map(|part| format!(r#"{{"digest":"{part}","size":1}}"#)).collect();
    format!(r#"{{{more}"schemaVersion":2,"layers":[{}]}}"#, layers.join(","))
}

pub fn index(children: &[Digest]) -> String {
    let children: Vec<_> = children.iter().map(|child| format!(r#"{{"digest":"{child}"}}"#)).collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, children.join(","))
}

impl Registry {
    /// Another server on the same storage.
    pub async fn second(&self) -> Storage {
        match &self.memory {
            Some(memory) => Storage::remote(Arc::clone(memory), &settings(&self.folder)).await.unwrap(),
            None => Storage::local(self.folder.path(), &Settings::default()).await.unwrap(),
        }
    }

    pub async fn push(&self, repository: &str, bytes: &[u8]) -> Digest {
        push(&self.storage, &name(repository), bytes).await.unwrap()
    }

    pub async fn push_manifest(&self, repository: &str, text: &str, tag: Option<&str>) -> Digest {
        push_manifest(&self.storage, &name(repository), text, tag, None).await.unwrap().unwrap()
    }

    /// Pushes a manifest whose subject is another one.
    pub async fn push_about(&self, repository: &str, parts: &[Digest], subject: Digest) -> Digest {
        let text = manifest(&format!(r#""subject":{{"digest":"{subject}"}},"#), parts);
        let pushed = push_manifest(&self.storage, &name(repository), &text, None, Some(subject)).await;
        pushed.unwrap().unwrap()
    }

    /// All bytes of a blob, if it is there, seen by a server that remembers nothing.
    pub async fn read(&self, digest: &Digest) -> Option<Bytes> {
        self.second().await.blobs.read_small(digest, 1 << 20).await.unwrap()
    }

    /// All keys below a prefix, sorted.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys: Vec<String> = match &self.memory {
            Some(memory) => {
                let all: Vec<_> = memory.list(Some(&Path::from(prefix))).try_collect().await.unwrap();
                all.into_iter().map(|meta| meta.location.to_string()).collect()
            }
            None => files(&self.folder.path().join(prefix), prefix),
        };
        keys.sort();
        keys
    }

    /// Where a key lies in a local storage.
    pub fn path(&self, key: &str) -> std::path::PathBuf {
        self.folder.path().join(key)
    }

    pub async fn remove(&self, key: &str) {
        match &self.memory {
            Some(memory) => memory.delete(&Path::from(key)).await.unwrap(),
            None => std::fs::remove_file(self.folder.path().join(key)).unwrap(),
        }
    }

    pub async fn overwrite(&self, key: &str, bytes: &[u8]) {
        match &self.memory {
            Some(memory) => {
                memory.put(&Path::from(key), bytes.to_vec().into()).await.unwrap();
            }
            None => {
                let path = self.folder.path().join(key);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
        }
    }

    /// The only data object whose size is that of `bytes`.
    pub async fn data_of(&self, bytes: &[u8]) -> String {
        let all: Vec<_> = self.storage.blobs.data().list().try_collect().await.unwrap();
        let mut fitting = all.into_iter().filter(|(_, meta)| meta.size == bytes.len() as u64);
        let found = fitting.next().unwrap().1.location.to_string();
        assert!(fitting.next().is_none());
        found
    }
}

fn files(folder: &std::path::Path, prefix: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        let key = format!("{prefix}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path(), &key));
        } else {
            found.push(key);
        }
    }
    found
}

pub async fn push(
    storage: &Storage,
    repository: &RepositoryName,
    bytes: &[u8],
) -> Result<Digest, CommitError> {
    let digest = Digest::of(bytes);
    let upload = storage.uploads.begin_once(Algorithm::Sha256).await.unwrap();
    let upload = upload.append(vec![Bytes::copy_from_slice(bytes)]).await?;
    storage.publish_blob(repository, upload, &digest).await?;
    Ok(digest)
}

/// Pushes a manifest if all its layers are held; says whether they are.
pub async fn push_manifest(
    storage: &Storage,
    repository: &RepositoryName,
    text: &str,
    tag: Option<&str>,
    subject: Option<Digest>,
) -> Result<Option<Digest>, StoreError> {
    let digest = Digest::of(text.as_bytes());
    let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
    let digests = |field: &str| -> Vec<Digest> {
        let list = parsed[field].as_array().cloned().unwrap_or_default();
        list.iter().map(|part| part["digest"].as_str().unwrap().parse().unwrap()).collect()
    };
    let mut names = Names::new().manifest(repository, &digest);
    for layer in digests("layers") {
        names = names.link(repository, &layer);
    }
    for child in digests("manifests") {
        names = names.manifest(repository, &child);
    }
    if let Some(subject) = &subject {
        names = names.referrer(repository, subject, &digest);
    }
    let data = storage.blobs.data().new_id()?;
    let names = names.data(&data).named_by(repository, text.as_bytes());
    let claim = storage.claims.claim(names).await?;
    for layer in digests("layers") {
        let linked = storage.repositories.confirm_link(repository, &layer).await?;
        if !linked || storage.blobs.confirm(&layer).await?.is_none() {
            return Ok(None);
        }
    }
    let push = ManifestPush {
        data,
        repository: repository.clone(),
        digest,
        media_type: "application/vnd.oci.image.manifest.v1+json".parse().unwrap(),
        bytes: Bytes::from(text.to_owned()),
        about: subject.map(|subject| (subject, Bytes::from_static(b"{}"))),
        tags: tag.map(|tag| (tag.parse::<Tag>().unwrap(), Expected::Anything)).into_iter().collect(),
    };
    assert_eq!(storage.publish_manifest(claim, push).await?, None);
    Ok(Some(digest))
}
