//! A place on the network: an address by DHCP, an answer to ping, the status page over TCP.
//!
//! smoltcp has the protocols; this wires them to a card ([`link`]), believes of a lease what a host can use ([`lease`]) and
//! keeps everything bounded: frames, connections, bytes and time of each ([`page`]). Nothing runs by itself: the idle loop
//! calls [`Net::poll`], at the latest with each tick. What the log should say comes from [`Net::news`].

mod allowance;
mod lease;
mod link;
mod news;
mod page;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::time::Duration;

use smoltcp::iface::{Config, Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::{dhcpv4, tcp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};
use thiserror::Error;

use crate::{Device, Fault};
pub use lease::{Lease, Unfit};
use link::Link;
pub(crate) use link::{ADDRESS, RECEIVE_SHAPE, TRANSMIT_SHAPE};
pub use link::{FRAME, LinkCounts};
pub use news::News;
use news::Notices;
use page::Page;
pub use page::{HALF_OPEN, Respond, Service, TIME};

/// Connections at the same time; a ninth is refused by the protocol. 10 KiB of buffers each.
pub const CONNECTIONS: usize = 8;

/// Rounds of one poll, of a queue full of frames each at most, so that a flood cannot keep the idle loop.
const ROUNDS: usize = 32;

/// The least time from one poll to the next while something else runs. With one round each, a flood cannot take more than a
/// small share of the processor from it, and a page still comes in its time.
const GLANCE: Duration = Duration::from_millis(10);

/// How much a poll may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// What there is, for nothing else is to be done.
    Idle,
    /// Little, and nothing if it was polled a moment ago: a command runs.
    Busy,
}

/// The least time from one search for a DHCP server to the next. One whose leases are of no use, or end at once, would keep
/// the wire and the processor busy.
const SEARCH: Duration = Duration::from_secs(10);

/// Why there is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetError {
    /// The card tells no address, or one that is none.
    #[error("the network card has no usable address")]
    NoAddress,
    /// The card could not be spoken to.
    #[error("the network card: {0}")]
    Fault(#[from] Fault),
}

/// What the network is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetState {
    /// The card's address.
    pub card: [u8; 6],
    /// Address, router and resolvers, once DHCP has given them.
    pub lease: Option<Lease>,
    /// Connections that somebody has open.
    pub connections: usize,
    /// Answers made since start.
    pub answers: u64,
    /// What went through the card.
    pub counts: LinkCounts,
    /// Why the card is not used any more.
    pub broken: Option<Fault>,
}

/// A network card with its protocols.
pub struct Net<D: Device> {
    link: Link<D>,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// DHCP, unless it waits for its next search.
    dhcp: Option<SocketHandle>,
    /// Since start: not before this is the next search for a server.
    search_at: Duration,
    pages: Vec<(SocketHandle, Page)>,
    card: [u8; 6],
    lease: Option<Lease>,
    service: Service,
    /// Since start: not before this is the next poll beside a command.
    glance_at: Duration,
    answers: u64,
    notices: Notices,
    told_broken: bool,
}

