//! A disk over a device that answers well, badly, late or never.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::request::DONE;
use super::*;
use crate::fake::{FakeDevice, Request, Ticks, Wires};
use crate::wants;

const SECTORS: usize = 4096;

struct World {
    disk: Disk<FakeDevice, Ticks>,
    medium: Rc<RefCell<Vec<u8>>>,
    wires: Wires,
    clock: Ticks,
}

fn settings(sectors: u64) -> Vec<u8> {
    let mut settings = sectors.to_le_bytes().to_vec();
    settings.resize(20, 0);
    settings.extend_from_slice(&4096_u32.to_le_bytes());
    settings
}

/// What an honest disk answers.
fn serve(medium: &RefCell<Vec<u8>>, request: &Request) -> (Vec<u8>, usize) {
    let head = &request.sent[0];
    let sector = u64::from_le_bytes(head[8..16].try_into().unwrap());
    let at = usize::try_from(sector * SECTOR).unwrap();
    let mut answer = Vec::new();
    match head[0] {
        0 => answer.extend_from_slice(&medium.borrow()[at..at + request.room - 1]),
        1 => medium.borrow_mut()[at..at + request.sent[1].len()].copy_from_slice(&request.sent[1]),
        4 => {}
        _ => unreachable!("asked for what it does not know"),
    }
    answer.push(DONE);
    let written = answer.len();
    (answer, written)
}

type Spoil = fn(&Request, (Vec<u8>, usize)) -> Option<(Vec<u8>, usize)>;

fn world(features: u64, spoil: Spoil) -> World {
    let medium: Vec<u8> = (0..SECTORS * 512).map(|at| (at / 512 * 31 + at % 251) as u8).collect();
    let medium = Rc::new(RefCell::new(medium));
    let (inside, clock) = (Rc::clone(&medium), Ticks::default());
    let answering = Box::new(move |request: &Request| spoil(request, serve(&inside, request)));
    let device = FakeDevice::new(wants::DISK_QUEUES, features, settings(SECTORS as u64), answering);
    let wires = device.wires.clone();
    World { disk: Disk::new("vda".to_string(), device, clock.clone()).unwrap(), medium, wires, clock }
}

use std::boxed::Box;

fn honest(features: u64) -> World {
    world(features, |_, answer| Some(answer))
}

#[test]
fn reads_give_the_bytes_of_the_medium_in_whatever_order_the_device_answers() {
    let world = honest(0);
    for backwards in [false, true] {
        world.wires.backwards.set(backwards);
        for (at, length) in
            [(0, 1), (511, 2), (512, 512), (1000, 1 << 20), (3, PIECE), (SECTORS as u64 * 512 - 5, 5)]
        {
            let mut out = vec![0; length];
            world.disk.read_at(at, &mut out).unwrap();
            let from = usize::try_from(at).unwrap();
            assert!(
                out == world.medium.borrow()[from..from + length],
                "{length} at {at}, backwards: {backwards}"
            );
        }
    }
    assert_eq!(world.wires.taken.get(), 0, "slots that were not given back");
}

#[test]
fn a_mebibyte_is_under_way_all_at_once_with_one_notification() {
    let world = honest(0);
    world.disk.read_at(0, &mut vec![0; 1 << 20]).unwrap();
    assert_eq!((world.wires.most.get(), world.wires.notified.get()), (8, 1));
    assert_eq!(world.disk.counts(), DiskCounts { requests: 8, read: 1 << 20, ..DiskCounts::default() });
}

#[test]
fn writes_change_what_they_name_and_nothing_else() {
    let world = honest(FLUSH);
    for (at, length) in [(0, 512), (100, 20), (500, 30), (513, 1 << 19), (1024, 512), (511, 1), (4000, 8192)]
    {
        let mut expected = world.medium.borrow().clone();
        let bytes: Vec<u8> = (0..length).map(|byte| (byte * 7 + 1) as u8).collect();
        expected[at..at + length].copy_from_slice(&bytes);
        world.disk.write_at(at as u64, &bytes).unwrap();
        assert!(*world.medium.borrow() == expected, "{length} at {at}");
    }
    world.disk.flush().unwrap();
    assert_eq!((world.disk.counts().flushes, world.wires.taken.get()), (1, 0));
}

