//! A thousand switches while the system is read, by the console and over the network: nothing is left behind, neither in memory nor in
//! the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plyos_test_vm::vm::store::StoreImage;
use plyos_test_vm::vm::{Kind, Vm, free_port, page};

use crate::reading::sums_of;
use crate::versions::{LARGE, large, world};

/// Switches; each is a commit to the disk.
const SWITCHES: usize = 1000;
/// After so many everything that is filled once is full: the cache, the console's history, and the log, whose 512 lines are each one switch.
const WARM: usize = 600;
/// How often memory is looked at.
const EACH: usize = 100;
/// By how much the heap's use may differ then, in KiB: a page may be under way to the visitor, and the nodes of the cache's maps may be
/// filled otherwise. 21 bytes a switch would be more.
const SLACK: u64 = 8;
/// Bytes of each read.
const PIECE: usize = 70_000;

/// The numbers of `free` by name, in KiB, after a file that is larger than the cache was read: what the cache holds is then the same each
/// time.
fn memory(vm: &mut Vm, sums: &(String, String)) -> BTreeMap<String, u64> {
    assert_eq!(vm.sums(LARGE), *sums);
    let answer = vm.run("free");
    let row = |line: &String| {
        let (name, value) = line.strip_suffix(" KiB")?.rsplit_once(' ')?;
        Some((name.trim().to_owned(), value.parse().ok()?))
    };
    answer.lines.iter().map(|line| row(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// Switches to the other generation, and reads in it.
fn switch(vm: &mut Vm, bytes: &[u8], number: usize) {
    let (to, from) = if number.is_multiple_of(2) { (2, 3) } else { (3, 2) };
    let said = vm.run(&format!("switch {to}"));
    assert_eq!(said.line(), format!("generation {to} is shown, before it was {from}"));
    assert_eq!(vm.run("cat /www/docs/version").line(), if to == 2 { "1" } else { "2" });
    // Another place each time, all over the file, and so out of the cache and into it.
    let at = number * 79_193 % (bytes.len() - PIECE);
    let (blake3, sha256) = sums_of(&bytes[at..at + PIECE]);
    let answer = vm.run(&format!("sum -o {at} -n {PIECE} {LARGE}"));
    assert_eq!(answer.lines, [format!("blake3 {blake3}"), format!("sha256 {sha256}")]);
}

#[test]
fn a_thousand_switches_under_readers_leave_nothing_behind() {
    let world = world();
    let image = StoreImage::of(&world);
    let port = free_port();
    let mut config = image.machine(Kind::Microvm).memory(64).words("cache=1M log=warning");
    config.port = Some(port);
    let mut vm = Vm::boot(&config);
    let bytes = large();
    let sums = sums_of(&bytes);
    let ended = AtomicBool::new(false);
    // Asks for the status page again and again: a reader that the console does not wait for.
    let visitor = || {
        let mut pages = 0;
        while !ended.load(Ordering::Relaxed) {
            let page = page(port, "/metrics");
            assert!(
                page.starts_with("HTTP/1.0 200 OK\r\n") && page.contains("\nplyos_mounted 1\n"),
                "{page}"
            );
            let generation = |number| page.contains(&format!("\nplyos_generation {number}\n"));
            assert!(generation(2) || generation(3), "{page}");
            pages += 1;
            // Some pages for each switch. Without a pause the machine does little else.
            thread::sleep(Duration::from_millis(10));
        }
        pages
    };
    let (seen, pages) = thread::scope(|scope| {
        let visitor = scope.spawn(visitor);
        let switched = thread::scope(|scope| {
            let console = scope.spawn(|| {
                let mut seen = Vec::new();
                for number in 0..SWITCHES {
                    switch(&mut vm, &bytes, number);
                    if (number + 1).is_multiple_of(EACH) {
                        seen.push(memory(&mut vm, &sums));
                    }
                }
                seen
            });
            console.join()
        });
        // However it went, or the visitor would go on for ever.
        ended.store(true, Ordering::Relaxed);
        let seen = switched.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (seen, visitor.join().unwrap())
    });
    vm.power_off();
    println!("{pages} pages; memory: {seen:#?}");
    assert!(pages >= SWITCHES / 10, "only {pages} pages: nobody was reading beside the console");
    let (warm, later) = seen[WARM / EACH - 1..].split_first().unwrap();
    for one in later {
        for name in ["total", "free", "image", "heap limit", "cache", "cache limit"] {
            assert_eq!(one[name], warm[name], "{name}: {seen:#?}");
        }
        assert!(one["heap used"].abs_diff(warm["heap used"]) <= SLACK, "{seen:#?}");
    }
    // The store: the last generation, every switch, nothing damaged.
    let store = image.open();
    assert_eq!(store.slots().active().unwrap().number, 3);
    assert_eq!(store.history().unwrap().entries().len(), 3 + SWITCHES);
    world.target.pkg(&["--store", image.path().to_str().unwrap(), "verify"]).ok();
}
