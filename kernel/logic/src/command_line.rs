//! What the machine was started with: words `key=value`, separated by spaces.
//!
//! A word that is not known, or whose value makes no sense, is told and passed over: a machine that does not start because of a
//! misspelt word helps nobody. What is left out has its default.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use plyos_slots::SlotName;

use crate::Level;

/// Longest command line that is read, in bytes; what is behind is told as one unknown word.
pub const LONGEST: usize = 4096;

/// What to do when the kernel panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnPanic {
    /// Stop, and leave the text on the screen.
    #[default]
    Halt,
    /// Start again.
    Reset,
    /// Leave the emulator by its exit device.
    Exit,
}

impl OnPanic {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Halt, Self::Reset, Self::Exit];

    /// What the last word `panic=` of a command line says. Allocates nothing: panics may come before there is memory.
    pub fn of(command_line: &[u8]) -> Self {
        let (head, _) = head(command_line);
        let named = |word| Self::named(core::str::from_utf8(word).ok()?.strip_prefix("panic=")?);
        words(head).filter_map(named).last().unwrap_or_default()
    }

    fn named(value: &str) -> Option<Self> {
        match value {
            "halt" => Some(Self::Halt),
            "reset" => Some(Self::Reset),
            "exit" => Some(Self::Exit),
            _ => None,
        }
    }
}

/// A parsed command line. Its word `panic=` is no field: [`OnPanic::of`] reads it, before there is memory for this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// `log=`: the least important level that is shown.
    pub log: Level,
    /// `cache=`: bytes of the cache; a share of memory when absent.
    pub cache: Option<u64>,
    /// `heap=`: bytes of the heap; a share of memory when absent.
    pub heap: Option<u64>,
    /// `slot=`: only look at this slot; nothing is counted.
    pub slot: Option<SlotName>,
    /// `ro`: never write to the store.
    pub read_only: bool,
    /// `net=off` turns the network off.
    pub net: bool,
    /// `pci=assign`: virtio devices on PCI get new addresses, whatever firmware gave them.
    pub pci_assign: bool,
    /// `provoke=`: a mistake to make on purpose, for tests; the machine knows their names.
    pub provoke: Option<String>,
    /// Devices on virtio's memory-mapped transport, in the words of Linux: `SIZE@ADDRESS:IRQ`.
    pub virtio_mmio: Vec<VirtioMmio>,
    /// Words that were passed over, for the log.
    pub unknown: Vec<String>,
}

/// A device of virtio's memory-mapped transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtioMmio {
    /// Bytes of its registers.
    pub size: u64,
    /// Physical address of its registers.
    pub address: u64,
    /// Its interrupt line.
    pub irq: u32,
}

impl Default for CommandLine {
    fn default() -> Self {
        Self {
            log: Level::Info,
            cache: None,
            heap: None,
            slot: None,
            read_only: false,
            net: true,
            pci_assign: false,
            provoke: None,
            virtio_mmio: Vec::new(),
            unknown: Vec::new(),
        }
    }
}

impl CommandLine {
    /// Reads a command line. Of a word that stands there twice the last one counts.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        let (head, rest) = head(bytes);
        for word in words(head) {
            let known = core::str::from_utf8(word).is_ok_and(|word| found.take(word).is_some());
            if !known {
                found.unknown.push(String::from_utf8_lossy(word).into_owned());
            }
        }
        if !rest.is_empty() {
            found.unknown.push(alloc::format!("({} bytes behind the first {LONGEST})", rest.len()));
        }
        found
    }

    /// Takes one word; `None` when it is none that is known.
    fn take(&mut self, word: &str) -> Option<()> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match (key, value) {
            ("ro", "") if word == "ro" => self.read_only = true,
            ("log", _) => self.log = Level::parse(value)?,
            ("panic", _) => _ = OnPanic::named(value)?,
            ("cache", _) => self.cache = Some(size(value)?),
            ("heap", _) => self.heap = Some(size(value)?),
            ("slot", "a" | "A") => self.slot = Some(SlotName::A),
            ("slot", "b" | "B") => self.slot = Some(SlotName::B),
            ("net", "off") => self.net = false,
            ("net", "on") => self.net = true,
            ("pci", "assign") => self.pci_assign = true,
            ("provoke", name) if !name.is_empty() => self.provoke = Some(name.to_string()),
            ("virtio_mmio.device", _) => self.virtio_mmio.push(virtio_mmio(value)?),
            _ => return None,
        }
        Some(())
    }
}

/// What is read of a command line, and what is behind it.
fn head(bytes: &[u8]) -> (&[u8], &[u8]) {
    bytes.split_at_checked(LONGEST).unwrap_or((bytes, &[]))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    bytes.split(is_space).filter(|word| !word.is_empty())
}

