//! Somebody on the path who passes packets on, and may repeat, turn around or withhold them.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use super::nodes::ANY;

/// Packets of one batch: as many as lie there at once.
const BATCH: usize = 16;
/// Longest packet.
const PACKET: usize = 2048;

pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct State {
    silent: AtomicBool,
    mischief: AtomicBool,
    repeated: AtomicU64,
}

impl Proxy {
    /// Between a caller, who calls this, and `target`.
    pub(super) async fn to(target: SocketAddr) -> Self {
        let (front, back) =
            (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
        back.connect(target).await.unwrap();
        let address = front.local_addr().unwrap();
        let (front, back) = (Arc::new(front), Arc::new(back));
        let (state, caller) = (Arc::<State>::default(), Arc::new(std::sync::Mutex::new(None)));
        let mut tasks = JoinSet::new();
        tasks.spawn(forth(
            Arc::clone(&front),
            Arc::clone(&back),
            Arc::clone(&caller),
            state.clone(),
        ));
        tasks.spawn(and_back(back, front, caller, state.clone()));
        Self { address, state, _tasks: tasks }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Passes nothing on.
    pub(super) fn silence(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::Relaxed);
    }

    /// Passes each batch on in reverse, each packet twice, and after them one of an earlier batch.
    pub(super) fn mischief(&self) {
        self.state.mischief.store(true, Ordering::Relaxed);
    }

    /// Packets that were passed on once more than they came.
    pub(super) fn repeated(&self) -> u64 {
        self.state.repeated.load(Ordering::Relaxed)
    }
}

type Caller = Arc<std::sync::Mutex<Option<SocketAddr>>>;

async fn forth(front: Arc<UdpSocket>, back: Arc<UdpSocket>, caller: Caller, state: Arc<State>) {
    let mut earlier = Vec::new();
    loop {
        let batch = batch(&front, &caller).await;
        for packet in state.passed_on(batch, &mut earlier) {
            let _ = back.send(&packet).await;
        }
    }
}

async fn and_back(back: Arc<UdpSocket>, front: Arc<UdpSocket>, caller: Caller, state: Arc<State>) {
    let mut earlier = Vec::new();
    let nobody = Caller::default();
    loop {
        let batch = batch(&back, &nobody).await;
        let Some(to) = *caller.lock().unwrap() else { continue };
        for packet in state.passed_on(batch, &mut earlier) {
            let _ = front.send_to(&packet, to).await;
        }
    }
}

/// All packets that lie there, at least one; remembers who sent the last.
async fn batch(socket: &UdpSocket, caller: &Caller) -> Vec<Vec<u8>> {
    let mut batch = Vec::new();
    let mut buffer = [0; PACKET];
    while batch.len() < BATCH {
        let received = if batch.is_empty() {
            socket.recv_from(&mut buffer).await
        } else {
            socket.try_recv_from(&mut buffer)
        };
        match received {
            Ok((length, from)) => {
                *caller.lock().unwrap() = Some(from);
                batch.push(buffer[..length].to_vec());
            }
            Err(_) if batch.is_empty() => {}
            Err(_) => break,
        }
    }
    batch
}

impl State {
    fn passed_on(&self, mut batch: Vec<Vec<u8>>, earlier: &mut Vec<u8>) -> Vec<Vec<u8>> {
        if self.silent.load(Ordering::Relaxed) {
            return Vec::new();
        }
        if !self.mischief.load(Ordering::Relaxed) {
            return batch;
        }
        batch.reverse();
        let mut passed: Vec<_> =
            batch.iter().flat_map(|packet| [packet.clone(), packet.clone()]).collect();
        if !earlier.is_empty() {
            passed.push(core::mem::take(earlier));
        }
        *earlier = batch.swap_remove(0);
        self.repeated.fetch_add((passed.len() / 2) as u64, Ordering::Relaxed);
        passed
    }
}
