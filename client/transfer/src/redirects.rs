//! Which redirects are followed.

use reqwest::Url;
use reqwest::redirect::Policy;

/// At most five.
pub(crate) fn policy() -> Policy {
    Policy::custom(|attempt| {
        let may = attempt.previous().last().is_none_or(|from| may_lead(from, attempt.url()));
        if !may || attempt.previous().len() > 5 { attempt.stop() } else { attempt.follow() }
    })
}

/// Whether an answer from one place may send to another: never to plain HTTP off this machine, and never from elsewhere to this
/// machine, whose services are not for others to ask.
fn may_lead(from: &Url, to: &Url) -> bool {
    let is_here = |url: &Url| url.host_str().is_some_and(crate::reference::is_loopback);
    if is_here(to) { is_here(from) } else { to.scheme() == "https" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_redirect_may_lead() {
        let lead = |from: &str, to: &str| may_lead(&from.parse().unwrap(), &to.parse().unwrap());
        assert!(lead("https://a.example/x", "https://b.example/x"));
        assert!(lead("http://127.0.0.1:1/x", "http://[::1]:2/x"));
        assert!(lead("http://localhost/x", "https://b.example/x"));
        assert!(!lead("https://a.example/x", "http://a.example/x"));
        assert!(!lead("http://127.0.0.1/x", "http://a.example/x"));
        for here in ["http://127.0.0.1/x", "https://127.8.8.8/x", "http://localhost/x", "https://[::1]/x"] {
            assert!(!lead("https://a.example/x", here), "{here}");
        }
    }
}
