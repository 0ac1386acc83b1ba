//! The configuration with which nginx serves an export as `plyos serve` would.

use std::path::Path;

use super::forms::{ASK_EACH_TIME, BYTES, FOREVER, JSON, MANIFEST};

/// Stands in for a folder whose name nginx could not read.
const PLACEHOLDER: &str = "/PATH/TO/THIS/FOLDER";

/// Locations to be included in a server block.
pub fn configuration(folder: &Path, url_path: &str) -> String {
    let folder = folder.to_str().filter(|text| is_plain(text)).unwrap_or(PLACEHOLDER);
    let url = url_path.trim_end_matches('/');
    let url = if is_plain(url) { url } else { "" };
    format!(
        r#"# A signed Plyos catalog. Include this file in a server block:
#     include "{folder}/nginx.conf";
# Then targets reach it at http(s)://HOST{url}. The folder must be readable by nginx's worker processes.

# The one file that changes: asked for each time, answered 304 while it is the same.
location = {url}/metadata/timestamp.json {{
    alias "{folder}/metadata/timestamp.json";
    default_type {JSON};
    gzip off;
    add_header Cache-Control "{ASK_EACH_TIME}";
    add_header X-Content-Type-Options nosniff;
}}

# Names hold a version or a digest, so these never change.
location ^~ {url}/metadata/ {{
    alias "{folder}/metadata/";
    types {{ {JSON} json; }}
    default_type {BYTES};
    gzip off;
    gzip_static on;         # sends NAME.gz to who accepts gzip; in Debian's nginx
    gzip_vary on;
    # zstd_static on;       # sends NAME.zst; needs the module ngx_zstd
    add_header Cache-Control "{FOREVER}";
    add_header X-Content-Type-Options nosniff;
}}

location ^~ {url}/targets/ {{
    alias "{folder}/targets/";
    types {{ }}
    default_type {MANIFEST};
    gzip off;
    gzip_static on;
    gzip_vary on;
    # zstd_static on;
    add_header Cache-Control "{FOREVER}";
    add_header X-Content-Type-Options nosniff;
}}

# Layers: never compressed again, so that ranges are of the bytes that were signed.
location ^~ {url}/blobs/ {{
    alias "{folder}/blobs/";
    types {{ }}
    default_type {BYTES};
    gzip off;
    add_header Cache-Control "{FOREVER}";
    add_header X-Content-Type-Options nosniff;
}}
"#
    )
}

/// Whether nginx reads a text as it stands: no quotes, variables, escapes, spaces in an address.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "/._-~+:@=,%".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_do_not_become_configuration() {
        let text = configuration(Path::new("/srv/$x\"; }"), "/c; root /etc");
        assert!(text.contains(PLACEHOLDER) && !text.contains("$x") && !text.contains("root /etc"));
        let text = configuration(Path::new("/srv/public"), "/catalog/main/");
        assert!(
            text.contains(r#"location ^~ /catalog/main/blobs/ {"#)
                && text.contains(r#"alias "/srv/public/blobs/";"#),
            "{text}"
        );
    }
}
