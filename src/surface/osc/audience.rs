//! Who is told what happens: those named at the start, and those who have subscribed, for a minute each time.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long a subscription lasts unless it is renewed.
pub const LASTS: Duration = Duration::from_secs(60);

/// Subscriptions at once.
pub const MOST: usize = 16;

/// Who is told.
#[derive(Debug, Default)]
pub struct Audience {
    named: Vec<SocketAddr>,
    subscribed: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    /// Whoever asked.
    asked_from: SocketAddr,
    /// Where they want it.
    to: SocketAddr,
    until: Instant,
}

impl Audience {
    /// Those who are always told.
    pub fn of(named: Vec<SocketAddr>) -> Self {
        Self { named, subscribed: Vec::new() }
    }

    /// Subscribes whoever asks from there, or renews; they are told on `port` if they name one. Gives back
    /// where, and whether that is new.
    ///
    /// # Errors
    /// One sentence, when they are not to be answered or there are too many.
    pub fn subscribe(
        &mut self,
        asked_from: SocketAddr,
        port: Option<u16>,
        now: Instant,
    ) -> Result<(SocketAddr, bool), &'static str> {
        if !self.may_be_answered(asked_from) {
            return Err("only this machine and private networks may subscribe; name others with --osc-to");
        }
        self.forget_expired(now);
        let to = SocketAddr::new(asked_from.ip(), port.unwrap_or(asked_from.port()));
        let until = now + LASTS;
        if let Some(known) = self.subscribed.iter_mut().find(|known| known.to == to) {
            (known.asked_from, known.until) = (asked_from, until);
            return Ok((to, false));
        }
        if self.subscribed.len() >= MOST {
            return Err("there are 16 subscribers already");
        }
        self.subscribed.push(Subscription { asked_from, to, until });
        Ok((to, true))
    }

    /// Ends the subscription of whoever asks from there, or that on `port`.
    pub fn unsubscribe(&mut self, asked_from: SocketAddr, port: Option<u16>) {
        self.subscribed.retain(|known| match port {
            Some(port) => known.to != SocketAddr::new(asked_from.ip(), port),
            None => known.asked_from != asked_from && known.to != asked_from,
        });
    }

    /// Where an answer to a question from there goes; `None` when there is to be none.
    pub fn answer_to(&self, asked_from: SocketAddr) -> Option<SocketAddr> {
        let subscription = self.subscribed.iter().find(|known| known.asked_from == asked_from);
        self.may_be_answered(asked_from).then(|| subscription.map_or(asked_from, |known| known.to))
    }

    /// All who are told now.
    pub fn told(&mut self, now: Instant) -> impl Iterator<Item = SocketAddr> {
        self.forget_expired(now);
        let subscribed = self.subscribed.iter().map(|subscription| subscription.to);
        self.named.iter().copied().chain(subscribed.filter(|to| !self.named.contains(to)))
    }

    /// A datagram's sender is easily forged, and answers are longer than questions. So nobody out in the Internet is
    /// ever answered, unless they were named: we would be hitting them for somebody else.
    fn may_be_answered(&self, asked_from: SocketAddr) -> bool {
        let near = match asked_from.ip() {
            IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        near || self.named.iter().any(|named| named.ip() == asked_from.ip())
    }

    fn forget_expired(&mut self, now: Instant) {
        self.subscribed.retain(|subscription| subscription.until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn told(audience: &mut Audience, now: Instant) -> Vec<String> {
        audience.told(now).map(|to| to.to_string()).collect()
    }

    #[test]
    fn a_subscription_lasts_a_minute_and_can_be_renewed() {
        let (mut audience, now) = (Audience::of(vec![address("192.0.2.1:9000")]), Instant::now());
        let me = address("127.0.0.1:5000");
        assert_eq!(audience.subscribe(me, None, now), Ok((me, true)));
        assert_eq!(audience.subscribe(me, None, now + LASTS / 2), Ok((me, false)));
        assert_eq!(told(&mut audience, now + LASTS), ["192.0.2.1:9000", "127.0.0.1:5000"]);
        assert_eq!(told(&mut audience, now + 2 * LASTS), ["192.0.2.1:9000"]);
    }

    #[test]
    fn answers_go_to_the_port_that_was_named() {
        let (mut audience, now) = (Audience::default(), Instant::now());
        let me = address("127.0.0.1:5000");
        assert_eq!(audience.answer_to(me), Some(me));
        audience.subscribe(me, Some(9001), now).expect("there is room");
        assert_eq!(audience.answer_to(me), Some(address("127.0.0.1:9001")));
        audience.unsubscribe(address("127.0.0.1:5001"), None);
        assert_eq!(told(&mut audience, now), ["127.0.0.1:9001"], "that was somebody else");
        audience.unsubscribe(me, None);
        assert!(told(&mut audience, now).is_empty());
    }

    #[test]
    fn nobody_in_the_internet_is_answered_unless_named() {
        let mut audience = Audience::of(vec![address("203.0.113.7:9000")]);
        for far in ["198.51.100.1:53", "[2001:db8::1]:53", "8.8.8.8:53"] {
            assert!(audience.subscribe(address(far), None, Instant::now()).is_err(), "{far}");
            assert_eq!(audience.answer_to(address(far)), None, "{far}");
        }
        for near in ["127.0.0.1:1", "192.168.1.4:1", "10.1.2.3:1", "169.254.1.1:1", "[::1]:1", "[fe80::1]:1"] {
            assert_eq!(audience.answer_to(address(near)), Some(address(near)));
        }
        assert_eq!(audience.answer_to(address("203.0.113.7:1234")), Some(address("203.0.113.7:1234")));
    }

    #[test]
    fn there_is_room_for_sixteen_and_again_when_one_has_expired() {
        let (mut audience, now) = (Audience::default(), Instant::now());
        let me = address("127.0.0.1:5000");
        for port in (1u16..).take(MOST) {
            audience.subscribe(me, Some(port), now).expect("there is room");
        }
        assert!(audience.subscribe(me, Some(99), now).is_err());
        audience.subscribe(me, Some(1), now).expect("renewing takes no room");
        assert!(audience.subscribe(me, Some(99), now + LASTS).is_ok());
    }
}
