//! What every page has around it: the document's head, the way to the other pages, and the headers that keep a page harmless.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// Only what comes from here is loaded, nothing is run, and nobody may frame the page. A name that slipped through the
/// escaping would still be text.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Pages depend on who asks; a browser asks again and gets the new one.
const FOR_ONE: &str = "private, no-cache";
/// The two files change with the program only.
const FOR_A_DAY: &str = "public, max-age=86400";

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// A page's place: its title, and the pages above it with their addresses.
pub(super) struct Place<'a> {
    pub(super) title: &'a str,
    pub(super) above: &'a [(&'a str, String)],
}

/// A whole page.
pub(super) fn page(status: StatusCode, place: &Place<'_>, content: &Markup) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (place.title) " · Plyos registry" }
                link rel="stylesheet" href="/ui/style.css";
                link rel="icon" href="/ui/icon.svg" type="image/svg+xml";
            }
            body {
                a .skip href="#content" { "Skip to content" }
                header {
                    a .brand href="/ui/" { (PreEscaped(ICON)) span { "Plyos registry" } }
                    nav aria-label="Sections" {
                        a href="/ui/#repositories" { "Repositories" }
                        a href="/ui/#catalogs" { "Catalogs" }
                    }
                }
                @if !place.above.is_empty() {
                    nav .trail aria-label="Breadcrumb" {
                        ol {
                            @for (name, address) in place.above { li { a href=(address) { (name) } } }
                            li aria-current="page" { (place.title) }
                        }
                    }
                }
                main #content tabindex="-1" { (content) }
                footer {
                    p { "Signatures are shown as they stand. A registry vouches for nothing: " code { "pkg" } " checks them." }
                    p { "plyos " (env!("CARGO_PKG_VERSION")) }
                }
            }
        }
    };
    respond(status, "text/html; charset=utf-8", FOR_ONE, document.into_string())
}

/// The style sheet.
pub(super) fn style() -> Response {
    respond(StatusCode::OK, "text/css; charset=utf-8", FOR_A_DAY, STYLE.to_owned())
}

/// The icon.
pub(super) fn icon() -> Response {
    respond(StatusCode::OK, "image/svg+xml", FOR_A_DAY, ICON.to_owned())
}

/// Takes the body off an answer to HEAD.
pub(super) fn for_method(method: &Method, mut response: Response) -> Response {
    if *method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

fn respond(status: StatusCode, content_type: &'static str, cache: &'static str, body: String) -> Response {
    let length = body.len();
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, cache),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The colours of a block of custom properties.
    fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
        let lines = block
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": #"));
        let channel =
            |hex: &str, at: usize| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        lines.map(|(name, hex)| (name, [0, 2, 4].map(|at| channel(hex, at)))).collect()
    }

    /// Contrast of two colours (WCAG 2.1, "contrast ratio").
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let linear = |c: f64| if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        let luminance = |[r, g, b]: [f64; 3]| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_in_both_schemes() {
        let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
        for (scheme, block) in [("light", light), ("dark", dark.split_once("}").unwrap().0)] {
            let colours = colours(block);
            for text in ["ink", "soft", "link", "good", "warn", "bad"] {
                for ground in ["paper", "card", "mark"] {
                    let ratio = contrast(colours[text], colours[ground]);
                    assert!(ratio >= 4.5, "{scheme}: {text} on {ground} has {ratio:.2}");
                }
            }
            // Pictures need less, and their parts must be told apart from the ground and from each other.
            let ratio = contrast(colours["new"], colours["card"]);
            assert!(ratio >= 3.0, "{scheme}: bars on their ground have {ratio:.2}");
            let ratio = contrast(colours["new"], colours["old"]);
            assert!(ratio >= 3.0, "{scheme}: the parts of a bar have {ratio:.2}");
        }
    }
}
