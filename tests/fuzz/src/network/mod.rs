//! Whoever is on the wire, in front of the kernel's network: frames and time, as many as the input says. Nothing that comes may
//! end in a panic, in a lease that no host can use, or in more connections or news than there is room for.
//!
//! The input is a list of steps. Each byte that chooses something chooses what is usual more often than not, and checksums, DHCP's
//! transactions and TCP's numbers are those of what the kernel sent last, so that a random input gets as far as an answered
//! request. A step may also turn bits of the frame that it made.
#![allow(
    clippy::indexing_slicing,
    reason = "it takes apart frames that the network made, and chooses from its own lists"
)]

mod card;
mod frames;

use std::collections::BTreeMap;
use std::time::Duration;

use card::{Card, Wire};
use frames::Segment;
use plyos_kernel_console::status::{Facts, http};
use plyos_kernel_devices::net::{CONNECTIONS, Effort, Net, Service};

/// Steps of one input.
const MOST_STEPS: usize = 400;

/// How far inputs came: a generator that never gets an answer tests nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// Leases that were used.
    pub leases: u64,
    /// Leases that were of no use.
    pub unfit: u64,
    /// Pages that were answered.
    pub answers: u64,
    /// Steps after which all connections were taken.
    pub full: u64,
}

/// Bytes of the input; zeros when it is over.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// The first of a list for six values of seven, else any of it.
    fn choose<T: Copy>(&mut self, list: &[T]) -> T {
        let byte = usize::from(self.byte());
        if byte < 220 { list[0] } else { list[byte % list.len()] }
    }

    /// An address: mostly `usual`.
    fn address(&mut self, usual: [u8; 4]) -> [u8; 4] {
        let any = self.number().to_be_bytes();
        let list = [
            usual,
            SERVER,
            OURS,
            [0; 4],
            [255; 4],
            [224, 0, 0, 1],
            [10, 0, 2, 255],
            [10, 0, 2, 0],
            [8; 4],
            [127, 0, 0, 1],
            any,
        ];
        self.choose(&list)
    }
}

const SERVER: [u8; 4] = [10, 0, 2, 2];
const OURS: [u8; 4] = [10, 0, 2, 15];

const SYN: u8 = 2;
const RST: u8 = 4;

/// What the other side knows of the kernel.
#[derive(Default)]
struct Peer {
    xid: [u8; 4],
    /// The address that was given last.
    address: [u8; 4],
    /// By our port: what the kernel will send next, and what it wants next.
    connections: BTreeMap<u16, (u32, u32)>,
    fragments: u16,
    /// Addresses that the kernel looks for, by ARP.
    asked: Vec<[u8; 4]>,
}

impl Peer {
    /// Takes note of what the kernel sent.
    fn hear(&mut self, frame: &[u8]) {
        assert!(frame.len() <= plyos_kernel_devices::net::FRAME, "a frame of {} bytes", frame.len());
        if frame[12..14] != [8, 0] {
            if frame[20..22] == [0, 1] {
                self.asked.push([frame[38], frame[39], frame[40], frame[41]]);
            }
            return;
        }
        let word = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        match frame[23] {
            frames::UDP if port(36) == 67 => self.xid.copy_from_slice(&frame[46..50]),
            frames::TCP => {
                let flags = frame[47];
                let head = 34 + usize::from(frame[46] >> 4) * 4;
                let end = 14 + usize::from(port(16));
                let length = (end - head) as u32 + u32::from(flags & 1) + u32::from(flags >> 1 & 1);
                let known = self.connections.entry(port(36)).or_default();
                *known = (word(38).wrapping_add(length), word(42));
                if flags & RST != 0 {
                    self.connections.remove(&port(36));
                }
            }
            _ => {}
        }
    }