impl<D: Device> Net<D> {
    /// A network over a device that was started with [`crate::wants::NET_FEATURES`] and [`crate::wants::NET_QUEUES`]; `seed`
    /// makes sequence numbers hard to guess.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn new(device: D, service: Service, seed: u64, now: Duration) -> Result<Self, NetError> {
        let mut link = Link::new(device);
        if let Some(fault) = link.broken() {
            return Err(NetError::Fault(fault));
        }
        let card = link.address().ok_or(NetError::NoAddress)?;
        let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(card)));
        config.random_seed = seed;
        let interface = Interface::new(config, &mut link, instant(now));
        let mut sockets = SocketSet::new(Vec::new());
        let mut pages = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut socket = page::socket();
            socket.set_timeout(Some(page::TIME.into()));
            pages.push((sockets.add(socket), Page::new()));
        }
        Ok(Self {
            link,
            interface,
            sockets,
            dhcp: None,
            search_at: now,
            pages,
            card,
            lease: None,
            service,
            glance_at: now,
            answers: 0,
            notices: Notices::default(),
            told_broken: false,
        })
    }

    /// Takes what came, does what is due, sends what is to be sent. It wants to be called again when the card interrupts
    /// ([`Net::listen`]), and with each tick. Waiting longer delays, nothing else.
    pub fn poll(&mut self, now: Duration, effort: Effort, respond: Respond<'_>) {
        let rounds = match effort {
            Effort::Idle => ROUNDS,
            Effort::Busy if now < self.glance_at => return,
            Effort::Busy => 1,
        };
        self.glance_at = now.saturating_add(GLANCE);
        for _ in 0..rounds {
            self.interface.poll_maintenance(instant(now));
            let mut stirred = self.take_frames(now);
            stirred |= self.follow_lease(now);
            for (handle, page) in &mut self.pages {
                let socket = self.sockets.get_mut::<tcp::Socket<'_>>(*handle);
                let before = (socket.state(), socket.send_queue());
                if page.poll(socket, self.service, now, respond) {
                    self.answers = self.answers.saturating_add(1);
                }
                stirred |= before != (socket.state(), socket.send_queue());
            }
            let sent = self.interface.poll_egress(instant(now), &mut self.link, &mut self.sockets);
            if !stirred && sent == PollResult::None {
                break;
            }
        }
    }

    /// Takes some of the frames that came. True if there were any.
    fn take_frames(&mut self, now: Duration) -> bool {
        for taken in 0..RECEIVE_SHAPE.depth {
            let one = self.interface.poll_ingress_single(instant(now), &mut self.link, &mut self.sockets);
            if one == PollIngressSingleResult::None {
                return taken > 0;
            }
            for (handle, page) in &mut self.pages {
                page.settle(self.sockets.get_mut(*handle), self.service);
            }
        }
        true
    }

    /// To be called before resting: the card interrupts when a frame comes. True if there is one already: poll again instead.
    pub fn listen(&mut self) -> bool {
        self.link.listen()
    }

    /// Takes over what DHCP was given or lost, before anything can be sent to where it points. True if something changed.
    fn follow_lease(&mut self, now: Duration) -> bool {
        let Some(handle) = self.dhcp else {
            if now < self.search_at {
                return false;
            }
            self.dhcp = Some(self.sockets.add(dhcpv4::Socket::new()));
            self.search_at = now.saturating_add(SEARCH);
            return true;
        };
        let lease = match self.sockets.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
            None => return false,
            // That there is none yet is all that a new socket says.
            Some(dhcpv4::Event::Deconfigured) if self.lease.is_none() => return false,
            Some(dhcpv4::Event::Deconfigured) => Err(News::Lost),
            Some(dhcpv4::Event::Configured(config)) => Lease::of(&config).map_err(News::Unfit),
        };
        match lease {
            Ok(lease) => {
                if self.lease.as_ref() != Some(&lease) {
                    self.notices.note(now, News::Lease(lease.clone()));
                    self.apply(Some(lease));
                }
            }
            Err(news) => {
                self.notices.note(now, news);
                // With its socket goes what it was told: the next search begins with nothing.
                self.sockets.remove(handle);
                self.dhcp = None;
                self.apply(None);
            }
        }
        true
    }

    fn apply(&mut self, lease: Option<Lease>) {
        self.interface.update_ip_addrs(|addresses| {
            addresses.clear();
            if let Some(lease) = &lease {
                // There is room for one: the list was emptied. The prefix is at most 32.
                let _ = addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(lease.address, lease.prefix)));
            }
        });
        self.interface.routes_mut().remove_default_ipv4_route();
        if let Some(router) = lease.as_ref().and_then(|lease| lease.router) {
            // The same.
            let _ = self.interface.routes_mut().add_default_ipv4_route(router);
        }
        self.lease = lease;
    }

    /// What happened since this was asked last.
    pub fn news(&mut self) -> Vec<News> {
        if let Some(fault) = self.link.broken().filter(|_| !self.told_broken) {
            self.told_broken = true;
            self.notices.note_once(News::Broken(fault));
        }
        self.notices.take()
    }

    /// What it is at.
    pub fn state(&self) -> NetState {
        let open = |handle: &SocketHandle| self.sockets.get::<tcp::Socket<'_>>(*handle).is_active();
        NetState {
            card: self.card,
            lease: self.lease.clone(),
            connections: self.pages.iter().filter(|(handle, _)| open(handle)).count(),
            answers: self.answers,
            counts: self.link.counts(),
            broken: self.link.broken(),
        }
    }
}

fn instant(now: Duration) -> Instant {
    Instant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}
