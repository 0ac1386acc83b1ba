//! A server that is killed in the middle: whoever comes after it sees whole blobs only, and all that were acknowledged.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use futures_util::TryStreamExt;
use plyos_blobs::{Digest, Settings, Storage};

use crate::places::{commit, read};

/// Set for the process that is killed: the directory of its storage.
const DIRECTORY: &str = "PLYOS_TEST_CRASH_DIRECTORY";
/// Set for it too: what its content depends on.
const SEED: &str = "PLYOS_TEST_CRASH_SEED";

/// No test of its own: what the process that is killed does. It commits blobs until it dies, and says each that was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn process_that_commits_until_it_is_killed() {
    let (Ok(directory), Ok(seed)) = (std::env::var(DIRECTORY), std::env::var(SEED)) else { return };
    let storage = Storage::local(directory.as_ref(), &Settings::default()).await.unwrap();
    for n in 0u64.. {
        // Small ones, which lie in their recipes, and some of a megabyte.
        let length = if n % 3 == 0 { 1_000_000 } else { 1000 };
        let content: Vec<u8> = format!("{seed} {n} ").bytes().cycle().take(length).collect();
        let digest = commit(&storage, &content).await;
        println!("acknowledged {digest}");
    }
}

#[tokio::test]
async fn a_killed_server_leaves_whole_blobs_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<Digest> = Vec::new();
    for seed in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "crashes::process_that_commits_until_it_is_killed"])
            .env(DIRECTORY, directory.path())
            .env(SEED, seed.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let digests = lines.filter_map(|line| line.split_once("acknowledged ")?.1.parse().ok());
        // Another number each time, so that it dies at another step.
        let seen: Vec<Digest> = digests.take(3 + seed).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.len(), 3 + seed, "it committed nothing");
        acknowledged.extend(seen);
    }

    let storage = Storage::local(directory.path(), &Settings::default()).await.unwrap();
    let listed: Vec<_> = storage.blobs.list().map_ok(|(digest, _)| digest).try_collect().await.unwrap();
    for digest in &acknowledged {
        assert!(listed.contains(digest), "{digest} was acknowledged");
    }
    for digest in &listed {
        let size = storage.blobs.find(digest).await.unwrap().unwrap().size;
        assert_eq!(Digest::of(&read(&storage, digest, 0..size).await), *digest);
    }
    // What was under way lies where the sweep finds it, and is swept.
    storage.uploads.sweep(std::time::Duration::ZERO).await.unwrap();
    assert_eq!(crate::places::staged(&directory), 0);
}
