//! A password goes to the server that it was kept for and nowhere else: not along a redirect, and not to where a server asks for it
//! that a redirect led to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use plyos_test_system::programs::{built, command, run};
use plyos_test_system::scripted::{Scripted, said};
use std::fs;
use tempfile::TempDir;

const NETWORK: i32 = 8;
const SECRET: &str = "ann:her secret";

/// Whom the first server sends to the second.
#[derive(Clone, Copy, PartialEq)]
enum Sends {
    /// Whoever has ann's password.
    Ann,
    /// Everybody.
    All,
}

/// Asks a server for a manifest whose password for ann is kept, and which sends to `elsewhere`; gives how often it was asked as ann.
fn asked(elsewhere: &Scripted, sends: Sends) -> usize {
    let basic = BASE64_STANDARD.encode(SECRET).to_lowercase();
    let (known, to) = (basic.clone(), elsewhere.address);
    let first = Scripted::start(move |head| {
        if sends == Sends::All || head.to_lowercase().contains(&known) {
            said("302 Found", &format!("location: http://{to}/manifest\r\n"), "")
        } else {
            said("401 Unauthorized", "www-authenticate: Basic realm=\"here\"\r\n", "")
        }
    });
    let home = TempDir::with_prefix("plyos-redirects-").unwrap();
    let file = home.path().join("auth.json");
    let auth = BASE64_STANDARD.encode(SECRET);
    fs::write(&file, format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{auth}\"}}}}}}", first.address)).unwrap();
    let place = format!("{}/a/b:1", first.address);
    let mut plyos = command(built("plyos"), home.path());
    plyos.args(["inspect", &place]).env("REGISTRY_AUTH_FILE", &file);
    let ended = run(&mut plyos);
    assert!([Some(5), Some(NETWORK)].contains(&ended.code), "{ended:?}");
    first.heads().iter().filter(|head| head.contains(&basic)).count()
}

#[test]
fn it_does_not_go_along_a_redirect() {
    let second = Scripted::start(|_| said("200 OK", "content-type: text/plain\r\n", "no manifest"));
    assert_eq!(asked(&second, Sends::Ann), 1, "who has the password was asked with it");
    let heads = second.heads();
    assert_eq!(heads.len(), 1, "{heads:?}");
    assert!(!heads[0].contains("authorization"), "{}", heads[0]);
}

#[test]
fn it_does_not_go_where_a_stranger_asks_for_it() {
    for challenge in ["Bearer realm=\"http://HERE/token\",service=\"x\"", "Basic realm=\"stranger\""] {
        let second = Scripted::start(move |head| {
            let host = head.to_lowercase();
            let host =
                host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
            if head.starts_with("GET /token") {
                said("200 OK", "", "{\"token\": \"abc\"}")
            } else {
                said(
                    "401 Unauthorized",
                    &format!("www-authenticate: {}\r\n", challenge.replace("HERE", &host)),
                    "",
                )
            }
        });
        for sends in [Sends::Ann, Sends::All] {
            asked(&second, sends);
        }
        let heads = second.heads();
        assert!(heads.len() >= 2 && heads.iter().all(|head| head.starts_with("get /manifest")), "{heads:?}");
        assert!(heads.iter().all(|head| !head.contains("authorization")), "{heads:?}");
    }
}
