//! `/`: which repositories and catalogs there are, and what keeping shared bytes once saves.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use maud::{Markup, html};
use plyos_blobs::{CatalogName, RepositoryName, StoreError};

use super::catalog_facts::{self, Offer};
use super::footprint::Footprint;
use super::frame::{self, Place};
use super::picture::{self, Bar};
use super::survey::{Survey, Tagged};
use super::{order, shown};
use crate::access::Caller;
use crate::paging::query_value;
use crate::repositories::{Visible, visible};
use crate::router::Registry;

/// Repositories on a page.
const REPOSITORIES: usize = 20;
/// Tags of each that are looked into: the highest by their numbers.
const TAGS: usize = 12;
/// Tags of each that are counted.
const COUNTED: usize = 500;
/// Catalogs that are shown.
const CATALOGS: usize = 20;

/// A repository's row.
struct Row {
    name: String,
    tags: usize,
    looked_into: usize,
    kinds: Vec<String>,
    newest: String,
    /// Sum of what its tags need, each for itself.
    referenced: u64,
    /// What of it nothing above this row needs.
    stored: u64,
}

pub(super) async fn show(
    registry: &Registry,
    caller: &Caller,
    last: Option<&str>,
) -> Result<Response, StoreError> {
    let mut survey = Survey::new(registry);
    let may_see = |name: &str| caller.may_read(name);
    let Visible { names, more } = visible(registry, last, REPOSITORIES, may_see).await?;
    let mut everything = Footprint::default();
    let mut rows = Vec::new();
    for name in &names {
        rows.push(row(&mut survey, registry, name, &mut everything).await?);
    }
    let catalogs = catalogs(registry, caller).await?;
    let next = names.last().filter(|_| more).map(ToString::to_string);
    let sign_in = registry.access.has_accounts() && caller.account().is_none();
    let content = content(&Found {
        rows: &rows,
        catalogs: &catalogs,
        stored: everything.bytes(),
        continued: last.is_some(),
        next: next.as_deref(),
        partial: survey.budget.spent,
        sign_in,
    });
    Ok(frame::page(StatusCode::OK, &Place { title: "Overview", above: &[] }, &content))
}

async fn row(
    survey: &mut Survey<'_>,
    registry: &Registry,
    name: &RepositoryName,
    everything: &mut Footprint,
) -> Result<Row, StoreError> {
    let mut tags = registry.storage.repositories.tags(name, None, COUNTED).await?;
    let count = tags.len();
    tags.sort_by(|a, b| order::natural(a, b));
    let highest = tags.split_off(tags.len().saturating_sub(TAGS));
    let tagged = survey.tagged(name, highest).await?;
    let mut stored = 0;
    for one in &tagged {
        stored += survey.add(everything, name, &one.blobs()).await?.unwrap_or(0);
    }
    let mut kinds: Vec<String> = tagged.iter().map(|one| one.image.kind()).collect();
    kinds.sort();
    kinds.dedup();
    kinds.truncate(4);
    Ok(Row {
        name: name.to_string(),
        tags: count,
        looked_into: tagged.len(),
        kinds,
        newest: tagged.last().map(|one| one.tag.clone()).unwrap_or_default(),
        referenced: tagged.iter().map(Tagged::size).fold(0, u64::saturating_add),
        stored,
    })
}

async fn catalogs(registry: &Registry, caller: &Caller) -> Result<Vec<Arc<Offer>>, StoreError> {
    let names = registry.storage.catalog.names(None, CATALOGS).await?;
    let seen = |name: &CatalogName| caller.may_read_catalog(name.as_str());
    let names: Vec<_> = names.into_iter().filter(seen).collect();
    let read = stream::iter(names).map(|name| async move { catalog_facts::offer(registry, &name).await });
    let offers: Vec<_> = read.buffered(4).try_collect().await?;
    Ok(offers.into_iter().flatten().collect())
}

/// What the page shows.
struct Found<'a> {
    rows: &'a [Row],
    catalogs: &'a [Arc<Offer>],
    stored: u64,
    continued: bool,
    next: Option<&'a str>,
    partial: bool,
    /// Whether there is more for those who sign in.
    sign_in: bool,
}

