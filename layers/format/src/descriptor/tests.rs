//! The descriptor as publishers and attackers spell it.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const LEAST: &str = r#"{"arch":"any","kind":"site","name":"docs","version":"3"}"#;

fn full() -> Descriptor {
    let mut out = Descriptor::new(Kind::Package, "nginx", "1.27.0-2", "amd64").unwrap();
    let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<String>>();
    out.set_abi(Some("linux")).unwrap();
    out.set_summary("A \"web\" server\n").unwrap();
    out.set_license("BSD-2-Clause").unwrap();
    out.set_homepage("https://example.org/").unwrap();
    out.set_compatible(strings(&["qemu"])).unwrap();
    out.set_provides(strings(&["httpd = 1"])).unwrap();
    out.set_depends(strings(&["zlib >= 1.3", "openssl"])).unwrap();
    out.set_conflicts(strings(&["apache"])).unwrap();
    out.set_replaces(strings(&["nginx-light < 2"])).unwrap();
    out.set_upgrade_from(Some("1.20")).unwrap();
    out.set_state_versions(Some(1), Some(2)).unwrap();
    out.set_capabilities(strings(&["net.listen"])).unwrap();
    out.set_services(vec![Service {
        name: "nginx".to_string(),
        exec: "/usr/sbin/nginx".to_string(),
        args: strings(&["-g", ""]),
        principal: "www".to_string(),
        capabilities: strings(&["net.listen"]),
        restart: "on-failure".to_string(),
    }])
    .unwrap();
    out.set_reads([("index".to_string(), 0), ("store".to_string(), 3)].into()).unwrap();
    out.set_extension("x-note", "kept").unwrap();
    out
}

#[test]
fn the_least_and_the_fullest_have_one_spelling() {
    let least = Descriptor::new(Kind::Site, "docs", "3", "any").unwrap();
    assert_eq!(least.emit(), LEAST.as_bytes());
    assert_eq!(Descriptor::parse(LEAST.as_bytes()), Ok(least));
    let expected = concat!(
        r#"{"abi":"linux","arch":"amd64","capabilities":["net.listen"],"compatible":["qemu"],"conflicts":["apache"],"#,
        r#""depends":["zlib >= 1.3","openssl"],"homepage":"https://example.org/","kind":"package","#,
        r#""license":"BSD-2-Clause","name":"nginx","provides":["httpd = 1"],"reads":{"index":0,"store":3},"#,
        r#""replaces":["nginx-light < 2"],"services":[{"args":["-g",""],"capabilities":["net.listen"],"#,
        r#""exec":"/usr/sbin/nginx","name":"nginx","principal":"www","restart":"on-failure"}],"state-version":2,"#,
        r#""state-version-min":1,"summary":"A \"web\" server\n","upgrade-from":"1.20","version":"1.27.0-2","#,
        r#""x-note":"kept"}"#
    );
    assert_eq!(full().emit(), expected.as_bytes());
    assert_eq!(Descriptor::parse(expected.as_bytes()), Ok(full()));
    assert_eq!(Descriptor::from_json(&full().to_json()), Ok(full()));
}

