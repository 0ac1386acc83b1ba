//! The tests of the OCI paths in `tests/http` once more, over an object store in memory: what holds for a directory holds
//! for a bucket.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]
#![allow(dead_code, reason = "some of the support is for tests that are about a directory")]

#[path = "../http/attacks.rs"]
mod attacks;
#[path = "../http/compose.rs"]
mod compose;
#[path = "../http/deletes.rs"]
mod deletes;
#[path = "../http/digests.rs"]
mod digests;
#[path = "../http/heads.rs"]
mod heads;
#[path = "../http/listing.rs"]
mod listing;
#[path = "../http/manifests.rs"]
mod manifests;
#[path = "../http/mounts.rs"]
mod mounts;
#[path = "../http/push.rs"]
mod push;
#[path = "../http/ranges.rs"]
mod ranges;
#[path = "../http/referrers.rs"]
mod referrers;
#[path = "../http/sessions.rs"]
mod sessions;
#[path = "../http/support.rs"]
mod support;
#[path = "../http/tags.rs"]
mod tags;
