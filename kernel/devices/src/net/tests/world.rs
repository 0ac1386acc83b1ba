//! A small world on the other end of a card: a DHCP server that can be told to lie, a host, and somebody who forges frames.

use std::boxed::Box;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::socket::udp;
use smoltcp::wire::{
    DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, IpAddress, IpEndpoint, IpProtocol, Ipv4Address,
    Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::super::*;
use crate::QueueIndex;
use crate::fake::{FakeDevice, Request, Wires};
use crate::wants;

pub(super) type Wire = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// The other end of the wire, as smoltcp's device.
pub(super) struct End {
    from: Wire,
    to: Wire,
}

pub(super) struct Got(Vec<u8>);
pub(super) struct Put<'a>(&'a Wire);

impl phy::RxToken for Got {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Put<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = vec![0; length];
        let result = fill(&mut frame);
        self.0.borrow_mut().push_back(frame);
        result
    }
}

impl phy::Device for End {
    type RxToken<'a> = Got;
    type TxToken<'a> = Put<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Got, Put<'_>)> {
        let frame = self.from.borrow_mut().pop_front()?;
        Some((Got(frame), Put(&self.to)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Put<'_>> {
        Some(Put(&self.to))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        (capabilities.medium, capabilities.max_transmission_unit) = (Medium::Ethernet, FRAME);
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

pub(super) const ROUTER: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);
pub(super) const GIVEN: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
pub(super) const SERVICE: Service = Service { port: 80, longest: 3000 };
pub(super) const CARD: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];

pub(super) struct World {
    pub net: Net<FakeDevice>,
    pub wires: Wires,
    pub to_card: Wire,
    pub end: End,
    pub interface: Interface,
    pub sockets: SocketSet<'static>,
    pub dhcp: SocketHandle,
    pub now: Duration,
    pub asked: Rc<RefCell<Vec<Vec<u8>>>>,
    pub answer: Vec<u8>,
    pub rogue: Rogue,
    /// Searches for a DHCP server, and requests of a lease.
    pub discovers: usize,
    pub requests: usize,
}

/// What the DHCP server says.
pub(super) struct Rogue {
    pub router: Ipv4Address,
    pub mask: Ipv4Address,
    pub seconds: u32,
    /// Every request is answered with a NAK.
    pub refuses: bool,
    /// When a lease is to be renewed, in seconds.
    pub renew: Option<u32>,
}

/// A card that gives what lies on the wire and takes what it is told to send.
fn card(from: &Wire, to: &Wire, features: u64) -> FakeDevice {
    let (from, to, head) =
        (Rc::clone(from), Rc::clone(to), if features & wants::VERSION_1 == 0 { 10 } else { 12 });
    let answering = Box::new(move |request: &Request| {
        if request.queue == QueueIndex(1) {
            assert_eq!(request.sent[0], vec![0; head]);
            to.borrow_mut().push_back(request.sent[1].clone());
            return Some((Vec::new(), 0));
        }
        let frame = from.borrow_mut().pop_front()?;
        let bytes: Vec<u8> = [vec![0; head], frame].concat();
        let written = bytes.len();
        Some((bytes, written))
    });
    let settings = CARD.into_iter().chain([1, 0]).collect();
    FakeDevice::new(wants::NET_QUEUES, features, settings, answering)
}

pub(super) fn world(features: u64) -> World {
    let (to_card, from_card) = (Wire::default(), Wire::default());
    let device = card(&to_card, &from_card, features);
    let wires = device.wires.clone();
    let mut end = End { from: from_card, to: Rc::clone(&to_card) };
    let config = Config::new(HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 1])));
    let mut interface = Interface::new(config, &mut end, Instant::ZERO);
    interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(IpAddress::Ipv4(ROUTER), 24)).unwrap());
    let mut sockets = SocketSet::new(Vec::new());
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut server = udp::Socket::new(buffer(), buffer());
    server.bind(67).unwrap();
    let dhcp = sockets.add(server);
    World {
        net: Net::new(device, SERVICE, 1, Duration::ZERO).unwrap(),
        wires,
        to_card,
        end,
        interface,
        sockets,
        dhcp,
        now: Duration::ZERO,
        asked: Rc::default(),
        answer: b"HTTP/1.0 200 OK\r\n\r\nwell".to_vec(),
        rogue: Rogue {
            router: ROUTER,
            mask: Ipv4Address::new(255, 255, 255, 0),
            seconds: 86_400,
            refuses: false,
            renew: None,
        },
        discovers: 0,
        requests: 0,
    }
}

impl World {
    /// One step of both sides and of time.
    pub fn step(&mut self, time: Duration) {
        self.now += time;
        let (asked, answer) = (Rc::clone(&self.asked), self.answer.clone());
        self.net.poll(self.now, Effort::Idle, &mut |request| {
            let whole = request.ends_with(b"\n\n") || request.ends_with(b"\r\n\r\n");
            whole.then(|| {
                asked.borrow_mut().push(request.to_vec());
                answer.clone()
            })
        });
        self.interface.poll(instant(self.now), &mut self.end, &mut self.sockets);
        self.serve_dhcp();
    }

