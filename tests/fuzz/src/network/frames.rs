//! Frames with every length and checksum right, so that what is wrong in them is looked at and not thrown away before.

use super::card::MAC;

/// Protocols above IP.
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;

/// Address of whoever sends.
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The sum of RFC 1071 over all of it.
fn checksum<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 2] {
    let bytes: Vec<u8> = parts.into_iter().flatten().copied().collect();
    let words =
        bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)));
    let mut sum = words.sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

/// An Ethernet frame.
pub fn ethernet(to: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &PEER, &kind.to_be_bytes(), payload].concat()
}

/// An ARP packet for IPv4: 1 asks, 2 answers.
pub fn arp(operation: u16, from: [u8; 4], asked: [u8; 4]) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4];
    let packet = [&head[..], &operation.to_be_bytes(), &PEER, &from, &MAC, &asked].concat();
    ethernet(MAC, 0x0806, &packet)
}

/// An IPv4 packet in a frame for the card. `fragment` is the word of flags and offset.
pub fn ip(from: [u8; 4], to: [u8; 4], protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len() as u16).to_be_bytes();
    let mut head =
        [&[0x45, 0][..], &length, &[0, 1], &fragment.to_be_bytes(), &[64, protocol, 0, 0], &from, &to]
            .concat();
    let sum = checksum([&head[..]]);
    head[10..12].copy_from_slice(&sum);
    ethernet(MAC, 0x0800, &[&head[..], payload].concat())
}

/// What TCP and UDP sum up before themselves.
fn pseudo(from: [u8; 4], to: [u8; 4], protocol: u8, length: usize) -> Vec<u8> {
    [&from[..], &to, &[0, protocol], &(length as u16).to_be_bytes()].concat()
}

/// A UDP datagram.
pub fn udp(from: [u8; 4], to: [u8; 4], ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let length = 8 + payload.len();
    let [source, target] = ports.map(u16::to_be_bytes);
    let mut bytes = [&source[..], &target, &(length as u16).to_be_bytes(), &[0, 0], payload].concat();
    let sum = checksum([&pseudo(from, to, UDP, length)[..], &bytes]);
    bytes[6..8].copy_from_slice(&sum);
    ip(from, to, UDP, 0, &bytes)
}

/// What a TCP segment says.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    pub from: u16,
    pub to: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    /// A multiple of four bytes, at most 40.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

/// A TCP segment.
pub fn tcp(from: [u8; 4], to: [u8; 4], segment: &Segment) -> Vec<u8> {
    let words = (5 + segment.options.len() / 4) as u8;
    let [source, target] = [segment.from, segment.to].map(u16::to_be_bytes);
    let mut bytes = [
        &source[..],
        &target,
        &segment.seq.to_be_bytes(),
        &segment.ack.to_be_bytes(),
        &[words << 4, segment.flags],
        &segment.window.to_be_bytes(),
        &[0; 4],
        &segment.options,
        &segment.payload,
    ]
    .concat();
    let sum = checksum([&pseudo(from, to, TCP, bytes.len())[..], &bytes]);
    bytes[16..18].copy_from_slice(&sum);
    ip(from, to, TCP, 0, &bytes)
}

/// An ICMP message: type, code, the other four bytes of the head, data.
pub fn icmp(from: [u8; 4], to: [u8; 4], kind: [u8; 2], rest: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = [&kind[..], &[0, 0], &rest, data].concat();
    let sum = checksum([&bytes[..]]);
    bytes[2..4].copy_from_slice(&sum);
    ip(from, to, ICMP, 0, &bytes)
}

/// A DHCP message from a server, with these options as they are.
pub fn dhcp(from: [u8; 4], xid: [u8; 4], yours: [u8; 4], options: &[u8]) -> Vec<u8> {
    let mut bytes = [&[2, 1, 6, 0][..], &xid, &[0; 8], &yours, &[0; 8], &MAC, &[0; 202]].concat();
    bytes.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
    bytes.extend_from_slice(options);
    bytes.push(0xff);
    udp(from, [255; 4], [67, 68], &bytes)
}
