//! Every action with every right.

use plyos_blobs::Digest;
use plyos_registry::RightName;
use reqwest::Method;

use crate::support::{MANIFEST, Running, code, line, manifest, rule};

/// What can be done, by whom it may be done.
struct Action {
    method: Method,
    path: String,
    body: Option<String>,
    right: &'static str,
}

fn action(right: &'static str, method: Method, path: impl Into<String>) -> Action {
    Action { method, path: path.into(), body: None, right }
}

/// All of them, on a repository and a catalog that the accounts have rights on.
fn actions(blob: &Digest) -> Vec<Action> {
    let document = manifest(b"config");
    let digest = Digest::of(document.as_bytes());
    let session = "/v2/team/a/blobs/uploads/00112233445566778899aabbccddeeff";
    vec![
        action("pull", Method::GET, format!("/v2/team/a/blobs/{blob}")),
        action("pull", Method::HEAD, format!("/v2/team/a/blobs/{blob}")),
        action("pull", Method::GET, "/v2/team/a/manifests/t"),
        action("pull", Method::HEAD, format!("/v2/team/a/manifests/{digest}")),
        action("pull", Method::GET, "/v2/team/a/tags/list"),
        action("pull", Method::GET, format!("/v2/team/a/referrers/{digest}")),
        action("pull", Method::GET, "/catalog/main/notes.txt"),
        action("push", Method::POST, "/v2/team/a/blobs/uploads/"),
        action("push", Method::POST, format!("/v2/team/a/blobs/uploads/?digest={}", Digest::of(b""))),
        action("push", Method::GET, session),
        action("push", Method::PATCH, session),
        action("push", Method::PUT, format!("{session}?digest={blob}")),
        action("push", Method::DELETE, session),
        Action { body: Some(document), ..action("push", Method::PUT, "/v2/team/a/manifests/t") },
        Action { body: Some("x".to_owned()), ..action("push", Method::PUT, "/catalog/main/notes.txt") },
        action("delete", Method::DELETE, "/v2/team/a/manifests/t"),
        action("delete", Method::DELETE, format!("/v2/team/a/manifests/{digest}")),
        action("delete", Method::DELETE, format!("/v2/team/a/blobs/{blob}")),
    ]
}

#[tokio::test]
async fn every_action_needs_its_right() {
    let server = Running::with_accounts(|_| {}).await;
    let blob = server.push("team/a", b"config").await;
    let send = async |who: Option<&str>, action: &Action, path: &str| {
        let request = match who {
            Some(who) => server.by(who, action.method.clone(), path),
            None => server.request(action.method.clone(), path),
        };
        let request = request.header("content-type", MANIFEST).body(action.body.clone().unwrap_or_default());
        request.send().await.unwrap()
    };
    for action in actions(&blob) {
        // Nothing is there to be read or deleted if this is missing; each is made anew before it may go.
        server.push("team/a", b"config").await;
        let put = server.by("all", Method::PUT, "/v2/team/a/manifests/t").header("content-type", MANIFEST);
        assert_eq!(put.body(manifest(b"config")).send().await.unwrap().status(), 201);
        let put = server.by("all", Method::PUT, "/catalog/main/notes.txt").body("x");
        assert!(put.send().await.unwrap().status().is_success());

        let what = format!("{} {}", action.method, action.path);
        let holder = match action.right {
            "pull" => "reader",
            "push" => "pusher",
            _ => "deleter",
        };
        for who in ["reader", "pusher", "deleter", "none"].into_iter().filter(|who| *who != holder) {
            let response = send(Some(who), &action, &action.path).await;
            assert_eq!(response.status(), 403, "{who}: {what}");
        }
        let response = send(None, &action, &action.path).await;
        assert_eq!(response.status(), 401, "{what}");
        assert!(
            response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer realm="),
            "{what}"
        );
        // The right is on team/*, and nowhere else.
        let elsewhere = action.path.replace("/team/a/", "/other/a/").replace("/main/", "/other/");
        assert_eq!(send(Some(holder), &action, &elsewhere).await.status(), 403, "{what}");
        // Last, since it may be gone then. A session that never was is no matter of rights.
        let response = send(Some(holder), &action, &action.path).await;
        let status = response.status().as_u16();
        let there =
            if action.path.contains("uploads/0011") { status == 404 } else { (200..300).contains(&status) };
        assert!(there, "{holder}: {what}: {status}");
    }
}

