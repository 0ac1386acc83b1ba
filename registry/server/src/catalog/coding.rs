//! Which content coding a client wants: `Accept-Encoding`, by RFC 9110, section 12.5.3.
//!
//! Pure: text in, [`Coding`] out. What is not understood counts as not wanted, so a strange header yields the plain file.

/// A coding that catalog files are offered in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Coding {
    Zstd,
    Gzip,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

/// How much each coding is wanted, in thousandths; `None` where the header says nothing of it.
#[derive(Default)]
struct Weights {
    zstd: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

/// The coding that a client wants most, or `None` for the plain file. Of two wanted alike zstd is taken: it is smaller
/// and quicker to undo.
pub(crate) fn chosen<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Coding> {
    let mut weights = Weights::default();
    for member in headers.flat_map(|value| value.split(',')) {
        let (name, weight) = member.split_once(';').unwrap_or((member, "q=1"));
        let weight = Some(thousandths(weight).unwrap_or(0));
        match name.trim().to_ascii_lowercase().as_str() {
            "zstd" => weights.zstd = weight,
            "gzip" | "x-gzip" => weights.gzip = weight,
            "identity" => weights.identity = weight,
            "*" => weights.others = weight,
            _ => {}
        }
    }
    let wanted = |weight: Option<u16>| weight.or(weights.others).unwrap_or(0);
    let (zstd, gzip) = (wanted(weights.zstd), wanted(weights.gzip));
    let (best, weight) = if zstd >= gzip { (Coding::Zstd, zstd) } else { (Coding::Gzip, gzip) };
    (weight > 0 && weight >= weights.identity.unwrap_or(0)).then_some(best)
}

/// `q=0.25` as 250.
fn thousandths(parameter: &str) -> Option<u16> {
    let value = parameter.trim().strip_prefix(['q', 'Q'])?.trim_start().strip_prefix('=')?.trim();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: u16 = if digits { format!("{fraction:0<3}").parse().ok()? } else { return None };
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_coding_is_taken() {
        for (header, expected) in [
            ("", None),
            ("identity", None),
            ("gzip", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("GZIP, deflate, br", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("zstd;q=0.5, gzip;q=0.8", Some(Coding::Gzip)),
            ("gzip;q=0", None),
            ("gzip; q=0.001", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *", Some(Coding::Gzip)),
            ("*;q=0", None),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0.5, gzip", Some(Coding::Gzip)),
            ("br", None),
        ] {
            assert_eq!(chosen([header].into_iter()), expected, "{header:?}");
        }
        assert_eq!(chosen(["br", "gzip"].into_iter()), Some(Coding::Gzip), "two headers are one list");
    }

    #[test]
    fn a_weight_that_is_none_is_not_wanted() {
        for header in [
            "gzip;q=",
            "gzip;q=2",
            "gzip;q=-1",
            "gzip;q=1.5",
            "gzip;q=0.0001",
            "gzip;level=9",
            ";;,,",
            "gzip;q=\u{e9}",
        ] {
            assert_eq!(chosen([header].into_iter()), None, "{header:?}");
        }
    }
}