/// Bytes: digits, or digits with `K`, `M` or `G` behind them. Never 0.
fn size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.to_ascii_uppercase().strip_suffix(['K', 'M', 'G']) {
        Some(digits) => {
            let factor = match text.as_bytes().last()?.to_ascii_uppercase() {
                b'K' => 1 << 10,
                b'M' => 1 << 20,
                _ => 1 << 30,
            };
            (digits.to_string(), factor)
        }
        None => (text.to_string(), 1),
    };
    number(&digits)?.checked_mul(factor).filter(|size| *size > 0)
}

/// A number, decimal or hexadecimal with `0x`.
fn number(text: &str) -> Option<u64> {
    let digits = |text: &str, radix| {
        let plain = !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
        if plain { u64::from_str_radix(text, radix).ok() } else { None }
    };
    match text.strip_prefix("0x") {
        Some(hexadecimal) => digits(hexadecimal, 16),
        None => digits(text, 10),
    }
}

fn virtio_mmio(text: &str) -> Option<VirtioMmio> {
    let (bytes, place) = text.split_once('@')?;
    let mut parts = place.split(':');
    let (address, irq) = (number(parts.next()?)?, number(parts.next()?)?);
    // Linux takes an identifier behind the interrupt.
    parts.next().map_or(Some(0), number)?;
    let size = size(bytes)?;
    address.checked_add(size)?;
    Some(VirtioMmio { size, address, irq: u32::try_from(irq).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    fn parse(text: &str) -> CommandLine {
        CommandLine::parse(text.as_bytes())
    }

    #[test]
    fn every_word_is_read_and_nothing_is_left_over() {
        let found = parse(
            "log=debug panic=exit cache=8M heap=0x100000 slot=b ro net=off pci=assign provoke=null-read virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=1K@0xfeb00c00:11:0",
        );
        let device = |size, address, irq| VirtioMmio { size, address, irq };
        let expected = CommandLine {
            log: Level::Debug,
            cache: Some(8 << 20),
            heap: Some(1 << 20),
            slot: Some(SlotName::B),
            read_only: true,
            net: false,
            pci_assign: true,
            provoke: Some("null-read".to_string()),
            virtio_mmio: vec![device(512, 0xfeb0_0e00, 12), device(1024, 0xfeb0_0c00, 11)],
            unknown: Vec::new(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_gives_the_defaults_and_the_last_of_two_counts() {
        assert_eq!(parse(""), CommandLine::default());
        assert_eq!(parse(" \0\t\n"), CommandLine::default());
        assert_eq!(parse("log=debug log=error").log, Level::Error);
    }

    #[test]
    fn words_that_make_no_sense_are_told_and_passed_over() {
        for word in [
            "quiet",
            "log=",
            "log=loud",
            "panic=sleep",
            "cache=",
            "cache=0",
            "cache=-1",
            "cache=+1",
            "cache=1T",
            "heap=99999999999999999999",
            "heap=18446744073709551615G",
            "slot=c",
            "ro=1",
            "net=",
            "pci=",
            "root=/dev/vda",
            "virtio_mmio.device=512",
            "virtio_mmio.device=0@0x1000:5",
            "virtio_mmio.device=512@0x1000:99999999999",
            "virtio_mmio.device=512@0xffffffffffffffff:1",
            "virtio_mmio.device=512@0x1000:5:x",
            "=",
            "é=é",
        ] {
            let found = parse(word);
            assert_eq!(found.unknown, [word], "{word}");
            assert_eq!(
                found,
                CommandLine { unknown: found.unknown.clone(), ..CommandLine::default() },
                "{word}"
            );
        }
        assert_eq!(CommandLine::parse(b"\xff\xfe ro").unknown.len(), 1);
        assert!(CommandLine::parse(b"\xff\xfe ro").read_only);
    }

    #[test]
    fn what_a_panic_does_is_the_last_word_that_says_it() {
        for (line, wanted) in [
            ("", OnPanic::Halt),
            ("panic=reset", OnPanic::Reset),
            ("log=debug\0panic=exit\n", OnPanic::Exit),
            ("panic=exit panic=reset", OnPanic::Reset),
            ("panic=exit panic=sleep panic= panic", OnPanic::Exit),
            ("panic=reset nopanic=exit panic=exit2", OnPanic::Reset),
        ] {
            assert_eq!(OnPanic::of(line.as_bytes()), wanted, "{line}");
        }
        assert_eq!(OnPanic::of(b"\xff panic=exit \xff"), OnPanic::Exit);
        let behind = [&[b' '; LONGEST][..], b"panic=exit"].concat();
        assert_eq!(OnPanic::of(&behind), OnPanic::Halt, "what is not read says nothing");
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_told() {
        let long = [b"ro ".as_slice(), &vec![b'x'; LONGEST + 10]].concat();
        let found = CommandLine::parse(&long);
        assert!(found.read_only);
        assert_eq!(found.unknown.len(), 2);
    }
}