#[test]
fn what_lies_beyond_the_end_is_refused_before_the_device_hears_of_it() {
    let world = honest(0);
    let end = SECTORS as u64 * 512;
    for (at, length) in [(end, 1), (end - 1, 2), (u64::MAX, 1), (u64::MAX - 1, 512)] {
        let mut out = vec![0; length];
        assert_eq!(world.disk.read_at(at, &mut out).unwrap_err().reason, Reason::Beyond(end));
        assert_eq!(world.disk.write_at(at, &out).unwrap_err().reason, Reason::Beyond(end));
    }
    world.disk.read_at(end, &mut []).unwrap();
    assert_eq!((world.disk.counts().requests, world.disk.counts().errors), (0, 8));
}

#[test]
fn a_read_only_disk_takes_no_writes_and_no_flush_command() {
    let world = honest(READ_ONLY);
    let refused = world.disk.write_at(0, &[1; 512]).unwrap_err();
    assert_eq!(refused.to_string(), "vda: writing 512 bytes at 0: the disk is read-only");
    world.disk.flush().unwrap();
    assert_eq!(world.disk.counts().requests, 0);
}

#[test]
fn an_error_of_the_medium_is_an_error_of_that_read_only() {
    // Sector 2048 is unreadable.
    let world = world(0, |request, answer| {
        let head = &request.sent[0];
        let first = u64::from_le_bytes(head[8..16].try_into().unwrap());
        let bad = head[0] == 0 && (first..first + (request.room as u64 - 1) / 512).contains(&2048);
        if bad {
            Some((vec![0; request.room - 1].into_iter().chain([1]).collect(), request.room))
        } else {
            Some(answer)
        }
    });
    let failed = world.disk.read_at(2047 * 512, &mut [0; 1024]).unwrap_err();
    assert_eq!(failed.reason, Reason::Failed(1));
    assert_eq!(
        failed.to_string(),
        "vda: reading 1024 bytes at 1048064: the device reports an error (status 1)"
    );
    for _ in 0..20 {
        assert!(world.disk.read_at(1 << 19, &mut vec![0; 1 << 20]).is_err());
        world.disk.read_at(0, &mut vec![0; 1 << 20]).unwrap();
    }
    assert_eq!(world.disk.counts().errors, 21);
}

#[test]
fn an_answer_that_was_not_written_is_none() {
    // Says that it is done, and has written nothing; says so, and claims to have written less than the data.
    let unwritten = world(0, |request, _| Some((Vec::new(), request.room)));
    assert_eq!(unwritten.disk.read_at(0, &mut [0; 512]).unwrap_err().reason, Reason::Failed(0xff));
    let short = world(0, |request, (answer, _)| Some((answer, request.room - 1)));
    assert_eq!(short.disk.read_at(0, &mut [0; 512]).unwrap_err().reason, Reason::Short);
    let invented = world(0, |request, _| Some((vec![77; request.room], request.room)));
    assert_eq!(invented.disk.read_at(0, &mut [0; 512]).unwrap_err().reason, Reason::Failed(77));
}

