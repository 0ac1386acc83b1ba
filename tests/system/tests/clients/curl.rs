//! curl: the requests themselves, as a script would make them.

use crate::image::{MANIFEST, digest_of};
use crate::server::{Server, has, text, words};
use plyos_test_system::trees::noise;
use serde_json::json;
use std::fs;

#[test]
fn pushes_resumes_reads_ranges_and_deletes() {
    story(Server::open);
}

#[test]
fn does_so_with_a_login() {
    story(Server::with_login);
}

/// The registry's answer to one request of curl.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
        line.map_or("", |line| line[name.len() + 1..].trim())
    }
}

struct Curl<'a>(&'a Server);

impl Curl<'_> {
    fn ask(&self, path: &str, args: &[&str]) -> Answer {
        let (head, body) = (self.0.beside("head"), self.0.beside("body"));
        let login: Vec<String> = self
            .0
            .login()
            .iter()
            .flat_map(|(user, word)| ["--user".into(), format!("{user}:{word}")])
            .collect();
        let url = if path.starts_with('/') {
            format!("http://{}{path}", self.0.address())
        } else {
            path.to_owned()
        };
        let usual = ["-sS", "-D", text(&head), "-o", text(&body), "-w", "%{http_code}", &url];
        // A body of an earlier answer would stay where there is none.
        fs::write(&body, "").unwrap();
        let ended = self.0.client("curl", &[&words(&usual, &login), args].concat()).ok();
        let status = ended.text().parse().unwrap();
        Answer { status, head: fs::read_to_string(head).unwrap(), body: fs::read(body).unwrap() }
    }

    fn begin(&self) -> String {
        let begun = self.ask("/v2/with/curl/blobs/uploads/", &["-X", "POST"]);
        assert_eq!(begun.status, 202);
        begun.header("location").to_owned()
    }
}

fn story(start: fn() -> Server) {
    if !has(&["curl"]) {
        return;
    }
    let server = start();
    let curl = Curl(&server);
    let bytes = noise(5, 3 << 20);
    let (whole, digest) = (server.beside("whole"), digest_of(&bytes));
    fs::write(&whole, &bytes).unwrap();
    let file = format!("@{}", text(&whole));
    let octets = "Content-Type: application/octet-stream";

    // At once.
    let post = format!("/v2/with/curl/blobs/uploads/?digest={digest}");
    assert_eq!(curl.ask(&post, &["-X", "POST", "-H", octets, "--data-binary", &file]).status, 201);
    let blob = format!("/v2/with/curl/blobs/{digest}");
    assert!(curl.ask(&blob, &[]).body == bytes, "pulled as it was pushed");
    in_chunks(&server, &bytes);

    // Parts.
    let part = curl.ask(&blob, &["-r", "1000000-1000009"]);
    assert_eq!((part.status, &part.body[..]), (206, &bytes[1_000_000..1_000_010]));
    assert_eq!(curl.ask(&blob, &["-r", "-7"]).body, bytes[bytes.len() - 7..]);
    assert_eq!(curl.ask(&blob, &["-r", "99999999-"]).status, 416);
    let seen = format!("If-None-Match: {}", part.header("etag"));
    assert_eq!(curl.ask(&blob, &["-H", &seen]).status, 304);
    let head = curl.ask(&blob, &["-I"]);
    assert_eq!((head.status, head.header("content-length")), (200, "3145728"));

    // A download that broke off, gone on with.
    let rest = curl.ask(&blob, &["-C", "123457"]);
    assert!(rest.status == 206 && rest.body == bytes[123_457..], "the rest");

    manifests(&curl, &digest);
}

/// A session with a chunk that comes twice, asked for where it stands, and finished.
fn in_chunks(server: &Server, bytes: &[u8]) {
    let curl = Curl(server);
    let (first, rest) = bytes.split_at(1 << 20);
    let (one, two) = (server.beside("one"), server.beside("two"));
    fs::write(&one, first).unwrap();
    fs::write(&two, rest).unwrap();
    let (one, two) = (format!("@{}", text(&one)), format!("@{}", text(&two)));
    let place = curl.begin();
    let chunk = ["-X", "PATCH", "-H", "Content-Range: 0-1048575", "--data-binary", &one];
    let sent = curl.ask(&place, &chunk);
    assert_eq!((sent.status, sent.header("range")), (202, "0-1048575"));
    let place = sent.header("location").to_owned();
    assert_eq!(curl.ask(&place, &chunk).status, 416, "the same chunk again");
    let stands = curl.ask(&place, &[]);
    assert_eq!((stands.status, stands.header("range")), (204, "0-1048575"));
    let joint = if place.contains('?') { '&' } else { '?' };
    let wrong = format!("{place}{joint}digest={}", digest_of(b"something else"));
    assert_eq!(curl.ask(&wrong, &["-X", "PUT", "--data-binary", &two]).status, 400);
    // That ended the session; what is right ends well.
    let place = curl.begin();
    let sent = curl.ask(&place, &chunk);
    let place = sent.header("location").to_owned();
    let right = format!("{place}{joint}digest={}", digest_of(bytes));
    assert_eq!(curl.ask(&right, &["-X", "PUT", "--data-binary", &two]).status, 201);

    let place = curl.begin();
    assert_eq!(curl.ask(&place, &["-X", "DELETE"]).status, 204);
    assert_eq!(curl.ask(&place, &[]).status, 404, "cancelled");
}

fn manifests(curl: &Curl<'_>, digest: &str) {
    let layer = json!({ "mediaType": "application/x.layer", "digest": digest, "size": 3 << 20 });
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": layer, "layers": [layer] }).to_string();
    let manifest_digest = digest_of(manifest.as_bytes());
    let content_type = format!("Content-Type: {MANIFEST}");
    let put = curl
        .ask("/v2/with/curl/manifests/1", &["-X", "PUT", "-H", &content_type, "--data-binary", &manifest]);
    assert_eq!((put.status, put.header("docker-content-digest")), (201, &*manifest_digest));
    let got = curl.ask("/v2/with/curl/manifests/1", &[]);
    assert_eq!((got.header("content-type"), &got.body[..]), (MANIFEST, manifest.as_bytes()));

    // Into another repository without sending it.
    let mount = format!("/v2/with/another/blobs/uploads/?mount={digest}&from=with/curl");
    assert_eq!(curl.ask(&mount, &["-X", "POST"]).status, 201);
    assert_eq!(curl.ask(&format!("/v2/with/another/blobs/{digest}"), &["-I"]).status, 200);

    // The tag, the manifest, the blob; the other repository keeps its own.
    assert_eq!(curl.ask("/v2/with/curl/manifests/1", &["-X", "DELETE"]).status, 202);
    assert_eq!(curl.ask("/v2/with/curl/manifests/1", &[]).status, 404);
    let by_digest = format!("/v2/with/curl/manifests/{manifest_digest}");
    assert_eq!(curl.ask(&by_digest, &[]).status, 200, "only the tag went");
    assert_eq!(curl.ask(&by_digest, &["-X", "DELETE"]).status, 202);
    assert_eq!(curl.ask(&by_digest, &[]).status, 404);
    let blob = format!("/v2/with/curl/blobs/{digest}");
    assert_eq!(curl.ask(&blob, &["-X", "DELETE"]).status, 202);
    assert_eq!(curl.ask(&blob, &[]).status, 404);
    assert_eq!(curl.ask(&format!("/v2/with/another/blobs/{digest}"), &["-I"]).status, 200);
}
