use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// A stream whose words are replaced, and the slow twin: both texts as a whole.
struct Twin {
    here: Vec<u8>,
    there: Vec<u8>,
    /// For each place of `here`, where it is in `there`; of a replaced one, where that begins.
    places: Vec<usize>,
}

const START: u32 = u32::MAX - 40;

impl Twin {
    /// Of words: those at odd places are replaced.
    fn new(words: &[(Vec<u8>, Vec<u8>)]) -> Self {
        let mut twin = Self { here: Vec::new(), there: Vec::new(), places: Vec::new() };
        for (at, (old, new)) in words.iter().enumerate() {
            let first = twin.there.len();
            let replaced = at % 2 == 1;
            twin.places.extend((0..old.len()).map(|it| if replaced { first } else { first + it }));
            twin.here.extend(old);
            twin.there.extend(if replaced { new } else { old });
        }
        twin.places.push(twin.there.len());
        twin
    }
}

fn seq(at: usize) -> Seq {
    Seq(START) + at as u32
}

proptest! {
    #[test]
    fn numbers_are_those_of_both_texts(
        words in vec((vec(any::<u8>(), 1..9), vec(any::<u8>(), 1..9)), 1..9),
        resend in vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..20),
        acked in any::<Index>(),
    ) {
        let twin = Twin::new(&words);
        let (mut stream, mut texts) = (Stream::NEW, [0; ALG_STREAM_BYTES]);
        stream.begin(Seq(START - 1));
        let mut at = 0;
        for (place, (old, new)) in words.iter().enumerate() {
            prop_assert_eq!(stream.fit(seq(at), old.len()), Fit::Next(0));
            if place % 2 == 1 {
                prop_assert!(stream.replace((seq(at), old.len()), new, &mut texts));
            }
            // Something is kept back behind it, and then is not.
            prop_assert!(stream.read((seq(at), old.len()), &old[..0], false, &mut texts));
            at += old.len();
        }
        // What the far end has acknowledged is not asked for again.
        let acked = acked.index(twin.places.len());
        let here = stream.here(seq(twin.places[acked]));
        stream.forget(here, &mut texts);
        for (place, &beyond) in twin.places.iter().enumerate() {
            if seq(place).ge(here) {
                prop_assert_eq!(stream.beyond(seq(place)), seq(beyond), "place {}", place);
                let first = twin.places.iter().position(|it| *it == beyond).unwrap();
                prop_assert_eq!(stream.here(seq(beyond)), seq(first));
            }
        }
        // Whatever part is sent again, what leaves is a part of the other text, and has all of it.
        let from_here = (here - Seq(START)) as usize;
        for (a, b, again) in resend {
            let left = twin.here.len() - from_here;
            if left == 0 {
                break;
            }
            let (a, b) = (from_here + a.index(left), from_here + b.index(left));
            let (a, b) = (a.min(b), a.max(b) + 1);
            let mut space = [0; 256];
            let written = stream.write((seq(a), &twin.here[a..b]), again, &texts, &mut space);
            let (first, len) = written.unwrap();
            let first = (first - Seq(START)) as usize;
            prop_assert_eq!(&space[..len], &twin.there[first..first + len]);
            // Again: what stands right before it, if that was replaced.
            let before = first <= twin.places[a];
            prop_assert!(before && (again || first == twin.places[a]));
            prop_assert!(first + len >= twin.places[b]);
        }
    }
}

#[test]
fn what_is_kept_back_is_acknowledged_with_what_is_before_it() {
    let (mut stream, mut texts) = (Stream::NEW, [0; ALG_STREAM_BYTES]);
    stream.begin(Seq(99));
    assert!(stream.read((Seq(100), 10), b"PORT", false, &mut texts));
    assert_eq!(stream.kept_text(&texts), b"PORT");
    assert_eq!(stream.passed(), Some(Seq(106)));
    assert_eq!(stream.acknowledged(Seq(105)), Seq(105));
    assert_eq!(stream.acknowledged(Seq(106)), Seq(110));
    assert!(!stream.stands_as_sent(Seq(100), 10, false));
    assert!(stream.stands_as_sent(Seq(100), 6, true));
    assert_eq!(stream.fit(Seq(106), 4), Fit::Old);
    assert_eq!(stream.fit(Seq(111), 4), Fit::Gap);
    assert_eq!(stream.fit(Seq(108), 4), Fit::Next(2));
}

#[test]
fn there_is_room_for_so_many_edits_until_the_far_end_has_them() {
    let (mut stream, mut texts) = (Stream::NEW, [0; ALG_STREAM_BYTES]);
    stream.begin(Seq(0));
    for place in 0..ALG_EDITS as u32 {
        let at = Seq(1 + 10 * place);
        assert!(stream.replace((at, 2), b"abc", &mut texts));
        assert!(stream.read((at, 10), b"", false, &mut texts));
    }
    assert!(!stream.replace((Seq(1_000), 2), b"abc", &mut texts) && stream.room() == 0);
    stream.forget(Seq(13), &mut texts);
    assert_eq!((stream.room(), stream.beyond(Seq(13))), (2, Seq(15)));
}

#[test]
fn what_was_kept_back_leaves_with_what_follows_it_as_often_as_that_is_sent() {
    let (mut stream, mut texts, mut space) = (Stream::NEW, [0; ALG_STREAM_BYTES], [0; 64]);
    stream.begin(Seq(99));
    assert!(stream.read((Seq(100), 4), b"half", false, &mut texts));
    stream.lift();
    assert!(stream.replace((Seq(100), 4), b"half", &mut texts));
    assert!(stream.read((Seq(104), 5), b"", false, &mut texts));
    assert!(!stream.stands_as_sent(Seq(104), 5, true) && stream.stands_as_sent(Seq(104), 5, false));
    let (first, len) = stream.write((Seq(104), b" word"), true, &texts, &mut space).unwrap();
    assert_eq!((first, &space[..len]), (Seq(100), &b"half word"[..]));
    // The end of a connection brings it, too; and once the far end has it, nothing does.
    let (first, len) = stream.write((Seq(104), b""), true, &texts, &mut space).unwrap();
    assert_eq!((first, &space[..len]), (Seq(100), &b"half"[..]));
    stream.forget(Seq(104), &mut texts);
    assert!(stream.stands_as_sent(Seq(104), 5, true));
}

#[test]
fn an_edit_without_its_text_is_counted_and_not_repeated() {
    let (mut stream, mut space) = (Stream::restored(Some(Seq(200)), false, 0, 7), [0; 64]);
    assert!(stream.restore(Edit { at: Seq(110), old: 4, new: 6, untold: true }));
    let texts = [0; ALG_STREAM_BYTES];
    assert_eq!((stream.beyond(Seq(110)), stream.beyond(Seq(114))), (Seq(117), Seq(123)));
    assert_eq!(stream.write((Seq(108), b"1234567890"), false, &texts, &mut space), None);
    assert!(stream.write((Seq(114), b"1234"), false, &texts, &mut space).is_some());
}