#[test]
fn a_silent_device_is_an_error_after_a_bounded_time_and_may_come_back() {
    let world = honest(FLUSH);
    world.wires.held.set(true);
    let begun = world.clock.now();
    assert_eq!(
        world.disk.read_at(0, &mut vec![0; 3 << 20]).map_err(|e| e.reason),
        Err(Reason::Beyond(2 << 20))
    );
    assert_eq!(world.disk.read_at(0, &mut vec![0; 2 << 20]).unwrap_err().reason, Reason::Silent);
    let first = world.clock.now() - begun;
    assert!(first >= PATIENCE && first < PATIENCE * 2, "{first:?}");
    assert!(world.wires.listened.get() > 100, "waited without asking for an interrupt");
    // All slots are lost now. The next calls find that out sooner, and none of them uses a slot twice.
    let begun = world.clock.now();
    assert_eq!(world.disk.read_at(0, &mut [0; 512]).unwrap_err().reason, Reason::Silent);
    assert_eq!(world.disk.write_at(0, &[0; 512]).unwrap_err().reason, Reason::Silent);
    assert_eq!(world.disk.flush().unwrap_err().reason, Reason::Silent);
    assert!(world.clock.now() - begun < PATIENCE);
    assert_eq!(world.wires.taken.get(), 8, "reads that were lost are no writes");

    world.wires.held.set(false);
    let mut out = vec![0; 2 << 20];
    world.disk.read_at(0, &mut out).unwrap();
    assert!(out == *world.medium.borrow());
    world.disk.flush().unwrap();
    assert_eq!(world.wires.taken.get(), 0);
}

#[test]
fn a_flush_that_is_not_answered_keeps_its_slot_until_it_is() {
    let world = honest(FLUSH);
    world.wires.held.set(true);
    assert_eq!(world.disk.flush().unwrap_err().reason, Reason::Silent);
    assert_eq!(world.wires.taken.get(), 1);
    world.wires.held.set(false);
    world.disk.flush().unwrap();
    assert_eq!((world.wires.taken.get(), world.disk.counts().flushes), (0, 1));
}

#[test]
fn nothing_is_written_before_a_write_that_was_given_up_has_ended() {
    // The device keeps what goes to sector 8 while the wire says so.
    let kept = Rc::new(Cell::new(true));
    let keeps = Rc::clone(&kept);
    let medium = Rc::new(RefCell::new(vec![0; SECTORS * 512]));
    let inside = Rc::clone(&medium);
    let answering = Box::new(move |request: &Request| {
        let is_kept = request.sent[0][..1] == [1] && request.sent[0][8..16] == 8_u64.to_le_bytes();
        (!(is_kept && keeps.get())).then(|| serve(&inside, request))
    });
    let device = FakeDevice::new(wants::DISK_QUEUES, FLUSH, settings(SECTORS as u64), answering);
    let disk = Disk::new("vda".to_string(), device, Ticks::default()).unwrap();
    assert_eq!(disk.write_at(4096, &[1; 512]).unwrap_err().reason, Reason::Silent);
    let refused = disk.write_at(4096, &[2; 512]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "vda: writing 512 bytes at 4096: an earlier write is still under way; try again"
    );
    assert_eq!(disk.write_at(0, &[2; 512]).unwrap_err().reason, Reason::Unfinished);
    assert_eq!(disk.flush().unwrap_err().reason, Reason::Unfinished);
    disk.read_at(0, &mut [0; 512]).unwrap();
    kept.set(false);
    disk.write_at(4096, &[3; 512]).unwrap();
    disk.flush().unwrap();
    assert_eq!(medium.borrow()[4096..4608], [3; 512], "the first write came after the second");
}

#[test]
fn the_rest_of_a_write_of_which_a_piece_failed_ends_before_the_next() {
    let last = (1 << 20) / 512 - 1;
    // The first piece is an error at once; those behind it are answered late.
    let late = Rc::new(Cell::new(true));
    let waits = Rc::clone(&late);
    let medium = Rc::new(RefCell::new(vec![0; SECTORS * 512]));
    let inside = Rc::clone(&medium);
    let answering = Box::new(move |request: &Request| {
        let is_first = request.sent[0][8..16] == [0; 8];
        match (waits.get(), is_first) {
            (true, true) => Some((vec![1], 1)),
            (true, false) => None,
            _ => Some(serve(&inside, request)),
        }
    });
    let device = FakeDevice::new(wants::DISK_QUEUES, 0, settings(SECTORS as u64), answering);
    let disk = Disk::new("vda".to_string(), device, Ticks::default()).unwrap();
    assert_eq!(disk.write_at(0, &vec![1; 1 << 20]).unwrap_err().reason, Reason::Failed(1));
    // Without a cache of the device too: what is under way is not on the medium.
    assert_eq!(disk.flush().unwrap_err().reason, Reason::Unfinished);
    late.set(false);
    disk.write_at(last * 512, &[2; 512]).unwrap();
    let at = usize::try_from(last * 512).unwrap();
    assert_eq!(medium.borrow()[at..at + 512], [2; 512]);
}

