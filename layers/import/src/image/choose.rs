//! Which manifest of a layout is meant: by tag, then by architecture.

use oci_spec::image::{Descriptor, ImageIndex};

use super::blobs::Blobs;
use crate::error::{ImportError, Refusal};

/// Where a layout's index names its images.
const TAG: &str = "org.opencontainers.image.ref.name";
/// Index below index below index: more than anyone makes.
const MAX_DEPTH: usize = 4;

/// The bytes of the manifest, checked against the digest by which it was named.
pub(super) fn manifest(blobs: &Blobs, tag: Option<&str>, arch: &str) -> Result<Vec<u8>, ImportError> {
    let refused = |text: String| ImportError::archive(blobs.what(), Refusal::Content(text));
    let mut bytes = blobs.small("index.json")?;
    for depth in 0..MAX_DEPTH {
        let index = ImageIndex::from_reader(&bytes[..])
            .map_err(|error| refused(format!("an index of it cannot be read ({error})")))?;
        let mut offered: Vec<&Descriptor> = index.manifests().iter().collect();
        if depth == 0
            && let Some(tag) = tag
        {
            offered.retain(|one| tag_of(one) == Some(tag));
            if offered.is_empty() {
                return Err(refused(format!("it has no image {tag:?}; it has {}", tags(&index))));
            }
        }
        let chosen = match &offered[..] {
            [only] => *only,
            several => {
                let fitting: Vec<&&Descriptor> = several.iter().filter(|one| is_for(one, arch)).collect();
                match &fitting[..] {
                    [only] => **only,
                    [] => {
                        return Err(refused(format!("it has no image for {arch}; choose another by --arch")));
                    }
                    _ if depth == 0 => {
                        return Err(refused(format!("it has several images, say which: {}", tags(&index))));
                    }
                    [first, ..] => **first,
                }
            }
        };
        bytes = blobs.json(chosen)?;
        if !chosen.media_type().to_string().ends_with("index.v1+json")
            && !chosen.media_type().to_string().ends_with("manifest.list.v2+json")
        {
            return Ok(bytes);
        }
    }
    Err(refused("its indexes lie too deep in each other".to_owned()))
}

fn tag_of(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(TAG).map(String::as_str)
}

fn tags(index: &ImageIndex) -> String {
    let tags: Vec<&str> = index.manifests().iter().filter_map(tag_of).take(20).collect();
    if tags.is_empty() { "no tags".into() } else { tags.join(", ") }
}

fn is_for(descriptor: &Descriptor, arch: &str) -> bool {
    descriptor.platform().as_ref().is_some_and(|platform| {
        platform.os().to_string() == "linux" && platform.architecture().to_string() == arch
    })
}
