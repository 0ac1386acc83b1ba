//! skopeo: copy both ways and as Docker's format, list-tags, inspect, sync both ways, delete.

use crate::image::{Image, blobs};
use crate::server::{Server, has, text, words};
use plyos_test_system::programs::Ended;
use serde_json::Value;
use std::fs;

#[test]
fn copies_lists_syncs_and_deletes() {
    story(Server::open);
}

#[test]
fn does_so_with_a_login() {
    story(Server::with_login);
}

#[test]
fn is_refused_without_its_login() {
    if !has(&["skopeo", "tar"]) {
        return;
    }
    let server = Server::with_login();
    let image = Image::make(&server.beside("image"));
    let from = format!("oci:{}:1", text(&image.layout));
    let to = server.docker("app/web:1");
    let args = ["--insecure-policy", "copy", "--dest-tls-verify=false", &from, &to];
    for wrong in [&[][..], &["--dest-creds=robot:wrong".to_owned()], &["--dest-creds=nobody:x".to_owned()]] {
        let refused = server.client("skopeo", &words(&args, wrong));
        assert_ne!(refused.code, Some(0));
        assert!(
            refused.stderr.contains("unauthorized") || refused.stderr.contains("authentication"),
            "{}",
            refused.stderr
        );
    }
    let ours = server.credentials("--dest-creds");
    server.client("skopeo", &words(&args, &ours)).ok();
}

fn story(start: fn() -> Server) {
    if !has(&["skopeo", "tar"]) {
        return;
    }
    let server = start();
    let image = Image::make(&server.beside("image"));
    let skopeo = |written: &[&str], login: &str| -> Ended {
        server
            .client("skopeo", &words(&[&["--insecure-policy"], written].concat(), &server.credentials(login)))
    };
    let layout = format!("oci:{}:1", text(&image.layout));
    let place = server.docker("app/web");
    let (first, docker) = (format!("{place}:1"), format!("{place}:docker"));

    skopeo(&["copy", "--dest-tls-verify=false", "--preserve-digests", &layout, &first], "--dest-creds").ok();
    // As Docker wants it: another manifest, other media types, a compressed layer.
    skopeo(&["copy", "--dest-tls-verify=false", "--format=v2s2", &layout, &docker], "--dest-creds").ok();

    let back = server.beside("back");
    let to = format!("oci:{}:1", text(&back));
    skopeo(&["copy", "--src-tls-verify=false", "--preserve-digests", &first, &to], "--src-creds").ok();
    assert_eq!(blobs(&back), blobs(&image.layout), "pulled as it was pushed");

    let tags = skopeo(&["list-tags", "--tls-verify=false", &place], "--creds").json();
    assert_eq!(tags["Tags"], serde_json::json!(["1", "docker"]));
    let told = skopeo(&["inspect", "--tls-verify=false", &first], "--creds").json();
    assert_eq!(
        (told["Digest"].as_str(), told["Layers"][0].as_str()),
        (Some(&*image.manifest), Some(&*image.layer()))
    );
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &first], "--creds").ok();
    assert_eq!(raw.stdout, image.bytes(&image.manifest), "the manifest's exact bytes");
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &docker], "--creds").json();
    assert_eq!(raw["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");

    sync(&server, &image);

    skopeo(&["delete", "--tls-verify=false", &first], "--creds").ok();
    assert_ne!(skopeo(&["inspect", "--tls-verify=false", &first], "--creds").code, Some(0));
    let tags = skopeo(&["list-tags", "--tls-verify=false", &place], "--creds").json();
    assert_eq!(tags["Tags"], serde_json::json!(["docker"]), "the other image stays");
}

/// Everything of a repository into a folder, and from there into another place of the registry.
fn sync(server: &Server, image: &Image) {
    let place = format!("{}/app/web", server.address());
    let copy = server.beside("synced");
    fs::create_dir(&copy).unwrap();
    let args = [
        "--insecure-policy",
        "sync",
        "--src=docker",
        "--dest=dir",
        "--src-tls-verify=false",
        &place,
        text(&copy),
    ];
    server.client("skopeo", &words(&args, &server.credentials("--src-creds"))).ok();
    let manifest: Value =
        serde_json::from_slice(&fs::read(copy.join("web:1/manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["layers"][0]["digest"], image.layer());
    assert!(copy.join("web:docker/manifest.json").is_file(), "every tag");

    let mirror = format!("{}/mirror", server.address());
    let args = [
        "--insecure-policy",
        "sync",
        "--src=dir",
        "--dest=docker",
        "--dest-tls-verify=false",
        text(&copy),
        &mirror,
    ];
    server.client("skopeo", &words(&args, &server.credentials("--dest-creds"))).ok();
    let args = ["inspect", "--raw", "--tls-verify=false", &server.docker("mirror/web:1")];
    let raw = server.client("skopeo", &words(&args, &server.credentials("--creds"))).ok();
    assert_eq!(raw.stdout, image.bytes(&image.manifest));
}
