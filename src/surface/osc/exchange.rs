//! What comes in, and what is to be done about it: without a socket or a clock.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rosc::OscMessage;

use super::addresses::{Addresses, Request, Topic};
use super::agenda::Agenda;
use super::audience::{Audience, LASTS};
use super::outgoing;
use super::packet::{self, Tag, When};
use crate::control::Control;
use crate::figures::Report;
use crate::sight::{Sight, View};
use crate::status::Status;

/// Messages a second that are obeyed: ten fingers on faders that send a hundred times a second each. The conductor's
/// queue is the human's too, and they come first.
const OBEYED: f64 = 1000.0;

/// Messages a second that are sent as answers.
const ANSWERED: f64 = 2000.0;

/// Longest complaint, in characters.
const LONGEST_COMPLAINT: usize = 300;

/// Time between two complaints.
const COMPLAIN_EVERY: Duration = Duration::from_secs(5);

/// What came in and went out, counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Packets that came in.
    pub received: AtomicU64,
    /// Packets that were none, and messages that nobody understood.
    pub refused: AtomicU64,
    /// Messages that were too many: a second's, or waiting ones.
    pub shed: AtomicU64,
    /// Messages that went out.
    pub sent: AtomicU64,
    /// Messages that the network did not take.
    pub unsent: AtomicU64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [received, refused, shed, sent, unsent] =
            [&self.received, &self.refused, &self.shed, &self.sent, &self.unsent].map(|count| count.load(Relaxed));
        write!(
            f,
            "OSC: {received} packets in, {refused} refused, {shed} too many; {sent} messages out, {unsent} failed"
        )
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Deed {
    /// Ask the session for this.
    Ask(Control),
    /// Send this there.
    Send(SocketAddr, OscMessage),
    /// Tell whoever looks after it.
    Complain(String),
}

/// All that is known about whom, and what is still to come.
pub(super) struct Exchange {
    addresses: Addresses,
    audience: Audience,
    agenda: Agenda<(SocketAddr, OscMessage)>,
    view: View,
    status: Arc<Status>,
    counts: Arc<Counts>,
    obeyed: Budget,
    answered: Budget,
    complaint: Complaint,
}

impl Exchange {
    pub fn new(named: Vec<SocketAddr>, view: View, status: Arc<Status>, counts: Arc<Counts>, now: Instant) -> Self {
        Self {
            addresses: Addresses::default(),
            audience: Audience::of(named),
            agenda: Agenda::default(),
            view,
            status,
            counts,
            obeyed: Budget { per_second: OBEYED, left: OBEYED, at: now },
            answered: Budget { per_second: ANSWERED, left: ANSWERED, at: now },
            complaint: Complaint::default(),
        }
    }

    /// A datagram has come in; `wall` is the time of day at `now`.
    pub fn receive(&mut self, bytes: &[u8], from: SocketAddr, now: Instant, wall: Tag, deeds: &mut Vec<Deed>) {
        self.counts.received.fetch_add(1, Relaxed);
        let messages = match packet::read(bytes) {
            Ok(messages) => messages,
            Err(why) => return self.refuse(from, &why, now, deeds),
        };
        for (tag, message) in messages {
            match tag.seen_from(wall) {
                When::Now => self.obey(from, &message, now, deeds),
                When::In(micros) => {
                    if !self.agenda.add(now + Duration::from_micros(micros), (from, message)) {
                        self.counts.shed.fetch_add(1, Relaxed);
                        self.complain(from, "more messages wait for their moment than there is room for", now, deeds);
                    }
                }
                When::Never => self.refuse(from, "a bundle for a moment more than a day ahead", now, deeds),
            }
        }
    }

    /// When the next message is due that waits for its moment.
    pub fn next_due(&self) -> Option<Instant> {
        self.agenda.next_due()
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Instant, deeds: &mut Vec<Deed>) {
        while let Some((from, message)) = self.agenda.take_due(now) {
            self.obey(from, &message, now, deeds);
        }
    }

    /// Tells all who are told.
    pub fn show(&mut self, sight: &Sight, now: Instant, deeds: &mut Vec<Deed>) {
        let told = outgoing::happened(sight, &mut self.view);
        self.tell_all(&told, now, deeds);
    }

