//! The registry beside docker-registry and nginx: answers in a second, bytes in a second, pushes, memory, start.

use super::{mebibytes, met, milliseconds, ratio};
use crate::contest::median;
use crate::images::{Blob, Image};
use crate::load::{self, Rate};
use crate::ours::Registry;
use crate::process;
use crate::report::{Section, Table};
use crate::servers::Server;
use crate::settings::Settings;
use crate::store::many_blobs;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many times as many small answers as docker-registry, and what part of nginx's.
const SMALL_BARS: (f64, f64) = (20.0, 0.5);
/// What part of nginx's bytes with a large blob.
const LARGE_BAR: f64 = 0.7;
/// How many times as fast as docker-registry a push is to be.
const PUSH_BAR: f64 = 1.5;
/// Longest start, with this many blobs.
const START_BAR: Duration = Duration::from_millis(100);
const STORED: u32 = 100_000;
/// Most memory, in bytes, of the registry in all of it.
const MEMORY_BAR: u64 = 96 << 20;

const CONNECTIONS: [u32; 3] = [1, 8, 64];
/// Sizes in bytes of the blobs that are asked for alone.
const SIZES: [u64; 3] = [4 << 10, 64 << 10, 100 << 20];
/// Blobs of 4 KiB that are asked for in turn.
const MANY: usize = 1000;
const PUSHED: u64 = 500_000_000;

/// Registry, docker-registry and nginx over the same bytes.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Registry",
        "`plyos serve`, docker-registry and nginx (static files, `sendfile`) over the same bytes on loopback, without logs \
         and without rights; `wrk` for 2 s with 1, 8 and 64 connections kept alive, `curl` for one download. The three take \
         turns, and share the machine's cores with `wrk`; medians. nginx has no manifests: it serves the same bytes as a \
         file. *In turn*: 1000 blobs of 4 KiB, each once in a thousand requests.",
    );
    let mut bars = Table::new(["", "bar", "measured", ""].map(str::to_owned).to_vec());
    let peak = reads(settings, work, &mut section)?;
    let peak = peak.max(pushes(settings, work, &mut section)?);
    let started = start(settings, work)?;
    bars.add(vec![
        format!("from start to ready with {STORED} blobs"),
        format!("< {}", milliseconds(START_BAR)),
        milliseconds(started),
        met(started < START_BAR).into(),
    ]);
    bars.add(vec![
        "peak memory of `plyos serve` in all of this".into(),
        format!("< {}", mebibytes(MEMORY_BAR)),
        mebibytes(peak),
        met(peak < MEMORY_BAR).into(),
    ]);
    section.add("Other bars".into(), bars);
    Ok(section)
}

/// Three servers over the same image.
struct Three {
    ours: Registry,
    docker: Server,
    nginx: Server,
}

/// The same thing as each server names it: ours and docker-registry by one path, nginx by a file's.
struct Asked {
    name: String,
    registries: Vec<String>,
    files: Vec<String>,
}

impl Three {
    fn start(settings: &Settings, work: &Path, images: [&Image; 2]) -> Result<Self> {
        let three = Self {
            ours: Registry::start(settings, &work.join("plyos"))?,
            docker: Server::docker_registry(&work.join("docker"))?,
            nginx: Server::nginx(&work.join("nginx"), &work.join("images"))?,
        };
        for address in [three.ours.address(), three.docker.address()] {
            for image in images {
                copy(image, address)?;
            }
        }
        Ok(three)
    }

    /// The medians of what `measure` finds for ours, docker-registry and nginx, taking turns.
    fn compare(
        &self,
        rounds: usize,
        asked: &Asked,
        mut measure: impl FnMut(&str, &[String]) -> Result<f64>,
    ) -> Result<[f64; 3]> {
        let contenders = [
            (self.ours.address(), &asked.registries),
            (self.docker.address(), &asked.registries),
            (self.nginx.address(), &asked.files),
        ];
        let mut found = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for ((address, paths), found) in contenders.iter().zip(&mut found) {
                // Integers have an order; a thousandth of a request is precise enough.
                found.push((measure(address, paths)? * 1000.0) as u64);
            }
        }
        eprintln!("bench: {}: {found:?}", asked.name);
        let [ours, docker, nginx] =
            found.map(|found| median(found).map_or(f64::NAN, |middle| middle as f64 / 1000.0));
        Ok([ours, docker, nginx])
    }

    fn end(self) -> Result<u64> {
        self.docker.end()?;
        self.nginx.end()?;
        Ok(self.ours.end()?.peak)
    }
}