#[test]
fn a_disk_of_larger_blocks_is_asked_for_whole_ones() {
    let world = world(BLOCK_SIZE | FLUSH, |request, answer| {
        let head = &request.sent[0];
        let first = u64::from_le_bytes(head[8..16].try_into().unwrap());
        let bytes = if head[0] == 0 { request.room - 1 } else { request.sent.get(1).map_or(0, Vec::len) };
        assert!(first.is_multiple_of(8) && bytes.is_multiple_of(4096), "{bytes} bytes from sector {first}");
        Some(answer)
    });
    for (at, length) in [(0, 4096), (512, 512), (4095, 2), (5000, 1 << 19), (8192, 4096), (100, 4000)] {
        let mut out = vec![0; length];
        world.disk.read_at(at as u64, &mut out).unwrap();
        assert!(out == world.medium.borrow()[at..at + length], "{length} at {at}");
        let mut expected = world.medium.borrow().clone();
        let bytes: Vec<u8> = (0..length).map(|byte| (byte * 7 + 1) as u8).collect();
        expected[at..at + length].copy_from_slice(&bytes);
        world.disk.write_at(at as u64, &bytes).unwrap();
        assert!(*world.medium.borrow() == expected, "{length} at {at}");
    }
}

#[test]
fn a_device_that_breaks_the_rules_is_an_error() {
    let world = honest(0);
    world.wires.broken.set(true);
    let failed = world.disk.read_at(0, &mut [0; 512]).unwrap_err();
    assert_eq!(failed.reason, Reason::Fault(Fault::Broken));
}

#[test]
fn settings_that_make_no_sense_are_no_disk() {
    let start = |settings, restless| {
        let device = FakeDevice::new(wants::DISK_QUEUES, 0, settings, Box::new(|_| None));
        device.restless.set(restless);
        Disk::new("vda".to_string(), device, Ticks::default()).map(|disk| disk.len())
    };
    assert_eq!(start(settings(8), false), Ok(4096));
    assert_eq!(start(settings(u64::MAX), false).unwrap_err().reason, Reason::Settings);
    assert_eq!(start(settings(1 << 55), false).unwrap_err().reason, Reason::Settings);
    assert_eq!(start(vec![0; 7], false).unwrap_err().reason, Reason::Settings);
    assert_eq!(start(settings(8), true).unwrap_err().reason, Reason::Settings);
    let blocks = |size: u32, sectors: u64| {
        let mut settings = settings(sectors);
        settings[20..].copy_from_slice(&size.to_le_bytes());
        let device = FakeDevice::new(wants::DISK_QUEUES, BLOCK_SIZE, settings, Box::new(|_| None));
        Disk::new("vda".to_string(), device, Ticks::default()).map(|disk| disk.len())
    };
    assert_eq!(blocks(4096, 17), Ok(8192), "a part of a block at the end is not used");
    for size in [0, 1, 256, 513, 8192, u32::MAX] {
        assert_eq!(blocks(size, 64).unwrap_err().reason, Reason::Blocks(size));
    }
    assert_eq!(
        blocks(8192, 64).unwrap_err().to_string(),
        "vda: starting 0 bytes at 0: its blocks have 8192 bytes; powers of two from 512 to 4096 can be used"
    );
}