    pub fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step(Duration::from_millis(50));
        }
    }

    pub fn serve_dhcp(&mut self) {
        let server = self.sockets.get_mut::<udp::Socket<'_>>(self.dhcp);
        let Ok((bytes, _)) = server.recv() else { return };
        let bytes = bytes.to_vec();
        let packet = DhcpPacket::new_unchecked(&bytes[..]);
        let asked = DhcpRepr::parse(&packet).unwrap();
        let kind = match asked.message_type {
            DhcpMessageType::Discover => {
                self.discovers += 1;
                DhcpMessageType::Offer
            }
            DhcpMessageType::Request => {
                self.requests += 1;
                if self.rogue.refuses { DhcpMessageType::Nak } else { DhcpMessageType::Ack }
            }
            other => panic!("{other:?}"),
        };
        // Option 58, RFC 2132, 9.11; smoltcp does not write it.
        let renew = self.rogue.renew.map(u32::to_be_bytes);
        let options: Vec<DhcpOption<'_>> = renew.iter().map(|data| DhcpOption { kind: 58, data }).collect();
        let answer = DhcpRepr {
            message_type: kind,
            your_ip: GIVEN,
            server_ip: ROUTER,
            router: Some(self.rogue.router),
            subnet_mask: Some(self.rogue.mask),
            server_identifier: Some(ROUTER),
            lease_duration: Some(self.rogue.seconds),
            client_ip: Ipv4Address::UNSPECIFIED,
            requested_ip: None,
            client_identifier: None,
            parameter_request_list: None,
            dns_servers: None,
            max_size: None,
            renew_duration: None,
            rebind_duration: None,
            additional_options: &options,
            secs: 0,
            ..asked
        };
        let mut bytes = vec![0; answer.buffer_len()];
        answer.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).unwrap();
        server.send_slice(&bytes, IpEndpoint::new(IpAddress::v4(255, 255, 255, 255), 68)).unwrap();
    }

    /// Puts a segment that acknowledges nothing on the wire, from whoever does not care for answers.
    pub fn segment(&mut self, port: u16, control: TcpControl, number: i32, payload: &[u8]) {
        let segment = TcpRepr {
            src_port: port,
            dst_port: 80,
            control,
            seq_number: TcpSeqNumber(number),
            ack_number: None,
            window_len: 1000,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let (mut bytes, caps) = (vec![0; segment.buffer_len()], ChecksumCapabilities::default());
        let to = IpAddress::Ipv4(GIVEN);
        segment.emit(&mut TcpPacket::new_unchecked(&mut bytes), &ROUTER.into(), &to, &caps);
        self.forge(ROUTER, GIVEN, IpProtocol::Tcp, &bytes);
    }

    /// The address and the router in use.
    pub fn leased(&self) -> Option<(Ipv4Address, Option<Ipv4Address>)> {
        self.net.state().lease.map(|lease| (lease.address, lease.router))
    }

    /// Puts a UDP datagram to the card's port of DHCP, or a ping, on the wire, from whatever address.
    pub fn forge(&mut self, from: Ipv4Address, to: Ipv4Address, protocol: IpProtocol, payload: &[u8]) {
        let ip = Ipv4Repr {
            src_addr: from,
            dst_addr: to,
            next_header: protocol,
            payload_len: payload.len(),
            hop_limit: 64,
        };
        let mut frame: Vec<u8> = CARD.into_iter().chain([2, 0, 0, 0, 0, 1, 8, 0]).collect();
        frame.resize(14 + ip.buffer_len(), 0);
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut frame[14..]), &ChecksumCapabilities::default());
        frame.extend_from_slice(payload);
        self.to_card.borrow_mut().push_back(frame);
    }

    pub fn connect(&mut self, from: u16) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 65_535]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.connect(self.interface.context(), (IpAddress::Ipv4(GIVEN), 80), from).unwrap();
        self.sockets.add(socket)
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// All that came over a connection until it ended.
    pub fn fetch(&mut self, from: u16, request: &[u8]) -> Vec<u8> {
        let handle = self.connect(from);
        let (mut sent, mut got) = (0, Vec::new());
        for _ in 0..4000 {
            self.step(Duration::from_millis(2));
            let socket = self.socket(handle);
            if socket.can_send() && sent < request.len() {
                sent += socket.send_slice(&request[sent..]).unwrap();
            }
            while socket.can_recv() {
                socket.recv(|bytes| (bytes.len(), got.extend_from_slice(bytes))).unwrap();
            }
            if !socket.may_recv() && sent > 0 {
                socket.close();
                break;
            }
        }
        got
    }
}

pub(super) fn up() -> World {
    let mut world = world(wants::NET_FEATURES);
    world.steps(40);
    assert_eq!(world.leased(), Some((GIVEN, Some(ROUTER))), "no address by DHCP");
    world
}