#[tokio::test]
async fn wrong_passwords_are_refused_even_where_anyone_may() {
    let server = Running::with_accounts(|config| config.anonymous_pull = true).await;
    let blob = server.push("team/a", b"config").await;
    let path = format!("/v2/team/a/blobs/{blob}");
    assert_eq!(server.get(&path).await.status(), 200);
    for (name, password) in [("reader", "x"), ("reader", ""), ("nobody", "reader's"), ("", "")] {
        let response =
            server.request(Method::GET, &path).basic_auth(name, Some(password)).send().await.unwrap();
        assert_eq!(code(response).await, (401, "UNAUTHORIZED".to_owned()), "{name}");
    }
    for credentials in ["Basic", "Basic ?", "Basic bm9jb2xvbg==", "Digest x", "x"] {
        let response =
            server.request(Method::GET, &path).header("authorization", credentials).send().await.unwrap();
        assert_eq!(response.status(), 401, "{credentials}");
    }
}

#[tokio::test]
async fn guessing_is_slowed_and_known_passwords_are_not() {
    let server = Running::with_accounts(|config| config.access.password_burst = 3).await;
    let ask = async |password: &str| {
        server.request(Method::GET, "/v2/").basic_auth("reader", Some(password)).send().await.unwrap()
    };
    assert_eq!(ask("reader's").await.status(), 200);
    // One more is allowed every two seconds, so on a slow machine it takes a few.
    let mut guesses = 0;
    let refused = loop {
        let response = ask(&guesses.to_string()).await;
        if response.status() != 401 {
            break response;
        }
        guesses += 1;
        assert!(guesses < 500, "nobody is slowed");
    };
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "2"));
    assert_eq!(ask("reader's").await.status(), 200);
}

#[tokio::test]
async fn a_mount_needs_reading_the_source() {
    let server = Running::with_accounts(|config| {
        config.access.rules.push(rule(&["pusher"], &["open/*"], &[RightName::Pull]));
    })
    .await;
    let (hidden, open) = (server.push("secret/a", b"hidden").await, server.push("open/a", b"open").await);
    let mount = async |who: &str, digest: &Digest, from: &str| {
        let path = format!("/v2/team/a/blobs/uploads/?mount={digest}{from}");
        server.by(who, Method::POST, &path).send().await.unwrap().status().as_u16()
    };
    // 202: as if it were not there, send it.
    assert_eq!(mount("pusher", &hidden, "&from=secret/a").await, 202);
    assert_eq!(mount("pusher", &hidden, "").await, 202);
    assert_eq!(mount("pusher", &open, "&from=open/a").await, 201);
    assert_eq!(mount("all", &hidden, "").await, 201);
    assert_eq!(mount("all", &hidden, "&from=secret/a").await, 201);
}

