//! Answers other than the one asked for, with the error bodies of OCI distribution ("Error Codes").
//!
//! The catalog uses the same form, so that a client needs one parser.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plyos_blobs::{CommitError, DigestError, NameError, StoreError, UploadError};
use serde_json::{Value, json};

/// A code of the specification's table; the last two are for what the table does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    Denied,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    TooManyRequests,
    Unauthorized,
    Unsupported,
    Unknown,
    Conflict,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::Denied => "DENIED",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Unsupported => "UNSUPPORTED",
            Self::Unknown => "UNKNOWN",
            Self::Conflict => "CONFLICT",
        }
    }
}

/// A request that is not answered as asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: Code,
    message: String,
    details: Vec<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), headers: Vec::new() }
    }

    /// Gives a detail; several make one error each.
    pub(crate) fn detail(mut self, detail: Value) -> Self {
        self.details.push(detail);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn headers(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    pub(crate) fn bad(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn missing(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(crate) fn too_large(what: &str, limit: u64) -> Self {
        let message = format!("{what} may have at most {limit} bytes here");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid, message)
    }

    /// The resource is known, the method is not; `allow` are those that are.
    pub(crate) fn method(allow: &'static str) -> Self {
        let message = format!("only {allow} can be done to this");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, message)
            .header(header::ALLOW, HeaderValue::from_static(allow))
    }

    /// The storage failed; why stands in the log.
    pub(crate) fn storage() -> Self {
        let message = "the registry cannot reach its storage; try again later";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown, message)
    }

    pub(crate) fn nowhere() -> Self {
        Self::missing(Code::Unsupported, "there is nothing at this path")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = |detail: Option<Value>| {
            let mut error = json!({ "code": self.code.as_str(), "message": self.message });
            if let (Some(detail), Some(error)) = (detail, error.as_object_mut()) {
                error.insert("detail".to_owned(), detail);
            }
            error
        };
        let errors: Vec<Value> = if self.details.is_empty() {
            vec![error(None)]
        } else {
            self.details.iter().cloned().map(|detail| error(Some(detail))).collect()
        };
        let body = json!({ "errors": errors }).to_string();
        let content_type = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut response = (self.status, [content_type], body).into_response();
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Obstructed { .. } => {
                let message = "another file is in the way of this path, or above it";
                Self::new(StatusCode::CONFLICT, Code::Conflict, message)
            }
            StoreError::Condemned => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unknown, error.to_string())
                    .header(header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            // The path is for the operator.
            StoreError::Overtaken { .. } => {
                let message = "another request went on with this upload; ask how far it has come";
                Self::new(StatusCode::CONFLICT, Code::BlobUploadInvalid, message)
            }
            // What our own client answers by sending the blob whole.
            StoreError::SourceGone => Self::bad(Code::BlobUploadInvalid, error.to_string()),
            StoreError::TooManyParts => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid, error.to_string())
            }
            error => {
                // Paths and reasons are for the operator, not for whoever asked.
                tracing::error!(%error, "storage failed");
                Self::storage()
            }
        }
    }
}

impl From<UploadError> for Refusal {
    fn from(error: UploadError) -> Self {
        let message = error.to_string();
        match error {
            UploadError::Unknown => Self::missing(Code::BlobUploadUnknown, message),
            UploadError::Busy => Self::new(StatusCode::CONFLICT, Code::BlobUploadInvalid, message),
            UploadError::TooMany => Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests, message)
                .header(header::RETRY_AFTER, HeaderValue::from_static("60")),
            UploadError::Store(error) => error.into(),
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        let message = error.to_string();
        match error {
            CommitError::Digest { expected, actual } => {
                let detail = json!({ "expected": expected.to_string(), "actual": actual.to_string() });
                Self::bad(Code::DigestInvalid, message).detail(detail)
            }
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<DigestError> for Refusal {
    fn from(error: DigestError) -> Self {
        Self::bad(Code::DigestInvalid, error.to_string())
    }
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        let code = match error {
            NameError::Tag => Code::ManifestInvalid,
            NameError::Repository | NameError::Catalog | NameError::CatalogPath => Code::NameInvalid,
        };
        Self::bad(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, HttpBody};

    /// "Error Codes".
    const SPECIFIED: [&str; 14] = [
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    ];

    #[test]
    fn codes_are_those_of_the_specification() {
        use Code::*;
        let specified = [
            BlobUnknown,
            BlobUploadInvalid,
            BlobUploadUnknown,
            DigestInvalid,
            ManifestBlobUnknown,
            ManifestInvalid,
            ManifestUnknown,
            NameInvalid,
            NameUnknown,
            SizeInvalid,
            Unauthorized,
            Denied,
            Unsupported,
            TooManyRequests,
        ];
        assert_eq!(specified.map(Code::as_str), SPECIFIED);
        // For answers of 500 and more, and for catalogs, which are not OCI's.
        assert_eq!([Unknown, Conflict].map(Code::as_str), ["UNKNOWN", "CONFLICT"]);
        let server_error = Refusal::storage();
        assert!(server_error.status.is_server_error() && server_error.code == Unknown);
    }

    #[test]
    fn what_a_client_can_do_about_a_failure_is_told() {
        let condemned = Refusal::from(StoreError::Condemned).into_response();
        assert_eq!(
            (condemned.status().as_u16(), &condemned.headers()["retry-after"]),
            (503, &HeaderValue::from_static("1"))
        );
        let overtaken = Refusal::from(StoreError::Overtaken { path: "uploads/0".to_owned() });
        assert_eq!((overtaken.status.as_u16(), overtaken.code), (409, Code::BlobUploadInvalid));
        assert!(!overtaken.message.contains("uploads/0"), "{}", overtaken.message);
    }

    async fn body(refusal: Refusal) -> Value {
        let mut body: Body = refusal.into_response().into_body();
        let mut whole = Vec::new();
        while let Some(frame) =
            std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await
        {
            whole.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        serde_json::from_slice(&whole).unwrap()
    }

    #[tokio::test]
    async fn errors_have_the_form_of_the_specification() {
        let plain = Refusal::missing(Code::BlobUnknown, "a \"message\"");
        let expected = json!({ "errors": [{ "code": "BLOB_UNKNOWN", "message": "a \"message\"" }] });
        assert_eq!(body(plain).await, expected);
        let several = Refusal::bad(Code::SizeInvalid, "m").detail(json!(1)).detail(json!({ "x": 2 }));
        let error = |detail: Value| json!({ "code": "SIZE_INVALID", "message": "m", "detail": detail });
        let expected = json!({ "errors": [error(json!(1)), error(json!({ "x": 2 }))] });
        assert_eq!(body(several).await, expected);
    }
}
