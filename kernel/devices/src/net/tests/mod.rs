//! The network against a small world on the other end of its card ([`world`]): a DHCP server, a browser, and somebody hostile.

mod world;

use std::boxed::Box;
use std::cell::RefCell;
use std::rc::Rc;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, IpAddress, IpProtocol, Ipv4Address, TcpControl};

use super::*;
use crate::fake::{FakeDevice, Request};
use crate::wants;
use world::{CARD, GIVEN, ROUTER, SERVICE, up, world};

#[test]
fn an_address_and_a_router_come_by_dhcp_over_cards_of_both_ages() {
    for features in [wants::NET_FEATURES, ADDRESS] {
        let mut world = world(features);
        world.steps(40);
        let state = world.net.state();
        assert_eq!((state.card, world.leased()), (CARD, Some((GIVEN, Some(ROUTER)))));
        let [News::Lease(lease)] = &*world.net.news() else { panic!("the lease is news, once") };
        assert_eq!((lease.prefix, Some(lease)), (24, state.lease.as_ref()));
        assert!(state.counts.received >= 2 && state.counts.sent >= 2);
    }
}

#[test]
fn a_router_that_is_none_is_no_route_and_no_end() {
    for router in [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255]] {
        let mut world = world(wants::NET_FEATURES);
        world.rogue.router = router.into();
        world.steps(40);
        assert_eq!(world.leased(), Some((GIVEN, None)));
        // Somebody far away wants an answer: it would go to the router.
        let ask = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 1, data: b"far away" };
        let mut bytes = vec![0; ask.buffer_len()];
        ask.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes), &ChecksumCapabilities::default());
        world.forge(Ipv4Address::new(8, 8, 8, 8), GIVEN, IpProtocol::Icmp, &bytes);
        world.steps(40);
        let told = world.net.news();
        assert!(told.iter().any(|news| news.to_string().contains("no router: ")), "{told:?}");
    }
}

#[test]
fn a_server_without_an_address_gives_no_lease_and_is_not_asked_again_and_again() {
    let mut world = world(wants::NET_FEATURES);
    world.interface.update_ip_addrs(|addresses| {
        addresses.clear();
        addresses.push(IpCidr::new(IpAddress::v4(0, 0, 0, 0), 0)).unwrap();
    });
    world.rogue.seconds = 4;
    // Long enough for what was a renewal.
    world.steps(400);
    assert_eq!(world.leased(), None);
    assert!((2..=4).contains(&world.discovers), "{} searches in 20 s", world.discovers);
    assert_eq!(world.net.news()[0], News::Unfit(Unfit::Server(Ipv4Address::UNSPECIFIED)));
}

#[test]
fn leases_that_end_at_once_do_not_keep_the_wire_busy() {
    let mut world = world(wants::NET_FEATURES);
    world.rogue.seconds = 0;
    world.steps(1200);
    assert!((4..=8).contains(&world.discovers), "{} searches in a minute", world.discovers);
    assert!(world.net.news().len() <= 4);
    world.rogue.seconds = 3600;
    world.steps(300);
    assert_eq!(world.leased(), Some((GIVEN, Some(ROUTER))));
}

#[test]
fn a_server_that_refuses_or_wants_to_be_asked_at_once_does_not_keep_the_wire_busy() {
    for (refuses, renew) in [(false, Some(0)), (true, None)] {
        let mut world = world(wants::NET_FEATURES);
        (world.rogue.refuses, world.rogue.renew) = (refuses, renew);
        for _ in 0..30_000 {
            world.step(Duration::from_millis(1));
        }
        let asked = world.discovers + world.requests;
        assert!((3..=40).contains(&asked), "{asked} messages in half a minute: {refuses} {renew:?}");
        (world.rogue.refuses, world.rogue.renew) = (false, None);
        world.steps(600);
        assert_eq!(world.leased(), Some((GIVEN, Some(ROUTER))));
    }
}

#[test]
fn ping_is_answered() {
    let mut world = up();
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 2048]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket.bind(icmp::Endpoint::Ident(7)).unwrap();
    let ask = Icmpv4Repr::EchoRequest { ident: 7, seq_no: 1, data: b"are you there" };
    let mut bytes = vec![0; ask.buffer_len()];
    ask.emit(&mut Icmpv4Packet::new_unchecked(&mut bytes), &ChecksumCapabilities::default());
    socket.send_slice(&bytes, IpAddress::Ipv4(GIVEN)).unwrap();
    let handle = world.sockets.add(socket);
    world.steps(10);
    let (answer, from) = world.sockets.get_mut::<icmp::Socket<'_>>(handle).recv().expect("an answer");
    let answer =
        Icmpv4Repr::parse(&Icmpv4Packet::new_unchecked(answer), &ChecksumCapabilities::default()).unwrap();
    assert_eq!(from, IpAddress::Ipv4(GIVEN));
    assert_eq!(answer, Icmpv4Repr::EchoReply { ident: 7, seq_no: 1, data: b"are you there" });
}

