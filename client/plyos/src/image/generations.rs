//! Which generations go into an image, and what they are called there.
//!
//! A generation goes in as it is, unless layers are left out or `pkg` made it for this image: then it is another one, whose time
//! and command say nothing of the hour and the folder in which the image was made.

use super::failure;
use super::needs;
use super::options::StoreImage;
use plyos_ids::GenerationId;
use plyos_namespace::generation::{Generation, GenerationParts};
use plyos_report::{ExitCode, Failure, OrFail};
use plyos_storefile::{Lease, RecordType, Store};
use std::collections::BTreeSet;

/// The generations of an image.
pub struct Chosen {
    /// One or two; the first is booted.
    pub generations: Vec<Generation>,
    /// What the store says wherever it says when, seconds since 1970-01-01 UTC.
    pub at: u64,
    /// They keep `pkg` from cleaning up what is being read.
    _leases: Vec<Lease>,
}

impl Chosen {
    /// The generations that were asked for; `fresh` is the repository that the store was filled from for this.
    pub fn of(args: &StoreImage, store: &Store, fresh: Option<&str>) -> Result<Self, Failure> {
        let epoch = source_date_epoch()?;
        let (mut generations, mut leases) = (Vec::new(), Vec::new());
        for found in asked_for(args, store)? {
            leases.push(store.lease(found.number).map_err(|error| failure(&error))?);
            generations.push(found);
        }
        // Whoever came before the lease may have taken a generation away.
        let now = Store::open(store.path()).map_err(|error| failure(&error))?;
        for found in &generations {
            by_id(&now, &found.id())?;
        }
        let unknown = unknown_names(args, &generations);
        if !unknown.is_empty() {
            let line = format!("--leave-out {}: no layer is called that", unknown.join(", "));
            return Err(Failure::new(ExitCode::NotFound, line));
        }
        for found in &generations {
            needs::check(&args.leave_out, store, found)?;
        }
        let generations = generations.into_iter().map(|generation| match fresh {
            Some(url) => {
                let at = epoch.unwrap_or(store.superblock().time_floor);
                first_generation(args, generation, url, at)
            }
            None => without(args, generation),
        });
        let generations = generations.collect::<Result<Vec<_>, _>>()?;
        let newest = generations.iter().map(|generation| generation.created_at).max().unwrap_or_default();
        Ok(Self { generations, at: epoch.unwrap_or(newest), _leases: leases })
    }
}

/// Seconds of the variable by which builds are made reproducible, if it is set.
fn source_date_epoch() -> Result<Option<u64>, Failure> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let line = "SOURCE_DATE_EPOCH is not a number of seconds since 1970; set it right or unset it";
    seconds.map(Some).ok_or_else(|| Failure::new(ExitCode::Usage, line))
}

fn asked_for(args: &StoreImage, store: &Store) -> Result<Vec<Generation>, Failure> {
    if args.generations.is_empty() {
        let nothing = || {
            let line = format!(
                "nothing is active in {}; `pkg install NAME` makes a generation",
                store.path().display()
            );
            Failure::new(ExitCode::NotFound, line)
        };
        let slot = store.slots().active().ok_or_else(nothing)?;
        return Ok(vec![by_id(store, &slot.generation)?]);
    }
    args.generations.iter().map(|number| by_number(store, *number)).collect()
}

fn by_number(store: &Store, number: u64) -> Result<Generation, Failure> {
    for entry in store.records(RecordType::Generation) {
        // A damaged one may be any; the one that was asked for is then not found.
        if let Ok(found) = by_id(store, &GenerationId::from_bytes(entry.key))
            && found.number == number
        {
            return Ok(found);
        }
    }
    let line =
        format!("generation {number} is not in {}; `pkg history` shows which are", store.path().display());
    Err(Failure::new(ExitCode::NotFound, line))
}

fn by_id(store: &Store, id: &GenerationId) -> Result<Generation, Failure> {
    let bytes = store.record(RecordType::Generation, id.as_bytes()).map_err(|error| failure(&error))?;
    let gone = || Failure::new(ExitCode::Store, format!("generation {id} is not in the store any more"));
    let found = Generation::parse(&bytes.ok_or_else(gone)?)
        .or_fail(ExitCode::Store, format_args!("reading generation {id}"))?;
    if found.id() == *id {
        return Ok(found);
    }
    Err(Failure::new(ExitCode::Signature, format!("the record of generation {id} is another generation")))
}

fn unknown_names<'a>(args: &'a StoreImage, generations: &[Generation]) -> Vec<&'a str> {
    let known: BTreeSet<&str> =
        generations.iter().flat_map(|found| found.layers.iter().map(|layer| layer.name.as_str())).collect();
    args.leave_out.iter().map(String::as_str).filter(|name| !known.contains(name)).collect()
}

/// The same generation without what is left out.
fn without(args: &StoreImage, generation: Generation) -> Result<Generation, Failure> {
    if !generation.layers.iter().any(|layer| args.leave_out.contains(&layer.name)) {
        return Ok(generation);
    }
    let mut parts = generation.into_parts();
    parts.created_by = format!("plyos image store{}", left_out(args));
    remade(args, parts)
}

/// The generation that `pkg` made, as the first of a new machine.
fn first_generation(
    args: &StoreImage,
    generation: Generation,
    url: &str,
    at: u64,
) -> Result<Generation, Failure> {
    let mut parts = generation.into_parts();
    (parts.number, parts.parent, parts.created_at) = (1, 0, at);
    parts.created_by = format!("plyos image store --repo {url}{} {}", left_out(args), args.names.join(" "));
    remade(args, parts)
}

fn remade(args: &StoreImage, mut parts: GenerationParts) -> Result<Generation, Failure> {
    parts.layers.retain(|layer| !args.leave_out.contains(&layer.name));
    Generation::new(parts).or_fail(ExitCode::Store, "making the generation")
}

fn left_out(args: &StoreImage) -> String {
    args.leave_out.iter().map(|name| format!(" --leave-out {name}")).collect()
}
