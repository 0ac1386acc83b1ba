//! What this registry understands beyond the specification, said where its extensions page wants it: `/v2/_oci/ext/discover`
//! (distribution-spec, extensions/_oci.md), and by a header where clients of ours look anyway.

use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::refusal::Refusal;
use crate::router::is_read;

/// The version of the compose protocol, in the header of this name: in the answer at `/v2/` and when a session begins.
pub(crate) const COMPOSE: (HeaderName, HeaderValue) =
    (HeaderName::from_static("plyos-compose"), HeaderValue::from_static("1"));

/// GET: the extensions.
pub(crate) fn answer(method: &Method) -> Result<Response, Refusal> {
    if !is_read(method) {
        return Err(Refusal::method("GET, HEAD"));
    }
    let list = json!({ "extensions": [{
        "name": "_plyos",
        "url": "/openapi.json",
        "description": "Upload sessions take PATCH bodies of the type application/vnd.plyos.compose.v1: \
                        a blob told in ranges of blobs that the repository holds, and in what is new.",
        "endpoints": [],
    }] });
    Ok(([(header::CONTENT_TYPE, "application/json")], list.to_string()).into_response())
}