#[test]
fn the_page_comes_whole_however_long_it_is() {
    let mut world = up();
    world.answer = (0..200_000_u32).map(|at| at as u8).collect();
    let got = world.fetch(5000, b"GET / HTTP/1.0\r\n\r\n");
    assert!(got == world.answer, "{} of {}", got.len(), world.answer.len());
    assert_eq!(*world.asked.borrow(), [b"GET / HTTP/1.0\r\n\r\n".to_vec()]);
    assert_eq!(world.net.state().answers, 1);
}

#[test]
fn connections_are_served_again_and_again() {
    let mut world = up();
    for round in 0..50 {
        assert_eq!(world.fetch(6000 + round, b"GET / HTTP/1.0\r\n\r\n"), world.answer, "round {round}");
    }
    world.step(TIME);
    world.steps(4);
    assert_eq!((world.net.state().answers, world.net.state().connections), (50, 0));
}

#[test]
fn several_connections_at_once_do_not_disturb_one_another() {
    let mut world = up();
    let handles: Vec<_> = (0..CONNECTIONS as u16).map(|number| world.connect(7000 + number)).collect();
    world.steps(4);
    assert_eq!(world.net.state().connections, CONNECTIONS);
    for (number, handle) in handles.iter().enumerate() {
        let request = std::format!("GET /{number} HTTP/1.0\n\n");
        world.socket(*handle).send_slice(request.as_bytes()).unwrap();
    }
    world.steps(6);
    for handle in handles {
        let expected = world.answer.clone();
        let got = world.socket(handle).recv(|bytes| (bytes.len(), bytes.to_vec())).unwrap();
        assert_eq!(got, expected);
    }
    let mut asked = world.asked.borrow().clone();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), CONNECTIONS);
}

#[test]
fn who_says_nothing_or_too_much_does_not_keep_a_connection() {
    let mut world = up();
    let idle: Vec<_> = (0..CONNECTIONS as u16).map(|number| world.connect(8000 + number)).collect();
    world.steps(4);
    assert_eq!(world.net.state().connections, CONNECTIONS);
    world.step(TIME);
    world.steps(4);
    assert_eq!(world.net.state().connections, 0);
    assert!(idle.into_iter().all(|handle| !world.socket(handle).is_open()));

    // A request without an end is cut off.
    let asked = world.asked.borrow().len();
    assert_eq!(world.fetch(9000, &[b'x'; 20_000]), []);
    assert_eq!(world.asked.borrow().len(), asked);
    world.step(TIME);
    world.steps(4);
    assert_eq!(world.net.state().connections, 0);
}

#[test]
fn a_request_comes_in_pieces() {
    let mut world = up();
    let handle = world.connect(9000);
    for byte in b"GET / HTTP/1.0\r\n\r\n" {
        world.steps(4);
        world.socket(handle).send_slice(&[*byte]).unwrap();
    }
    world.steps(8);
    assert_eq!(*world.asked.borrow(), [b"GET / HTTP/1.0\r\n\r\n".to_vec()]);
    assert!(world.socket(handle).can_recv());
}

#[test]
fn who_only_knocks_does_not_keep_a_connection() {
    let mut world = up();
    (0..CONNECTIONS as u16).for_each(|number| world.segment(4000 + number, TcpControl::Syn, 7, b""));
    world.steps(1);
    assert_eq!(world.net.state().connections, CONNECTIONS);
    world.step(HALF_OPEN);
    world.steps(2);
    assert_eq!(world.net.state().connections, 0);
    assert_eq!(world.fetch(9000, b"GET / HTTP/1.0\r\n\r\n"), world.answer);
}