    /// Tells all how things stand, because something was missed or it is the beginning.
    pub fn tell_state(&mut self, view: View, now: Instant, deeds: &mut Vec<Deed>) {
        self.view = view;
        let told = outgoing::all(&self.view);
        self.tell_all(&told, now, deeds);
    }

    /// Takes leave of all.
    pub fn end(&mut self, now: Instant, deeds: &mut Vec<Deed>) {
        self.tell_all(&[outgoing::message("ended", vec![])], now, deeds);
    }

    fn tell_all(&mut self, told: &[OscMessage], now: Instant, deeds: &mut Vec<Deed>) {
        for to in self.audience.told(now) {
            deeds.extend(told.iter().map(|message| Deed::Send(to, message.clone())));
        }
    }

    fn obey(&mut self, from: SocketAddr, message: &OscMessage, now: Instant, deeds: &mut Vec<Deed>) {
        let requests = match self.addresses.understand(message) {
            Ok(requests) => requests,
            Err(why) => return self.refuse(from, &why, now, deeds),
        };
        for request in requests {
            if !self.obeyed.take(now) {
                self.counts.shed.fetch_add(1, Relaxed);
                self.complain(from, "more messages a second than are obeyed", now, deeds);
                continue;
            }
            match request {
                Request::Control(control) => deeds.push(Deed::Ask(control)),
                Request::Tell(topic) => self.answer(from, topic, now, deeds),
                Request::Subscribe(port) => self.subscribe(from, port, now, deeds),
                Request::Unsubscribe(port) => self.audience.unsubscribe(from, port),
            }
        }
    }

    fn answer(&mut self, from: SocketAddr, topic: Topic, now: Instant, deeds: &mut Vec<Deed>) {
        let Some(to) = self.audience.answer_to(from) else {
            return self.refuse(from, "a question from outside the private networks is not answered", now, deeds);
        };
        let told = match topic {
            Topic::Setting(setting) => vec![outgoing::setting(setting, &self.view.settings)],
            Topic::Turn => vec![outgoing::turn(&self.view)],
            Topic::Model => outgoing::model(&self.view),
            Topic::Figures => outgoing::figures(&Report::new(&self.status)),
        };
        self.send(to, told, now, deeds);
    }

    fn subscribe(&mut self, from: SocketAddr, port: Option<u16>, now: Instant, deeds: &mut Vec<Deed>) {
        match self.audience.subscribe(from, port, now) {
            Err(why) => self.refuse(from, why, now, deeds),
            Ok((to, newly)) => {
                let seconds = i32::try_from(LASTS.as_secs()).unwrap_or(i32::MAX);
                let mut told = vec![outgoing::message("subscribed", vec![seconds.into()])];
                if newly {
                    told.extend(outgoing::all(&self.view));
                }
                self.send(to, told, now, deeds);
            }
        }
    }

    fn send(&mut self, to: SocketAddr, told: Vec<OscMessage>, now: Instant, deeds: &mut Vec<Deed>) {
        for message in told {
            if self.answered.take(now) {
                deeds.push(Deed::Send(to, message));
            } else {
                self.counts.shed.fetch_add(1, Relaxed);
            }
        }
    }

    fn refuse(&mut self, from: SocketAddr, why: &str, now: Instant, deeds: &mut Vec<Deed>) {
        self.counts.refused.fetch_add(1, Relaxed);
        self.complain(from, why, now, deeds);
    }

    fn complain(&mut self, from: SocketAddr, why: &str, now: Instant, deeds: &mut Vec<Deed>) {
        if let Some(unsaid) = self.complaint.is_due(now) {
            let unsaid = if unsaid == 0 { String::new() } else { format!(" ({unsaid} more were not told)") };
            // Some of it is quoted from the packet, which may hold anything and much of it.
            let plain = |character: char| if character.is_control() { '?' } else { character };
            let why: String = why.chars().map(plain).take(LONGEST_COMPLAINT).collect();
            deeds.push(Deed::Complain(format!("OSC from {from}: {why}{unsaid}")));
        }
    }
}

