//! `/ui/image/NAME?tag=TAG`: one manifest with its layers, annotations, and what refers to it.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use plyos_blobs::{RepositoryName, StoreError};

use super::footprint::Footprint;
use super::frame::{self, Place};
use super::image::{Form, Image, Part};
use super::overview::note;
use super::shown;
use super::survey::{Survey, Tagged};
use crate::router::Registry;

/// A layer's row.
struct Row<'a> {
    part: &'a Part,
    role: &'static str,
    /// Bytes that only the rows above it lack; `None` where it is not here or not counted.
    new: Option<u64>,
}

pub(super) async fn show(
    registry: &Registry,
    name: &RepositoryName,
    tag: &str,
) -> Result<Option<Response>, StoreError> {
    let mut survey = Survey::new(registry);
    let Some(tagged) = survey.tagged(name, vec![tag.to_owned()]).await?.pop() else { return Ok(None) };
    let image = &tagged.image;
    let (mut footprint, mut rows) = (Footprint::default(), Vec::new());
    let config = image.config.iter().map(|part| (part, "config"));
    let parts =
        image.parts.iter().map(|part| (part, if image.form == Form::Index { "manifest" } else { "layer" }));
    for (part, role) in config.chain(parts) {
        let new = survey.add(&mut footprint, name, &[(part.digest, part.size)]).await?;
        rows.push(Row { part, role, new });
    }
    let above = [("Overview", "/ui/".to_owned()), (name.as_str(), format!("/ui/repository/{name}"))];
    let content = content(name, &tagged, &rows, survey.budget.spent);
    Ok(Some(frame::page(StatusCode::OK, &Place { title: &tagged.tag, above: &above }, &content)))
}

fn content(name: &RepositoryName, tagged: &Tagged, rows: &[Row<'_>], partial: bool) -> Markup {
    let image = &tagged.image;
    let title = image.title();
    html! {
        h1 { (name) ":" (tagged.tag) }
        p .lead { span .kind { (image.kind()) } " " (title) }
        (how_to_get(name, &tagged.tag, image))
        dl .facts {
            div { dt { "Layers" } dd { (image.parts.len()) @if image.more { "+" } } }
            div { dt { "Size" } dd { (shown::bytes(tagged.size())) } }
            @if !tagged.platforms.is_empty() { div { dt { "Images looked into" } dd { (tagged.platforms.len()) } } }
        }
        section aria-labelledby="manifest" {
            h2 #manifest { "Manifest" }
            div .wide tabindex="0" role="region" aria-label="Manifest, table" { table {
                tbody {
                    tr { th scope="row" { "Digest" } td { code { (tagged.digest) } } }
                    tr { th scope="row" { "Media type" } td { code { (image.media_type) } } }
                    @if let Some(artifact_type) = &image.artifact_type {
                        tr { th scope="row" { "Artifact type" } td { code { (artifact_type) } } }
                    }
                    @if let Some(subject) = &image.subject { tr { th scope="row" { "Refers to" } td { code { (subject) } } } }
                }
            } }
        }
        section aria-labelledby="layers" {
            h2 #layers { @if image.form == Form::Index { "Images" } @else { "Layers" } }
            (layers(rows))
            @if partial { (note()) }
        }
        @if !image.annotations.is_empty() {
            section aria-labelledby="annotations" {
                h2 #annotations { "Annotations" }
                div .wide tabindex="0" role="region" aria-label="Annotations, table" { table {
                    thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } } }
                    tbody { @for (key, value) in &image.annotations { tr { th scope="row" { code { (key) } } td { (value) } } } }
                } }
            }
        }
    }
}

/// The command that fetches it.
fn how_to_get(name: &RepositoryName, tag: &str, image: &Image) -> Markup {
    html! {
        @if image.is_plyos() { pre { code { "plyos inspect HOST:PORT/" (name) ":" (tag) } } }
        @else if image.form != Form::Other { pre { code { "skopeo copy docker://HOST:PORT/" (name) ":" (tag) " oci:DIR:" (tag) } } }
    }
}

fn layers(rows: &[Row<'_>]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Layers, table" { table {
            thead { tr {
                th scope="col" { "Part" } th scope="col" { "Digest" } th scope="col" { "Media type" } th scope="col" { "Identity" }
                th scope="col" .number { "Size" } th scope="col" .number { "Kept for it" }
            } }
            tbody { @for row in rows { tr {
                th scope="row" { (row.role) @if let Some(platform) = &row.part.platform { " " (platform) }
                    @if let Some(title) = &row.part.title { " " span .soft { (title) } } }
                td { code title=(row.part.digest) { (shown::short(&row.part.digest.to_string())) } }
                td { (row.part.media_type) }
                td { @if let Some(layer) = &row.part.layer_id { code title=(layer) { "blake3:" (shown::short(layer.trim_start_matches("blake3:"))) } } }
                td .number { (shown::bytes(row.part.size)) }
                td .number { @if let Some(new) = row.new { (shown::bytes(new)) } @else { span .soft { "not counted" } } }
            } } }
        } }
    }
}
