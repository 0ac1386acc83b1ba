//! Tokens as docker's clients get and use them.

use reqwest::{Method, Response};
use serde_json::Value;
use std::time::Duration;

use crate::support::{Running, code};

async fn token(response: Response) -> String {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let answer: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["token"], answer["access_token"]);
    assert!(answer["expires_in"].as_u64().unwrap() >= 10);
    answer["token"].as_str().unwrap().to_owned()
}

/// By the address that the challenge names, as clients do.
async fn follow(server: &Running, who: &str, challenged: Response) -> String {
    assert_eq!(challenged.status(), 401);
    let challenge = challenged.headers()["www-authenticate"].to_str().unwrap().to_owned();
    let part = |name: &str| {
        let start = challenge.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
        challenge[start..].split('"').next().unwrap().to_owned()
    };
    let mut url = reqwest::Url::parse(&part("realm")).unwrap();
    url.query_pairs_mut().append_pair("service", &part("service")).append_pair("scope", &part("scope"));
    url.query_pairs_mut().append_pair("account", who);
    token(server.client.get(url).basic_auth(who, Some(format!("{who}'s"))).send().await.unwrap()).await
}

#[tokio::test]
async fn a_challenge_leads_to_a_token_that_is_taken() {
    let server = Running::with_accounts(|_| {}).await;
    let blob = server.push("team/a", b"config").await;
    let (read, upload) = (format!("/v2/team/a/blobs/{blob}"), "/v2/team/a/blobs/uploads/");
    let with = async |token: &str, method: Method, path: &str| {
        server.request(method, path).bearer_auth(token).send().await.unwrap()
    };
    let reading = follow(&server, "reader", server.get(&read).await).await;
    assert_eq!(with(&reading, Method::GET, &read).await.status(), 200);
    assert_eq!(with(&reading, Method::GET, "/v2/").await.status(), 200);
    // What the account may not do either, no other token helps with.
    assert_eq!(code(with(&reading, Method::POST, upload).await).await, (403, "DENIED".to_owned()));

    let all = follow(&server, "all", server.get(&read).await).await;
    // The account may, the token does not say so: another one would.
    let refused = with(&all, Method::POST, upload).await;
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains("insufficient_scope"));
    let pushing = follow(&server, "all", refused).await;
    assert_eq!(with(&pushing, Method::POST, upload).await.status(), 202);
    // A token for one repository is none for another.
    assert_eq!(with(&pushing, Method::POST, "/v2/other/blobs/uploads/").await.status(), 401);
}

#[tokio::test]
async fn the_form_is_understood() {
    let server = Running::with_accounts(|_| {}).await;
    let post = async |form: &str| {
        let post = server
            .request(Method::POST, "/token")
            .header("content-type", "application/x-www-form-urlencoded");
        post.body(form.to_owned()).send().await.unwrap()
    };
    let form = "grant_type=password&service=x&client_id=docker&username=pusher&password=pusher%27s\
        &scope=repository%3Ateam%2Fa%3Apull%2Cpush";
    let pushing = token(post(form).await).await;
    let begin = server.request(Method::POST, "/v2/team/a/blobs/uploads/").bearer_auth(&pushing);
    assert_eq!(begin.send().await.unwrap().status(), 202);
    assert_eq!(code(post(&form.replace("pusher%27s", "x")).await).await.0, 401);
    let other = post(&form.replace("=password&service", "=refresh_token&service")).await;
    assert_eq!(
        (other.status().as_u16(), other.text().await.unwrap().as_str()),
        (400, "{\"error\":\"unsupported_grant_type\"}")
    );
    assert_eq!(post(&"x".repeat(20_000)).await.status(), 413);
    assert_eq!(server.request(Method::PUT, "/token").send().await.unwrap().status(), 405);
}

#[tokio::test]
async fn a_token_for_anyone_says_what_anyone_may() {
    let server = Running::with_accounts(|config| config.anonymous_pull = true).await;
    let blob = server.push("team/a", b"config").await;
    let given =
        token(server.get("/token?scope=repository:team/a:pull,push&scope=repository:b:pull").await).await;
    let read = server.request(Method::GET, &format!("/v2/team/a/blobs/{blob}")).bearer_auth(&given);
    assert_eq!(read.send().await.unwrap().status(), 200);
    let push = server.request(Method::POST, "/v2/team/a/blobs/uploads/").bearer_auth(&given);
    assert_eq!(push.send().await.unwrap().status(), 401);
    // So that `docker login` tries the password.
    assert_eq!(server.get("/v2/").await.status(), 401);
    let many = format!("/token?scope={}", ["repository:a:pull"; 65].join("%20"));
    assert_eq!(server.get(&many).await.status(), 400);
}

#[tokio::test]
async fn expired_foreign_and_altered_tokens_are_refused() {
    let server = Running::with_accounts(|_| {}).await;
    let short = Running::with_accounts(|config| config.access.token_lifetime = Duration::from_secs(0)).await;
    let get = async |server: &Running| {
        let get = server.by("all", Method::GET, "/token?scope=repository:team/a:pull,push");
        serde_json::from_slice::<Value>(&get.send().await.unwrap().bytes().await.unwrap()).unwrap()["token"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let ask = async |server: &Running, token: &str| {
        let response = server
            .request(Method::POST, "/v2/team/a/blobs/uploads/")
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        let challenge =
            response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge.unwrap_or_default())
    };
    let good = get(&server).await;
    assert_eq!(ask(&server, &good).await.0, 202);
    let (body, signature) = good.rsplit_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let (_, payload) = body.split_once('.').unwrap();
    for (bad, by) in [
        (get(&short).await, &short),
        (get(&short).await, &server),
        (format!("{body}.{}", &signature[1..]), &server),
        (format!("{none}.{payload}."), &server),
        (format!("{none}.{payload}.{signature}"), &server),
        (format!("{body}x.{signature}"), &server),
        (String::from("x"), &server),
    ] {
        let (status, challenge) = ask(by, &bad).await;
        assert!(status == 401 && challenge.contains("error=\"invalid_token\""), "{status} {challenge}");
    }
}

#[tokio::test]
async fn servers_with_one_key_take_each_others_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
    let (one, other) = (
        Running::with_accounts(|config| config.access.token_key = Some(key.clone())).await,
        Running::with_accounts(|config| config.access.token_key = Some(key.clone())).await,
    );
    let given =
        token(one.by("all", Method::GET, "/token?scope=repository:a:push").send().await.unwrap()).await;
    let begin = other.request(Method::POST, "/v2/a/blobs/uploads/").bearer_auth(&given);
    assert_eq!(begin.send().await.unwrap().status(), 202);
    // Rules that are taken away are gone at once.
    let mut config = other.config.clone();
    config.access.rules.clear();
    other.server.reload(&config).unwrap();
    let begin = other.request(Method::POST, "/v2/a/blobs/uploads/").bearer_auth(&given);
    assert_eq!(begin.send().await.unwrap().status(), 403);
}
