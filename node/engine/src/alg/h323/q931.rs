//! Q.931 as H.225.0 uses it (§7.1, §7.2): where the user-user information element of a message is.
//!
//! ```text
//!   8 │ length of, call reference │ message type │ information elements, the user-user one last
//!                                                   0x7e │ length, two octets │ 5 │ H323-UserInformation
//! ```

use super::Error;

/// Protocol discriminator of call control (Q.931 §4.2).
const CALL_CONTROL: u8 = 8;
/// The user-user element (H.225.0 §7.2.2.31), the one whose length has two octets.
const USER_USER: u8 = 0x7e;
/// Protocol discriminator inside it: X.680 and X.691.
const ASN1: u8 = 5;
/// An element of one octet (Q.931 §4.5.1).
const SINGLE: u8 = 0x80;
/// A shift of the codeset (Q.931 §4.5.3), by the bits above its argument; that it is for one element only;
/// and to which set.
const SHIFT: u8 = 0x90;
const SHIFT_MASK: u8 = 0xf0;
const ONCE: u8 = 8;
const CODESET: u8 = 7;

/// The part of `message` up to the end of its user-user element, and where H323-UserInformation begins in it.
/// `None` is a message without the element: Status may have none, and those of supplementary services.
pub(super) fn user_information(message: &[u8]) -> Result<Option<(&[u8], usize)>, Error> {
    let [discriminator, reference] = *message.first_chunk::<2>().ok_or(Error::Truncated)?;
    if discriminator != CALL_CONTROL {
        return Err(Error::Foreign);
    }
    let mut at = 2 + usize::from(reference & 0x0f) + 1;
    if at > message.len() {
        return Err(Error::Truncated);
    }
    let (mut locked, mut codeset) = (0, 0);
    while let Some(&element) = message.get(at) {
        at += 1;
        if element & SINGLE != 0 {
            (locked, codeset) = shifted(element, locked);
            continue;
        }
        let wide = element == USER_USER && codeset == 0;
        let end = end_of(message, &mut at, wide)?;
        if wide {
            return inside(message, at, end).map(Some);
        }
        (at, codeset) = (end, locked);
    }
    Ok(None)
}

/// The codeset that is locked, and that of the next element, after an element of one octet.
const fn shifted(element: u8, locked: u8) -> (u8, u8) {
    let to = element & CODESET;
    match (element & SHIFT_MASK == SHIFT, element & ONCE != 0) {
        (false, _) => (locked, locked),
        (true, true) => (locked, to),
        (true, false) => (to, to),
    }
}

/// Reads the length at `at`, moves `at` behind it, and gives where the contents end.
fn end_of(message: &[u8], at: &mut usize, wide: bool) -> Result<usize, Error> {
    let rest = message.get(*at..).ok_or(Error::Truncated)?;
    let (length, octets) = match (wide, rest) {
        (true, [high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 2),
        (false, [length, ..]) => (usize::from(*length), 1),
        (true, _) | (false, []) => return Err(Error::Truncated),
    };
    *at += octets;
    let end = *at + length;
    if end > message.len() { Err(Error::Truncated) } else { Ok(end) }
}

fn inside(message: &[u8], start: usize, end: usize) -> Result<(&[u8], usize), Error> {
    let message = message.get(..end).ok_or(Error::Truncated)?;
    match message.get(start) {
        Some(&ASN1) => Ok((message, start + 1)),
        Some(_) => Err(Error::Foreign),
        None => Err(Error::Truncated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Call reference 1, SETUP, a bearer capability.
    const HEAD: [u8; 10] = [8, 2, 0, 1, 5, 4, 3, 0x88, 0xc0, 0xa5];

    fn find(elements: &[u8]) -> Result<Option<(usize, usize)>, Error> {
        let message = [&HEAD[..], elements].concat();
        let found = user_information(&message)?;
        Ok(found.map(|(upto, start)| (start - HEAD.len(), upto.len() - HEAD.len())))
    }

    #[test]
    fn the_user_user_element_is_found_behind_others() {
        assert_eq!(find(&[0x7e, 0, 3, 5, 1, 2]), Ok(Some((4, 6))));
        assert_eq!(find(&[0x7e, 0, 3, 5, 1, 2, 0x28, 0]), Ok(Some((4, 6))), "not beyond its end");
        assert_eq!(find(&[0xa1, 0x28, 1, 0x7e, 0x7e, 0, 1, 5]), Ok(Some((8, 8))));
        assert_eq!(find(&[0x28, 1, 0xb1]), Ok(None));
        assert_eq!(find(&[]), Ok(None));
    }

    #[test]
    fn another_codeset_has_another_element_of_that_number() {
        assert_eq!(find(&[0x9e, 0x7e, 1, 9, 0x7e, 0, 1, 5]), Ok(Some((8, 8))), "for one element");
        assert_eq!(find(&[0x96, 0x7e, 1, 9, 0x7e, 1, 9]), Ok(None), "from then on");
        assert_eq!(find(&[0x96, 0x90, 0x7e, 0, 1, 5]), Ok(Some((6, 6))), "and back");
    }

    #[test]
    fn what_ends_early_is_told() {
        for elements in [&[0x7e][..], &[0x7e, 0], &[0x7e, 0, 2, 5], &[0x7e, 0, 0], &[4], &[4, 1]] {
            assert_eq!(find(elements), Err(Error::Truncated), "{elements:?}");
        }
        for end in 0..5 {
            assert_eq!(user_information(&HEAD[..end]), Err(Error::Truncated), "{end} octets");
        }
    }

    #[test]
    fn other_protocols_are_foreign() {
        assert_eq!(user_information(&[3, 1, 0, 1]), Err(Error::Foreign), "Q.933 and others");
        assert_eq!(find(&[0x7e, 0, 2, 4, 0]), Err(Error::Foreign), "IA5 characters");
    }
}
