//! `make demo` counts requests that visitors of a site lose; here its judge is shown sites that lose some.
//!
//! The script is the demo's own visitors and judge before nginx and a small site (`tests/demo/visitors_check.sh`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_demo_sees_each_way_to_lose_a_request() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/visitors_check.sh");
    let ran = Command::new(script).stdin(Stdio::null()).output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}{failed}");
    let count = |verdict: &str| said.lines().filter(|line| line.starts_with(verdict)).count();
    assert_eq!((count("right: "), count("wrong: ")), (1, 5), "{said}");
}
