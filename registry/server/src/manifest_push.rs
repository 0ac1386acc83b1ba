//! PUT of a manifest: its exact bytes are checked, then kept, then listed under its subject, then tagged
//! ("Pushing Manifests").

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use plyos_blobs::{
    Algorithm, Digest, Expected, ManifestPush, MediaType, Names, RepositoryName, StoreError, Tag,
};
use serde_json::json;

use crate::manifest::{self, Kind, Manifest};
use crate::manifests::LOOKUPS;
use crate::receive::{self, Bound};
use crate::refusal::{Code, Refusal};
use crate::route::Reference;
use crate::router::{Registry, query_all};
use crate::warning::warn;
use crate::{precondition, referrers};

/// Missing references that a refusal names; a client that lacks more will ask again.
const MOST_NAMED: usize = 16;
/// Tags that one push may set; each is a write.
const MOST_TAGS: usize = 64;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

pub(crate) async fn put(
    registry: &Registry,
    name: &RepositoryName,
    reference: &Reference,
    request: &Parts,
    body: &mut Body,
) -> Result<Response, Refusal> {
    let limits = &registry.config.limits;
    let content_type = content_type(&request.headers)?;
    let tags = tags(reference, request)?;
    let changes = changes(registry, name, &tags, request).await?;

    let bound = Bound { what: "a manifest", limit: limits.manifest_bytes as u64, idle: limits.upload_idle };
    // The room is given back at the end of this.
    let (bytes, _room) = receive::into_memory(body, &request.headers, bound, &registry.room).await?;
    let digest = digest(reference, &bytes)?;
    let manifest = Manifest::read(content_type, &bytes, limits.manifest_references).map_err(invalid)?;
    let about = match manifest.subject {
        Some(subject) => Some((subject, descriptor(&manifest, &digest, bytes.len())?)),
        None => None,
    };
    // Before anything is looked up, so that no clean-up takes it away between the look and the write.
    let data = registry.storage.blobs.data().new_id()?;
    let names = Names::new().manifest(name, &digest).data(&data).named_by(name, &bytes);
    let names = manifest.subject.iter().fold(names, |names, subject| names.referrer(name, subject, &digest));
    let claim = registry.storage.claims.claim(names).await?;
    check_references(registry, name, &manifest.references).await?;

    let push = ManifestPush {
        repository: name.clone(),
        digest,
        media_type: manifest.media_type.clone(),
        bytes,
        data,
        about,
        tags: changes.iter().map(|change| (change.tag.clone(), change.expected)).collect(),
    };
    if let Some(tag) = registry.storage.publish_manifest(claim, push).await? {
        return Err(moved(&tag));
    }
    tracing::debug!(%name, %digest, "stored a manifest");
    Ok(created(name, &digest, &manifest, &changes))
}

/// A tag that is about to be set.
struct Change<'a> {
    tag: &'a Tag,
    before: Option<Digest>,
    expected: Expected,
}

/// What has to become of the tags, if the request's conditions on the first of them hold.
async fn changes<'a>(
    registry: &Registry,
    name: &RepositoryName,
    tags: &'a [Tag],
    request: &Parts,
) -> Result<Vec<Change<'a>>, Refusal> {
    let conditional = precondition::is_given(&request.headers);
    let lookups = tags.iter().map(|tag| async move {
        let before = registry.storage.repositories.tag(name, tag).await?;
        let expected = match (conditional, before) {
            (false, _) => Expected::Anything,
            (true, None) => Expected::Nothing,
            (true, Some(before)) => Expected::Digest(before),
        };
        Ok::<_, StoreError>(Change { tag, before, expected })
    });
    let lookups: Vec<_> = lookups.collect();
    let changes: Vec<_> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
    let fails = |change: &&Change<'_>| !precondition::holds(&request.headers, change.before.as_ref());
    match changes.iter().find(fails) {
        Some(change) => Err(moved(change.tag)),
        None => Ok(changes),
    }
}

fn moved(tag: &Tag) -> Refusal {
    let message = format!("tag {tag} is not what the request expects; look at it again");
    Refusal::new(StatusCode::PRECONDITION_FAILED, Code::Denied, message)
}

/// The tags that a push sets: the one in its path, or those that it gives with a digest.
fn tags(reference: &Reference, request: &Parts) -> Result<Vec<Tag>, Refusal> {
    match reference {
        Reference::Tag(tag) => Ok(vec![tag.clone()]),
        Reference::Digest(_) => {
            let tags = query_all(request, "tag");
            if tags.len() > MOST_TAGS {
                let message = format!("one push sets at most {MOST_TAGS} tags");
                return Err(Refusal::new(StatusCode::URI_TOO_LONG, Code::Unsupported, message));
            }
            Ok(tags.iter().map(|tag| tag.parse()).collect::<Result<_, _>>()?)
        }
    }
}

