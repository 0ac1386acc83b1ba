//! The facts as Prometheus text (exposition format 0.0.4).

use alloc::{format, string::String};
use core::fmt::{Display, Write};

use plyos_kernel_logic::Counts;

use super::Facts;
use crate::machine::Disk;

/// Name, kind and help of a family, and its value in something that there may be several of.
type Family<T> = (&'static str, &'static str, &'static str, fn(&T) -> u64);

/// The type with which the text is sent.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Names with their labels and values, as a scraper reads them.
pub fn metrics(facts: &Facts) -> String {
    let mut text = Text(String::new());
    text.family("plyos_info", "gauge", "What runs: always 1.");
    // A sample for each slot that names what is shown; one without, if none does.
    let (generation, slots) = match &facts.mounted {
        Some(mounted) => (format!("{}", mounted.generation), mounted.slots.as_slice()),
        None => (String::new(), &[][..]),
    };
    for (slot, state) in if slots.is_empty() { &[("", "")] } else { slots } {
        let labels =
            [("version", facts.version), ("generation", &*generation), ("slot", *slot), ("state", *state)];
        text.sample("plyos_info", &labels, 1);
    }
    text.single(
        "plyos_mounted",
        "gauge",
        "1 when a generation is mounted.",
        u8::from(facts.mounted.is_some()),
    );
    let uptime = format!("{}.{:06}", facts.uptime.as_secs(), facts.uptime.subsec_micros());
    text.single("plyos_uptime_seconds", "counter", "Time since the kernel was started.", uptime);
    text.family("plyos_memory_bytes", "gauge", "Memory by what it is.");
    let memory = &facts.memory;
    for (what, bytes) in [
        ("total", memory.total),
        ("free", memory.free),
        ("image", memory.image),
        ("heap_limit", memory.heap_limit),
        ("heap_used", memory.heap_used),
        ("heap_peak", memory.heap_peak),
    ] {
        text.sample("plyos_memory_bytes", &[("what", what)], bytes);
    }
    if let Some(mounted) = &facts.mounted {
        text.single("plyos_generation", "gauge", "Number of the shown generation.", mounted.generation);
        text.single("plyos_layers", "gauge", "Layers of the shown generation.", mounted.layers);
        let help = "Reads that met damage, which is never given out.";
        text.single("plyos_damage_total", "counter", help, mounted.damage);
        let families: [Family<Counts>; 5] = [
            ("plyos_cache_hits_total", "counter", "Asked for and there.", |counts| counts.hits),
            ("plyos_cache_misses_total", "counter", "Asked for and read.", |counts| counts.misses),
            ("plyos_cache_evicted_total", "counter", "Thrown out for others.", |counts| counts.evicted),
            ("plyos_cache_bytes", "gauge", "Bytes in the cache.", |counts| counts.bytes),
            ("plyos_cache_limit_bytes", "gauge", "Most bytes that it takes.", |counts| counts.limit),
        ];
        for (name, kind, help, value) in families {
            text.family(name, kind, help);
            text.sample(name, &[("of", "chunks")], value(&mounted.cache.chunks));
            text.sample(name, &[("of", "pages")], value(&mounted.cache.pages));
        }
    }
    disks(facts, &mut text);
    network(facts, &mut text);
    text.0
}

fn disks(facts: &Facts, text: &mut Text) {
    let families: [Family<Disk>; 5] = [
        ("plyos_disk_requests_total", "counter", "Requests that were made.", |disk| disk.requests),
        ("plyos_disk_read_bytes_total", "counter", "Bytes that were read.", |disk| disk.read_bytes),
        ("plyos_disk_written_bytes_total", "counter", "Bytes that were written.", |disk| disk.written_bytes),
        ("plyos_disk_flushes_total", "counter", "Finished flushes.", |disk| disk.flushes),
        ("plyos_disk_errors_total", "counter", "Requests that failed.", |disk| disk.errors),
    ];
    for (name, kind, help, value) in families.into_iter().filter(|_| !facts.disks.is_empty()) {
        text.family(name, kind, help);
        for disk in &facts.disks {
            text.sample(name, &[("disk", &disk.name)], value(disk));
        }
    }
}

fn network(facts: &Facts, text: &mut Text) {
    let Some(network) = &facts.network else { return };
    text.single(
        "plyos_net_up",
        "gauge",
        "1 when the card is used and has an address.",
        u8::from(network.is_up()),
    );
    text.single("plyos_net_connections", "gauge", "Connections that are open.", network.connections);
    text.family("plyos_net_frames_total", "counter", "Frames by direction.");
    text.sample("plyos_net_frames_total", &[("way", "received")], network.received.0);
    text.sample("plyos_net_frames_total", &[("way", "sent")], network.sent.0);
    text.family("plyos_net_bytes_total", "counter", "Bytes by direction.");
    text.sample("plyos_net_bytes_total", &[("way", "received")], network.received.1);
    text.sample("plyos_net_bytes_total", &[("way", "sent")], network.sent.1);
    text.single("plyos_net_errors_total", "counter", "Frames that were dropped or refused.", network.errors);
    text.single("plyos_pages_total", "counter", "Pages that were asked of this server.", network.pages);
}

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (number, (label, text)) in labels.iter().enumerate() {
            self.0.push(if number == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
