//! The facts, read back from what is sent.

use alloc::{string::ToString, vec};

use super::{
    http::{Body, MAX_REQUEST, Page, Request, answer},
    *,
};
use plyos_kernel_logic::Counts;
use plyos_slots::Slot;
use proptest::prelude::*;

fn facts() -> Facts {
    Facts {
        version: "1.2.3",
        uptime: Duration::from_millis(61_500),
        mounted: Some(Mounted {
            generation: 7,
            layers: 3,
            place: "slot B (good)".to_string(),
            slots: vec![("b", "good")],
            damage: 4,
            cache: CacheStatistics {
                chunks: Counts { hits: 10, misses: 4, evicted: 1, bytes: 4096, limit: 8192, entries: 3 },
                pages: Counts::default(),
            },
        }),
        reasons: vec!["slot A: <b>damaged</b> & \"gone\"".to_string()],
        memory: Memory { total: 64 << 20, free: 32 << 20, ..Memory::default() },
        disks: vec![Disk { name: "vd\"a\\".to_string(), requests: 5, ..Disk::default() }],
        network: Some(Network { received: (2, 300), connections: 2, ..Network::default() }),
    }
}

/// Samples by name and labels; fails for a line that is no sample.
fn samples(text: &str) -> std::collections::BTreeMap<String, f64> {
    let mut typed = std::collections::BTreeSet::new();
    let mut samples = std::collections::BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(typed.insert(rest.split(' ').next().unwrap()), "{rest} twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(typed.contains(name.split('{').next().unwrap()), "{name} has no type");
            assert!(samples.insert(name.to_string(), value.parse().unwrap()).is_none(), "{name} twice");
        }
    }
    samples
}

#[test]
fn metrics_are_what_a_scraper_reads() {
    let samples = samples(&metrics(&facts()));
    assert_eq!(samples["plyos_info{version=\"1.2.3\",generation=\"7\",slot=\"b\",state=\"good\"}"], 1.0);
    assert_eq!((samples["plyos_damage_total"], samples["plyos_net_connections"]), (4.0, 2.0));
    assert_eq!(samples["plyos_uptime_seconds"], 61.5);
    assert_eq!(samples["plyos_cache_hits_total{of=\"chunks\"}"], 10.0);
    assert_eq!(samples["plyos_disk_requests_total{disk=\"vd\\\"a\\\\\"}"], 5.0);
    assert_eq!(samples["plyos_net_bytes_total{way=\"received\"}"], 300.0);
    assert_eq!(samples["plyos_memory_bytes{what=\"free\"}"], f64::from(32 << 20));
}

#[test]
fn a_card_that_is_not_used_does_not_look_healthy() {
    let with = |broken: Option<&str>, address: Option<[u8; 4]>| {
        let broken = broken.map(ToString::to_string);
        let network =
            Network { broken, address: address.map(|address| (address.into(), 24)), ..Network::default() };
        Facts { network: Some(network), ..facts() }
    };
    let up = |facts: &Facts| samples(&metrics(facts))["plyos_net_up"];
    assert_eq!(up(&with(None, None)), 0.0);
    assert_eq!(up(&with(None, Some([10, 0, 2, 15]))), 1.0);
    let broken = with(Some("it broke the rules"), Some([10, 0, 2, 15]));
    assert_eq!(up(&broken), 0.0);
    assert!(page(&broken).contains("not used: it broke the rules"));
}

#[test]
fn slots_are_told_by_name_and_state() {
    let bad = Slot { state: SlotState::Trial { left: 1, granted: 3 }, number: 7, ..Slot::EMPTY };
    let good = Slot { state: SlotState::Good, ..bad };
    let both = Slots { a: good, b: bad, preferred: None };
    assert_eq!(slots(&both, 7), [("a", "good"), ("b", "trial")]);
    assert_eq!(slots(&both, 8), []);
    let facts = Facts { mounted: Some(Mounted { slots: slots(&both, 7), ..Mounted::default() }), ..facts() };
    let samples = samples(&metrics(&facts));
    assert_eq!(samples.keys().filter(|name| name.starts_with("plyos_info{")).count(), 2);
}

#[test]
fn rescue_is_told() {
    let facts = Facts { mounted: None, ..facts() };
    assert_eq!(samples(&metrics(&facts))["plyos_mounted"], 0.0);
    let page = page(&facts);
    assert!(page.contains("nothing could be mounted"));
    assert!(page.contains("&lt;b&gt;damaged&lt;/b&gt; &amp;") && !page.contains("<b>"), "{page}");
}

#[test]
fn requests() {
    let read = |text: &str| Request::read(text.as_bytes());
    assert_eq!(read("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), Some(Request::Read(Page::Status, Body::Wanted)));
    assert_eq!(read("HEAD /metrics?a=b HTTP/1.0\r\n\r\n"), Some(Request::Read(Page::Metrics, Body::Left)));
    assert_eq!(read("GET /x HTTP/1.1\n\n"), Some(Request::Read(Page::Unknown, Body::Wanted)));
    assert_eq!(read("POST / HTTP/1.1\r\n\r\n"), Some(Request::Method));
    assert_eq!(read("GET / HTTP/2\r\n\r\n"), Some(Request::Bad));
    assert_eq!(read("GET /  HTTP/1.1\r\n\r\n"), Some(Request::Bad));
    assert_eq!(read("\r\n\r\n"), Some(Request::Bad));
    assert_eq!(read("GET / HTTP/1.1\r\nhost: x\r\n"), None, "the end is still to come");
    assert_eq!(Request::read(&[b'a'; MAX_REQUEST - 1]), None);
    assert_eq!(Request::read(&[b'a'; MAX_REQUEST]), Some(Request::Bad), "nobody waits for ever");
}

#[test]
fn answers() {
    let text = |request| String::from_utf8(answer(request, facts)).unwrap();
    let page = text(Request::Read(Page::Status, Body::Wanted));
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n") && body.ends_with("</html>\n"));
    assert!(head.contains(&alloc::format!("content-length: {}", body.len())));
    let left = text(Request::Read(Page::Status, Body::Left));
    assert_eq!(left.split_once("\r\n\r\n").unwrap(), (head, ""));
    let without_facts = |request| {
        String::from_utf8(answer(request, || panic!("nothing is gathered for {request:?}"))).unwrap()
    };
    assert!(without_facts(Request::Read(Page::Unknown, Body::Wanted)).starts_with("HTTP/1.0 404 "));
    let method = without_facts(Request::Method);
    assert!(method.contains("405 ") && method.contains("allow: GET, HEAD"));
    assert!(without_facts(Request::Bad).starts_with("HTTP/1.0 400 "));
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        if let Some(request) = Request::read(&bytes) {
            prop_assert!(answer(request, facts).starts_with(b"HTTP/1.0 "));
        } else {
            prop_assert!(bytes.len() < MAX_REQUEST);
        }
    }
}
