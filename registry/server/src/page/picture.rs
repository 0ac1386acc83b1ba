//! Pictures of sharing as inline SVG: one bar for each row, of which the solid part is new and the pale part was there before.
//!
//! No script and no style attribute (the page's policy allows neither): sizes are attributes, colours come from the style
//! sheet by class. Each picture names a text that says the same.

use maud::{Markup, html};

use super::shown;

/// Width of the longest bar, in units of the view box.
const BAR: u64 = 740;
/// Where bars begin.
const LEFT: u64 = 190;
/// Height of a row.
const ROW: u64 = 24;
/// Most characters of a label; what is longer is cut in the middle.
const LABEL: usize = 26;

/// A bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) label: String,
    /// All that is referred to.
    pub(super) whole: u64,
    /// What of it is stored for this row alone; at most `whole`.
    pub(super) new: u64,
}

impl Bar {
    fn old(&self) -> u64 {
        self.whole.saturating_sub(self.new)
    }
}

/// The picture; `id` is unique on its page, `described_by` the id of the table that says the same.
pub(super) fn bars(id: &str, title: &str, described_by: &str, bars: &[Bar]) -> Markup {
    let longest = bars.iter().map(|bar| bar.whole).max().unwrap_or(0).max(1);
    let height = bars.len() as u64 * ROW + 4;
    let scale = |bytes: u64| (u128::from(bytes) * u128::from(BAR) / u128::from(longest)) as u64;
    let title_id = format!("{id}-title");
    html! {
        svg .bars id=(id) viewBox={ "0 0 1040 " (height) } role="img" aria-labelledby=(title_id) aria-describedby=(described_by)
            preserveAspectRatio="xMinYMin meet" {
            title id=(title_id) { (title) }
            @for (row, bar) in bars.iter().enumerate() {
                @let top = row as u64 * ROW + 2;
                @let new = if bar.new > 0 { scale(bar.new.min(bar.whole)).max(2) } else { 0 };
                @let whole = scale(bar.whole).max(new);
                g {
                    title { (bar.label) ": " (words(bar)) }
                    text .label x=(LEFT - 10) y=(top + 15) text-anchor="end" { (fitted(&bar.label)) }
                    rect .old x=(LEFT) y=(top + 3) width=(whole) height=(ROW - 8) rx="2" {}
                    rect .new x=(LEFT) y=(top + 3) width=(new) height=(ROW - 8) rx="2" {}
                    text .value x=(LEFT + whole + 8) y=(top + 15) { (shown::bytes(bar.whole)) }
                }
            }
        }
    }
}

/// What a bar shows, in words.
pub(super) fn words(bar: &Bar) -> String {
    format!(
        "{} in all, {} new, {} was there before",
        shown::bytes(bar.whole),
        shown::bytes(bar.new),
        shown::bytes(bar.old())
    )
}

fn fitted(label: &str) -> String {
    let chars: Vec<char> = label.chars().collect();
    if chars.len() <= LABEL {
        return label.to_owned();
    }
    let (head, tail) = (LABEL / 2 - 1, LABEL / 2);
    let part = |chars: &[char]| chars.iter().collect::<String>();
    format!(
        "{}…{}",
        part(chars.get(..head).unwrap_or_default()),
        part(chars.get(chars.len() - tail..).unwrap_or_default())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(whole: u64, new: u64) -> Bar {
        Bar { label: "<a&b>".into(), whole, new }
    }

    #[test]
    fn bars_are_to_scale_and_labels_escaped() {
        let svg = bars("p", "t<", "d", &[bar(1000, 1000), bar(500, 100), bar(u64::MAX / 2, 1)]).into_string();
        assert!(!svg.contains("<a&b>") && svg.contains("&lt;a&amp;b&gt;") && svg.contains("t&lt;"));
        let svg = bars("p", "t", "d", &[bar(1000, 250)]).into_string();
        assert!(svg.contains(r#"width="740""#) && svg.contains(r#"width="185""#), "{svg}");
        assert!(!svg.contains("style="), "the policy allows no inline style");
    }

    #[test]
    fn nothing_at_all_is_a_picture_too() {
        assert!(bars("p", "t", "d", &[bar(0, 0)]).into_string().contains(r#"width="0""#));
        assert!(bars("p", "t", "d", &[]).into_string().contains("svg"));
    }

    #[test]
    fn long_labels_keep_both_ends() {
        let long = format!("begin{}end", "x".repeat(100));
        let cut = fitted(&long);
        assert_eq!(cut.chars().count(), LABEL);
        assert!(cut.starts_with("begin") && cut.ends_with("end"));
    }
}
