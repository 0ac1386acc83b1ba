//! What a namespace costs, in pages read: opening, looking up, listing, conflicts.

use alloc::{format, rc::Rc};
use core::cell::Cell;

use plyos_layer_format::{
    index::{Index, layer_id},
    pages::{Page, PageHashes},
};

use super::*;
use crate::samples::index::text;

/// Counts the pages that are read.
struct Counted(Memory, Rc<Cell<u32>>);

impl PageSource for Counted {
    type Error = &'static str;

    fn read_page(&self, page: u32, out: &mut Page) -> Result<(), Self::Error> {
        self.1.set(self.1.get() + 1);
        self.0.read_page(page, out)
    }
}

/// A namespace, and the pages that were read since the last question.
struct Watched {
    namespace: Namespace<Counted>,
    counter: Rc<Cell<u32>>,
    /// Pages that opening read.
    opening: u32,
}

impl Watched {
    fn new(built: &[Built]) -> Self {
        let counter = Rc::new(Cell::new(0));
        let open = |built: &Built| {
            let source = Counted(Memory(built.index.clone()), Rc::clone(&counter));
            let hashes = PageHashes::compute(&built.index);
            NamespaceLayer::new(Index::open(layer_id(&built.index), hashes, source).unwrap())
        };
        let namespace = Namespace::new(built.iter().map(open).collect());
        let opening = counter.take();
        Self { namespace, counter, opening }
    }

    /// Pages that `ask` reads.
    fn pages<T>(&self, ask: impl FnOnce(&Namespace<Counted>) -> T) -> (T, u32) {
        self.counter.set(0);
        let answer = ask(&self.namespace);
        (answer, self.counter.take())
    }
}

/// A site of `count` empty files in `big/`, with some above and below it.
fn site(name: &str, count: usize) -> Built {
    let names: Vec<String> = (0..count).map(|number| format!("big/{number:05}")).collect();
    let mut nodes: Vec<(&str, Node)> = names.iter().map(|name| (name.as_str(), text(""))).collect();
    nodes.extend([("aside/x", text("x")), ("zoo", text("z"))]);
    build(Kind::Site, name, &[], &nodes, 4096)
}

fn entry_pages(built: &Built) -> u32 {
    (built.index.len() / plyos_layer_format::pages::PAGE_SIZE) as u32
}

#[test]
fn opening_reads_the_heads_and_no_entry() {
    let (small, large) = (site("docs", 10), site("docs", 4000));
    assert!(entry_pages(&large) > entry_pages(&small) + 10);
    assert_eq!(Watched::new(&[small]).opening, 1);
    assert_eq!(Watched::new(&[large]).opening, 1);
}

#[test]
fn a_lookup_reads_as_many_pages_as_their_count_has_bits() {
    let built = [site("docs", 4000)];
    let bits = entry_pages(&built[0]).ilog2() + 1;
    let watched = Watched::new(&built);
    for path in
        ["www/docs/big/00000", "www/docs/big/01777", "www/docs/big/03999", "www/docs/zoo", "www/docs/none"]
    {
        let (found, pages) = watched.pages(|namespace| namespace.lookup(path.as_bytes()).unwrap());
        assert_eq!(found.is_some(), !path.ends_with("none"));
        // The root of the layer, which says that no other takes part, and one search.
        assert!(pages <= bits + 2, "{path}: {pages} pages");
    }
}

#[test]
fn a_listing_reads_the_pages_of_its_own_children() {
    let watched = Watched::new(&[site("docs", 4000), site("more", 4000)]);
    let list = |path: &'static str| {
        let found = watched.namespace.lookup(path.as_bytes()).unwrap().unwrap();
        watched.pages(|namespace| namespace.children(&found).unwrap().map(Result::unwrap).count())
    };
    assert_eq!(list("www/docs/aside"), (1, 1));
    let (count, pages) = list("www/docs");
    assert!(count == 3 && pages <= 2, "the 4,000 files below are jumped over: {pages} pages");
    let (count, pages) = list("www/docs/big");
    assert!(count == 4000 && pages <= entry_pages(&site("docs", 4000)), "{pages} pages");
    assert!(list("").1 <= 3, "two roots");
}

