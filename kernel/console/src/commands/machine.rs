//! `free`, `lsblk`, `net`, `log`: what needs no store.

use alloc::{format, string::String};

use plyos_kernel_logic::{Level, Line};

use crate::{
    Standing,
    failure::Failure,
    glyph,
    machine::Machine,
    system::System,
    terminal::{Out, Terminal},
};

/// `free`: memory, in KiB.
pub(crate) fn free<S: System>(
    machine: &impl Machine,
    standing: &Standing<'_, S>,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    let memory = machine.memory();
    let mut row = |name: &str, bytes: u64| out.line(format_args!("{name:<12} {:>10} KiB", bytes >> 10));
    row("total", memory.total)?;
    row("free", memory.free)?;
    row("image", memory.image)?;
    row("heap limit", memory.heap_limit)?;
    row("heap used", memory.heap_used)?;
    row("heap peak", memory.heap_peak)?;
    if let Standing::Mounted(system) = standing {
        let cache = system.cache();
        row("cache", cache.chunks.bytes + cache.pages.bytes)?;
        row("cache limit", cache.chunks.limit + cache.pages.limit)?;
    }
    Ok(())
}

/// `lsblk`: block devices and what they did.
pub(crate) fn disks(machine: &impl Machine, out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    let disks = machine.disks();
    if disks.is_empty() {
        return Ok(out.line(format_args!("no block device: give the machine a virtio disk with a store"))?);
    }
    for disk in disks {
        let access = if disk.read_only { "read-only" } else { "read-write" };
        let (name, size) = (glyph::line(&disk.name), size(disk.bytes));
        out.line(format_args!(
            "{name} {size} {access}, {} requests, {} read, {} written, {} flushes, {} errors",
            disk.requests,
            self::size(disk.read_bytes),
            self::size(disk.written_bytes),
            disk.flushes,
            disk.errors
        ))?;
    }
    Ok(())
}

/// `net`: the network device.
pub(crate) fn network(machine: &impl Machine, out: &mut Out<'_, impl Terminal>) -> Result<(), Failure> {
    let Some(network) = machine.network() else {
        return Ok(out.line(format_args!(
            "no network: the machine has no virtio network device, or net=off was given"
        ))?);
    };
    let [a, b, c, d, e, f] = network.mac;
    out.line(format_args!("hardware {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"))?;
    if let Some(broken) = &network.broken {
        out.line(format_args!("card     not used any more: {}", glyph::line(broken)))?;
    }
    match network.address {
        Some((address, prefix)) => out.line(format_args!("address  {address}/{prefix}"))?,
        None => out.line(format_args!("address  none yet: DHCP has not answered"))?,
    }
    if let Some(gateway) = network.gateway {
        out.line(format_args!("gateway  {gateway}"))?;
    }
    for resolver in network.resolvers {
        out.line(format_args!("resolver {resolver}"))?;
    }
    for (way, (frames, bytes)) in [("received", network.received), ("sent", network.sent)] {
        out.line(format_args!("{way:<8} {frames} frames of {}", size(bytes)))?;
    }
    out.line(format_args!("errors   {}", network.errors))?;
    out.line(format_args!("open     {} connections", network.connections))?;
    Ok(out.line(format_args!("pages    {}", network.pages))?)
}

/// `log`: its last lines.
pub(crate) fn log(
    machine: &impl Machine,
    least: Level,
    last: usize,
    out: &mut Out<'_, impl Terminal>,
) -> Result<(), Failure> {
    for Line { at, level, text, .. } in machine.log(least, last) {
        let (seconds, micros) = (at / 1_000_000, at % 1_000_000);
        out.line(format_args!("{seconds:>5}.{micros:06} {level:<7} {}", glyph::line(&text)))?;
    }
    Ok(())
}

/// Bytes for people, with one digit after the point.
pub(crate) fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 {
            let tenths = (bytes >> (shift - 10)).saturating_mul(10) >> 10;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}
