//! OSC in and out over one UDP port: a lighting desk, a patch, a tablet with faders sees and asks for what a player can.
//!
//! OSC knows neither who sends nor a password, and a datagram's sender is easily forged. So nothing is open unless it is
//! asked for, then to this machine alone unless told otherwise; answers go to near networks only (`audience`); floods are
//! shed before they reach the conductor (`exchange`); and the bytes of a datagram are trusted with nothing (`packet`).

mod addresses;
mod agenda;
mod audience;
mod exchange;
mod listing;
mod outgoing;
mod packet;
mod pattern;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};

pub use exchange::Counts;
use exchange::{Deed, Exchange};
pub use listing::Listing;
use packet::Tag;

use crate::fault;
use crate::session::Controller;
use crate::sight::{Feed, Sight, Watcher};
use crate::status::Status;

/// After the network has failed, how long until it is tried again.
const AFTER_A_FAILURE: Duration = Duration::from_millis(100);

/// Where OSC is listened to and sent.
#[derive(Clone, Debug, Default)]
pub struct OscSettings {
    /// The address and port that is listened to; port 0 is any free one. `None`: OSC is only sent.
    pub listen: Option<SocketAddr>,
    /// Who is told everything from the beginning.
    pub to: Vec<SocketAddr>,
}

/// OSC while it is open. Dropping it takes leave of all who listen.
pub struct Osc {
    /// Where it listens.
    pub address: Option<SocketAddr>,
    /// What came in and went out.
    pub counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Osc {
    /// Opens the port and begins to listen and tell, on a thread of its own.
    ///
    /// # Errors
    /// When the port is taken, the address is not this machine's, or there is no thread.
    pub fn start(settings: &OscSettings, feed: Feed, controller: Controller, status: Arc<Status>) -> io::Result<Self> {
        let sockets = Sockets::open(settings)?;
        let address = sockets.main.as_ref().map(UdpSocket::local_addr).transpose()?;
        let counts = Arc::<Counts>::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let Watcher { view, sights, .. } = feed.watch();
        let exchange = Exchange::new(settings.to.clone(), view.clone(), status, Arc::clone(&counts), Instant::now());
        let mut stand = Stand { exchange, sockets, feed, controller, counts: Arc::clone(&counts), deeds: Vec::new() };
        let run = move || {
            runtime.block_on(async {
                stand.exchange.tell_state(view, Instant::now(), &mut stand.deeds);
                stand.run(sights, stopped).await;
            });
        };
        let thread = thread::Builder::new().name("osc".into()).spawn(run)?;
        Ok(Self { address, counts, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Osc {
    fn drop(&mut self) {
        // Dropping it is the sign.
        self.stop = None;
        // A panic there has been told by its hook, and ends OSC alone.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The port that is listened to, and ports for those whom it cannot reach.
struct Sockets {
    main: Option<UdpSocket>,
    /// One for each family, where it is needed: never read.
    others: Vec<UdpSocket>,
}

impl Sockets {
    fn open(settings: &OscSettings) -> io::Result<Self> {
        let main = settings.listen.map(UdpSocket::bind).transpose()?;
        let mut sockets = Self { main, others: Vec::new() };
        for to in &settings.to {
            if sockets.towards(*to).is_none() {
                let any: SocketAddr =
                    if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
                sockets.others.push(UdpSocket::bind(any)?);
            }
        }
        for socket in sockets.main.iter().chain(&sockets.others) {
            socket.set_nonblocking(true)?;
            // A name may stand for a whole network: 192.168.1.255.
            socket.set_broadcast(true)?;
        }
        Ok(sockets)
    }

    /// The socket from which `to` can be reached: from a port of this machine alone nobody else can.
    fn towards(&self, to: SocketAddr) -> Option<&UdpSocket> {
        let reaches = |socket: &&UdpSocket| {
            socket.local_addr().is_ok_and(|own| {
                let ours_alone = own.ip().to_canonical().is_loopback();
                own.is_ipv4() == to.is_ipv4() && (!ours_alone || to.ip().to_canonical().is_loopback())
            })
        };
        self.main.iter().chain(&self.others).find(reaches)
    }
}

/// Everything that the thread may touch.
struct Stand {
    exchange: Exchange,
    sockets: Sockets,
    feed: Feed,
    controller: Controller,
    counts: Arc<Counts>,
    deeds: Vec<Deed>,
}

impl Stand {
    async fn run(&mut self, mut sights: broadcast::Receiver<Sight>, mut stopped: oneshot::Receiver<()>) {
        let listening = self.sockets.main.as_ref().and_then(|socket| socket.try_clone().ok());
        let listening = listening.and_then(|socket| tokio::net::UdpSocket::from_std(socket).ok());
        // One byte more than is taken, so that a longer one is noticed.
        let mut bytes = vec![0; packet::LONGEST + 1];
        loop {
            self.act();
            let due = self.exchange.next_due();
            tokio::select! {
                _ = &mut stopped => break,
                sight = sights.recv() => match sight {
                    Ok(sight) => self.exchange.show(&sight, Instant::now(), &mut self.deeds),
                    Err(RecvError::Lagged(_)) => {
                        let Watcher { view, sights: anew, .. } = self.feed.watch();
                        sights = anew;
                        self.exchange.tell_state(view, Instant::now(), &mut self.deeds);
                    }
                    Err(RecvError::Closed) => break,
                },
                received = receive(listening.as_ref(), &mut bytes) => match received {
                    Ok((length, from)) => {
                        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                        let wall = Tag::from_system(SystemTime::now());
                        self.exchange.receive(&bytes[..length], from, Instant::now(), wall, &mut self.deeds);
                    }
                    // Some systems say so when nobody was at home where we sent something.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                    Err(_) => tokio::time::sleep(AFTER_A_FAILURE).await,
                },
                () = moment(due) => {}
            }
            fault::point("osc");
            self.exchange.wake(Instant::now(), &mut self.deeds);
        }
        self.exchange.end(Instant::now(), &mut self.deeds);
        self.act();
    }

    fn act(&mut self) {
        for deed in self.deeds.drain(..) {
            match deed {
                Deed::Ask(control) => self.controller.ask(control),
                Deed::Complain(why) => self.feed.show(Sight::Trouble(why)),
                Deed::Send(to, message) => {
                    let bytes = packet::write(message);
                    let sent = self.sockets.towards(to).is_some_and(|socket| socket.send_to(&bytes, to).is_ok());
                    let count = if sent { &self.counts.sent } else { &self.counts.unsent };
                    count.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

/// The next datagram; never where nothing is listened to.
async fn receive(socket: Option<&tokio::net::UdpSocket>, bytes: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(bytes).await,
        None => std::future::pending().await,
    }
}

/// Until `due`, or for ever.
async fn moment(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// A datagram of anybody's, up to what is to be done about it: for [`crate::doors`].
#[cfg(any(test, feature = "doors"))]
pub(crate) fn door(bytes: &[u8]) {
    use crate::sight::View;

    let view = View::sample();
    let now = Instant::now();
    let mut exchange = Exchange::new(vec![], view, Arc::default(), Arc::default(), now);
    let mut deeds = Vec::new();
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 9000));
    exchange.receive(bytes, from, now, Tag::from_system(std::time::UNIX_EPOCH), &mut deeds);
    exchange.wake(now + Duration::from_secs(86_400), &mut deeds);
    // As many as a second's budgets of questions and answers, and little more.
    assert!(deeds.len() <= 4000, "{} deeds for a packet", deeds.len());
    for deed in deeds {
        if let Deed::Complain(sentence) = deed {
            assert!(!sentence.contains(char::is_control) && sentence.len() < 1000, "{sentence:?}");
        }
    }
}