#[test]
fn frames_that_are_none_are_dropped_and_everything_goes_on() {
    let mut world = up();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let length = (state >> 33) as usize % (FRAME + 40);
        let mut frame: Vec<u8> = (0..length).map(|at| (state >> (at % 56)) as u8 ^ at as u8).collect();
        // Half of them for this card, and IP or ARP.
        if state & 8 == 0 && frame.len() >= 14 {
            frame[..6].copy_from_slice(&CARD);
            frame[12..14].copy_from_slice(if state & 16 == 0 { &[8, 0] } else { &[8, 6] });
        }
        world.to_card.borrow_mut().push_back(frame);
        if world.to_card.borrow().len() > 100 {
            world.step(Duration::from_millis(1));
        }
    }
    world.steps(20);
    assert!(world.net.state().counts.dropped > 0);
    assert_eq!(world.fetch(9100, b"GET / HTTP/1.0\r\n\r\n"), world.answer);
}

#[test]
fn a_card_that_breaks_the_rules_is_told_and_not_used_again() {
    let mut world = up();
    world.wires.broken.set(true);
    world.steps(2);
    assert_eq!(world.net.state().broken, Some(Fault::Broken));
    assert_eq!(world.net.news().last(), Some(&News::Broken(Fault::Broken)));
    assert_eq!(world.net.news(), []);
    let sent = world.net.state().counts.sent;
    world.wires.broken.set(false);
    world.steps(100);
    assert_eq!(world.net.state().counts.sent, sent);
}

#[test]
fn a_card_that_takes_no_frames_costs_nothing_but_frames() {
    let mut world = world(wants::NET_FEATURES);
    world.wires.held.set(true);
    for _ in 0..1000 {
        world.step(Duration::from_secs(10));
    }
    let counts = world.net.state().counts;
    assert_eq!((counts.sent, counts.dropped), (16, 0));
}

#[test]
fn who_knocks_takes_it_back_and_knocks_again_finds_no_old_window() {
    let mut world = up();
    // The card's owner learns where we are, so that it can answer.
    world.fetch(9000, b"GET / HTTP/1.0\r\n\r\n");
    (0..CONNECTIONS as u16).for_each(|number| world.segment(4000 + number, TcpControl::Syn, 999, b""));
    world.steps(1);
    for port in 4000..4000 + CONNECTIONS as u16 {
        world.segment(port, TcpControl::Rst, 1000, b"");
        world.segment(port, TcpControl::Syn, i32::MIN + 999, b"");
        world.segment(port, TcpControl::Rst, 1000, b"with bytes");
    }
    world.steps(4);
    world.step(TIME);
    world.steps(4);
    assert_eq!(world.fetch(9001, b"GET / HTTP/1.0\r\n\r\n"), world.answer);
}

#[test]
fn a_flood_does_not_keep_who_polls() {
    // A frame for this card is always there.
    let frame: Vec<u8> = CARD.into_iter().chain([2, 0, 0, 0, 0, 1, 8, 6]).chain([0; 50]).collect();
    let seen = Rc::new(RefCell::new(0_u32));
    let counted = Rc::clone(&seen);
    let answering = Box::new(move |request: &Request| {
        *counted.borrow_mut() += 1;
        Some(([vec![0; 12], frame.clone()].concat(), request.room.min(76)))
    });
    let settings = CARD.into_iter().chain([1, 0]).collect();
    let device = FakeDevice::new(wants::NET_QUEUES, wants::NET_FEATURES, settings, answering);
    let mut net = Net::new(device, SERVICE, 1, Duration::ZERO).unwrap();
    net.poll(Duration::from_millis(1), Effort::Idle, &mut |_| None);
    let idle = net.state().counts.received;
    assert!((16..=1024).contains(&idle), "{idle}");
    assert!(*seen.borrow() >= 16);
    // Beside a command: one round at a time, seldom.
    for tenths in 0..1000 {
        net.poll(Duration::from_micros(2_000 + 100 * tenths), Effort::Busy, &mut |_| None);
    }
    let busy = net.state().counts.received - idle;
    assert!((9 * 16..=10 * 16).contains(&busy), "{busy}");
}

#[test]
fn a_card_without_an_address_is_no_network() {
    let start = |features, settings| {
        let device = FakeDevice::new(wants::NET_QUEUES, features, settings, Box::new(|_| None));
        Net::new(device, SERVICE, 1, Duration::ZERO).map(|net| net.state().card)
    };
    assert_eq!(start(ADDRESS, CARD.into_iter().chain([0, 0]).collect()), Ok(CARD));
    assert_eq!(start(0, CARD.into_iter().chain([0, 0]).collect()), Err(NetError::NoAddress));
    assert_eq!(start(ADDRESS, vec![1; 8]), Err(NetError::NoAddress));
    assert_eq!(start(ADDRESS, vec![0; 8]), Err(NetError::NoAddress));
    assert_eq!(start(ADDRESS, Vec::new()), Err(NetError::NoAddress));
}
