//! `/ui/compare/NAME?from=TAG&to=TAG`: layers added and gone between two versions, and the bytes they share.

use std::collections::HashSet;

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use plyos_blobs::{Digest, Piece, RepositoryName, StoreError};

use super::footprint::Footprint;
use super::frame::{self, Place};
use super::image::{Image, Part};
use super::overview::note;
use super::picture::{self, Bar};
use super::repository::choose;
use super::survey::{Survey, Tagged, holds};
use super::{order, shown};
use crate::router::Registry;

/// Tags that the form offers.
const CHOICES: usize = 200;
/// Piece lists that are read of each version: the largest blobs.
const LISTS: usize = 16;

/// How two versions differ.
struct Difference<'a> {
    added: Vec<&'a Part>,
    gone: Vec<&'a Part>,
    kept: Vec<&'a Part>,
    /// Bytes of the newer one that the storage keeps once for both.
    stored_once: Option<u64>,
    /// Bytes of the newer one in pieces (frames) that the older one has too, whole blobs included.
    same_pieces: Option<u64>,
}

pub(super) async fn show(
    registry: &Registry,
    name: &RepositoryName,
    from: &str,
    to: &str,
) -> Result<Option<Response>, StoreError> {
    let mut survey = Survey::new(registry);
    let mut two = survey.tagged(name, vec![from.to_owned(), to.to_owned()]).await?;
    let (Some(newer), Some(older), None) = (two.pop(), two.pop(), two.pop()) else { return Ok(None) };
    let mut choices = registry.storage.repositories.tags(name, None, CHOICES).await?;
    choices.sort_by(|a, b| order::natural(a, b));

    let mut footprint = Footprint::default();
    survey.add(&mut footprint, name, &older.blobs()).await?;
    let new = survey.add(&mut footprint, name, &newer.blobs()).await?;
    let difference = Difference {
        stored_once: new.map(|new| newer.size().saturating_sub(new)),
        same_pieces: same_pieces(registry, name, &older, &newer).await?,
        ..parts(&older, &newer)
    };
    let above = [("Overview", "/ui/".to_owned()), (name.as_str(), format!("/ui/repository/{name}"))];
    let title = format!("{} → {}", older.tag, newer.tag);
    let content = content(name, &older, &newer, &difference, &choices, survey.budget.spent);
    Ok(Some(frame::page(StatusCode::OK, &Place { title: &title, above: &above }, &content)))
}

fn parts<'a>(older: &'a Tagged, newer: &'a Tagged) -> Difference<'a> {
    let all = |tagged: &'a Tagged| {
        let images = std::iter::once(&tagged.image).chain(&tagged.platforms);
        images.flat_map(Image::all_parts).collect::<Vec<_>>()
    };
    let (before, after) = (all(older), all(newer));
    let digests = |parts: &[&Part]| parts.iter().map(|part| part.digest).collect::<HashSet<_>>();
    let (had, has) = (digests(&before), digests(&after));
    let (kept, added) = after.into_iter().partition(|part| had.contains(&part.digest));
    let gone = before.into_iter().filter(|part| !has.contains(&part.digest)).collect();
    Difference { added, gone, kept, stored_once: None, same_pieces: None }
}

/// Bytes of the newer version that the older one has too, by blobs and by the pieces of large ones. `None` if no piece list
/// of what changed is known.
async fn same_pieces(
    registry: &Registry,
    name: &RepositoryName,
    older: &Tagged,
    newer: &Tagged,
) -> Result<Option<u64>, StoreError> {
    let (before, after) = (older.blobs(), newer.blobs());
    let had: HashSet<Digest> = before.iter().map(|(digest, _)| *digest).collect();
    let has: HashSet<Digest> = after.iter().map(|(digest, _)| *digest).collect();
    let whole: u64 = after
        .iter()
        .filter(|(digest, _)| had.contains(digest))
        .fold(0, |sum, (_, size)| sum.saturating_add(*size));
    let changed_before = largest(before.into_iter().filter(|(digest, _)| !has.contains(digest)));
    let changed_after = largest(after.into_iter().filter(|(digest, _)| !had.contains(digest)));
    let mut known = HashSet::new();
    for (digest, size) in changed_before {
        known.extend(
            pieces(registry, name, &digest, size)
                .await?
                .unwrap_or_default()
                .into_iter()
                .map(|piece| (piece.id, piece.length)),
        );
    }
    let (mut shared, mut counted) = (whole, false);
    for (digest, size) in changed_after {
        let Some(list) = pieces(registry, name, &digest, size).await? else { continue };
        counted = true;
        let same = list.iter().filter(|piece| known.contains(&(piece.id, piece.length)));
        shared += same.map(|piece| u64::from(piece.length)).sum::<u64>();
    }
    Ok((counted && !known.is_empty()).then_some(shared))
}

