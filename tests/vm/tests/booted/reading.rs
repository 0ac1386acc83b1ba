//! Reading files: with little and much memory, at any place, after any switch.

use plyos_test_system::trees::noise;
use plyos_test_vm::vm::{Config, Kind, Vm};
use sha2::{Digest, Sha256};

use crate::versions::{LARGE, image, large};

/// BLAKE3 and SHA-256 in hexadecimal.
pub fn sums_of(bytes: &[u8]) -> (String, String) {
    let sha256 = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    (blake3::hash(bytes).to_hex().to_string(), sha256)
}

#[test]
fn it_boots_and_reads_with_little_and_with_much_memory() {
    let image = image();
    for kind in Kind::BOTH {
        for memory in [64, 256, 4096] {
            let mut vm = Vm::start(&image.machine(kind).memory(memory));
            let greeting = vm.wait_for_prompt();
            assert!(
                greeting.contains("generation 3 of 2 layers, slot "),
                "{kind:?}, {memory} MiB: {greeting}"
            );
            assert_eq!(vm.sums(LARGE), sums_of(&large()), "{kind:?}, {memory} MiB");
            assert_eq!(vm.run("cat /www/docs/version").line(), "2");
            vm.power_off();
        }
    }
}

#[test]
fn a_processor_that_has_no_more_than_the_first_ones_of_64_bits_is_enough() {
    let image = image();
    for kind in Kind::BOTH {
        // Without AVX, SSE 4, SHA and the protections that came later: other code hashes and checks signatures then.
        let mut vm = Vm::boot(&Config { processor: Some("qemu64"), ..image.machine(kind) });
        assert_eq!(vm.sums(LARGE), sums_of(&large()), "{kind:?}");
        assert!(!vm.run("log -n 200").text().contains("SMAP"));
        vm.power_off();
    }
}

#[test]
fn any_part_of_a_file_is_what_the_publisher_put_there() {
    let bytes = large();
    // The same places on every run; a cache that holds less than the file, so that it throws out.
    let mut places = noise(5, 8 * 120)
        .chunks(8)
        .map(|piece| u64::from_le_bytes(piece.try_into().unwrap()))
        .collect::<Vec<_>>();
    let mut vm = Vm::boot(&image().machine(Kind::Microvm).words("cache=1M"));
    while let (Some(a), Some(b)) = (places.pop(), places.pop()) {
        let start = (a % (bytes.len() as u64 + 1)) as usize;
        let length = (b % 300_000) as usize;
        let end = (start + length).min(bytes.len());
        let answer = vm.run(&format!("sum -o {start} -n {length} {LARGE}"));
        let (blake3, sha256) = sums_of(&bytes[start..end]);
        assert_eq!(answer.lines, [format!("blake3 {blake3}"), format!("sha256 {sha256}")], "{start}..{end}");
    }
    vm.power_off();
}

#[test]
fn a_switch_shows_the_other_version_at_once_and_stays_after_a_reboot() {
    let image = image();
    let mut vm = Vm::boot(&image.machine(Kind::Q35));
    let page = |version: u64| sums_of(&noise(version, 90_000));
    assert_eq!(vm.sums("/www/docs/page.html"), page(2));
    for _ in 0..3 {
        assert_eq!(vm.run("switch 2").line(), "generation 2 is shown, before it was 3");
        assert_eq!((vm.run("cat /www/docs/version").line(), vm.sums("/www/docs/page.html")), ("1", page(1)));
        assert_eq!(vm.run("switch 3").line(), "generation 3 is shown, before it was 2");
        assert_eq!((vm.run("cat /www/docs/version").line(), vm.sums("/www/docs/page.html")), ("2", page(2)));
    }
    assert!(vm.run("switch 9").line().contains("cannot switch to generation 9: "));
    vm.run("switch 2");
    vm.power_off();
    // pkg's own code sees the same change, and the next boot too.
    assert_eq!(image.open().slots().active().unwrap().number, 2);
    let mut vm = Vm::boot(&image.machine(Kind::Microvm));
    assert_eq!(vm.run("cat /www/docs/version").line(), "1");
    vm.power_off();
}
