//! `/ui/repository/NAME`: the tags of a repository, what each brought that the ones before it did not have.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use plyos_blobs::{RepositoryName, StoreError};

use super::footprint::Footprint;
use super::frame::{self, Place};
use super::overview::{note, pages};
use super::picture::{self, Bar};
use super::survey::{Survey, Tagged};
use super::{order, shown};
use crate::router::Registry;

/// Tags on a page.
const TAGS: usize = 50;
/// Tags that a form offers to compare.
const CHOICES: usize = 200;

/// A tag's row.
struct Row {
    tagged: Tagged,
    /// Bytes that it brought; `None` where not everything was read.
    new: Option<u64>,
}

pub(super) async fn show(
    registry: &Registry,
    name: &RepositoryName,
    last: Option<&str>,
) -> Result<Option<Response>, StoreError> {
    let repositories = &registry.storage.repositories;
    let mut tags = repositories.tags(name, last, TAGS + 1).await?;
    if tags.is_empty() && last.is_none() && !repositories.exists(name).await? {
        return Ok(None);
    }
    let next = if tags.len() > TAGS { tags.get(TAGS - 1).cloned() } else { None };
    tags.truncate(TAGS);
    tags.sort_by(|a, b| order::natural(a, b));
    let mut choices = repositories.tags(name, None, CHOICES).await?;
    choices.sort_by(|a, b| order::natural(a, b));

    let mut survey = Survey::new(registry);
    let (mut everything, mut rows) = (Footprint::default(), Vec::new());
    for tagged in survey.tagged(name, tags).await? {
        let new = survey.add(&mut everything, name, &tagged.blobs()).await?;
        rows.push(Row { tagged, new });
    }
    let place = Place { title: name.as_str(), above: &[("Overview", "/ui/".to_owned())] };
    let content = content(
        name,
        &rows,
        everything.bytes(),
        &choices,
        last.is_some(),
        next.as_deref(),
        survey.budget.spent,
    );
    Ok(Some(frame::page(StatusCode::OK, &place, &content)))
}

fn content(
    name: &RepositoryName,
    rows: &[Row],
    stored: u64,
    choices: &[String],
    continued: bool,
    next: Option<&str>,
    partial: bool,
) -> Markup {
    let referenced = rows.iter().map(|row| row.tagged.size()).fold(0, u64::saturating_add);
    html! {
        h1 { (name) }
        dl .facts {
            div { dt { "Tags" } dd { (rows.len()) @if continued || next.is_some() { small { "on this page" } } } }
            div { dt { "Referred to" } dd { (shown::bytes(referenced)) small { "every tag counted whole" } } }
            div { dt { "Kept" } dd { (shown::bytes(stored)) small { "shared bytes once" } } }
            div { dt { "Saved by sharing" } dd { (shown::percent(referenced.saturating_sub(stored), referenced)) } }
        }
        @if rows.is_empty() {
            p .empty { "No tags. Manifests that are here are reached by their digests." }
        } @else {
            section aria-labelledby="tags" {
                h2 #tags { "Tags" }
                (figure(rows))
                (table(name, rows))
                @if partial { (note()) }
                (pages(&format!("/ui/repository/{name}"), continued, next))
            }
        }
        @if choices.len() > 1 {
            section aria-labelledby="compare" {
                h2 #compare { "Compare two versions" }
                (choose(name, choices, choices.len() - 2, choices.len() - 1))
            }
        }
    }
}

fn figure(rows: &[Row]) -> Markup {
    let bar = |row: &Row| {
        let whole = row.tagged.size();
        Bar { label: row.tagged.tag.clone(), whole, new: row.new.unwrap_or(whole).min(whole) }
    };
    let bars: Vec<Bar> = rows.iter().map(bar).collect();
    html! {
        figure {
            (picture::bars("sharing", "Size of each tag, and how many of its bytes it brought anew", "tags-table", &bars))
            figcaption { span .key.new {} "brought anew" span .key.old {} "kept already for a tag above" }
        }
    }
}

fn table(name: &RepositoryName, rows: &[Row]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Tags, table" {
            table #tags-table {
                caption { "Tags from the lowest number up; each against all above it." }
                thead { tr {
                    th scope="col" { "Tag" } th scope="col" { "Kind" } th scope="col" { "What it says it is" }
                    th scope="col" .number { "Layers" } th scope="col" .number { "Size" } th scope="col" .number { "New" }
                    th scope="col" { "Manifest" } th scope="col" { "Changes" }
                } }
                tbody { @for (at, row) in rows.iter().enumerate() {
                    @let tagged = &row.tagged;
                    @let before = at.checked_sub(1).and_then(|at| rows.get(at));
                    tr {
                        th scope="row" { a href={ "/ui/image/" (name) "?tag=" (tagged.tag) } { (tagged.tag) } }
                        td { span .kind { (tagged.image.kind()) } }
                        td { (tagged.image.title()) }
                        td .number { (tagged.image.parts.len()) @if tagged.image.more { "+" } }
                        td .number { (shown::bytes(tagged.size())) }
                        td .number { @if let Some(new) = row.new { (shown::bytes(new)) } @else { span .soft { "not counted" } } }
                        td { code title=(tagged.digest) { (shown::short(&tagged.digest.to_string())) } }
                        td { @if let Some(before) = before {
                            a href={ "/ui/compare/" (name) "?from=" (before.tagged.tag) "&to=" (tagged.tag) } { "since " (before.tagged.tag) }
                        } }
                    }
                } }
            }
        }
    }
}

/// A form to choose two tags, with two of them chosen.
pub(super) fn choose(name: &RepositoryName, tags: &[String], from: usize, to: usize) -> Markup {
    let list = |field: &str, label: &str, chosen: usize| {
        html! {
            label { (label)
                select name=(field) { @for (at, tag) in tags.iter().enumerate() {
                    option value=(tag) selected[at == chosen] { (tag) }
                } }
            }
        }
    };
    html! {
        form method="get" action={ "/ui/compare/" (name) } {
            (list("from", "From", from)) (list("to", "To", to))
            button type="submit" { "Compare" }
        }
    }
}
