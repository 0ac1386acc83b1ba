//! Progress of long work, on a terminal only.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// How much a program says beyond its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Results and failures only.
    Quiet,
    /// The steps of long work as well.
    Normal,
    /// Details.
    Verbose,
}

impl Verbosity {
    /// What `-q` and `-v` ask for.
    pub fn of(quiet: bool, verbose: bool) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (_, true) => Self::Verbose,
            _ => Self::Normal,
        }
    }
}

/// Draws bars and prints steps.
#[derive(Debug, Clone)]
pub struct Progress {
    verbosity: Verbosity,
    json: bool,
}

impl Progress {
    /// Bars are drawn when stderr is a terminal; with JSON on stdout no step is printed on stdout.
    pub fn new(verbosity: Verbosity, json: bool) -> Self {
        Self { verbosity, json }
    }

    /// Whether results are JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// A step that a person likes to see on stdout.
    pub fn step(&self, text: &str) {
        if !self.json && self.verbosity >= Verbosity::Normal {
            crate::say!("{text}");
        }
    }

    /// Whether details are told.
    pub fn is_verbose(&self) -> bool {
        self.verbosity >= Verbosity::Verbose
    }

    /// A detail, with `-v`, on stderr.
    pub fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            crate::tell!("{text}");
        }
    }

    /// A warning on stderr.
    pub fn warn(&self, text: &str) {
        if self.verbosity > Verbosity::Quiet {
            crate::tell!("warning: {text}");
        }
    }

    /// A bar over `total` bytes.
    pub fn bytes(&self, doing: &str, total: u64) -> ProgressBar {
        let bar = self.bar(total);
        let template = "{msg:28} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(doing.to_owned());
        bar
    }

    /// Bars of a download of several layers, `total` bytes together.
    pub fn download(&self, total: u64) -> Download {
        let bars = MultiProgress::with_draw_target(self.draw_target());
        let all = bars.add(ProgressBar::new(total));
        all.set_style(style(ALL));
        all.set_message("all");
        Download { bars, all }
    }

    fn bar(&self, total: u64) -> ProgressBar {
        ProgressBar::with_draw_target(Some(total), self.draw_target())
    }

    fn draw_target(&self) -> ProgressDrawTarget {
        let drawn = self.verbosity >= Verbosity::Normal && std::io::stderr().is_terminal();
        if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
    }
}

/// One layer: what came of how much, how fast. At 80 columns the bar has 17.
const LAYER: &str = "{msg:24!} {wide_bar} {bytes:>10} / {total_bytes:<10} {bytes_per_sec:>12}";
/// All of them: the time that is left as well.
const ALL: &str = "{msg:24!} {wide_bar} {bytes:>10} / {total_bytes:<10} {eta:>7} left";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A download of several layers: a bar for each that is under way, and below them one for all.
#[derive(Debug)]
pub struct Download {
    bars: MultiProgress,
    all: ProgressBar,
}

impl Download {
    /// The bar of one layer of `total` bytes.
    pub fn layer(&self, name: &str, total: u64) -> LayerBar {
        let bar = self.bars.insert_before(&self.all, ProgressBar::new(total));
        bar.set_style(style(LAYER));
        bar.set_message(name.to_owned());
        LayerBar { bar, all: self.all.clone() }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.all.finish_and_clear();
    }
}

/// The bar of one layer; it goes when it is dropped.
#[derive(Debug)]
pub struct LayerBar {
    bar: ProgressBar,
    all: ProgressBar,
}

impl LayerBar {
    /// So many bytes more came.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
        self.all.inc(bytes);
    }
}

impl Drop for LayerBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::TermLike;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A terminal of 80 columns that keeps what is written to it.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            // Lines are parted by moves of the cursor; what is written at once is no more than one.
            let mut shown = self.0.lock().unwrap();
            shown.push_str(text);
            shown.push('\n');
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_layer_and_all_of_them_in_eighty_columns() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        let bars = MultiProgress::with_draw_target(target);
        let all = bars.add(ProgressBar::new(4 << 20));
        all.set_style(style(ALL));
        all.set_message("all");
        let download = Download { bars, all };
        let layer = download.layer("a-package-with-a-very-long-name 1.0-1", 2 << 20);
        layer.advance(1 << 20);
        drop(layer);
        drop(download);
        let shown = screen.0.lock().unwrap().clone();
        let lines: Vec<&str> = shown.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let begins = |with: &str| lines.iter().any(|line| line.starts_with(with));
        assert!(begins("a-package-with-a-very-lo ") && begins("all "), "{shown}");
        assert!(lines.iter().any(|line| line.ends_with("left")), "{shown}");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{shown}");
    }
}
