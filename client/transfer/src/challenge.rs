//! Reading `WWW-Authenticate` (RFC 9110, 11.6.1): which credentials a server wants.

/// One way to authenticate, of those that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password (RFC 7617).
    Basic,
    /// A token, to be fetched from `realm` (RFC 6750, Docker's token specification).
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The best of the challenges in a header: tokens rather than passwords. Nonsense is passed over.
    pub(crate) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut best = None;
        for (scheme, parameters) in headers.flat_map(schemes) {
            let value = |name: &str| {
                parameters
                    .iter()
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = value("realm")
            {
                return Some(Self::Bearer { realm, service: value("service"), scope: value("scope") });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                best = Some(Self::Basic);
            }
        }
        best
    }
}

type Scheme = (String, Vec<(String, String)>);

/// Splits a header into schemes with their parameters.
fn schemes(header: &str) -> Vec<Scheme> {
    let mut schemes: Vec<Scheme> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return schemes;
        }
        rest = after;
        let Some(after) = rest.trim_start().strip_prefix('=') else {
            schemes.push((word.to_owned(), Vec::new()));
            continue;
        };
        let Some((value, after)) = value(after.trim_start()) else { return schemes };
        rest = after;
        if let Some((_, parameters)) = schemes.last_mut() {
            parameters.push((word.to_owned(), value));
        }
    }
}

/// A quoted string or a token, and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find(|c: char| !is_token(c)).unwrap_or(text.len()));
        return Some((value.to_owned(), rest));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((value, quoted.get(at + 1..)?)),
            c => value.push(c),
        }
    }
    None
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/:".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(header: &str) -> Option<Challenge> {
        Challenge::best(std::iter::once(header))
    }

    #[test]
    fn challenges_of_registries() {
        let bearer = |realm: &str, service: Option<&str>, scope: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
        };
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        assert_eq!(
            best(hub),
            bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:a/b:pull,push")
            )
        );
        assert_eq!(best("Basic realm=\"x\", charset=\"UTF-8\""), Some(Challenge::Basic));
        assert_eq!(best("basic"), Some(Challenge::Basic));
        // Both in one line, in either order.
        assert_eq!(best(r#"Basic realm="x", Bearer realm="https://r""#), bearer("https://r", None, None));
        assert_eq!(
            best(r#"bearer realm = "a\"b" , service=s,Basic realm=x"#),
            bearer("a\"b", Some("s"), None)
        );
    }

    #[test]
    fn nonsense_is_passed_over() {
        for header in
            ["", ",,", "Negotiate abc==", "Bearer", "Bearer scope=\"x\"", "Bearer realm=\"x", "=", "\"", "é"]
        {
            assert_eq!(best(header), None, "{header}");
        }
    }
}
