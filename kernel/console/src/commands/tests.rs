//! The commands as they are typed, over a system in memory.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use sha2::{Digest, Sha256};

use crate::{
    fakes::{Desk, large},
    glyph,
    machine::Network,
    words,
};

fn sum_of(bytes: &[u8]) -> String {
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("blake3 {}\nsha256 {sha256}\n", blake3::hash(bytes).to_hex())
}

#[test]
fn ls_lists_a_directory() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("ls"), "bin\ndata\ndev\nmodels\nusr\nwww\n");
    assert_eq!(desk.run("ls /data"), "empty\nlarge\nname\\ of\\x0a\\xff\nsecond\ntext\n");
    assert_eq!(desk.run("ls bin"), "sh\n", "a link to a directory leads there");
    assert_eq!(desk.run("ls bin/sh"), "sh\n");
    let long = desk.run("ls -l /data");
    assert!(long.contains("-rwSr--r--   2 7:8           300000 2020-01-01T00:00:00Z large\n"), "{long}");
    assert!(long.contains("lrwSr--r--"), "{long}");
    assert!(long.contains("name\\ of\\x0a\\xff -> no\\ where\n"), "{long}");
    assert!(desk.run("ls -l /dev").contains(" 1,3 "));
    assert_eq!(
        desk.run("ls /data/nothing"),
        "cannot find /data/nothing: no such path in this generation; 'ls' shows what a directory holds\n"
    );
    assert!(desk.run("ls /nothing/at/all").contains("cannot find /nothing/at/all: "));
}

#[test]
fn what_was_listed_can_be_typed() {
    let mut desk = Desk::new();
    let name = desk.run("ls /data").lines().nth(2).unwrap().to_string();
    let told = desk.run(&format!("stat /data/{name}"));
    assert!(
        told.starts_with("path   /data/name\\ of\\x0a\\xff\ntype   symbolic link\nto     no\\ where\n"),
        "{told}"
    );
}

#[test]
fn cat_shows_text_and_gives_it_no_power() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("cat /data/text"), "one\ntwö\\x1b[2J\n");
    assert_eq!(desk.run("cat /bin/sh"), "#!\n");
    assert_eq!(desk.run("cat /data/empty"), "");
    assert_eq!(
        desk.run("cat /data/large"),
        glyph::text(&large()) + "\n",
        "no character is torn between two pieces"
    );
    assert!(desk.run("cat /data").contains("cannot read /data: it is no regular file"));
}

#[test]
fn stat_tells_everything() {
    let mut desk = Desk::new();
    let told = desk.run("stat /data/second");
    for line in ["type   regular file", "mode   4644 -rwSr--r--", "owner  7:8", "size   300000", "links  2"] {
        assert!(told.lines().any(|other| other == line), "{line} of {told}");
    }
    assert!(told.contains("\nxattr  user.a\\ b \\x00x\nlayer  base/plain "), "{told}");
    assert!(told.matches("\nchunk  ").count() >= 5, "{told}");
    assert!(desk.run("stat /www").contains("layer  none: it only leads"));
    assert!(desk.run("stat /dev/null").contains("device 1:3"));
}

#[test]
fn sums_are_of_the_content() {
    let mut desk = Desk::new();
    assert_eq!(desk.run("sum /data/large"), sum_of(&large()));
    assert_eq!(desk.run("sum /data/second"), sum_of(&large()));
    assert_eq!(desk.run("sum /data/empty"), sum_of(b""));
    assert_eq!(desk.run("sum -o 70000 -n 200000 /data/large"), sum_of(&large()[70_000..270_000]));
    assert_eq!(desk.run("sum -o 299999 /data/large"), sum_of(&large()[299_999..]));
    assert!(desk.run("sum -o 300001 /data/large").contains("the file has 300000 bytes"));
}