/// So many a second, and as many at once after a rest.
#[derive(Debug)]
struct Budget {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.per_second;
        self.at = self.at.max(now);
        self.left = (self.left + earned).min(self.per_second);
        let pays = self.left >= 1.0;
        if pays {
            self.left -= 1.0;
        }
        pays
    }
}

/// Complaints come at most every few seconds.
#[derive(Debug, Default)]
struct Complaint {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaint {
    /// Whether to complain, and how many complaints were not made since the last one.
    fn is_due(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < COMPLAIN_EVERY) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use rosc::{OscBundle, OscPacket, OscTime, OscType, encoder};

    use super::*;
    use crate::conductor::Turn;
    use crate::settings::SETTINGS;
    use crate::time::SessionTime;

    struct Bench {
        exchange: Exchange,
        counts: Arc<Counts>,
        now: Instant,
        deeds: Vec<Deed>,
    }

    /// Seconds of the day at the bench's beginning, as OSC counts.
    const WALL: u32 = 4_000_000_000;

    fn tag(seconds: u32) -> OscTime {
        OscTime { seconds, fractional: 0 }
    }

    impl Bench {
        fn new() -> Self {
            let (counts, now) = (Arc::<Counts>::default(), Instant::now());
            let view = View::sample();
            let exchange = Exchange::new(vec![], view, Arc::default(), Arc::clone(&counts), now);
            Self { exchange, counts, now, deeds: Vec::new() }
        }

        fn send(&mut self, from: &str, packet: &OscPacket) -> Vec<Deed> {
            self.send_bytes(from, &encoder::encode(packet).expect("to memory"))
        }

        fn send_bytes(&mut self, from: &str, bytes: &[u8]) -> Vec<Deed> {
            let from = from.parse().expect("an address");
            self.exchange.receive(bytes, from, self.now, tag(WALL).into(), &mut self.deeds);
            std::mem::take(&mut self.deeds)
        }
    }

    const ME: &str = "127.0.0.1:5000";

    fn message(address: &str, arguments: Vec<OscType>) -> OscPacket {
        OscPacket::Message(OscMessage { addr: address.into(), args: arguments })
    }

    fn bundle(seconds: u32, content: Vec<OscPacket>) -> OscPacket {
        OscPacket::Bundle(OscBundle { timetag: tag(seconds), content })
    }

    fn asked(deeds: &[Deed]) -> Vec<String> {
        let asked = deeds.iter().filter_map(|deed| match deed {
            Deed::Ask(control) => Some(control.to_string()),
            _ => None,
        });
        asked.collect()
    }

    fn sent(deeds: &[Deed]) -> Vec<(u16, String)> {
        let sent = deeds.iter().filter_map(|deed| match deed {
            Deed::Send(to, message) => Some((to.port(), message.to_string())),
            _ => None,
        });
        sent.collect()
    }

    #[test]
    fn a_bundle_acts_when_its_moment_has_come() {
        let mut bench = Bench::new();
        let content = vec![message("/antiphon/panic", vec![]), message("/antiphon/set/patience", vec![2.into()])];
        assert_eq!(asked(&bench.send(ME, &bundle(WALL - 5, content.clone()))), ["panic", "patience 2"], "it is past");
        assert!(bench.send(ME, &bundle(WALL + 3, content.clone())).is_empty());
        assert_eq!(bench.exchange.next_due(), Some(bench.now + Duration::from_secs(3)));
        let mut deeds = Vec::new();
        bench.exchange.wake(bench.now + Duration::from_millis(2999), &mut deeds);
        assert!(deeds.is_empty());
        bench.exchange.wake(bench.now + Duration::from_secs(3), &mut deeds);
        assert_eq!(asked(&deeds), ["panic", "patience 2"]);
        let deeds = bench.send(ME, &bundle(WALL + 1_000_000, content));
        assert!(matches!(&deeds[..], [Deed::Complain(why)] if why.contains("a day ahead")), "{deeds:?}");
    }

