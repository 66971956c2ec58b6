//! How many connections one address may hold.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// Beyond what an address may hold: for an orchestrator that shares it with clients, one question at a time and some to spare.
const SPARE: u32 = 8;

/// The places of all addresses.
#[derive(Clone, Debug)]
pub(super) struct Places {
    limit: Option<NonZeroU32>,
    taken: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Places {
    /// `None`: no limit.
    pub(super) fn new(limit: Option<NonZeroU32>) -> Self {
        Self {
            limit,
            taken: Arc::default(),
        }
    }

    /// A place for one more connection. One that its address is not due is spare: it is for a question about the server's
    /// health, and there are few. `None`: those are taken too.
    pub(super) fn take(&self, ip: IpAddr) -> Option<Place> {
        let Some(limit) = self.limit else {
            return Some(Place {
                spare: false,
                of: None,
            });
        };
        let ip = household(ip);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(ip).or_default();
        if *count >= limit.get().saturating_add(SPARE) {
            return None;
        }
        *count += 1;
        Some(Place {
            spare: *count > limit.get(),
            of: Some((self.clone(), ip)),
        })
    }

    fn give_back(&self, ip: IpAddr) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(ip) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// A connection's place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    /// Its address has as many as it may without this one.
    pub(super) spare: bool,
    of: Option<(Places, IpAddr)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((places, ip)) = self.of.take() {
            places.give_back(ip);
        }
    }
}

/// Whoever has one IPv6 address has the whole /64 (RFC 6177), so the /64 counts as one.
pub(in crate::transport) fn household(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(limit: u32) -> Places {
        Places::new(NonZeroU32::new(limit))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// One that is due.
    fn due(places: &Places, text: &str) -> Option<Place> {
        places.take(ip(text)).filter(|place| !place.spare)
    }

    #[test]
    fn some_are_spare_beyond_the_limit_and_then_there_are_none() {
        let places = places(2);
        let due: Vec<_> = (0..2).map(|_| places.take(ip("192.0.2.1"))).collect();
        assert!(due.iter().flatten().all(|place| !place.spare));
        let spare: Vec<_> = (0..SPARE).map(|_| places.take(ip("192.0.2.1"))).collect();
        assert_eq!(spare.iter().flatten().filter(|it| it.spare).count(), 8);
        assert!(places.take(ip("192.0.2.1")).is_none());
        drop(spare);
        assert!(places.take(ip("192.0.2.1")).unwrap().spare);
        drop(due);
        assert!(!places.take(ip("192.0.2.1")).unwrap().spare);
    }

    #[test]
    fn an_address_holds_as_many_as_it_may_and_gets_them_back() {
        let places = places(2);
        let first = due(&places, "192.0.2.1").unwrap();
        let _second = due(&places, "192.0.2.1").unwrap();
        assert!(due(&places, "192.0.2.1").is_none());
        assert!(due(&places, "192.0.2.2").is_some());
        drop(first);
        assert!(due(&places, "192.0.2.1").is_some());
    }

    #[test]
    fn nothing_is_kept_for_an_address_that_has_gone() {
        let places = places(2);
        drop(due(&places, "192.0.2.1"));
        assert!(places.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn the_addresses_of_one_household_count_as_one() {
        let places = places(1);
        let _one = due(&places, "2001:db8::1").unwrap();
        assert!(due(&places, "2001:db8::2").is_none());
        assert!(due(&places, "2001:db8:0:1::1").is_some());
        let _v4 = due(&places, "192.0.2.1").unwrap();
        assert!(due(&places, "::ffff:192.0.2.1").is_none());
    }

    #[test]
    fn zero_means_no_limit() {
        let places = places(0);
        let held: Vec<_> = (0..1000).map(|_| due(&places, "192.0.2.1")).collect();
        assert!(held.iter().all(Option::is_some));
    }
}