#[tokio::test]
async fn only_what_may_be_read_is_listed() {
    let server = Running::with_accounts(|_| {}).await;
    server.push("team/a", b"config").await;
    for repository in ["team/a", "other"] {
        server.push(repository, b"config").await;
        let put = server.by("all", Method::PUT, &format!("/v2/{repository}/manifests/t"));
        let put = put.header("content-type", MANIFEST).body(manifest(b"config"));
        assert_eq!(put.send().await.unwrap().status(), 201);
    }
    let list = async |who: &str| {
        server.by(who, Method::GET, "/v2/_catalog").send().await.unwrap().text().await.unwrap()
    };
    assert_eq!(list("reader").await, r#"{"repositories":["team/a"]}"#);
    assert_eq!(list("none").await, r#"{"repositories":[]}"#);
    assert!(list("all").await.contains("other"));
    let response = server.get("/v2/_catalog").await;
    assert!(
        response.headers()["www-authenticate"].to_str().unwrap().contains("scope=\"registry:catalog:*\"")
    );
}

#[tokio::test]
async fn blobs_beside_a_catalog_need_reading_all() {
    let server = Running::with_accounts(|_| {}).await;
    let blob = server.push("secret/a", b"hidden").await;
    let path = format!("/catalog/main/blobs/sha256/{}", blob.hex());
    assert_eq!(server.by("reader", Method::GET, &path).send().await.unwrap().status(), 403);
    assert_eq!(server.by("all", Method::GET, &path).send().await.unwrap().status(), 200);
    assert_eq!(server.get(&path).await.status(), 401);
}

#[tokio::test]
async fn rules_and_accounts_are_reloaded_and_nonsense_is_not() {
    let server = Running::with_accounts(|_| {}).await;
    let blob = server.push("team/a", b"config").await;
    let read = async |who: &str| {
        server
            .by(who, Method::GET, &format!("/v2/team/a/blobs/{blob}"))
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!((read("reader").await, read("late").await), (200, 401));
    let mut config = server.config.clone();
    config.access.rules = vec![rule(&["late"], &["**"], &[RightName::Pull])];
    std::fs::write(server.file("htpasswd"), line("late") + &line("reader")).unwrap();
    server.server.reload(&config).unwrap();
    assert_eq!((read("reader").await, read("late").await), (403, 200));
    config.access.rules = vec![rule(&["@nowhere"], &["**"], &[RightName::Pull])];
    assert!(server.server.reload(&config).is_err());
    config.access.rules = vec![];
    config.access.htpasswd = Some(server.file("missing"));
    assert!(server.server.reload(&config).is_err());
    assert_eq!((read("reader").await, read("late").await), (403, 200));
}

#[tokio::test]
async fn without_accounts_credentials_are_not_looked_at() {
    let server = Running::with(|_| {}).await;
    let response = server.request(Method::GET, "/v2/").bearer_auth("x").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let response = server.request(Method::POST, "/v2/a/blobs/uploads/").send().await.unwrap();
    assert_eq!(code(response).await, (403, "DENIED".to_owned()));
}

#[tokio::test]
async fn a_mount_from_anywhere_needs_the_right_to_read_everything() {
    let server = Running::with_accounts(|config| {
        config.access.rules.push(rule(&["none"], &["team/*"], &[RightName::Pull, RightName::Push]));
    })
    .await;
    let digest = server.push("team/a", b"content").await;
    let mount = async |account: &str, from: &str| {
        let path = format!("/v2/team/b/blobs/uploads/?mount={digest}{from}");
        server.by(account, Method::POST, &path).send().await.unwrap().status().as_u16()
    };
    // Who may not read everything says where, and is otherwise answered as if it were not there ...
    assert_eq!(mount("none", "").await, 202);
    assert_eq!(mount("none", "&from=team/a").await, 201);
    // ... even if it is where they may look.
    assert_eq!(mount("none", "").await, 202);
    assert_eq!(mount("all", "").await, 201);
}

#[tokio::test]
async fn the_list_of_repositories_tells_no_other_names() {
    let server = Running::with_accounts(|_| {}).await;
    let names = ["hidden/a", "hidden/b", "team/a", "team/b", "zoo"];
    for name in names {
        server.push(name, b"{}").await;
        let put = server.by("all", Method::PUT, &format!("/v2/{name}/manifests/t"));
        let put = put.header("content-type", MANIFEST).body(manifest(b"{}")).send().await.unwrap();
        assert_eq!(put.status(), 201);
    }
    let list = async |account: &str, query: &str| {
        let response = server.by(account, Method::GET, &format!("/v2/_catalog{query}")).send().await.unwrap();
        let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let body: serde_json::Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        (body["repositories"].clone(), link)
    };
    let next = |name: &str| Some(format!("</v2/_catalog?n=1&last={name}>; rel=\"next\""));
    assert_eq!(list("reader", "?n=1").await, (serde_json::json!(["team/a"]), next("team/a")));
    assert_eq!(list("reader", "?n=1&last=team/a").await, (serde_json::json!(["team/b"]), None));
    assert_eq!(list("reader", "").await, (serde_json::json!(["team/a", "team/b"]), None));
    assert_eq!(list("none", "?n=1").await, (serde_json::json!([]), None));
    assert_eq!(list("all", "?n=1").await, (serde_json::json!(["hidden/a"]), next("hidden/a")));
}