async fn pieces(
    registry: &Registry,
    name: &RepositoryName,
    digest: &Digest,
    size: u64,
) -> Result<Option<Vec<Piece>>, StoreError> {
    if !holds(registry, name, digest).await? {
        return Ok(None);
    }
    registry.storage.packer().read_list(digest, size).await
}

fn largest(blobs: impl Iterator<Item = (Digest, u64)>) -> Vec<(Digest, u64)> {
    let mut blobs: Vec<_> = blobs.collect();
    blobs.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    blobs.truncate(LISTS);
    blobs
}

fn content(
    name: &RepositoryName,
    older: &Tagged,
    newer: &Tagged,
    difference: &Difference<'_>,
    choices: &[String],
    partial: bool,
) -> Markup {
    let at = |tag: &str| choices.iter().position(|choice| choice == tag).unwrap_or_default();
    let size = newer.size();
    let counted = |bytes: Option<u64>| match bytes {
        Some(bytes) => {
            html! { (shown::bytes(bytes)) small { (shown::percent(bytes, size)) " of " (newer.tag) } }
        }
        None => html! { span .soft { "not counted" } },
    };
    html! {
        h1 { (name) ": what changed from " (older.tag) " to " (newer.tag) }
        @if choices.len() > 1 { (choose(name, choices, at(&older.tag), at(&newer.tag))) }
        @if older.digest == newer.digest { p .empty { "Both tags name the same manifest." } }
        dl .facts {
            div { dt { "Size before" } dd { (shown::bytes(older.size())) } }
            div { dt { "Size now" } dd { (shown::bytes(size)) } }
            div { dt { "Kept once for both" } dd { (counted(difference.stored_once)) } }
            @if difference.same_pieces.is_some() {
                div { dt { "In the same pieces" } dd { (counted(difference.same_pieces)) } }
            }
        }
        (figure(newer, difference))
        (list("added", "Added", &difference.added, "Nothing was added."))
        (list("gone", "Gone", &difference.gone, "Nothing is gone."))
        (list("kept", "In both", &difference.kept, "No layer is in both as it stands; pieces of them may be."))
        @if partial { (note()) }
        p .note { "Kept once: bytes that this registry stores in one place for both. Same pieces: compressed frames, or runs of
            64 KiB cut by content, that both have, packed already or not; counted in blobs of 1 MiB and more." }
    }
}

fn figure(newer: &Tagged, difference: &Difference<'_>) -> Markup {
    let size = newer.size();
    let bar = |label: &str, same: Option<u64>| {
        same.map(|same| Bar { label: label.to_owned(), whole: size, new: size.saturating_sub(same) })
    };
    let bars: Vec<Bar> =
        [bar("as it is kept", difference.stored_once), bar("by pieces", difference.same_pieces)]
            .into_iter()
            .flatten()
            .collect();
    html! {
        @if !bars.is_empty() {
            figure {
                (picture::bars("change", "How much of the newer version is new", "change-words", &bars))
                figcaption { span .key.new {} "new" span .key.old {} "had before" }
                p #change-words .note {
                    @for bar in &bars { "Of " (newer.tag) ", " (bar.label) ": " (picture::words(bar)) ". " }
                }
            }
        }
    }
}

fn list(id: &str, title: &str, parts: &[&Part], none: &str) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (title) @if !parts.is_empty() { " " span .soft { "(" (shown::count(parts.len(), "part", "parts")) ")" } } }
            @if parts.is_empty() { p .soft { (none) } } @else {
                div .wide tabindex="0" role="region" aria-label={ (title) ", table" } { table {
                    thead { tr { th scope="col" { "Digest" } th scope="col" { "Media type" } th scope="col" .number { "Size" } } }
                    tbody { @for part in parts { tr {
                        th scope="row" { code title=(part.digest) { (shown::short(&part.digest.to_string())) } }
                        td { (part.media_type) }
                        td .number { (shown::bytes(part.size)) }
                    } } }
                } }
            }
        }
    }
}
