#![allow(clippy::unwrap_used, clippy::panic)]

use af_xdp::{Umem, UmemConfig};
use engine::{Engine, Origin, PortId, Settings, WorkerId};
use wire::Time;

use super::Batch;

const FRAMES: usize = 4;

struct Bench {
    umem: Umem,
    engine: Engine,
    batch: Batch,
}

/// A burst whose frames hold their place of arrival, with `parsed` parsed and `decided` decided.
fn burst(parsed: usize, decided: usize) -> Bench {
    let config = UmemConfig { frames: 8, frame_size: 2_048, headroom: 0, huge_pages: false };
    let settings = Settings {
        worker: WorkerId(0),
        node: 1,
        boot: 1,
        seed: [1, 2],
        secret: [3, 4],
        sessions: 1,
        ports: Vec::new(),
    };
    let engine = Engine::new(settings, Time::ZERO);
    let mut bench = Bench { umem: Umem::new(&config).unwrap(), engine, batch: Batch::new(FRAMES) };
    for place in 0..FRAMES as u8 {
        let mut frame = bench.umem.alloc().unwrap();
        bench.umem.write(&mut frame, &[place; 60]).unwrap();
        bench.batch.frames.push(frame);
    }
    bench.batch.start(PortId(0), Origin::Port);
    for _ in 0..parsed {
        bench.parse();
    }
    for place in 0..decided {
        assert_eq!(bench.decide(), Some(place as u8));
    }
    bench
}

impl Bench {
    /// Parses the next frame, and says which.
    fn parse(&mut self) -> Option<u8> {
        let (umem, engine) = (&self.umem, &self.engine);
        let mut place = None;
        self.batch.parse_next(|frame, parsed| {
            engine.parse_into(parsed, umem.data(frame));
            place = Some(umem.data(frame)[0]);
        });
        place
    }

    /// Panics while the next frame is being parsed.
    fn panic_in_parser(&mut self) {
        let parse = || self.batch.parse_next(|_, _| panic!("planted"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse)).unwrap_err();
    }

    /// Decides the next frame, and says which.
    fn decide(&mut self) -> Option<u8> {
        let (_, frame) = self.batch.in_hand()?;
        let place = self.umem.data(frame)[0];
        let frame = self.batch.take()?;
        self.umem.free(frame);
        Some(place)
    }

    /// As after a panic: which frame was in hand, and whether it was being decided.
    fn poisoned(&mut self) -> Option<(u8, bool)> {
        let (frame, deciding) = self.batch.take_poisoned()?;
        let place = self.umem.data(&frame)[0];
        self.umem.free(frame);
        Some((place, deciding))
    }

    /// Finishes the burst, and says what was decided.
    fn rest(&mut self) -> Vec<u8> {
        while self.parse().is_some() {}
        core::iter::from_fn(|| self.decide()).collect()
    }
}

#[test]
fn frames_are_parsed_and_decided_as_they_came() {
    let mut bench = burst(0, 0);
    let parsed: Vec<_> = core::iter::from_fn(|| bench.parse()).collect();
    assert_eq!(parsed, [0, 1, 2, 3]);
    assert_eq!(bench.rest(), [0, 1, 2, 3]);
}

#[test]
fn a_panic_while_parsing_takes_the_frame_being_parsed() {
    for parsed in 0..FRAMES {
        let mut bench = burst(parsed, 0);
        bench.panic_in_parser();
        assert_eq!(bench.poisoned(), Some((parsed as u8, false)));
        let others: Vec<u8> = (0..FRAMES as u8).filter(|place| *place != parsed as u8).collect();
        assert_eq!(bench.rest(), others);
        assert_eq!(bench.umem.in_use(), 0);
    }
}

#[test]
fn a_panic_while_deciding_takes_the_frame_being_decided() {
    for decided in 0..FRAMES {
        let mut bench = burst(FRAMES, decided);
        bench.batch.in_hand();
        assert_eq!(bench.poisoned(), Some((decided as u8, true)));
        assert_eq!(bench.rest(), (decided as u8 + 1..FRAMES as u8).collect::<Vec<_>>());
        assert_eq!((bench.poisoned(), bench.umem.in_use()), (None, 0));
    }
}

#[test]
fn a_panic_between_two_frames_blames_none() {
    let between = (0..=FRAMES).map(|decided| (FRAMES, decided)).chain([(0, 0), (2, 0)]);
    for (parsed, decided) in between {
        let mut bench = burst(parsed, decided);
        assert_eq!(bench.poisoned(), None);
        assert_eq!(bench.rest(), (decided as u8..FRAMES as u8).collect::<Vec<_>>());
    }
}

#[test]
fn a_burst_that_is_refused_leaves_nothing_behind() {
    for (parsed, decided) in [(0, 0), (2, 0), (FRAMES, 3)] {
        let mut bench = burst(parsed, decided);
        while let Some(frame) = bench.batch.take() {
            bench.umem.free(frame);
        }
        bench.batch.end();
        assert_eq!((bench.parse(), bench.poisoned()), (None, None));
        assert!(bench.batch.undecided().is_empty());
    }
}
