//! Connections and events of one address, with bounded memory.
//!
//! An IPv6 client has a whole /64 to choose from, so that counts as one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Addresses remembered at a time, some 64 bytes each. Those beyond share one place until others are forgotten.
const MOST_ADDRESSES: usize = 65_536;
/// What they share.
const CROWD: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// What counts as one client.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

/// How often an address may do something.
pub(crate) struct AddressRate {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>,
}

impl AddressRate {
    /// `burst` times at once, and once more every `another`.
    pub(crate) fn new(burst: NonZeroU32, another: Duration) -> Self {
        let quota =
            Quota::with_period(another).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        Self { limiter: RateLimiter::hashmap(quota) }
    }

    /// Counts one, if it is allowed.
    pub(crate) fn admits(&self, address: IpAddr) -> bool {
        let mut key = network(address);
        if self.limiter.len() >= MOST_ADDRESSES {
            self.limiter.retain_recent();
            if self.limiter.len() >= MOST_ADDRESSES {
                key = CROWD;
            }
        }
        self.limiter.check_key(&key).is_ok()
    }
}

/// How often an address may do something at the same time.
pub(crate) struct AddressCount {
    most: usize,
    now: Mutex<HashMap<IpAddr, usize>>,
}

impl AddressCount {
    /// `most` at a time; 0 for any number.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, now: Mutex::default() })
    }

    /// Counts one until the value is dropped, if it is allowed.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Entered> {
        let address = network(address);
        let mut now = self.lock();
        let count = now.entry(address).or_insert(0);
        if self.most != 0 && *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Entered { of: Arc::clone(self), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is counted.
pub(crate) struct Entered {
    of: Arc<AddressCount>,
    address: IpAddr,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut now = self.of.lock();
        if let Some(count) = now.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                now.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_at_a_time() {
        let count = AddressCount::new(2);
        let first = count.enter(address("10.0.0.1")).unwrap();
        let _second = count.enter(address("::ffff:10.0.0.1")).unwrap();
        assert!(count.enter(address("10.0.0.1")).is_none());
        assert!(count.enter(address("10.0.0.2")).is_some());
        drop(first);
        assert!(count.enter(address("10.0.0.1")).is_some());
        let _one = count.enter(address("2001:db8::1")).unwrap();
        let _two = count.enter(address("2001:db8::2")).unwrap();
        assert!(count.enter(address("2001:db8::3")).is_none());
        assert!(count.enter(address("2001:db8:0:1::3")).is_some());
        // Nothing stays behind of who has gone.
        assert_eq!(count.lock().len(), 2);
    }

    #[test]
    fn memory_is_bounded_and_newcomers_share() {
        let rate = AddressRate::new(NonZeroU32::new(2).unwrap(), Duration::from_secs(3600));
        for number in 0..MOST_ADDRESSES as u32 {
            assert!(rate.admits(IpAddr::from(std::net::Ipv4Addr::from_bits(number))));
        }
        let crowd: Vec<bool> =
            (1..=4).map(|number| rate.admits(address(&format!("2001:db8:{number}::1")))).collect();
        assert_eq!(crowd, [true, true, false, false]);
        assert!(rate.limiter.len() <= MOST_ADDRESSES + 1);
    }
}
