//! How each file is served: its type, how long it may be cached, and the compressed forms that lie beside it.
//!
//! The same values as `plyos serve` sends (`registry/server/src/catalog.rs`); the test of the three ways of serving compares them.

use plyos_report::{ExitCode, Failure, OrFail};
use std::io::Write as _;

/// For content that its name pins down.
pub const FOREVER: &str = "max-age=31536000, immutable";
/// For the timestamp.
pub const ASK_EACH_TIME: &str = "no-cache";
/// The type of metadata.
pub const JSON: &str = "application/json";
/// The type of targets.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The type of blobs.
pub const BYTES: &str = "application/octet-stream";
/// Smaller files are served as they are.
const LEAST: usize = 1024;
/// Files are compressed once and fetched by every target.
const ZSTD_LEVEL: i32 = 19;
/// A browser takes no larger window (RFC 8878, 3.1.1.1.2).
const WINDOW_LOG: u32 = 23;

/// The media type of a file.
pub fn content_type(path: &str) -> &'static str {
    match path {
        path if path.ends_with(".json") => JSON,
        path if path.starts_with("targets/") => MANIFEST,
        _ => BYTES,
    }
}

/// The compressed forms of a file that never changes, with their suffixes; none where an eighth is not saved. A file that
/// changes has none: two files cannot be replaced in one step.
pub fn compressed(bytes: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>, Failure> {
    if bytes.len() < LEAST {
        return Ok(Vec::new());
    }
    let forms = [(".gz", gzip(bytes)), (".zst", zstd(bytes))];
    let mut kept = Vec::new();
    for (suffix, form) in forms {
        let form = form.or_fail(ExitCode::Failure, "compressing the catalog")?;
        if form.len() < bytes.len() - bytes.len() / 8 {
            kept.push((suffix, form));
        }
    }
    Ok(kept)
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn zstd(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    encoder.window_log(WINDOW_LOG)?;
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_smaller_and_come_back() {
        let text = "{\"the same\": \"again\"}\n".repeat(500);
        let forms = compressed(text.as_bytes()).unwrap();
        assert_eq!(forms.iter().map(|(suffix, _)| *suffix).collect::<Vec<_>>(), [".gz", ".zst"]);
        assert_eq!(zstd::bulk::decompress(&forms[1].1, 1 << 20).unwrap(), text.as_bytes());
        let mut back = String::new();
        std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(forms[0].1.as_slice()), &mut back)
            .unwrap();
        assert_eq!(back, text);
        assert_eq!(compressed(&forms[1].1.repeat(1)).unwrap(), [], "small");
        let noise: Vec<u8> = (0..4096u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 ^ ((n * n) >> 7) as u8)
            .collect();
        for (suffix, form) in compressed(&noise).unwrap() {
            assert!(form.len() < noise.len() * 7 / 8, "{suffix}");
        }
    }

    #[test]
    fn types_are_those_of_the_server() {
        for (path, expected) in [
            ("metadata/timestamp.json", JSON),
            ("targets/package/jq/1/ab.amd64", MANIFEST),
            ("blobs/sha256/ab", BYTES),
        ] {
            assert_eq!(content_type(path), expected);
        }
    }
}