#[test]
fn other_spellings_are_refused() {
    for (what, text) in [
        ("white space", LEAST.replace(':', ": ")),
        ("end of line", LEAST.to_string() + "\n"),
        ("unsorted keys", r#"{"kind":"site","arch":"any","name":"docs","version":"3"}"#.to_string()),
        ("key twice", LEAST.replace(r#""name""#, r#""kind":"site","name""#)),
        ("escaped letter", LEAST.replace("docs", "doc\\u0073")),
        ("upper-case escape", LEAST.replace('}', r#","x-a":"\u001F"}"#)),
        ("escaped slash", LEAST.replace('}', r#","x-a":"\/"}"#)),
        ("number with a point", LEAST.replace(r#","version""#, r#","state-version":1.0,"version""#)),
        ("number with an exponent", LEAST.replace(r#","version""#, r#","state-version":1e1,"version""#)),
    ] {
        assert!(Descriptor::parse(text.as_bytes()).is_err(), "{what}");
        assert_ne!(text, LEAST);
    }
}

#[test]
fn members_of_wrong_form_are_refused() {
    let with = |key: &str, value: Value| {
        let mut json: Value = serde_json::from_str(LEAST).unwrap();
        json.as_object_mut().unwrap().insert(key.to_string(), value);
        Descriptor::from_json(&json)
    };
    assert!(with("state-version", json!((1u64 << 53) - 1)).is_ok());
    let long = "a".repeat(65);
    for (key, value) in [
        ("kind", json!("driver")),
        ("kind", json!(5)),
        ("name", json!("")),
        ("name", json!("Docs")),
        ("name", json!("../docs")),
        ("name", json!(long)),
        ("version", json!("-1")),
        ("version", json!("1 2")),
        ("arch", json!("x86_64")),
        ("abi", json!("plyos-1")),
        ("abi", Value::Null),
        ("summary", json!("")),
        ("summary", json!("a".repeat(1_025))),
        ("compatible", json!([])),
        ("compatible", json!([1])),
        ("compatible", json!(vec!["a"; 1_025])),
        ("depends", json!(["a = "])),
        ("depends", json!("a")),
        ("replaces", json!(["A"])),
        ("upgrade-from", json!("")),
        ("state-version", json!(1u64 << 53)),
        ("state-version", json!(-1)),
        ("state-version", json!(1.5)),
        ("state-version", json!("1")),
        ("services", json!([{"name": "a"}])),
        ("services", json!([{"exec": "/a"}])),
        ("services", json!([{"name": "a", "exec": "a"}])),
        ("services", json!([{"name": "a", "exec": "/a", "uid": 0}])),
        ("services", json!([{"name": "a", "exec": "/a", "args": []}])),
        ("services", json!([{"name": "a", "exec": "/a"}, {"name": "a", "exec": "/b"}])),
        ("services", json!([["a"]])),
        ("reads", json!({})),
        ("reads", json!({"store": 1u64 << 53})),
        ("reads", json!({"": 1})),
        ("layer-set", json!("a")),
        ("critical", json!("a")),
        ("x-a", json!(1)),
        ("x-a", json!("")),
        ("X-a", json!("a")),
    ] {
        assert!(with(key, value.clone()).is_err(), "{key}: {value}");
    }
    for key in ["kind", "name", "version", "arch"] {
        let mut json: Value = serde_json::from_str(LEAST).unwrap();
        json.as_object_mut().unwrap().remove(key);
        assert_eq!(Descriptor::from_json(&json), Err(DescriptorError::Missing(key)));
    }
    assert_eq!(Descriptor::from_json(&json!([])), Err(DescriptorError::Json));
}

#[test]
fn lowest_state_version_above_the_highest() {
    let mut descriptor = full();
    assert!(descriptor.set_state_versions(Some(3), Some(2)).is_err());
    assert_eq!(descriptor, full(), "a refused value changes nothing");
}

#[test]
fn more_than_64_kib() {
    let mut descriptor = full();
    for number in 0..63 {
        descriptor.set_extension(&alloc::format!("x-{number:02}"), &"a".repeat(1_020)).unwrap();
    }
    let before = descriptor.clone();
    assert_eq!(descriptor.set_compatible(vec!["a".repeat(1_000); 3]), Err(DescriptorError::TooLong));
    assert_eq!(descriptor, before);
    let mut json = before.to_json();
    json.as_object_mut().unwrap().insert("compatible".to_string(), json!(vec!["a".repeat(1_000); 3]));
    assert_eq!(Descriptor::from_json(&json), Err(DescriptorError::TooLong));
    assert_eq!(Descriptor::parse(&[b' '; 65_537]), Err(DescriptorError::TooLong));
}

#[test]
fn nesting_bomb() {
    let bomb = "[".repeat(60_000);
    assert_eq!(Descriptor::parse(bomb.as_bytes()), Err(DescriptorError::Json));
}

proptest! {
    #[test]
    fn what_parses_emits_the_same(at in any::<prop::sample::Index>(), byte: u8) {
        let mut bytes = full().emit();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(descriptor) = Descriptor::parse(&bytes) {
            prop_assert_eq!(descriptor.emit(), bytes);
        }
    }

    #[test]
    fn strings_round_trip(summary: String, value in "\\PC{1,40}", relation in "[a-z0-9]{1,9}( (=|!=|<|<=|>|>=) [0-9A-Za-z~.]{1,5})?") {
        let mut descriptor = full();
        prop_assume!(descriptor.set_summary(&summary).is_ok());
        descriptor.set_extension("x-value", &value).unwrap();
        let valid = descriptor.set_depends(vec![relation.clone()]).is_ok();
        prop_assert_eq!(valid, is_relation(&relation));
        prop_assert_eq!(Descriptor::parse(&descriptor.emit()), Ok(descriptor));
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Descriptor::parse(&bytes);
    }
}
