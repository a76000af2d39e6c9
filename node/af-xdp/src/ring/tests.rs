#![allow(clippy::unwrap_used)]

use crate::channel::fake::ends;
use std::thread;

#[test]
fn entries_arrive_once_and_in_order_across_the_wrap() {
    let (mut producer, mut consumer) = ends::<u64>(4);
    for round in 0..10u64 {
        assert_eq!(producer.room(9), 4);
        (0..4).for_each(|n| assert!(producer.push(round * 4 + n)));
        assert!(!producer.push(99), "full");
        assert_eq!(consumer.pop(), None, "not published yet");
        producer.submit();
        assert_eq!((producer.unread(), consumer.waiting()), (4, 4));
        let read: Vec<u64> = std::iter::from_fn(|| consumer.pop()).collect();
        assert_eq!(read, (round * 4..round * 4 + 4).collect::<Vec<_>>());
        assert!(!producer.push(99), "not handed back yet");
        consumer.release();
    }
}

#[test]
fn indices_wrap_at_two_to_the_32() {
    let (mut producer, mut consumer) = ends::<u64>(8);
    (producer.head, producer.tail) = (u32::MAX - 3, u32::MAX - 3);
    producer.submit();
    (consumer.head, consumer.tail) = (u32::MAX - 3, u32::MAX - 3);
    consumer.release();
    for n in 0..100 {
        assert_eq!(producer.room(8), 8);
        assert!(producer.push(n) && producer.push(n + 1));
        producer.submit();
        assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(n), Some(n + 1), None));
        consumer.release();
    }
}

#[test]
fn two_threads_see_every_entry_once() {
    const COUNT: u64 = 300_000;
    let (mut producer, mut consumer) = ends::<u64>(64);
    let writer = thread::spawn(move || {
        let mut next = 0;
        while next < COUNT {
            let room = u64::from(producer.room(17)).min(COUNT - next);
            (next..next + room).for_each(|n| assert!(producer.push(n)));
            producer.submit();
            next += room;
            if room == 0 {
                thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < COUNT {
        let before = expected;
        while let Some(n) = consumer.pop() {
            assert_eq!(n, expected);
            expected += 1;
        }
        consumer.release();
        if before == expected {
            thread::yield_now();
        }
    }
    writer.join().unwrap();
    assert_eq!(consumer.pop(), None);
}