/// The tables of what is read; the registry's peak memory.
fn reads(settings: &Settings, work: &Path, section: &mut Section) -> Result<u64> {
    let place = work.join("images");
    let image = Image::make(&place, "alone", &SIZES)?;
    let many = Image::make(&place, "many", &[4096; MANY])?;
    let three = Three::start(settings, work, [&image, &many])?;
    let [small, medium, large] = image.layers.as_slice() else { anyhow::bail!("the image lacks layers") };

    let headings =
        ["requests in a second", "plyos", "docker-registry", "nginx", "÷ docker-registry", "÷ nginx", "bars"];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    let manifest = |reference: &str| Asked {
        name: format!("manifest by {}", if reference == "1" { "tag" } else { "digest" }),
        registries: vec![format!("/v2/{}/manifests/{reference}", image.name)],
        files: vec![image.file_path(&image.manifest)],
    };
    let things = [
        blobs("blob of 4 KiB", &image, std::slice::from_ref(small)),
        blobs("blobs of 4 KiB in turn", &many, &many.layers),
        blobs("blob of 64 KiB", &image, std::slice::from_ref(medium)),
        manifest("1"),
        manifest(&image.manifest.digest()),
    ];
    for asked in &things {
        for connections in CONNECTIONS {
            let rates = three.compare(settings.rounds, asked, |address, paths| {
                Ok(load::wrk(address, paths, connections, work)?.requests)
            })?;
            table.add(small_row(&asked.name, connections, rates));
        }
    }
    section.add("Small answers".into(), table);

    let headings =
        ["bytes in a second", "plyos", "docker-registry", "nginx", "÷ docker-registry", "÷ nginx", "bar"];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    let asked = blobs("blob of 100 MiB", &image, std::slice::from_ref(large));
    let once = three.compare(settings.rounds, &asked, |address, paths| {
        let path = paths.first().context("nothing to ask for")?;
        Ok(large.size as f64 / load::download(address, path)?.as_secs_f64())
    })?;
    table.add(large_row("curl, one download", once));
    for connections in CONNECTIONS {
        let rates = three.compare(settings.rounds, &asked, |address, paths| {
            let Rate { bytes, .. } = load::wrk(address, paths, connections, work)?;
            Ok(bytes)
        })?;
        table.add(large_row(&connected("wrk", connections), rates));
    }
    section.add("A blob of 100 MiB".into(), table);
    three.end()
}

fn blobs(name: &str, image: &Image, blobs: &[Blob]) -> Asked {
    Asked {
        name: name.to_owned(),
        registries: blobs.iter().map(|blob| image.registry_path(blob)).collect(),
        files: blobs.iter().map(|blob| image.file_path(blob)).collect(),
    }
}

fn connected(name: &str, connections: u32) -> String {
    format!("{name}, {connections} connection{}", if connections == 1 { "" } else { "s" })
}

fn small_row(name: &str, connections: u32, [ours, docker, nginx]: [f64; 3]) -> Vec<String> {
    let (of_docker, of_nginx) = SMALL_BARS;
    let kept = ours >= of_docker * docker && ours >= of_nginx * nginx;
    let mut row = vec![connected(name, connections)];
    row.extend([ours, docker, nginx].map(|rate| format!("{rate:.0}")));
    row.extend([ratio(ours, docker), ratio(ours, nginx)]);
    row.push(format!("≥ {of_docker:.0}, ≥ {of_nginx} {}", met(kept)));
    row
}

fn large_row(name: &str, [ours, docker, nginx]: [f64; 3]) -> Vec<String> {
    let mut row = vec![name.to_owned()];
    row.extend([ours, docker, nginx].map(|rate| format!("{:.0} MB", rate / 1e6)));
    row.extend([ratio(ours, docker), ratio(ours, nginx)]);
    row.push(format!("≥ {LARGE_BAR} {}", met(ours >= LARGE_BAR * nginx)));
    row
}

