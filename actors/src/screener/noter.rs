//! Notes what the workers observed, so that they need not: to note takes about 100 ns, to hand an observation
//! over ten.
//!
//! ```text
//! workers ─ a ring each ─► a thread of its own, every 2 to 20 ms ─► book ─► the detector, 10 times a second
//!    └─ what finds no room in the ring is noted in the worker's book, which the detector fetches too
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Thread;

use engine::screen::Observation;
use rtrb::Consumer;
use sketch::{Aggregation, Book, Seed};

use super::lock;
use crate::limits::{NOTER_REST, NOTER_REST_IDLE};

/// The noting thread; it ends with this.
pub(super) struct Noter {
    desk: Arc<Mutex<Desk>>,
    ended: Arc<AtomicBool>,
    thread: Thread,
}

struct Desk {
    rings: Vec<Consumer<Observation>>,
    /// `None`: there are no screens.
    book: Option<Box<Book>>,
}

impl Noter {
    /// Starts the thread, which sleeps until there are screens.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(rings: Vec<Consumer<Observation>>) -> std::io::Result<Self> {
        let desk = Arc::new(Mutex::new(Desk { rings, book: None }));
        let ended = Arc::<AtomicBool>::default();
        let (its_desk, its_end) = (Arc::clone(&desk), Arc::clone(&ended));
        let thread = std::thread::Builder::new().name("noter".to_owned());
        let thread = thread.spawn(move || run(&its_desk, &its_end))?;
        Ok(Self { desk, ended, thread: thread.thread().clone() })
    }

    /// Other screens are in force: what was observed under the old ones counts no more.
    pub(super) fn follow(&self, seed: Seed, aggregation: &[Aggregation]) {
        let mut desk = lock(&self.desk);
        desk.discard();
        desk.book = Some(Box::new(Book::new(seed, aggregation)));
        self.thread.unpark();
    }

    /// There are no screens any more.
    pub(super) fn stop(&self) {
        let mut desk = lock(&self.desk);
        desk.discard();
        desk.book = None;
    }

    /// Has `read` read the book, with all that was observed until now.
    pub(super) fn read(&self, read: impl FnOnce(&mut Book)) {
        let mut desk = lock(&self.desk);
        desk.note();
        if let Some(book) = &mut desk.book {
            read(book);
        }
    }
}

impl Drop for Noter {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

fn run(desk: &Mutex<Desk>, ended: &AtomicBool) {
    while !ended.load(Ordering::Acquire) {
        let noted = lock(desk).note();
        match noted {
            Some(0) => std::thread::sleep(NOTER_REST_IDLE),
            Some(_) => std::thread::sleep(NOTER_REST),
            // Somebody unparks it when there are screens, or when it is to end.
            None => std::thread::park(),
        }
    }
}

impl Desk {
    /// Notes what is in the rings now. How much that was; `None` without a book.
    fn note(&mut self) -> Option<usize> {
        let book = self.book.as_mut()?;
        let mut noted = 0;
        for ring in &mut self.rings {
            // No more than there is now: a worker may be faster.
            let Ok(chunk) = ring.read_chunk(ring.slots()) else { continue };
            let (first, rest) = chunk.as_slices();
            book.note_all(first);
            book.note_all(rest);
            noted += chunk.len();
            chunk.commit_all();
        }
        Some(noted)
    }

    fn discard(&mut self) {
        for ring in &mut self.rings {
            if let Ok(chunk) = ring.read_chunk(ring.slots()) {
                chunk.commit_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use rtrb::{Producer, RingBuffer};
    use sketch::{DenyClass, Kind};

    const SEED: Seed = Seed::new([1, 2]);

    fn observation(port: u16) -> Observation {
        Observation {
            kind: Kind::Denied(DenyClass::Policy),
            zone: 0,
            protocol: 6,
            source: [192, 0, 2, 1].into(),
            destination: [198, 51, 100, 1].into(),
            source_port: 1,
            port,
            packets: 1,
            bytes: 60,
        }
    }

    fn with_rings() -> (Noter, Vec<Producer<Observation>>) {
        let (producers, rings) = (0..2).map(|_| RingBuffer::new(8)).unzip();
        (Noter::start(rings).expect("a thread"), producers)
    }

    fn noted(noter: &Noter) -> Option<u64> {
        let mut noted = None;
        noter.read(|book| noted = Some(book.noted()));
        noted
    }

    #[test]
    fn what_the_workers_observe_is_in_one_book() {
        let (noter, mut workers) = with_rings();
        noter.follow(SEED, &[Aggregation::default()]);
        for (worker, port) in workers.iter_mut().zip([1, 2]) {
            worker.push(observation(port)).expect("room");
        }
        noter.read(|book| {
            assert_eq!(book.noted(), 2);
            let source = book.sources.iter().next().expect("the source of both");
            assert_eq!((source.value.ports.count(), book.sources.len()), (2, 1));
        });
    }

    #[test]
    fn the_thread_makes_room_by_itself() {
        let (noter, mut workers) = with_rings();
        noter.follow(SEED, &[Aggregation::default()]);
        let deadline = Instant::now() + Duration::from_secs(20);
        for port in 0..100 {
            while workers[0].push(observation(port)).is_err() {
                assert!(Instant::now() < deadline, "nobody reads the ring");
                std::thread::yield_now();
            }
        }
        assert_eq!(noted(&noter), Some(100));
    }

    #[test]
    fn other_screens_begin_with_an_empty_book_and_none_has_none() {
        let (noter, mut workers) = with_rings();
        assert_eq!(noted(&noter), None);
        workers[0].push(observation(1)).expect("room");
        noter.follow(SEED, &[Aggregation::default()]);
        assert_eq!(noted(&noter), Some(0), "of before");
        workers[0].push(observation(1)).expect("room");
        noter.follow(SEED, &[Aggregation::default()]);
        assert_eq!(noted(&noter), Some(0));
        noter.stop();
        assert_eq!(noted(&noter), None);
    }
}
