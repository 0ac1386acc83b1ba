//! `/ui/catalog/NAME`: the roles of a signed catalog with their signatures and expiry, and what it offers.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use plyos_blobs::{CatalogName, StoreError};

use super::catalog_facts::{self, Held, Offer};
use super::frame::{self, Place};
use super::overview::pages;
use super::roles::Target;
use super::{order, shown};
use crate::router::Registry;

/// Targets on a page.
const TARGETS: usize = 100;

pub(super) async fn show(
    registry: &Registry,
    name: &CatalogName,
    last: Option<&str>,
) -> Result<Option<Response>, StoreError> {
    let Some(offer) = catalog_facts::offer(registry, name).await? else { return Ok(None) };
    let from = last
        .map_or(0, |last| offer.offered.partition_point(|target| order::natural(&target.name, last).is_le()));
    let rest = offer.offered.get(from..).unwrap_or_default();
    let shown = rest.get(..TARGETS.min(rest.len())).unwrap_or_default();
    let next = shown.last().filter(|_| rest.len() > shown.len()).map(|target| target.name.as_str());
    let content = content(&offer, shown, last.is_some(), next);
    let place = Place { title: &offer.name, above: &[("Overview", "/ui/".to_owned())] };
    Ok(Some(frame::page(StatusCode::OK, &place, &content)))
}

fn content(offer: &Offer, targets: &[Target], continued: bool, next: Option<&str>) -> Markup {
    html! {
        h1 { "Catalog " (offer.name) }
        dl .facts {
            div { dt { "On offer" } dd { (offer.targets) @if offer.more { "+" } } }
            div { dt { "Signed" } dd .words { (catalog_facts::signed_at(offer)) } }
            div { dt { "Signatures" } dd .words { (catalog_facts::verdict(offer.complete())) } }
            div { dt { "Runs out" } dd .words { (catalog_facts::first_expiry(offer)) } }
        }
        section aria-labelledby="roles" {
            h2 #roles { "Roles" }
            @for missing in &offer.missing { p .state.bad { "The file of the role " code { (missing) } " is missing, too large to be looked at, or cannot be read." } }
            (roles(&offer.roles))
            @if let Some(keyring) = &offer.keyring {
                p .note { "Layer keys stand in the keyring " code { (shown::short(&keyring.manifest)) } ", signed by the root keys." }
            }
        }
        section aria-labelledby="targets" {
            h2 #targets { "On offer" }
            @if targets.is_empty() { p .empty { "Nothing is on offer." } } @else { (offered(targets)) }
            (pages(&format!("/ui/catalog/{}", offer.name), continued, next))
        }
    }
}

fn roles(roles: &[Held]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Roles, table" { table {
            thead { tr {
                th scope="col" { "Role" } th scope="col" .number { "Version" } th scope="col" { "Signatures" }
                th scope="col" { "Keys" } th scope="col" { "Runs out" } th scope="col" .number { "File" }
            } }
            tbody { @for Held { role, holders } in roles {
                @let signed = role.signatures(holders);
                @let enough = holders.threshold > 0 && signed as u64 >= holders.threshold;
                tr {
                    th scope="row" { (role.name) }
                    td .number { (role.version) }
                    td { span class=(if enough { "state good" } else { "state bad" }) {
                        (signed) " of " (holders.threshold) " needed" } }
                    td { @for key in &holders.keys {
                        @let mark = if role.signed_by.contains(key) { "signed" } else { "did not sign" };
                        code title={ (key) ", " (mark) } { (shown::short(key)) } " "
                    } }
                    td { (catalog_facts::expiry(Some(role))) }
                    td .number { (shown::bytes(role.bytes as u64)) }
                }
            } }
        } }
    }
}

fn offered(targets: &[Target]) -> Markup {
    html! {
        div .wide tabindex="0" role="region" aria-label="Targets, table" { table {
            thead { tr {
                th scope="col" { "Target" } th scope="col" { "Kind" } th scope="col" { "Channels" }
                th scope="col" { "Layer" } th scope="col" { "Manifest" } th scope="col" .number { "Size" }
            } }
            tbody { @for target in targets { tr {
                th scope="row" { (target.name) }
                td { span .kind { (target.name.split('/').next().unwrap_or_default()) } }
                td { (target.channels) }
                td { code title=(target.layer) { (shown::short(target.layer.trim_start_matches("blake3:"))) } }
                td { code title=(target.manifest) { (shown::short(&target.manifest)) } }
                td .number { (shown::bytes(target.size)) }
            } } }
        } }
    }
}