/// The table of pushes; the registry's peak memory.
fn pushes(settings: &Settings, work: &Path, section: &mut Section) -> Result<u64> {
    let image = Image::make(&work.join("images"), "pushed", &[PUSHED])?;
    let layer = image.layers.first().context("the image lacks its layer")?;
    let mut peak = 0;
    // Each push goes into an empty registry, so that no server can know the bytes already.
    let mut ours = |push: Push<'_>| -> Result<Duration> {
        let registry = Registry::start(settings, &work.join("plyos"))?;
        let took = push(registry.address())?;
        peak = peak.max(registry.end()?.peak);
        Ok(took)
    };
    let docker = |push: Push<'_>| -> Result<Duration> {
        let registry = Server::docker_registry(&work.join("docker"))?;
        push(registry.address())
    };
    let with_curl = |address: &str| load::push(address, image.name, &image.file(layer), &layer.digest());
    let with_skopeo = |address: &str| copy(&image, address);
    let ways: [(&str, Push<'_>); 2] = [("curl, POST and PUT", &with_curl), ("skopeo copy", &with_skopeo)];

    let headings = ["500 MB into an empty registry", "plyos", "docker-registry", "times as fast", "bar"];
    let mut table = Table::new(headings.map(str::to_owned).to_vec());
    for (name, push) in ways {
        let (mut our_times, mut docker_times) = (Vec::new(), Vec::new());
        for _ in 0..settings.rounds {
            process::run(&mut Command::new("sync"))?;
            our_times.push(ours(push)?);
            process::run(&mut Command::new("sync"))?;
            docker_times.push(docker(push)?);
        }
        eprintln!("bench: push, {name}: {our_times:?}, docker-registry {docker_times:?}");
        let seconds = |times| median(times).map_or(f64::NAN, |time: Duration| time.as_secs_f64());
        let (ours, docker) = (seconds(our_times), seconds(docker_times));
        let rate = |seconds: f64| format!("{seconds:.2} s, {:.0} MB/s", PUSHED as f64 / seconds / 1e6);
        table.add(vec![
            name.to_owned(),
            rate(ours),
            rate(docker),
            ratio(docker, ours),
            format!("≥ {PUSH_BAR} {}", met(docker >= PUSH_BAR * ours)),
        ]);
    }
    section.add("Push".into(), table);
    Ok(peak)
}

/// How long a registry takes from its start until it has answered that it is ready. What `curl` takes to start is in it.
fn start(settings: &Settings, work: &Path) -> Result<Duration> {
    let storage = work.join("plyos");
    let (path, bytes) = many_blobs::fill(&storage, STORED)?;
    let mut times = Vec::new();
    for _ in 0..settings.rounds {
        let begin = Instant::now();
        let registry = Registry::over(settings, &storage)?;
        load::download(registry.address(), "/readyz")?;
        times.push(begin.elapsed());
        let got = load::content(registry.address(), &path)?;
        ensure!(got == bytes, "the registry does not serve what it was started with");
    }
    eprintln!("bench: from start to ready: {times:?}");
    median(times).context("no rounds")
}

/// Copies an image into a registry with skopeo, byte for byte; how long that took.
fn copy(image: &Image, address: &str) -> Result<Duration> {
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false"]);
    command
        .arg(format!("oci:{}:1", image.folder().display()))
        .arg(format!("docker://{address}/{}:1", image.name));
    Ok(process::run(&mut command)?.0.wall)
}

/// Pushes to the registry at an address, and says how long it took.
type Push<'a> = &'a dyn Fn(&str) -> Result<Duration>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_keeps_both_bars_or_none() {
        let last = |rates| small_row("x", 1, rates).pop().unwrap();
        assert!(last([2000.0, 100.0, 4000.0]).ends_with(" met"));
        assert!(last([1999.0, 100.0, 3000.0]).contains("missed"), "docker-registry");
        assert!(last([2000.0, 100.0, 4001.0]).contains("missed"), "nginx");
        assert!(large_row("x", [70.0, 1.0, 100.0]).pop().unwrap().ends_with(" met"));
        assert!(large_row("x", [69.0, 1.0, 100.0]).pop().unwrap().contains("missed"));
    }

    #[test]
    fn connections_are_counted_in_english() {
        assert_eq!(connected("blob", 1), "blob, 1 connection");
        assert_eq!(connected("blob", 8), "blob, 8 connections");
    }
}
