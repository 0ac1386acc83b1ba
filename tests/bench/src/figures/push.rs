//! Publishing: a tree to something that can be shipped.

use super::{TIMED, table_of, warm_up};
use crate::contest::{Contender, Run, compete};
use crate::ours::{Layer, Plyos, Registry};
use crate::report::Section;
use crate::rivals;
use crate::settings::Settings;
use anyhow::Result;
use std::path::Path;

/// `plyos push` into an empty registry beside archives and a chunk store on the disk.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Push",
        "A tree into an empty registry over loopback, with an empty local cache: read, cut, hashed, compressed, \
         uploaded, stored and flushed. The rivals write to the local disk and flush nothing. A pipeline's memory is \
         that of its largest process.",
    );
    for name in TIMED {
        let tree = settings.tree(name, "v1");
        warm_up(&tree)?;
        let plyos = Plyos::new(settings, work.join("push"))?;
        let archive = work.join("push.tar.zst");
        let (store, index) = (work.join("push.castr"), work.join("push.caidx"));
        let push = |level| {
            let (plyos, storage) = (&plyos, work.join("push-registry"));
            move || {
                plyos.forget_cache()?;
                let registry = Registry::start(settings, &storage)?;
                let (own, _) = plyos.push(&registry, Layer { name, version: "v1", level })?;
                Ok(Run { own, registry: Some(registry.end()?) })
            }
        };
        let contenders = vec![
            Contender::new("tar, zstd -3 -T2", || rivals::tar_zstd(&tree, 3, &archive)),
            Contender::new("tar, zstd -9 -T2", || rivals::tar_zstd(&tree, 9, &archive)),
            Contender::new("casync make", || {
                rivals::remove(&store)?;
                rivals::casync_make(&tree, &store, &index)
            }),
            Contender::new("plyos push --level 3", push(Some(3))),
            Contender::new("plyos push (level 9)", push(None)),
        ];
        let outcomes = compete(settings.rounds, contenders)?;
        section.add(format!("{name}/v1"), table_of(&outcomes, ["tar, zstd -3 -T2", "casync make"]));
    }
    Ok(section)
}