#[test]
fn a_listing_goes_on_where_it_stopped_without_reading_what_was_before() {
    let watched = Watched::new(&[site("docs", 4000)]);
    let big = watched.namespace.lookup(b"www/docs/big").unwrap().unwrap();
    let bits = entry_pages(&site("docs", 4000)).ilog2() + 1;
    for cookie in ["03000", "03000x"] {
        let (next, pages) = watched.pages(|namespace| {
            let mut rest = namespace.children_after(&big, cookie.as_bytes()).unwrap();
            rest.next().unwrap().unwrap().entry.name().to_vec()
        });
        assert_eq!(next, b"03001");
        // The directory itself, a search, and the page of the child.
        assert!(pages <= bits + 3, "{pages} pages");
    }
    assert_eq!(watched.namespace.children_after(&big, b"03999").unwrap().count(), 0);
}

#[test]
fn conflicts_read_nothing_that_only_one_layer_has() {
    let watched = Watched::new(&[site("docs", 3000), site("more", 3000)]);
    let search =
        |namespace: &Namespace<Counted>| namespace.conflicts(|_, _| Ok::<_, NamespaceError>(false)).unwrap();
    let (found, pages) = watched.pages(search);
    assert!(found.is_empty() && pages <= 4, "{pages} pages");
    let (count, pages) = watched.pages(|namespace| namespace.walk().count());
    assert!(count == 2 * 3005 + 4 && pages > 20, "{count} paths, {pages} pages");
}

#[test]
fn conflicts_read_each_page_once_however_many_directories_there_are() {
    let layer = |name: &str| {
        let paths: Vec<String> = (0..2000).map(|number| format!("usr/{:04}/{name}", number)).collect();
        let nodes: Vec<(&str, Node)> = paths.iter().map(|path| (path.as_str(), text(""))).collect();
        build(Kind::Package, name, &[], &nodes, 4096)
    };
    let built = [layer("a"), layer("b")];
    let all: u32 = built.iter().map(entry_pages).sum();
    let watched = Watched::new(&built);
    let (found, pages) =
        watched.pages(|namespace| namespace.conflicts(|_, _| Ok::<_, NamespaceError>(false)).unwrap());
    assert!(found.is_empty() && pages <= all, "{pages} of {all} pages for 2,000 shared directories");
}

#[test]
fn equal_files_are_compared_without_reading_a_chunk_page_for_each() {
    let names: Vec<String> = (0..500).map(|number| format!("usr/{number:03}")).collect();
    let nodes: Vec<(&str, Node)> = names.iter().map(|name| (name.as_str(), text(name))).collect();
    let built = ["a", "b"].map(|name| build(Kind::Package, name, &[], &nodes, 65_536));
    let watched = Watched::new(&built);
    let (found, pages) =
        watched.pages(|namespace| namespace.conflicts(|_, _| Ok::<_, NamespaceError>(false)).unwrap());
    assert!(found.is_empty() && pages < 50, "{pages} pages for 500 pairs, {} conflicts", found.total);
}

#[test]
fn who_is_hidden() {
    let files: &[(&str, Node)] = &[("usr/x", text("x"))];
    let built = [
        build(Kind::Base, "base", &[], &[("usr/x", text("b")), ("usr/y", text("y"))], 4096),
        build(Kind::Package, "first", &[], files, 4096),
        build(Kind::Package, "second", &["first", "base"], files, 4096),
    ];
    let namespace = Namespace::new(built.iter().map(Built::open).collect());
    let hidden = |path: &[u8]| {
        let found = namespace.lookup(path).unwrap().unwrap();
        let names = namespace.hidden_by(&found).unwrap().into_iter();
        names.map(|source| namespace.layers()[source.layer].info.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(namespace.owner_of(b"usr/x").unwrap().unwrap().name, "second");
    assert_eq!(hidden(b"usr/x"), ["base", "first"]);
    assert!(hidden(b"usr/y").is_empty() && hidden(b"usr").is_empty() && hidden(b"").is_empty());
}
