//! Manifest files: the members of a descriptor in TOML.

use super::Members;
use serde_json::Value;

/// Members of a descriptor. Those that begin with `x-` may be there as well.
const MEMBERS: [&str; 19] = [
    "kind",
    "name",
    "version",
    "arch",
    "abi",
    "summary",
    "license",
    "homepage",
    "compatible",
    "provides",
    "depends",
    "conflicts",
    "replaces",
    "upgrade-from",
    "state-version",
    "state-version-min",
    "capabilities",
    "services",
    "reads",
];

/// Members of a service.
const OF_SERVICE: [&str; 6] = ["name", "exec", "args", "principal", "capabilities", "restart"];

/// Two words are alike from here on (Jaro-Winkler: 1 is equal).
const ALIKE: f64 = 0.75;

/// Reads a file. What its values may be is for the descriptor to say.
pub fn parse(text: &str) -> Result<Members, String> {
    let members: Members = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| 1 + before.matches('\n').count());
        format!("line {line}: {}", error.message())
    })?;
    check_keys(&members, &MEMBERS, "")?;
    if let Some(Value::Array(services)) = members.get("services") {
        for service in services.iter().filter_map(Value::as_object) {
            check_keys(service, &OF_SERVICE, "services.")?;
        }
    }
    Ok(members)
}

fn check_keys(members: &Members, known: &[&str], above: &str) -> Result<(), String> {
    let is_known = |key: &str| known.contains(&key) || (above.is_empty() && key.starts_with("x-"));
    let Some(key) = members.keys().find(|key| !is_known(key)) else { return Ok(()) };
    let alike = |word: &&str| strsim::jaro_winkler(key, word);
    let nearest = known.iter().copied().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let hint = match nearest.filter(|word| alike(word) >= ALIKE) {
        Some(word) => format!("did you mean `{above}{word}`?"),
        None => format!("expected one of {}", known.join(", ")),
    };
    Err(format!("`{above}{key}` is not known; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plyos_layer_format::descriptor::Descriptor;

    #[test]
    fn every_member_of_a_descriptor_can_be_said() {
        let text = r#"
            kind = "package"
            name = "web"
            version = "1.2"
            arch = "amd64"
            abi = "plyos-0"
            summary = "a server"
            license = "MIT"
            homepage = "https://example.org"
            compatible = ["vendor,board"]
            provides = ["httpd"]
            depends = ["libc >= 2"]
            conflicts = ["other"]
            replaces = ["old"]
            upgrade-from = "1.0"
            state-version = 4
            state-version-min = 2
            capabilities = ["net"]
            reads = { "plyos-store" = 3 }
            x-note = "ours"

            [[services]]
            name = "web"
            exec = "/usr/bin/web"
            args = ["--port", "80"]
            principal = "web"
            capabilities = ["net"]
            restart = "always"
        "#;
        let members = parse(text).unwrap();
        assert!(MEMBERS.iter().all(|member| members.contains_key(*member)));
        let found = Descriptor::from_json(&Value::Object(members)).unwrap();
        assert_eq!((found.state_version(), found.services().len()), (Some(4), 1));
        assert_eq!(found.services()[0].restart, "always");
        assert_eq!(found.extensions()["x-note"], "ours");
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        for (text, hint) in [
            ("depend = []", "did you mean `depends`?"),
            ("upgrade_from = \"1\"", "did you mean `upgrade-from`?"),
            ("[[services]]\nexce = \"/x\"", "did you mean `services.exec`?"),
            ("qqq = 1", "expected one of kind, name"),
            ("[[services]]\nx-note = \"a\"", "`services.x-note` is not known"),
            ("name = \"a\"\nname = \"b\"", "line 2"),
            ("name = ", "line 1"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(hint) && !refused.contains('\n'), "{text}: {refused}");
        }
    }
}
