//! What is believed of a DHCP server: nothing that no host could use.
//!
//! smoltcp takes over what it is told and asserts later that it is sound: a router that is no host, or a server without an
//! address, would be a panic at the first frame that goes there. So a lease is looked at before it is used.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::socket::dhcpv4;
use thiserror::Error;

/// A place on the network that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// This machine's address.
    pub address: Ipv4Addr,
    /// Bits of the network's prefix: 1 to 30, or 32.
    pub prefix: u8,
    /// Where everything else goes: another host of the same network.
    pub router: Option<Ipv4Addr>,
    /// A router that the server named and that cannot be one. There is none then.
    pub unfit_router: Option<Ipv4Addr>,
    /// Who resolves names, at most three.
    pub resolvers: Vec<Ipv4Addr>,
}

/// Why a lease is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unfit {
    /// No host has this address in a network of so many bits.
    #[error("{0}/{1} is no address of a host")]
    Address(Ipv4Addr, u8),
    /// The server cannot be answered.
    #[error("the server's own address is {0}")]
    Server(Ipv4Addr),
}

impl Lease {
    /// The lease that a server gave.
    pub(crate) fn of(given: &dhcpv4::Config<'_>) -> Result<Self, Unfit> {
        let (address, prefix) = (given.address.address(), given.address.prefix_len());
        if !is_host(address, prefix) {
            return Err(Unfit::Address(address, prefix));
        }
        let server = given.server.address;
        if !is_unicast(server) {
            return Err(Unfit::Server(server));
        }
        let fits = |router: &Ipv4Addr| {
            *router != address
                && is_host(*router, prefix)
                && network(*router, prefix) == network(address, prefix)
        };
        Ok(Self {
            address,
            prefix,
            router: given.router.filter(fits),
            unfit_router: given.router.filter(|router| !fits(router)),
            resolvers: given.dns_servers.iter().copied().filter(|resolver| is_unicast(*resolver)).collect(),
        })
    }
}

/// Whether it names one host somewhere, and not the sender itself.
fn is_unicast(address: Ipv4Addr) -> bool {
    let unusable = address.is_unspecified() || address.is_broadcast() || address.is_multicast();
    !unusable && !address.is_loopback()
}

/// Whether a host of a network of so many bits can have this address: neither the network's own nor the one of all its hosts.
/// Networks of two (RFC 3021) are told apart from nothing here, and are not taken.
fn is_host(address: Ipv4Addr, prefix: u8) -> bool {
    let host = address.to_bits() & !mask(prefix);
    is_unicast(address) && (prefix == 32 || (1..=30).contains(&prefix) && host != 0 && host != !mask(prefix))
}

fn network(address: Ipv4Addr, prefix: u8) -> u32 {
    address.to_bits() & mask(prefix)
}

fn mask(prefix: u8) -> u32 {
    !u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::Ipv4Cidr;

    fn given(address: [u8; 4], prefix: u8, router: Option<[u8; 4]>, server: [u8; 4]) -> Result<Lease, Unfit> {
        Lease::of(&dhcpv4::Config {
            server: dhcpv4::ServerInfo { address: server.into(), identifier: server.into() },
            address: Ipv4Cidr::new(address.into(), prefix),
            router: router.map(Ipv4Addr::from),
            dns_servers: [Ipv4Addr::new(9, 9, 9, 9), Ipv4Addr::LOCALHOST].into_iter().collect(),
            packet: None,
        })
    }

    const SERVER: [u8; 4] = [10, 0, 2, 2];

    #[test]
    fn a_usual_lease_is_taken_whole() {
        let lease = given([10, 0, 2, 15], 24, Some(SERVER), SERVER).unwrap();
        assert_eq!((lease.router, lease.unfit_router), (Some(SERVER.into()), None));
        assert_eq!(lease.resolvers, [Ipv4Addr::new(9, 9, 9, 9)]);
        assert_eq!(given([10, 0, 2, 15], 32, None, SERVER).unwrap().router, None);
        assert!(given([200, 1, 2, 3], 1, Some([255, 0, 0, 1]), SERVER).unwrap().router.is_some());
    }

    #[test]
    fn a_router_is_another_host_of_the_network() {
        for router in [
            [0, 0, 0, 0],
            [224, 0, 0, 1],
            [255, 255, 255, 255],
            [127, 0, 0, 1],
            [10, 0, 2, 15],
            [10, 0, 2, 0],
            [10, 0, 2, 255],
            [10, 0, 3, 1],
        ] {
            let lease = given([10, 0, 2, 15], 24, Some(router), SERVER).unwrap();
            assert_eq!((lease.router, lease.unfit_router), (None, Some(router.into())));
        }
        assert_eq!(given([10, 0, 2, 15], 32, Some([10, 0, 2, 14]), SERVER).unwrap().router, None);
    }

    #[test]
    fn an_address_is_one_of_a_host_and_the_server_can_be_answered() {
        for (address, prefix) in [
            ([0, 0, 0, 0], 24),
            ([10, 0, 2, 0], 24),
            ([10, 0, 2, 255], 24),
            ([10, 0, 2, 15], 0),
            ([10, 0, 2, 15], 31),
            ([224, 0, 0, 5], 24),
            ([255, 255, 255, 255], 32),
            ([127, 0, 0, 1], 8),
        ] {
            assert_eq!(given(address, prefix, None, SERVER), Err(Unfit::Address(address.into(), prefix)));
        }
        for server in [[0; 4], [255; 4], [239, 1, 1, 1]] {
            assert_eq!(given([10, 0, 2, 15], 24, None, server), Err(Unfit::Server(server.into())));
        }
    }
}
