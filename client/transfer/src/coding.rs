//! Answers that come compressed: undone within a bound, so that a few bytes never become many gigabytes.
//!
//! Only what is asked for is accepted ([`ACCEPTED`]). Ranges are always of the plain bytes ([`plain`]): a server that
//! compresses them counts offsets that nobody knows.

use crate::http::{TransferError, read_bounded};
use bytes::Bytes;
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;
use std::io::Read;

/// Value of `Accept-Encoding` for small things that are fetched whole.
pub(crate) const ACCEPTED: &str = "zstd, gzip;q=0.9";
/// Largest window of a zstd frame: RFC 8878 asks senders on the web to stay below it (2^23 bytes).
const WINDOW_LOG: u32 = 23;

/// Reads a body of at most `limit` bytes, counted after its coding is undone.
pub(crate) async fn read_decoded(what: &str, response: Response, limit: u64) -> Result<Bytes, TransferError> {
    let coding = coding_of(&response);
    // What does not compress becomes a little longer.
    let stored = limit.saturating_add(limit / 8).saturating_add(1024);
    match coding.as_str() {
        "" | "identity" => read_bounded(what, response, limit).await,
        "zstd" => {
            let body = read_bounded(what, response, stored).await?;
            let mut decoder = zstd::stream::read::Decoder::with_buffer(body.as_ref())
                .map_err(|e| broken(what, &coding, &e))?;
            decoder.window_log_max(WINDOW_LOG).map_err(|e| broken(what, &coding, &e))?;
            undone(what, &coding, decoder, limit)
        }
        "gzip" | "x-gzip" => {
            let body = read_bounded(what, response, stored).await?;
            undone(what, &coding, flate2::bufread::MultiGzDecoder::new(body.as_ref()), limit)
        }
        other => Err(unasked(what, other)),
    }
}

/// Refuses an answer whose bytes are not those of the thing itself.
pub(crate) fn plain(what: &str, response: Response) -> Result<Response, TransferError> {
    if is_coded(&response) { Err(unasked(what, &coding_of(&response))) } else { Ok(response) }
}

/// Whether an answer's bytes are not those of the thing itself.
pub(crate) fn is_coded(response: &Response) -> bool {
    !matches!(coding_of(response).as_str(), "" | "identity")
}

fn coding_of(response: &Response) -> String {
    let values = response.headers().get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let joined = values.collect::<Vec<_>>().join(",");
    // Quoted in messages, so kept short and free of control characters.
    joined.chars().filter(|c| c.is_ascii_graphic()).take(40).collect::<String>().to_ascii_lowercase()
}

fn undone(what: &str, coding: &str, decoder: impl Read, limit: u64) -> Result<Bytes, TransferError> {
    let mut bytes = Vec::new();
    decoder.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| broken(what, coding, &e))?;
    if bytes.len() as u64 > limit {
        return Err(TransferError::Length {
            what: what.to_owned(),
            why: format!("more than {limit} bytes came"),
        });
    }
    Ok(bytes.into())
}

fn broken(what: &str, coding: &str, error: &std::io::Error) -> TransferError {
    TransferError::Length {
        what: what.to_owned(),
        why: format!("it came as {coding} that cannot be read ({error})"),
    }
}

fn unasked(what: &str, coding: &str) -> TransferError {
    let why =
        format!("it came with the Content-Encoding '{coding}', which was not asked for; turn that off there");
    TransferError::Length { what: what.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn response(coding: &str, body: Vec<u8>) -> Response {
        let answer = http::Response::builder();
        let answer = if coding.is_empty() { answer } else { answer.header(CONTENT_ENCODING, coding) };
        Response::from(answer.body(reqwest::Body::from(body)).unwrap())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read(coding: &str, body: Vec<u8>, limit: u64) -> Result<Bytes, String> {
        read_decoded("reading x", response(coding, body), limit).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn codings_are_undone() {
        let plain = b"again and again ".repeat(100);
        let zstd = zstd::bulk::compress(&plain, 3).unwrap();
        for (coding, body) in [
            ("", plain.clone()),
            ("identity", plain.clone()),
            ("zstd", zstd),
            ("gzip", gzip(&plain)),
            ("GZIP", gzip(&plain)),
        ] {
            assert_eq!(read(coding, body, plain.len() as u64).await.unwrap(), plain, "{coding}");
        }
    }

    #[tokio::test]
    async fn a_bomb_ends_at_the_limit() {
        let zeroes = vec![0; 64 << 20];
        for (coding, body) in [("zstd", zstd::bulk::compress(&zeroes, 3).unwrap()), ("gzip", gzip(&zeroes))] {
            let error = read(coding, body, 100_000).await.unwrap_err();
            assert!(error.contains("more than 100000 bytes"), "{coding}: {error}");
        }
    }

    #[tokio::test]
    async fn what_was_not_asked_for_is_refused() {
        for (coding, body) in [
            ("br", vec![1, 2]),
            ("gzip,gzip", gzip(b"x")),
            ("zstd", vec![1, 2, 3]),
            ("gzip", vec![0x1f, 0x8b, 0]),
        ] {
            assert!(read(coding, body, 1000).await.is_err(), "{coding}");
        }
        assert!(plain("x", response("gzip", gzip(b"x"))).is_err());
        assert!(plain("x", response("identity", vec![1])).is_ok());
    }
}