/// The digest that the manifest is kept under: of the algorithm that the client chose.
fn digest(reference: &Reference, bytes: &[u8]) -> Result<Digest, Refusal> {
    let Reference::Digest(expected) = reference else { return Ok(Algorithm::default().digest(bytes)) };
    let actual = expected.algorithm().digest(bytes);
    if actual != *expected {
        let message = format!("the manifest is {actual}, not {expected}");
        return Err(Refusal::bad(Code::DigestInvalid, message));
    }
    Ok(actual)
}

/// How the manifest is listed under its subject.
fn descriptor(manifest: &Manifest, digest: &Digest, size: usize) -> Result<Bytes, Refusal> {
    let descriptor = manifest.descriptor(digest, size).to_string();
    if descriptor.len() > referrers::MOST_BYTES {
        let message = "its annotations are too long for a list of referrers";
        return Err(Refusal::bad(Code::ManifestInvalid, message));
    }
    Ok(descriptor.into())
}

fn content_type(headers: &HeaderMap) -> Result<Option<MediaType>, Refusal> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    // Parameters such as a charset say nothing about a manifest.
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let bad = |why| Refusal::bad(Code::ManifestInvalid, format!("this Content-Type is none: {why}"));
    essence.parse().map(Some).map_err(bad)
}

fn invalid(error: manifest::ManifestError) -> Refusal {
    Refusal::bad(Code::ManifestInvalid, error.to_string())
}

/// Sees that what the manifest is made of is here, and as long as it says.
async fn check_references(
    registry: &Registry,
    name: &RepositoryName,
    references: &[manifest::Reference],
) -> Result<(), Refusal> {
    let lookups = references.iter().map(|reference| async move {
        let size = size_of(registry, name, reference).await?;
        Ok::<_, StoreError>((reference, size))
    });
    let lookups: Vec<_> = lookups.collect();
    let found: Vec<_> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;

    let missing = found.iter().filter(|(reference, size)| size.is_none() && reference.kind == Kind::Blob);
    let details: Vec<_> = missing
        .take(MOST_NAMED)
        .map(|(reference, _)| json!({ "digest": reference.digest.to_string() }))
        .collect();
    if !details.is_empty() {
        let message = "push what the manifest refers to before the manifest";
        let refusal = Refusal::missing(Code::ManifestBlobUnknown, message);
        return Err(details.into_iter().fold(refusal, Refusal::detail));
    }
    let lies = |(reference, size): &&(&manifest::Reference, Option<u64>)| {
        size.is_some_and(|size| size != reference.size)
    };
    match found.iter().find(lies) {
        Some((reference, _)) => {
            let message = format!("the size given for {} is not its size", reference.digest);
            Err(Refusal::bad(Code::SizeInvalid, message))
        }
        None => Ok(()),
    }
}

/// The size of what is referred to, or `None` if it is not here. Asks the store itself: the manifest will rely on it.
async fn size_of(
    registry: &Registry,
    name: &RepositoryName,
    reference: &manifest::Reference,
) -> Result<Option<u64>, StoreError> {
    let storage = &registry.storage;
    let held = match reference.kind {
        Kind::Blob => storage.repositories.confirm_link(name, &reference.digest).await?,
        Kind::Manifest => storage.repositories.confirm_manifest(name, &reference.digest).await?.is_some(),
    };
    if !held {
        return Ok(None);
    }
    Ok(storage.blobs.confirm(&reference.digest).await?.map(|stat| stat.size))
}

fn created(name: &RepositoryName, digest: &Digest, manifest: &Manifest, changes: &[Change<'_>]) -> Response {
    let headers = [
        (header::LOCATION, format!("/v2/{name}/manifests/{digest}")),
        (HeaderName::from_static("docker-content-digest"), digest.to_string()),
    ];
    let mut response = (StatusCode::CREATED, headers).into_response();
    let mut add = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().append(name, value);
        }
    };
    if let Some(subject) = &manifest.subject {
        add(OCI_SUBJECT, subject.to_string());
    }
    for change in changes {
        add(OCI_TAG, change.tag.to_string());
    }
    if !manifest.names_its_type {
        warn(&mut response, "the manifest has no mediaType field; some clients will refuse it");
    }
    for change in changes {
        if let Some(before) = change.before.filter(|before| before != digest) {
            warn(&mut response, &format!("tag {} was {before} until now", change.tag));
        }
    }
    response
}
