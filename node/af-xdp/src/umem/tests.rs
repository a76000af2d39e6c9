#![allow(clippy::unwrap_used)]

use super::{Umem, UmemConfig};
use crate::error::Error;
use crate::frame::NoRoom;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

fn small(frames: u32) -> Umem {
    Umem::new(&UmemConfig { frames, frame_size: 512, headroom: 64, huge_pages: false }).unwrap()
}

#[test]
fn all_frames_can_be_had_and_none_twice() {
    let mut umem = small(10);
    let mut frames: Vec<_> = std::iter::from_fn(|| umem.alloc()).collect();
    assert_eq!((frames.len(), umem.in_use(), umem.capacity()), (10, 10, 10));
    let mut numbers: Vec<u32> = frames.iter().map(super::Frame::index).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 10);
    frames.drain(..).for_each(|frame| umem.free(frame));
    assert_eq!(umem.in_use(), 0);
    assert!(umem.audit().balanced());
}

#[test]
fn data_stays_apart() {
    let mut umem = small(2);
    let (mut a, mut b) = (umem.alloc().unwrap(), umem.alloc().unwrap());
    umem.write(&mut a, &[1; 192]).unwrap();
    umem.write(&mut b, &[2; 192]).unwrap();
    assert_eq!(umem.frame_capacity(), 192);
    assert_eq!(umem.write(&mut a, &[3; 193]), Err(NoRoom));
    let (left, right) = (umem.data_mut(&mut a), umem.data_mut(&mut b));
    left.copy_from_slice(right);
    right.fill(9);
    assert_eq!(umem.data(&a), [2; 192]);
    assert_eq!(umem.data(&b), [9; 192]);
    umem.free(a);
    umem.free(b);
}

#[test]
fn bounds_of_the_data_move_within_the_frame() {
    let mut umem = small(1);
    let mut frame = umem.alloc().unwrap();
    umem.write(&mut frame, b"headpayload").unwrap();
    umem.move_start(&mut frame, 4).unwrap();
    assert_eq!(umem.data(&frame), b"payload");
    umem.move_start(&mut frame, -4).unwrap();
    assert_eq!(umem.data(&frame), b"headpayload");
    umem.set_len(&mut frame, 4).unwrap();
    assert_eq!(umem.data(&frame), b"head");
    assert_eq!(umem.move_start(&mut frame, 5), Err(NoRoom), "behind the end");
    assert_eq!(umem.move_start(&mut frame, -321), Err(NoRoom), "before the frame");
    assert_eq!(umem.move_start(&mut frame, isize::MIN), Err(NoRoom));
    umem.move_start(&mut frame, -320).unwrap();
    assert_eq!((frame.offset(), frame.len()), (0, 324));
    assert_eq!(umem.set_len(&mut frame, 513), Err(NoRoom));
    umem.set_len(&mut frame, 512).unwrap();
    assert_eq!(umem.data(&frame).len(), 512);
    umem.free(frame);
}

#[test]
fn a_dropped_frame_is_found_again() {
    let mut umem = small(4);
    drop(umem.alloc());
    assert_eq!(umem.in_use(), 1);
    assert_eq!(umem.reclaim(), 1);
    assert_eq!(umem.reclaim(), 0);
    let audit = umem.audit();
    assert_eq!((audit.free, audit.abandoned), (4, 1));
    assert!(audit.balanced());
}

#[test]
fn frames_in_hand_at_a_panic_are_found_again() {
    let mut umem = small(4);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _in_hand = [umem.alloc(), umem.alloc()];
        std::panic::resume_unwind(Box::new("planted"));
    }));
    assert!(result.is_err());
    let all: Vec<_> = std::iter::from_fn(|| umem.alloc()).collect();
    assert_eq!(all.len(), 4, "found by itself when frames run out");
    assert_eq!(umem.audit().abandoned, 2);
    drop(umem);
    drop(all);
}

#[test]
fn a_lent_frame_is_filled_by_another_thread() {
    let mut umem = small(2);
    let frame = umem.alloc().unwrap();
    let mut lent = umem.lend(frame);
    assert_eq!(umem.audit().lent, 1);
    let lent = thread::spawn(move || {
        lent.write(b"from afar").unwrap();
        lent.data_mut()[0] = b'F';
        assert_eq!(lent.write(&[0; 193]), Err(NoRoom));
        assert_eq!((lent.data().len(), lent.capacity()), (9, 192));
        lent
    })
    .join()
    .unwrap();
    let frame = umem.take_back(lent).unwrap();
    assert_eq!(umem.data(&frame), b"From afar");
    umem.free(frame);
    assert_eq!(umem.in_use(), 0);
}

#[test]
fn a_lent_frame_outlives_its_umem_and_fits_no_other() {
    let (mut lender, mut other) = (small(1), small(1));
    let frame = lender.alloc().unwrap();
    let lent = lender.lend(frame);
    drop(lender);
    let mut lent = other.take_back(lent).unwrap_err();
    lent.write(b"still mapped").unwrap();
    assert_eq!(lent.data(), b"still mapped");
    drop(lent);
    assert_eq!(other.audit().abandoned, 0);
}

#[test]
fn a_frame_of_another_umem_is_refused() {
    let (mut one, two) = (small(1), small(1));
    let frame = one.alloc().unwrap();
    let look = catch_unwind(AssertUnwindSafe(|| two.data(&frame).len()));
    assert!(look.is_err());
    one.free(frame);
}

#[test]
fn impossible_shapes_are_refused() {
    let shape = |frames, frame_size, headroom| {
        Umem::new(&UmemConfig { frames, frame_size, headroom, huge_pages: false }).unwrap_err()
    };
    assert_eq!(shape(0, 2048, 0), Error::FrameCount { frames: 0 });
    assert_eq!(shape(u32::MAX, 4096, 0), Error::FrameCount { frames: u32::MAX });
    assert_eq!(shape(1, 256, 0), Error::FrameSize { bytes: 256, headroom: 0 });
    assert_eq!(shape(1, 2048, u32::MAX), Error::FrameSize { bytes: 2048, headroom: u32::MAX });
}

#[test]
fn huge_pages_are_taken_where_there_are_any() {
    let config = UmemConfig { frames: 16, huge_pages: true, ..UmemConfig::default() };
    let mut umem = Umem::new(&config).unwrap();
    let mut frame = umem.alloc().unwrap();
    umem.write(&mut frame, b"either way").unwrap();
    assert_eq!(umem.data(&frame), b"either way");
    umem.free(frame);
}

#[test]
fn all_of_it_can_move_to_a_worker_thread() {
    fn moves<T: Send>() {}
    moves::<Umem>();
    moves::<crate::Frame>();
    moves::<crate::LentFrame>();
    moves::<crate::Socket>();
    assert_eq!(size_of::<Option<crate::Frame>>(), 16);
}

#[test]
fn shares_leave_a_quarter() {
    let umem = small(800);
    assert_eq!(umem.fair_share(1), 300);
    assert_eq!(umem.fair_share(3), 100);
    assert_eq!(umem.fair_share(0), 300);
    assert_eq!(umem.fair_share(10_000), 1);
}
