//! The facts as a page for people.

use alloc::{format, string::String};
use core::fmt::Write;

use super::Facts;
use crate::commands::machine::size;

/// The page, whole.
pub fn page(facts: &Facts) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(rows, "<tr><th>{}</th><td>{}</td></tr>", escaped(name), escaped(value));
    };
    row("kernel", &format!("Plyos {}", facts.version));
    row("up", &format!("{} s", facts.uptime.as_secs()));
    match &facts.mounted {
        Some(mounted) => {
            row("generation", &format!("{} ({} layers)", mounted.generation, mounted.layers));
            row("slot", &mounted.place);
            row("damage met", &format!("{} times", mounted.damage));
            for (name, counts) in [("chunks", mounted.cache.chunks), ("pages", mounted.cache.pages)] {
                let (bytes, limit) = (size(counts.bytes), size(counts.limit));
                let seen = format!("{bytes} of {limit}, {} hits, {} misses", counts.hits, counts.misses);
                row(&format!("cache of {name}"), &seen);
            }
        }
        None => row("generation", "none: nothing could be mounted"),
    }
    for reason in &facts.reasons {
        row("passed over", reason);
    }
    row("memory", &format!("{} free of {}", size(facts.memory.free), size(facts.memory.total)));
    row("heap", &format!("{} of {}", size(facts.memory.heap_used), size(facts.memory.heap_limit)));
    for disk in &facts.disks {
        row(
            &format!("disk {}", disk.name),
            &format!("{}, {} read, {} errors", size(disk.bytes), size(disk.read_bytes), disk.errors),
        );
    }
    if let Some(network) = &facts.network {
        let address = network
            .address
            .map_or_else(|| String::from("none yet"), |(address, prefix)| format!("{address}/{prefix}"));
        let broken =
            network.broken.as_ref().map_or_else(String::new, |broken| format!(", not used: {broken}"));
        row(
            "network",
            &format!(
                "{address}, {} received, {} sent{broken}",
                size(network.received.1),
                size(network.sent.1)
            ),
        );
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Plyos</title>\
         <style>body{{font:16px sans-serif;margin:2em}}th{{text-align:left;padding-right:2em}}</style></head>\n\
         <body><h1>Plyos</h1>\n<table>\n{rows}</table>\n<p><a href=\"/metrics\">metrics</a></p></body></html>\n"
    )
}

/// Text inside an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
