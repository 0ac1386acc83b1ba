//! Installing: from what was shipped to something that can be read.

use super::{TIMED, table_of};
use crate::contest::{Contender, Run, compete};
use crate::ours::{Layer, Plyos, Registry};
use crate::report::Section;
use crate::rivals;
use crate::settings::Settings;
use anyhow::Result;
use std::path::Path;

/// `pkg install` into an empty store, and `pkg export` from it, beside unpacking archives and chunk stores.
pub fn measure(settings: &Settings, work: &Path) -> Result<Section> {
    let mut section = Section::new(
        "Install",
        "`pkg install` fetches over loopback into an empty store, verifies every chunk, flushes and flips; the namespace \
         can be read then, and no tree was unpacked. `pkg export` unpacks that store's namespace. The rivals unpack from \
         the local disk, without a network, and flush nothing. The registry's usage is that of its whole life: the push, \
         and all rounds.",
    );
    for name in TIMED {
        let tree = settings.tree(name, "v1");
        let archive = work.join("install.tar.zst");
        let (store, index) = (work.join("install.castr"), work.join("install.caidx"));
        let place = work.join("unpacked");
        rivals::tar_zstd(&tree, 3, &archive)?;
        rivals::remove(&store)?;
        rivals::casync_make(&tree, &store, &index)?;
        let plyos = Plyos::new(settings, work.join("install"))?;
        let registry = Registry::start(settings, &work.join("install-registry"))?;
        let layer = Layer { name, version: "v1", level: None };
        plyos.push(&registry, layer)?;
        plyos.found_repository(&registry)?;
        plyos.publish(&registry, &[layer])?;
        let contenders = vec![
            Contender::new("zstd -d, tar -x", || rivals::tar_extract(&archive, &place)),
            Contender::new("casync extract", || rivals::casync_extract(&store, &index, &place)),
            Contender::new("pkg install", || {
                plyos.new_target(&registry)?;
                Ok(Run { own: plyos.install(name)?.0, registry: None })
            }),
            // Its turn comes after `pkg install`, so it finds that store.
            Contender::new("pkg export", || Ok(Run { own: plyos.export()?, registry: None })),
        ];
        let mut outcomes = compete(settings.rounds, contenders)?;
        let served = registry.end()?;
        if let Some(install) = outcomes.iter_mut().find(|outcome| outcome.name == "pkg install") {
            install.registry = Some(served);
        }
        rivals::remove(&place)?;
        section.add(format!("{name}/v1"), table_of(&outcomes, ["zstd -d, tar -x", "casync extract"]));
    }
    Ok(section)
}
