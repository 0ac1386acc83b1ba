//! What stands between a target and its repository: a proxy that wants to listen, a server that drips, an address that says a password.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may panic"
)]

use plyos_test_system::programs::run;
use plyos_test_system::scripted::{Scripted, said};
use plyos_test_system::world::World;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

const USAGE: i32 = 2;
const NETWORK: i32 = 8;

#[test]
fn what_is_on_this_machine_is_asked_for_directly() {
    let world = World::new();
    let proxy =
        Scripted::start(|_| said("401 Unauthorized", "www-authenticate: Basic realm=\"proxy\"\r\n", ""));
    let address = format!("http://{}", proxy.address);
    let mut update = world.target.command(&["update"]);
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        update.env(variable, &address);
    }
    run(update.env("PLYOS_REGISTRY_USER", "joe").env("PLYOS_REGISTRY_PASSWORD", "secret")).ok();
    assert_eq!(proxy.heads(), Vec::<String>::new());
}

#[test]
fn over_tls_a_proxy_is_asked_for_a_tunnel() {
    let world = World::new();
    let proxy = Scripted::start(|_| said("403 Forbidden", "", ""));
    let target = world.another_target();
    let add = ["repo", "add", "https://repository.invalid/catalog/x", "--root", &"0".repeat(64)];
    let mut add = target.command(&add);
    run(add.env("https_proxy", format!("http://{}", proxy.address))).refused(NETWORK);
    let heads = proxy.heads();
    assert!(
        !heads.is_empty() && heads.iter().all(|head| head.starts_with("connect repository.invalid:443 ")),
        "{heads:?}"
    );
}

#[test]
fn a_server_that_drips_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test's process.
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let _ = client.read(&mut [0; 4096]);
                let _ = client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n");
                while client.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    let world = World::new();
    let target = world.another_target();
    let url = format!("http://{address}/catalog/x");
    let mut add = target.command(&["repo", "add", &url, "--root", &"0".repeat(64)]);
    let line = run(add.env("PLYOS_STALL_SECONDS", "1")).refused(NETWORK);
    assert!(line.contains("less than 64 bytes came in a second"), "{line}");
}

#[test]
fn an_address_holds_no_password() {
    let world = World::new();
    let before = world.target.state();
    let line = world.target.pkg(&[
        "repo",
        "add",
        "https://joe:s3cret@repository.invalid/catalog/x",
        "--root",
        &"0".repeat(64),
    ]);
    let line = line.refused(USAGE);
    assert!(line.contains("plyos login") && !line.contains("s3cret"), "{line}");
    assert_eq!(world.target.state(), before);
}