    /// The next frame that the input wants.
    fn frame(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        match input.byte() % 16 {
            0..=2 => self.dhcp(input),
            3 => frames::arp(input.choose(&[1, 2, 3, 0]), input.address(SERVER), input.address(self.address)),
            4 => {
                let kind = input.choose(&[[8, 0], [0, 0], [3, 1], [3, 4], [5, 0], [11, 0], [13, 0]]);
                let data = vec![input.byte(); usize::from(input.choose(&[8_u16, 0, 1, 1400, 1472]))];
                frames::icmp(input.address(SERVER), input.address(self.address), kind, [0, 7, 0, 1], &data)
            }
            5 => {
                let ports = [input.choose(&[67, 0, 68]), input.choose(&[68, 0, 80, 67])];
                frames::udp(input.address(SERVER), input.address(self.address), ports, &[input.byte(); 9])
            }
            6 => {
                self.fragments = input.choose(&[self.fragments, 0x2000, 0x4000, 0x1fff, 0x2001]);
                let protocol = input.choose(&[frames::TCP, frames::UDP, frames::ICMP, 2, 50, 255]);
                let payload = vec![input.byte(); usize::from(input.byte()) * 5];
                frames::ip(
                    input.address(SERVER),
                    input.address(self.address),
                    protocol,
                    self.fragments,
                    &payload,
                )
            }
            7 => {
                let kind = input.choose(&[0x0800, 0x0806, 0x86dd, 0x8100]);
                let length = usize::from(input.byte()) * 6;
                let fill = input.byte();
                frames::ethernet(card::MAC, kind, &(0..length).map(|at| fill ^ at as u8).collect::<Vec<u8>>())
            }
            _ => self.tcp(input),
        }
    }

    fn dhcp(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let kind = input.choose(&[if input.0.len().is_multiple_of(2) { 2 } else { 5 }, 2, 5, 6, 1, 9]);
        let address = input.address(OURS);
        let mut options = vec![53, 1, kind];
        let mut option = |code: u8, value: &[u8]| {
            options.extend_from_slice(&[code, value.len() as u8]);
            options.extend_from_slice(value);
        };
        option(54, &input.address(SERVER));
        option(51, &input.choose(&[3600_u32, 0, 1, 4, 60, u32::MAX]).to_be_bytes());
        option(
            1,
            &input.choose(&[
                [255, 255, 255, 0],
                [0; 4],
                [255; 4],
                [128, 0, 0, 0],
                [255, 255, 255, 254],
                [255, 0, 255, 0],
            ]),
        );
        option(3, &input.address(SERVER));
        option(6, &input.address([10, 0, 2, 3]));
        let timers = input.byte();
        if timers & 3 == 3 {
            option(58, &input.choose(&[1_u32, 0, 1800, u32::MAX]).to_be_bytes());
        }
        if timers & 12 == 12 {
            option(59, &input.choose(&[2_u32, 0, 3000, u32::MAX]).to_be_bytes());
        }
        if timers & 48 == 48 {
            // As long as it says, or cut off by the end.
            option(input.byte(), &vec![input.byte(); usize::from(input.byte() % 80)]);
        }
        if kind == 5 {
            self.address = address;
        }
        frames::dhcp(input.address(SERVER), self.xid, address, &options)
    }