fn content(found: &Found<'_>) -> Markup {
    let &Found { rows, catalogs, stored, continued, next, partial, sign_in } = found;
    let referenced = rows.iter().map(|row| row.referenced).fold(0, u64::saturating_add);
    let tags: usize = rows.iter().map(|row| row.tags).sum();
    html! {
        h1 { "What this registry holds" }
        @if sign_in { p .lead { "You see what anyone may see. " a href="/ui/sign-in" { "Sign in" } " to see more." } }
        dl .facts {
            div { dt { "Repositories" } dd { (rows.len()) @if continued || next.is_some() { small { "on this page" } } } }
            div { dt { "Tags" } dd { (tags) } }
            div { dt { "Referred to" } dd { (shown::bytes(referenced)) small { "every tag counted whole" } } }
            div { dt { "Kept" } dd { (shown::bytes(stored)) small { "shared bytes once" } } }
            div { dt { "Saved by sharing" } dd { (shown::percent(referenced.saturating_sub(stored), referenced)) } }
        }
        section aria-labelledby="repositories" {
            h2 #repositories { "Repositories" }
            @if rows.is_empty() {
                p .empty { "Nothing here yet that you may see. Push something: "
                    code { "plyos push ./tree HOST:PORT/hello:1 --kind package --name hello --version 1" } }
            } @else {
                (figure(rows))
                (table(rows))
            }
            @if partial { (note()) }
            (pages("/ui/", continued, next))
        }
        section aria-labelledby="catalogs" {
            h2 #catalogs { "Catalogs" }
            @if catalogs.is_empty() {
                p .empty { "No catalog is published here. " code { "plyos publish --repo WORKSPACE PLACE…" } " signs and uploads one." }
            } @else { (catalog_table(catalogs)) }
        }
    }
}

fn figure(rows: &[Row]) -> Markup {
    let bars: Vec<Bar> = rows
        .iter()
        .map(|row| Bar { label: row.name.clone(), whole: row.referenced, new: row.stored })
        .collect();
    html! {
        figure {
            (picture::bars("sharing", "Bytes that each repository refers to, and how many of them are kept for it", "repositories-table", &bars))
            figcaption { span .key.new {} "kept" span .key.old {} "already kept for another tag or a repository above" }
        }
    }
}

fn table(rows: &[Row]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Repositories, table" {
            table #repositories-table {
                caption { "Repositories. Sizes are of the highest " (TAGS) " tags of each." }
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Kinds" } th scope="col" { "Highest tag" }
                    th scope="col" .number { "Tags" } th scope="col" .number { "Referred to" }
                    th scope="col" .number { "Kept" } th scope="col" .number { "Shared" }
                } }
                tbody { @for row in rows { tr {
                    th scope="row" { a href={ "/ui/repository/" (row.name) } { (row.name) } }
                    td { @for kind in &row.kinds { span .kind { (kind) } } }
                    td { (row.newest) }
                    td .number { (row.tags) @if row.tags >= COUNTED { "+" } @if row.looked_into < row.tags.min(TAGS) { " *" } }
                    td .number { (shown::bytes(row.referenced)) }
                    td .number { (shown::bytes(row.stored)) }
                    td .number { (shown::percent(row.referenced.saturating_sub(row.stored), row.referenced)) }
                } } }
            }
        }
    }
}

fn catalog_table(catalogs: &[Arc<Offer>]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Catalogs, table" {
            table {
                caption { "Signed catalogs" }
                thead { tr {
                    th scope="col" { "Name" } th scope="col" .number { "On offer" } th scope="col" { "Signed" }
                    th scope="col" { "Signatures" } th scope="col" { "Runs out" }
                } }
                tbody { @for catalog in catalogs { tr {
                    th scope="row" { a href={ "/ui/catalog/" (catalog.name) } { (catalog.name) } }
                    td .number { (catalog.targets) }
                    td { (catalog_facts::signed_at(catalog)) }
                    td { (catalog_facts::verdict(catalog.complete())) }
                    td { (catalog_facts::first_expiry(catalog)) }
                } } }
            }
        }
    }
}

/// Said where a page's bound was met.
pub(super) fn note() -> Markup {
    html! { p .note { "There is more here than one page reads: figures marked or missing count only what was read." } }
}

/// The way on and back.
pub(super) fn pages(address: &str, continued: bool, next: Option<&str>) -> Markup {
    html! {
        @if continued || next.is_some() {
            nav .pages aria-label="Pages" {
                @if continued { a href=(address) { "First page" } }
                @if let Some(next) = next { a rel="next" href={ (address) "?last=" (query_value(next)) } { "Next page" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_on_is_one_parameter_whatever_is_in_it() {
        let nav = pages("/ui/catalog/main", false, Some("package/c++/1&2#%3/\"amd64")).into_string();
        assert!(nav.contains("?last=package/c%2B%2B/1%262%23%253/%22amd64\""), "{nav}");
    }
}
