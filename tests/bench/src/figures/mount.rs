//! Opening a store and mounting a generation of 100 layers and a million chunks.

use super::{mebibytes, medians, met, milliseconds, nanoseconds};
use crate::aside;
use crate::contest::{Contender, Run, compete};
use crate::ours::{Plyos, Registry};
use crate::process;
use crate::report::{Section, Table};
use crate::settings::Settings;
use crate::store::content;
use anyhow::{Context, Result};
use plyos_namespace::namespace::{Namespace, NamespaceLayer};
use plyos_storefile::{RecordType, Store};
use plyos_trust::certificate::Certificate;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs in each round of `ROUNDS`.
const RUNS: usize = 7;
const TIME_BAR: Duration = Duration::from_millis(20);
const MEMORY_BAR: u64 = 32 << 20;

/// `pkg ls /`, and the steps of a mount called as a library.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Mount",
        "A store with 100 layers of 10,000 chunks each, 50,300 files in all. `pkg ls /` is a whole process: it opens the \
         store, takes a lease, checks the certificate of each layer with the keyring and the keyring with the root, opens \
         each index and lists the root of the namespace. `pkg --version` says what a process costs that does nothing. \
         Below, the steps called as a library. All from the page cache; medians. Bar: 20 ms and 32 MiB.",
    );
    let plyos = Plyos::new(settings, work.join("mount"))?;
    let registry = Registry::start(settings, &work.join("mount-registry"))?;
    plyos.found_repository(&registry)?;
    plyos.publish(&registry, &[])?;
    plyos.new_target(&registry)?;
    registry.end()?;
    eprintln!("bench: making a store of a million chunks");
    let (store, key) = (plyos.store(), plyos.keys().join("layer.key"));
    aside::start("fill-many", &[store.as_os_str(), key.as_os_str()])?;

    let run = |command: &mut Command| Ok(Run { own: process::run(command)?.0, registry: None });
    let contenders = vec![
        Contender::new("pkg --version", || run(Command::new(settings.programs.join("pkg")).arg("--version"))),
        Contender::new("pkg ls /", || run(plyos.pkg().args(["ls", "/"]))),
    ];
    let headings = ["", "wall", "CPU", "peak memory", "bar"].map(str::to_owned);
    let mut table = Table::new(headings.to_vec());
    for outcome in compete(settings.rounds * RUNS, contenders)? {
        let own = outcome.own;
        let bar = match outcome.name.as_str() {
            "pkg ls /" => format!(
                "{}, {} {}",
                milliseconds(TIME_BAR),
                mebibytes(MEMORY_BAR),
                met(own.wall < TIME_BAR && own.peak < MEMORY_BAR)
            ),
            _ => String::new(),
        };
        table.add(vec![
            outcome.name,
            milliseconds(own.wall),
            milliseconds(own.cpu),
            mebibytes(own.peak),
            bar,
        ]);
    }
    section.add("as processes".to_owned(), table);
    let count = (settings.rounds * RUNS).to_string();
    let mounts = aside::start("mounts", &[store.as_os_str(), count.as_ref()])?;
    section.add("as a library".to_owned(), table_of_steps(&mounts)?);
    Ok(section)
}

const STEPS: [&str; 4] = [
    "opening the store: both superblock copies and directories",
    "100 layers: page hashes, heads of the indexes",
    "100 certificates: reading and parsing",
    "listing the root",
];

fn table_of_steps(mounts: &Value) -> Result<Table> {
    let mut table = Table::new(["", "time"].map(str::to_owned).to_vec());
    for (field, name) in STEPS.iter().enumerate() {
        table.add(vec![(*name).to_owned(), milliseconds(Duration::from_nanos(medians(mounts, field)?))]);
    }
    Ok(table)
}

/// Mounts the active generation `count` times; for each the nanoseconds of every step.
pub fn steps(path: &Path, count: usize) -> Result<Value> {
    let mounts = (0..count).map(|_| mount(path).map(|steps| json!(steps.map(nanoseconds))));
    mounts.collect::<Result<Vec<_>>>().map(Value::Array)
}

fn mount(path: &Path) -> Result<[Duration; 4]> {
    let begin = Instant::now();
    let store = Store::open(path)?;
    let open = begin.elapsed();

    let begin = Instant::now();
    let ids = content::ids(&store);
    let mounted = ids
        .iter()
        .map(|id| store.mounted_layer(id)?.context("a layer is missing"))
        .collect::<Result<Vec<_>>>()?;
    let layers = mounted.iter().map(|layer| content::index(layer).map(NamespaceLayer::new));
    let namespace = Namespace::new(layers.collect::<Result<_>>()?);
    let indexes = begin.elapsed();

    let begin = Instant::now();
    for id in &ids {
        let bytes = store.record(RecordType::Certificate, id.as_bytes())?.context("no certificate")?;
        Certificate::parse(&bytes)?;
    }
    let certificates = begin.elapsed();

    let begin = Instant::now();
    let found = namespace.lookup(b"")?.context("the namespace has no root")?;
    namespace.children(&found)?.try_for_each(|child| child.map(drop))?;
    Ok([open, indexes, certificates, begin.elapsed()])
}
