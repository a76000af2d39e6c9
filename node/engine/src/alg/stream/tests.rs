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
        resend in vec((any::<Index>(), any::<Index>()), 0..20),
        acked in any::<Index>(),
    ) {
        let twin = Twin::new(&words);
        let mut stream = Stream::NEW;
        stream.begin(Seq(START - 1));
        let mut at = 0;
        for (place, (old, new)) in words.iter().enumerate() {
            prop_assert_eq!(stream.fit(seq(at), old.len()), Fit::Next(0));
            stream.read(seq(at), old.len(), Text::EMPTY, false);
            if place % 2 == 1 {
                let edit = Edit { at: seq(at), old: old.len() as u16, new: Text::new(new).unwrap() };
                prop_assert!(stream.replace(edit));
            }
            at += old.len();
        }
        // What the far end has acknowledged is not asked for again.
        let acked = acked.index(twin.places.len());
        let here = stream.here(seq(twin.places[acked]));
        stream.forget(here);
        for (place, &beyond) in twin.places.iter().enumerate() {
            if seq(place).ge(here) {
                prop_assert_eq!(stream.beyond(seq(place)), seq(beyond), "place {}", place);
                let first = twin.places.iter().position(|it| *it == beyond).unwrap();
                prop_assert_eq!(stream.here(seq(beyond)), seq(first));
            }
        }
        // Whatever part is sent again, what leaves is a part of the other text, and has all of it.
        let from_here = (here - Seq(START)) as usize;
        for (a, b) in resend {
            let left = twin.here.len() - from_here;
            if left == 0 {
                break;
            }
            let (a, b) = (from_here + a.index(left), from_here + b.index(left));
            let (a, b) = (a.min(b), a.max(b) + 1);
            let mut space = [0; 256];
            let (first, len) = stream.write((seq(a), &twin.here[a..b]), &[], &mut space).unwrap();
            let first = (first - Seq(START)) as usize;
            prop_assert_eq!(&space[..len], &twin.there[first..first + len]);
            prop_assert_eq!(first, twin.places[a]);
            prop_assert!(first + len >= twin.places[b]);
        }
    }
}

#[test]
fn what_is_kept_back_is_acknowledged_with_what_is_before_it() {
    let mut stream = Stream::NEW;
    stream.begin(Seq(99));
    stream.read(Seq(100), 10, Text::new(b"PORT").unwrap(), false);
    assert_eq!(stream.passed(), Some(Seq(106)));
    assert_eq!(stream.acknowledged(Seq(105)), Seq(105));
    assert_eq!(stream.acknowledged(Seq(106)), Seq(110));
    assert!(!stream.stands_as_sent(Seq(100), 10) && stream.stands_as_sent(Seq(100), 6));
    assert_eq!(stream.fit(Seq(106), 4), Fit::Old);
    assert_eq!(stream.fit(Seq(111), 4), Fit::Gap);
    assert_eq!(stream.fit(Seq(108), 4), Fit::Next(2));
}

#[test]
fn there_is_room_for_so_many_edits_until_the_far_end_has_them() {
    let mut stream = Stream::NEW;
    stream.begin(Seq(0));
    let edit = |at| Edit { at: Seq(at), old: 2, new: Text::new(b"abc").unwrap() };
    for place in 0..ALG_EDITS as u32 {
        stream.read(Seq(1 + 10 * place), 10, Text::EMPTY, false);
        assert!(stream.replace(edit(1 + 10 * place)));
    }
    assert!(!stream.replace(edit(100)) && stream.room() == 0);
    stream.forget(Seq(13));
    assert_eq!((stream.room(), stream.beyond(Seq(13))), (2, Seq(15)));
}
