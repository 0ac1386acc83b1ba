//! A bucket in memory, behind the S3 protocol of the s3s crate. Unlike s3s-fs it holds conditions in races, answers conditional
//! reads, and has room for long keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use plyos_blobs::Digest;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3, S3Request, S3Response, S3Result, s3_error};
use tokio::net::TcpListener;

/// S3 takes no smaller parts but the last.
const LEAST_PART: usize = 5 * 1024 * 1024;
/// Few, so that listings have several pages.
const PAGE: usize = 10;

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    tag: ETag,
    modified: SystemTime,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, BTreeMap<i32, Object>>,
    begun: u64,
}

#[derive(Clone, Default)]
pub struct Bucket(Arc<Mutex<State>>);

impl Bucket {
    /// Serves it on loopback for as long as the runtime lives.
    pub async fn serve(&self, key: &str, secret: &str) -> SocketAddr {
        let mut builder = S3ServiceBuilder::new(self.clone());
        builder.set_auth(SimpleAuth::from_single(key, secret));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    // A client that goes away ends its connection; nobody else minds.
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        address
    }

    /// All keys.
    pub fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Objects that were begun in parts and are not finished.
    pub fn unfinished(&self) -> usize {
        self.0.lock().unwrap().uploads.len()
    }
}

fn object(bytes: Bytes) -> Object {
    // By content, as S3's.
    let tag = ETag::Strong(Digest::of(&bytes).hex().split_off(32));
    Object { bytes, tag, modified: SystemTime::now() }
}

async fn receive(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let whole: BytesMut = body.try_collect().await.map_err(|e| s3_error!(IncompleteBody, "{e}"))?;
    Ok(whole.freeze())
}

fn source(source: &CopySource) -> S3Result<&str> {
    match source {
        CopySource::Bucket { key, .. } => Ok(key),
        _ => Err(s3_error!(NotImplemented)),
    }
}

impl State {
    fn get(&self, key: &str) -> S3Result<Object> {
        self.objects.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
    }

    /// Puts an object if its conditions hold.
    fn put(
        &mut self,
        key: String,
        object: Object,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<ETag> {
        let there = self.objects.get(&key);
        if if_none_match.is_some() && there.is_some() {
            return Err(s3_error!(PreconditionFailed));
        }
        match (if_match, there) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(ETagCondition::ETag(tag)), Some(there)) if !tag.strong_cmp(&there.tag) => {
                return Err(s3_error!(PreconditionFailed));
            }
            _ => {}
        }
        let tag = object.tag.clone();
        self.objects.insert(key, object);
        Ok(tag)
    }

    fn put_part(&mut self, upload: &str, number: i32, bytes: Bytes) -> S3Result<ETag> {
        let parts = self.uploads.get_mut(upload).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let object = object(bytes);
        let tag = object.tag.clone();
        parts.insert(number, object);
        Ok(tag)
    }
}

#[async_trait]
impl S3 for Bucket {
    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = req.input;
        let object = object(receive(input.body).await?);
        let mut state = self.0.lock().unwrap();
        let tag = state.put(input.key, object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(tag), ..Default::default() }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let object = self.0.lock().unwrap().get(&input.key)?;
        if let Some(ETagCondition::ETag(tag)) = &input.if_match
            && !tag.strong_cmp(&object.tag)
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let size = object.bytes.len() as u64;
        let (bytes, content_range) = match input.range {
            None => (object.bytes, None),
            Some(range) => {
                let range = range.check(size)?;
                let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                (object.bytes.slice(range.start as usize..range.end as usize), Some(text))
            }
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range,
            body: Some(StreamingBlob::from(Body::from(bytes))),
            e_tag: Some(object.tag),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let object = self.0.lock().unwrap().get(&req.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(object.bytes.len() as i64),
            e_tag: Some(object.tag),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        }))
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut state = self.0.lock().unwrap();
        let deleted = req.input.delete.objects.into_iter().map(|object| {
            state.objects.remove(&object.key);
            DeletedObject { key: Some(object.key), ..Default::default() }
        });
        let deleted = Some(deleted.collect());
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let prefix = input.prefix.unwrap_or_default();
        let after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let (mut contents, mut prefixes) = (Vec::new(), BTreeSet::new());
        let mut last = None;
        let mut more = false;
        let state = self.0.lock().unwrap();
        for (key, object) in state.objects.iter().filter(|(key, _)| key.starts_with(&prefix) && **key > after)
        {
            let rest = &key[prefix.len()..];
            let common =
                input.delimiter.as_ref().and_then(|d| Some(format!("{prefix}{}{d}", rest.split_once(d)?.0)));
            if common.as_ref().is_some_and(|common| prefixes.contains(common) || after.starts_with(common)) {
                last = Some(key.clone());
                continue;
            }
            if contents.len() + prefixes.len() == PAGE {
                more = true;
                break;
            }
            last = Some(key.clone());
            match common {
                Some(common) => drop(prefixes.insert(common)),
                None => contents.push(s3s::dto::Object {
                    key: Some(key.clone()),
                    size: Some(object.bytes.len() as i64),
                    e_tag: Some(object.tag.clone()),
                    last_modified: Some(object.modified.into()),
                    ..Default::default()
                }),
            }
        }
        let common = prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) });
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: Some(contents.len() as i32),
            contents: Some(contents),
            common_prefixes: Some(common.collect()),
            is_truncated: Some(more),
            next_continuation_token: last.filter(|_| more),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut state = self.0.lock().unwrap();
        state.begun += 1;
        let upload_id = format!("upload \"{}\"", state.begun);
        state.uploads.insert(upload_id.clone(), BTreeMap::new());
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(req.input.bucket),
            key: Some(req.input.key),
            upload_id: Some(upload_id),
            ..Default::default()
        }))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let bytes = receive(input.body).await?;
        let tag = self.0.lock().unwrap().put_part(&input.upload_id, input.part_number, bytes)?;
        Ok(S3Response::new(UploadPartOutput { e_tag: Some(tag), ..Default::default() }))
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let mut state = self.0.lock().unwrap();
        let bytes = state.get(source(&req.input.copy_source)?)?.bytes;
        let tag = state.put_part(&req.input.upload_id, req.input.part_number, bytes)?;
        let result = CopyPartResult { e_tag: Some(tag), ..Default::default() };
        Ok(S3Response::new(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = req.input;
        let mut state = self.0.lock().unwrap();
        let parts = state.uploads.get(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let mut whole = BytesMut::new();
        for (n, part) in wanted.iter().enumerate() {
            let found = part.part_number.and_then(|number| parts.get(&number));
            let found =
                found.filter(|found| part.e_tag.as_ref().is_some_and(|tag| tag.strong_cmp(&found.tag)));
            let found = found.ok_or_else(|| s3_error!(InvalidPart))?;
            if n + 1 < wanted.len() && found.bytes.len() < LEAST_PART {
                return Err(s3_error!(EntityTooSmall));
            }
            whole.extend_from_slice(&found.bytes);
        }
        let object = object(whole.freeze());
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let tag = state.put(input.key.clone(), object, if_match, if_none_match)?;
        state.uploads.remove(&input.upload_id);
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(tag),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let mut state = self.0.lock().unwrap();
        state.uploads.remove(&req.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let mut state = self.0.lock().unwrap();
        let bytes = state.get(source(&req.input.copy_source)?)?.bytes;
        let tag = state.put(req.input.key, object(bytes), None, None)?;
        let result = CopyObjectResult { e_tag: Some(tag), ..Default::default() };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }
}