    fn tcp(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let from = 4000 + input.choose(&[0_u16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let known = self.connections.get(&from).copied();
        let (ack, seq) = known.unwrap_or((0, 1000));
        let usual = if known.is_none() { SYN } else { 0x18 };
        let flags = input.choose(&[usual, SYN, 0x10, 0x11, 0x04, 0x14, 0x12, 0x01, 0x29, 0xff, 0]);
        let step = input.number();
        let near = [0, 1, u32::MAX, 100, 1000_u32.wrapping_neg(), 0x7fff_ffff, 0x8000_0000, step];
        let request: &[u8] = input.choose(&[
            &b"GET / HTTP/1.0\r\n\r\n"[..],
            b"",
            b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
            b"HEAD /x HTTP/1.1\r\n",
            b"\r\n\r\n",
            b"\n\n",
            &[b'x'; 1400],
        ]);
        let options: &[u8] = input.choose(&[
            &[][..],
            &[2, 4, 5, 0xb4],
            &[2, 4, 0, 0],
            &[2, 4, 0, 1, 3, 3, 255, 0],
            &[3, 3, 14, 4, 2, 1, 1, 1],
            &[5, 10, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0],
            &[8, 10, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0],
            &[5, 34, 0, 0],
            &[0, 0, 0, 0],
        ]);
        let segment = Segment {
            from,
            to: input.choose(&[80, 81, 0]),
            seq: seq.wrapping_add(input.choose(&near)),
            ack: ack.wrapping_add(input.choose(&near)),
            flags,
            window: input.choose(&[8192, 0, 1, 65535]),
            options: options.to_vec(),
            payload: if flags & SYN == 0 { request.to_vec() } else { Vec::new() },
        };
        frames::tcp(input.address(SERVER), input.address(self.address), &segment)
    }
}

/// Frames and time.
pub fn network(data: &[u8]) {
    run(data);
}

/// The same; tells how far it came.
pub fn run(data: &[u8]) -> Reached {
    let (mut input, wire, mut now) = (Input(data), Wire::default(), Duration::from_millis(20));
    let service = Service { port: 80, longest: http::MAX_REQUEST };
    let Ok(mut net) = Net::new(Card::new(wire.clone()), service, 7, now) else { return Reached::default() };
    let mut peer = Peer { address: OURS, ..Peer::default() };
    let mut reached = Reached::default();
    let mut respond = |head: &[u8]| {
        let request = http::Request::read(head)?;
        Some(http::answer(request, Facts::default))
    };
    // Most begin as any machine does.
    let begins = input.byte() < 200;
    for step in 0..MOST_STEPS {
        if input.0.is_empty() {
            break;
        }
        let what = input.byte();
        if begins && (1..3).contains(&step) {
            let kind = if step == 1 { 2 } else { 5 };
            let options =
                [&[53, 1, kind, 54, 4][..], &SERVER, &[1, 4, 255, 255, 255, 0, 3, 4], &SERVER].concat();
            wire.to_card.borrow_mut().push_back(frames::dhcp(SERVER, peer.xid, OURS, &options));
        }
        for asked in core::mem::take(&mut peer.asked) {
            if input.byte() < 240 {
                wire.to_card.borrow_mut().push_back(frames::arp(2, asked, peer.address));
            }
        }
        if what & 1 == 0 {
            let mut frame = peer.frame(&mut input);
            if what & 0b1110 == 0b1110 {
                let at = input.number() as usize % frame.len();
                frame[at] ^= input.byte();
            }
            wire.to_card.borrow_mut().push_back(frame);
        }
        if what & 0b11_0000 == 0b11_0000 {
            now +=
                Duration::from_millis(input.choose(&[50, 0, 1000, 3000, 20_000, 70_000, 3_600_000, 1 << 41]));
        }
        wire.held.set(what >= 0xf8);
        net.poll(now, if what >= 0xf0 { Effort::Busy } else { Effort::Idle }, &mut respond);
        wire.from_card.borrow_mut().drain(..).for_each(|frame| peer.hear(&frame));
        let state = net.state();
        assert!(state.connections <= CONNECTIONS && state.broken.is_none(), "{state:?}");
        if let Some(lease) = &state.lease {
            let router_fits =
                lease.router.is_none_or(|router| !router.is_unspecified() && !router.is_multicast());
            assert!(
                !lease.address.is_unspecified() && router_fits && lease.resolvers.len() <= 3,
                "{lease:?}"
            );
        }
        for news in net.news() {
            match news {
                plyos_kernel_devices::net::News::Lease(_) => reached.leases += 1,
                plyos_kernel_devices::net::News::Unfit(_) => reached.unfit += 1,
                _ => {}
            }
        }
        reached.answers = state.answers;
        reached.full += u64::from(state.connections == CONNECTIONS);
    }
    reached
}