    #[test]
    fn a_subscriber_is_told_how_things_stand_and_what_happens() {
        let mut bench = Bench::new();
        let told = sent(&bench.send(ME, &message("/antiphon/subscribe", vec![9001.into()])));
        assert_eq!(told[0], (9001, "/antiphon/subscribed, (i) 60".into()));
        assert_eq!(told.len(), 1 + 4 + SETTINGS.len());
        let again = sent(&bench.send(ME, &message("/antiphon/subscribe", vec![9001.into()])));
        assert_eq!(again.len(), 1, "renewed");
        let mut deeds = Vec::new();
        bench.exchange.show(&Sight::Turn { at: SessionTime::ZERO, turn: Turn::Ai }, bench.now, &mut deeds);
        assert_eq!(sent(&deeds), [(9001, "/antiphon/turn, (s) ai".into())]);
        assert_eq!(
            sent(&bench.send(ME, &message("/antiphon/get/turn", vec![]))),
            [(9001, "/antiphon/turn, (s) ai".into())]
        );
        bench.send(ME, &message("/antiphon/unsubscribe", vec![]));
        deeds.clear();
        bench.exchange.show(&Sight::Turn { at: SessionTime::ZERO, turn: Turn::Human }, bench.now, &mut deeds);
        assert!(deeds.is_empty());
    }

    #[test]
    fn a_question_is_answered_to_whoever_asks() {
        let mut bench = Bench::new();
        bench.exchange.show(
            &Sight::Control { at: SessionTime::ZERO, control: Control::parse("mode solo").expect("known") },
            bench.now,
            &mut vec![],
        );
        let told = sent(&bench.send(ME, &message("/antiphon/get/{mode,turn}", vec![])));
        assert_eq!(
            told,
            [(5000, "/antiphon/setting/mode, (s) solo".into()), (5000, "/antiphon/turn, (s) human".into())]
        );
        let far = bench.send("198.51.100.1:53", &message("/antiphon/get/*", vec![]));
        assert!(sent(&far).is_empty() && matches!(far[0], Deed::Complain(_)), "{far:?}");
        let far = bench.send("198.51.100.1:53", &message("/antiphon/panic", vec![]));
        assert_eq!(asked(&far), ["panic"]);
    }

    #[test]
    fn damage_is_counted_and_complained_about_now_and_then() {
        let mut bench = Bench::new();
        assert_eq!(bench.send_bytes(ME, b"nonsense").len(), 1);
        for _ in 0..50 {
            assert!(bench.send_bytes(ME, &[0xff; 20]).is_empty());
        }
        bench.now += COMPLAIN_EVERY;
        let deeds = bench.send(ME, &message("/antiphon/set/patience", vec![99.into()]));
        assert!(
            matches!(&deeds[..], [Deed::Complain(why)] if why.contains("from 0 to 10") && why.contains("50 more")),
            "{deeds:?}"
        );
        assert_eq!((bench.counts.received.load(Relaxed), bench.counts.refused.load(Relaxed)), (52, 52));
    }

    #[test]
    fn a_flood_is_shed_and_does_not_reach_the_conductor() {
        let mut bench = Bench::new();
        let knob = message("/antiphon/set/patience", vec![2.into()]);
        let asked_for: usize = (0..5000).map(|_| asked(&bench.send(ME, &knob)).len()).sum();
        assert_eq!(asked_for, 1000);
        assert_eq!(bench.counts.shed.load(Relaxed), 4000);
        bench.now += Duration::from_millis(100);
        let asked_for: usize = (0..5000).map(|_| asked(&bench.send(ME, &knob)).len()).sum();
        assert!((99..=101).contains(&asked_for), "{asked_for}");
        let mut asker = Bench::new();
        let answers: usize =
            (0..900).map(|_| sent(&asker.send(ME, &message("/antiphon/get/figures", vec![]))).len()).sum();
        assert_eq!(answers, 2000);
    }

    #[test]
    fn one_wrong_message_in_a_bundle_leaves_the_others() {
        let mut bench = Bench::new();
        let content = vec![message("/antiphon/pan", vec![]), message("/antiphon/panic", vec![])];
        assert_eq!(asked(&bench.send(ME, &bundle(1, content))), ["panic"]);
        assert_eq!(bench.counts.refused.load(Relaxed), 1);
    }
}
