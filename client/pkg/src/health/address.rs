//! What may stand after `--command`, `--http` and `--tcp`: read when the policy is made, so that none is kept that cannot pass.

use url::Url;

/// A command is one line, as the list of those that are allowed has lines.
pub fn command(text: &str) -> Result<String, String> {
    match text {
        _ if text.trim().is_empty() => Err("it is empty".to_owned()),
        _ if text.contains(char::is_control) => {
            Err("it is more than one line; put it into a script, and name that".to_owned())
        }
        _ => Ok(text.to_owned()),
    }
}

/// An address of a web server.
pub fn http(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write http://HOST:PORT/PATH"))?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) => Ok(text.to_owned()),
        _ => Err("write http://HOST:PORT/PATH or https://…".to_owned()),
    }
}

/// A host and a port; an IPv6 address stands in brackets.
pub fn tcp(text: &str) -> Result<String, String> {
    let says = || "write HOST:PORT, such as 127.0.0.1:5432 or [::1]:5432".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(says)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', '@', ' ']),
    };
    match port.parse::<u16>() {
        Ok(1..) if is_host => Ok(text.to_owned()),
        _ => Err(says()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for good in ["127.0.0.1:5432", "[::1]:80", "db.example:65535"] {
            assert_eq!(tcp(good).as_deref(), Ok(good));
        }
        for bad in [
            "127.0.0.1",
            "",
            ":80",
            "host:",
            "host:0",
            "host:65536",
            "::1:80",
            "[x]:80",
            "http://host:80",
            "a b:1",
        ] {
            assert!(tcp(bad).is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1/status", "https://example.org:8443", "http://[::1]:80/"] {
            assert_eq!(http(good).as_deref(), Ok(good));
        }
        for bad in ["foo", "", "ftp://host/", "http://", "127.0.0.1:80", "file:///etc/passwd"] {
            assert!(http(bad).is_err(), "{bad}");
        }
        assert!(command("test -e /run/x").is_ok());
        for bad in ["", "  ", "one\ntwo", "bell\u{7}"] {
            assert!(command(bad).is_err(), "{bad:?}");
        }
    }
}