#[test]
fn find_tells_what_words_give_back() {
    let mut desk = Desk::new();
    desk.run("switch 2");
    let plain = desk.run("find");
    assert!(plain.contains("/www/docs/index.html\n") && plain.starts_with("/\n"), "{plain}");
    let facts = desk.run("find -l -s /");
    let rows: Vec<Vec<Vec<u8>>> = facts.lines().map(|line| words::split(line.as_bytes()).unwrap()).collect();
    let paths: Vec<Vec<u8>> = rows.iter().map(|row| row[5].clone()).collect();
    assert_eq!(
        paths,
        plain.lines().map(|line| words::split(line.as_bytes()).unwrap().remove(0)).collect::<Vec<_>>()
    );
    let row = |path: &[u8]| rows.iter().find(|row| row[5] == path).unwrap();
    let sum: String = Sha256::digest(large()).iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, second) = (row(b"/data/large"), row(b"/data/second"));
    assert_eq!(first[..5], [&b"-"[..], b"4644", b"7:8", b"300000", b"1577836800"]);
    assert_eq!(first[6], b"links=2");
    assert_eq!(first[7], second[7], "one file has one inode");
    assert_eq!(first[8..], [&b"xattr=user.a b"[..], b"value=\0x", format!("sha256={sum}").as_bytes()]);
    assert_eq!(first[8..], second[8..]);
    assert_eq!(row(b"/data/name of\n\xff")[6], b"to=no where");
    assert_eq!(row(b"/dev/null")[6], b"device=1:3");
    assert_eq!(row(b"/dev/pipe").len(), 6);
    let below = desk.run("find -l -s /data");
    assert_eq!(
        below,
        facts
            .lines()
            .filter(|line| line.contains(" /data"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    );
}

#[test]
fn find_goes_on_behind_a_file_that_cannot_be_read() {
    let mut desk = Desk::new();
    let system = desk.system.as_mut().unwrap();
    let tree = alloc::sync::Arc::get_mut(system.trees.get_mut(&1).unwrap()).unwrap();
    tree.damaged = Some(b"data/text");
    let facts = desk.run("find -l -s");
    assert!(
        facts
            .contains(" /data/text xattr=user.a\\ b value=\\x00x error=cannot\\ read\\ /x:\\ chunk\\ 1\\ of"),
        "{facts}"
    );
    assert!(facts.contains(" /usr/bin/sh "), "{facts}");
    assert!(
        facts.ends_with("\ncannot read 1 of these files; 'log' tells of each what is wrong with it\n"),
        "{facts}"
    );
    assert_eq!(desk.run("cat /data/text"), "cannot read /x: chunk 1 of base is not what it must be\n");
}

#[test]
fn switching_shows_the_other_generation() {
    let mut desk = Desk::new();
    let listed = desk.run("generations");
    for row in [
        "* 1         1 layers  2023-11-14T22:13:20Z  slot A: good, active     install \\x1b[2J held by status page",
        "  2         2 layers  2023-11-14T22:13:20Z  slot B: trial (2 of 3 tries left) install \\x1b[2J",
        "  3      in no slot               damaged: cut\\x0a",
    ] {
        assert!(listed.lines().any(|other| other == row), "{row} of {listed}");
    }
    assert!(desk.run("cat /www/docs/index.html").contains("cannot find"));
    assert_eq!(desk.run("switch 2"), "generation 2 is shown, before it was 1\n");
    assert_eq!(desk.run("cat /www/docs/index.html"), "<h1>\n");
    assert!(desk.run("mounts").contains("/www/docs                site/docs                        1 "));
    assert_eq!(desk.run("switch 3"), "cannot switch to generation 3: the store has none of this number\n");
    let switched_at = |desk: &Desk| desk.system.as_ref().unwrap().switched_at.get();
    assert_eq!(switched_at(&desk), Some(0), "without a clock; the store knows a better time");
    desk.machine.clock = Some(1_800_000_000);
    desk.run("switch 1");
    assert_eq!(switched_at(&desk), Some(1_800_000_000));
}

#[test]
fn status_tells_of_both_slots() {
    let mut desk = Desk::new();
    let status = desk.run("status");
    let roots = format!("roots      2 sets of keys, built in, BLAKE3 {}", "ab".repeat(32));
    for line in [
        roots.as_str(),
        "generation 1 (1 layers)",
        "damage     met 4 times since the start; see 'log warning'",
        "slot A     generation 1, good, active, shown",
        "slot B     generation 2, trial (2 of 3 tries left)",
        "chunks     2 of 4 KiB cached, 3 hits, 2 misses",
        "passed over: slot B: generation 2 has no tries left",
    ] {
        assert!(status.lines().any(|other| other == line), "{line} of {status}");
    }
}

#[test]
fn the_machine_is_told_of() {
    let mut desk = Desk::new();
    assert!(desk.run("free").starts_with("total             65536 KiB\nfree              40960 KiB\n"));
    assert_eq!(
        desk.run("lsblk"),
        "vda 3.0 MiB read-write, 9 requests, 1.0 MiB read, 0 B written, 0 flushes, 0 errors\n"
    );
    assert!(desk.run("net").starts_with("no network: "));
    desk.machine.network = Some(Network {
        mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
        address: Some(([10, 0, 2, 15].into(), 24)),
        ..Network::default()
    });
    assert!(desk.run("net").starts_with("hardware 52:54:00:12:34:56\naddress  10.0.2.15/24\n"));
    assert!(!desk.run("net").contains("card "));
    desk.machine.network.as_mut().unwrap().broken = Some("it broke the rules".to_string());
    assert!(desk.run("net").contains("\ncard     not used any more: it broke the rules\n"));
    let error = "    1.500001 error   disk\\x1b[2J\\x0afailed\n";
    assert_eq!(desk.run("log"), format!("    1.500001 info    started\n{error}"));
    assert_eq!(desk.run("log error"), error);
    assert_eq!(desk.run("log -n 1"), error);
}

#[test]
fn bench_measures_a_file() {
    let mut desk = Desk::new();
    let said = desk.run("bench /data/large -r 10");
    let starts = [
        "sequential cold: ",
        "sequential warm: ",
        "random 4 KiB cold: ",
        "random 4 KiB warm: ",
        "blake3 alone: ",
        "decompression alone: ",
    ];
    assert_eq!(said.lines().count(), starts.len(), "{said}");
    for (line, start) in said.lines().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    assert!(desk.run("bench /bin/sh").contains("is smaller than 4096 bytes"));
}
